//! How long the steps of a run take, for the log. No row depends on it.

use std::time::Instant;

/// The time since the last step.
pub struct Lap(Instant);

impl Lap {
    /// Starts the first step.
    pub fn start() -> Lap {
        Lap(Instant::now())
    }

    /// Ends a step: the next one begins.
    pub fn end(&mut self, step: &'static str) {
        let duration_ms = u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(step, duration_ms, "a step of etl is done");
        self.0 = Instant::now();
    }
}
