//! The calls that a lane makes for its window.

use bytes::Bytes;

use super::batch::Batch;
use super::lane::Lane;
use super::observer::MappingEvent;
use super::settle::Attempt;
use super::source::RecordSource;
use super::window::Calling;

impl<S: RecordSource> Lane<S> {
    /// What the function gets.
    pub(super) fn payload(&self, batch: &Batch, calling: Calling) -> Bytes {
        let Some(window) = &self.window else {
            return batch.payload();
        };
        let place = (
            self.shard_id.as_str(),
            self.shared.settings.stream_arn.as_str(),
        );
        window.payload(batch, calling, place)
    }

    /// The state of the last answer is the window's. When it is too large, the window ends early,
    /// and goes on with a fresh one. False when the mapping stops before.
    pub(super) async fn keep_state(&mut self) -> bool {
        let Some(window) = &mut self.window else {
            return true;
        };
        if window.keep_answer() {
            return true;
        }
        if !self.call_until_done(Calling::Early).await {
            return false;
        }
        if let Some(window) = &mut self.window {
            window.begin_afresh();
        }
        true
    }

    /// The final call of the window; false when the mapping stops before it succeeded.
    pub(super) async fn close_window(&mut self) -> bool {
        if !self.call_until_done(Calling::Final).await {
            return false;
        }
        self.forget_window().await;
        true
    }

    /// Calls the function without records until it succeeds: until then, AWS goes on with nothing
    /// of the shard.
    async fn call_until_done(&mut self, calling: Calling) -> bool {
        let mut batch = Batch::default();
        loop {
            if *self.stop.borrow() {
                return false;
            }
            if matches!(self.attempt(&mut batch, calling).await, Attempt::Done) {
                return true;
            }
            batch.failures += 1;
            let delay = self
                .shared
                .settings
                .clock
                .system_error_delay(batch.failures);
            self.tell(&batch, &MappingEvent::Retried { delay });
            if !self.pause_for(delay).await {
                return false;
            }
        }
    }
}
