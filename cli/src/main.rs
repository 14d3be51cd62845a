//! The program `healthlake`: parses the command line, prepares logs and the runtime, and turns the outcome into an
//! exit code: 0 done, 1 done with findings, 2 could not be done.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tokio::runtime;

mod call;
mod command;
mod config;
mod engine;
mod global;
mod output;
mod progress;

/// Threads that read files. Each keeps memory of its own at hand, so more of them cost more than they bring.
const FILE_THREADS: usize = 16;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = command::Arguments::parse();
    start_logs(arguments.global.verbose);
    let runtime = runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(FILE_THREADS).build();
    let runtime = runtime.expect("the operating system gives threads");
    match runtime.block_on(command::run(arguments)) {
        Ok(call::Outcome::Done) => ExitCode::SUCCESS,
        Ok(call::Outcome::Findings) => ExitCode::from(1),
        Err(error) => {
            output::print_error(&error);
            ExitCode::from(2)
        }
    }
}

fn start_logs(verbose: u8) {
    let level = ["warn", "healthlake=info,lake=info,etl=info,sql=info,validator=info,warn", "debug", "trace"];
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level[usize::from(verbose.min(3))]));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
