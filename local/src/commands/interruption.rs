//! Ctrl-C, and the polite signal that service managers send.

use std::io::Write as _;

/// Hears of every interruption from its making on, so that none gets lost between two waits.
pub(super) struct Interruption {
    #[cfg(unix)]
    signals: Option<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)>,
    /// Whether somebody was told already what comes now.
    told: bool,
}

impl Interruption {
    /// Listens from now on. Must be called within a tokio runtime.
    pub(super) fn listen() -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let pressed = signal(SignalKind::interrupt());
            let terminated = signal(SignalKind::terminate());
            Self {
                signals: pressed.ok().zip(terminated.ok()),
                told: false,
            }
        }
        #[cfg(not(unix))]
        Self { told: false }
    }

    /// Waits for the next one; says on standard error what comes of the first.
    pub(super) async fn next(&mut self) {
        self.signal().await;
        if !std::mem::replace(&mut self.told, true) {
            let said = "Ending: what runs comes to its end. Ctrl-C again ends at once.";
            let _ = writeln!(std::io::stderr().lock(), "{said}");
        }
    }

    async fn signal(&mut self) {
        #[cfg(unix)]
        if let Some((pressed, terminated)) = &mut self.signals {
            tokio::select! {
                _ = pressed.recv() => {}
                _ = terminated.recv() => {}
            }
            return;
        }
        // Where it cannot be heard of, the program ends as the system has it.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Does the work; none when it is interrupted first. What was begun is dropped then.
    pub(super) async fn or<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.next() => None,
            done = work => Some(done),
        }
    }
    /// Does a step to its end, also when it is interrupted meanwhile; a second interruption drops
    /// it (none). Whether to go on after it, too.
    pub(super) async fn finish<T>(&mut self, step: impl Future<Output = T>) -> (Option<T>, bool) {
        let mut step = std::pin::pin!(step);
        match self.or(&mut step).await {
            Some(done) => (Some(done), true),
            None => (self.or(step).await, false),
        }
    }
}
