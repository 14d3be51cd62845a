//! Progress bars on stderr, on a terminal only. Everything that reports progress from worker threads goes through here.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const COUNT: &str = "{prefix:>10} {bar:28.cyan/dim} {human_pos}/{human_len} {msg} {per_sec:.dim} {eta:.dim}";
const BYTES: &str = "{prefix:>10} {bar:28.cyan/dim} {bytes}/{total_bytes} {msg} {bytes_per_sec:.dim} {eta:.dim}";

/// A bar that counts things.
pub fn count(stage: &'static str, total: u64) -> ProgressBar {
    bar(stage, total, COUNT)
}

/// A bar that counts bytes.
pub fn bytes(stage: &'static str) -> ProgressBar {
    bar(stage, 0, BYTES)
}

fn bar(stage: &'static str, total: u64, template: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the template is valid").progress_chars("━━─");
    let bar = ProgressBar::new(total).with_style(style).with_prefix(stage);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
