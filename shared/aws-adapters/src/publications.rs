//! The markers that publishing leaves: one log line per event after the bus took it. They cost
//! nothing that would not be paid anyway, and in AWS they are in one log group, whoever published.

use event_sourcing::envelope::Envelope;
use event_sourcing::reconciling::Position;
use serde_json::Value;

/// What a marker's `message` is, and no other line's.
pub const MESSAGE: &str = "published";

/// Leaves the marker of an event that the bus took.
pub fn leave_marker(event: &Envelope) {
    tracing::info!(
        event_id = event.event_id,
        event_type = event.event_type,
        stream_id = event.stream_id,
        version = event.version,
        correlation_id = event.correlation_id,
        "published"
    );
}

/// The position in a line; `None` for another line, and for an event without one.
#[must_use]
pub fn read_marker(line: &str) -> Option<Position> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["message"] == MESSAGE).then_some(())?;
    Some(Position {
        stream: line["stream_id"].as_str()?.to_owned(),
        version: line["version"].as_u64()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_marker_is_read_as_it_is_left() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(move || writer.clone())
            .finish();
        let data = serde_json::json!({});
        let event = Envelope::new("e", "T", jiff::Timestamp::UNIX_EPOCH, data);
        tracing::subscriber::with_default(subscriber, || {
            leave_marker(&event.clone().recorded("order-1", 3));
            leave_marker(&event);
            tracing::info!(stream_id = "order-1", version = 4, "not published");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let read: Vec<_> = text.lines().map(read_marker).collect();
        let position = Position {
            stream: "order-1".into(),
            version: 3,
        };
        assert_eq!(read, [Some(position), None, None]);
        assert_eq!(read_marker("START RequestId: 1"), None);
    }
}
