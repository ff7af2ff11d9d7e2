//! Rest: nothing runs, nothing waits, everything stored was looked at.

use std::time::Duration;

use tokio::time::Instant;

use super::Stack;
use crate::error::LocalError;

/// How far apart two looks are.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// So many looks in a row must find the same rest.
const LOOKS: u32 = 2;

impl Stack {
    /// What is still going on; none at rest.
    #[must_use]
    pub fn unrest(&self) -> Option<String> {
        let pending = self.invoker.pending();
        if pending > 0 {
            return Some(format!("{pending} events on their way to functions"));
        }
        let running = self.functions.in_flight();
        if running > 0 {
            return Some(format!("{running} invocations under way"));
        }
        let retrying = self.delivery.retrying();
        if retrying > 0 {
            return Some(format!("{retrying} deliveries to be tried again"));
        }
        self.mappings.unsettled(&self.endpoint)
    }

    /// Tumbling windows that functions have records of and whose end is still to come. They are no
    /// unrest: each record was handed over, and a window ends when its time is over.
    #[must_use]
    pub fn open_windows(&self) -> usize {
        self.mappings.open_windows()
    }

    /// Waits until the system is at rest: no event on its way, no invocation under way, every
    /// mapping done with everything that is stored; found so twice in a row, with nothing new
    /// in between. Tumbling windows may be open still, and archived records be in no object yet.
    ///
    /// # Errors
    /// [`LocalError::NotQuiet`] after `deadline` says what was still going on.
    pub async fn quiet(&self, deadline: Duration) -> Result<(), LocalError> {
        let until = Instant::now() + deadline;
        let mut at_rest = 0;
        let mut mark = self.mark();
        loop {
            let unrest = self.unrest();
            let now = self.mark();
            at_rest = if unrest.is_none() && now == mark {
                at_rest + 1
            } else {
                0
            };
            mark = now;
            if at_rest >= LOOKS {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(LocalError::NotQuiet {
                    seconds: deadline.as_secs(),
                    state: unrest.unwrap_or_else(|| "new events keep coming".to_owned()),
                });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Changes whenever something happens: invocations so far, and the end of every stream.
    fn mark(&self) -> (u64, Vec<u64>) {
        let stats = self.host().stats();
        let invocations = stats.values().map(|one| one.invocations).sum();
        let tables = self.template.tables.iter();
        let tables = tables
            .filter_map(|table| self.endpoint.stream(&table.name))
            .map(|stream| stream.last_sequence());
        let data = self.template.kinesis_streams.iter();
        let data = data
            .filter_map(|stream| self.endpoint.data_stream(&stream.name))
            .map(|stream| stream.last_sequence());
        (invocations, tables.chain(data).collect())
    }
}
