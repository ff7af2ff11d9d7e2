//! How far it is, on standard error: a bar on a terminal, a line every tenth elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

/// Counts orders that came to an end. Clones are the same.
#[derive(Clone)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    done: Arc<AtomicU64>,
    total: u64,
}

impl Progress {
    pub(super) fn start(orders: usize) -> Self {
        let total = orders as u64;
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            let template = "{elapsed_precise} [{bar:40}] {pos}/{len} orders, {per_sec}, {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        Self {
            bar,
            done: Arc::default(),
            total,
        }
    }

    /// One more order came to an end.
    pub(super) fn one_more(&self) {
        let done = self.done.fetch_add(1, Ordering::AcqRel) + 1;
        if let Some(bar) = &self.bar {
            bar.inc(1);
            return;
        }
        let tenths = |done: u64| done * 10 / self.total.max(1);
        if tenths(done) > tenths(done - 1) {
            let percent = tenths(done) * 10;
            // Whoever closed the pipe does not want to read on.
            let _ = writeln!(
                std::io::stderr().lock(),
                "{percent} % of {} orders",
                self.total
            );
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
