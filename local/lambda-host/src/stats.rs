//! What a function has done so far, counted as Lambda's metrics and its bill count.

use crate::invocation::{Invocation, Outcome};

/// Counters of one function since it was registered.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FunctionStats {
    /// Invocations that reached a process, successful or not.
    pub invocations: u64,
    /// Invocations that ended in a function error, timeouts and crashes included.
    pub errors: u64,
    /// Invocations that were killed at the function's timeout.
    pub timeouts: u64,
    /// Invocations refused because the function's reserved concurrency is 0.
    pub throttles: u64,
    /// Invocations that had to start a process.
    pub cold_starts: u64,
    /// Milliseconds that AWS would bill: initialisation and run of each, rounded up.
    pub billed_ms: u64,
    /// Billed seconds times the configured memory in GB.
    pub gb_seconds: f64,
    /// Largest memory that a process of the function used, in bytes; none where not measured.
    pub max_memory_bytes: Option<u64>,
    /// Processes alive now.
    pub processes: usize,
    /// Processes with an invocation now.
    pub busy: usize,
}

impl FunctionStats {
    /// Adds one finished invocation of a function with `memory_mb` of memory.
    pub(crate) fn add(&mut self, invocation: &Invocation, memory_mb: u32) {
        self.invocations += 1;
        if !matches!(invocation.outcome, Outcome::Answer(_)) {
            self.errors += 1;
        }
        if matches!(invocation.outcome, Outcome::TimedOut { .. }) {
            self.timeouts += 1;
        }
        if invocation.init_duration.is_some() {
            self.cold_starts += 1;
        }
        let billed_ms = invocation.billed_ms();
        self.billed_ms += billed_ms;
        self.gb_seconds += std::time::Duration::from_millis(billed_ms).as_secs_f64()
            * f64::from(memory_mb)
            / 1024.0;
        self.max_memory_bytes = self.max_memory_bytes.max(invocation.max_memory_bytes);
    }
}
