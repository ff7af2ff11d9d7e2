//! Serving a consumer of events: each event once.

use std::future::Future;

use aws_adapters::{lambda, telemetry};
use event_sourcing::failure::Failure;
use serde_json::Value;

use crate::event::Event;
use crate::idempotency;
use crate::tables::Tables;

/// Serves a consumer, whose name is part of the key under which an event was handled.
///
/// # Errors
/// When a setting is missing or the runtime API cannot be reached.
pub async fn consume<F, Fut>(consumer: &str, handle: F) -> Result<(), lambda_runtime::Error>
where
    F: Fn(Tables, Event) -> Fut,
    Fut: Future<Output = Result<Value, Failure>>,
{
    telemetry::init();
    let tables = Tables::from_env()?;
    let (tables, handle) = (&tables, &handle);
    lambda::serve(|invocation| async move {
        let event = Event::of_payload(&invocation.payload)?;
        let key = format!("{consumer}#{}", event.event_id);
        let work = handle(tables.clone(), event);
        idempotency::once(tables, &key, work).await
    })
    .await
}
