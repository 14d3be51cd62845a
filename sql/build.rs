//! The models are part of the program: a new file under `models/` makes the crate be built again.

fn main() {
    println!("cargo::rerun-if-changed=models");
}
