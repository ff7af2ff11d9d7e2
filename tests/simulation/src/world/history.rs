//! What was stored and what was published, as `reconcile-events` reads them: the events of a
//! period, and the lines that publishing leaves in the log.

use std::fmt::Debug;
use std::sync::Arc;

use aws_adapters::publications::{FIELD, read_positions};
use event_sourcing::envelope::Envelope;
use event_sourcing::reconciling::{
    Marker, Page, Position, PublishedMarkers, ReconcileError, StoredEvents,
};
use jiff::Timestamp;
use reconcile_events::progress::{KeptProgress, Progress};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

use super::{World, lock};
use crate::faults::Fault;

/// Where the lines come from that are markers.
const TARGET: &str = "aws_adapters::publications";
/// Events on a page.
const PAGE: usize = 400;

/// The log of a world: keeps the markers among its lines.
pub struct Log(pub Arc<World>);

/// Of what a line is the marker: of nothing, if it is another line.
#[derive(Default)]
struct Line(Vec<Position>);

impl Visit for Line {
    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == FIELD {
            self.0 = read_positions(value);
        }
    }
}

impl Subscriber for Log {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == TARGET
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let at = self.0.true_time();
        let marker = |position| Marker { position, at };
        lock(&self.0.markers).extend(line.0.into_iter().map(marker));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The ports.
pub struct History(pub Arc<World>);

impl History {
    async fn page<T>(
        &self,
        page: Option<&str>,
        all: impl FnOnce(&World) -> Vec<T>,
    ) -> Result<Page<T>, ReconcileError> {
        let Self(world) = self;
        world.step().await;
        if world.hits(Fault::Throttled) {
            return Err(ReconcileError::Unavailable("throttled".into()));
        }
        let from: usize = page
            .unwrap_or("0")
            .parse()
            .map_err(|_| ReconcileError::Unreadable("that is no page".to_owned()))?;
        let mut found: Vec<_> = all(world).into_iter().skip(from).collect();
        let is_last = found.len() <= PAGE;
        found.truncate(PAGE);
        world.step().await;
        Ok(Page {
            found,
            next: (!is_last).then(|| (from + PAGE).to_string()),
        })
    }
}

impl KeptProgress for History {
    async fn read(&self) -> Result<Progress, ReconcileError> {
        let Self(world) = self;
        world.step().await;
        if world.hits(Fault::Throttled) {
            return Err(ReconcileError::Unavailable("throttled".into()));
        }
        world.progress.read().await
    }

    async fn keep(&self, progress: &Progress) -> Result<(), ReconcileError> {
        let Self(world) = self;
        world.step().await;
        if world.hits(Fault::Throttled) {
            return Err(ReconcileError::Unavailable("throttled".into()));
        }
        let kept = world.progress.keep(progress).await;
        world.step().await;
        kept
    }
}

impl PublishedMarkers for History {
    async fn published(
        &self,
        from: Timestamp,
        until: Timestamp,
        page: Option<&str>,
    ) -> Result<Page<Marker>, ReconcileError> {
        self.page(page, |world| {
            let markers = lock(&world.markers);
            let of_period = markers.iter().filter(|one| (from..until).contains(&one.at));
            of_period.cloned().collect()
        })
        .await
    }
}

impl StoredEvents for History {
    async fn stored(
        &self,
        from: Timestamp,
        until: Timestamp,
        page: Option<&str>,
    ) -> Result<Page<Envelope>, ReconcileError> {
        self.page(page, |world| {
            let kept = lock(&world.kept);
            let all = kept.streams().values().flatten();
            all.filter(|event| (from..until).contains(&event.at()))
                .cloned()
                .collect()
        })
        .await
    }
}
