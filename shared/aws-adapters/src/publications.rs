//! The markers that publishing leaves: one log line for the events that the bus took together. They
//! cost nothing that would not be paid anyway, and in AWS they are in one log group, whoever
//! published.

use event_sourcing::envelope::Envelope;
use event_sourcing::reconciling::Position;
use serde_json::Value;

/// What a marker's `message` is, and no other line's.
pub const MESSAGE: &str = "published";

/// Leaves the marker of events that the bus took: where each is in the store.
pub fn leave_marker<'e>(events: impl IntoIterator<Item = &'e Envelope>) {
    let positions = events.into_iter().filter_map(Envelope::position);
    let positions: Vec<_> = positions.collect();
    if positions.is_empty() {
        return;
    }
    let positions = serde_json::to_string(&positions).unwrap_or_default();
    tracing::info!(positions, "published");
}

/// The positions in a line; none in another line.
#[must_use]
pub fn read_marker(line: &str) -> Vec<Position> {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    match line["positions"].as_str() {
        Some(positions) if line["message"] == MESSAGE => read_positions(positions),
        _ => Vec::new(),
    }
}

/// The positions in a marker's field of that name.
#[must_use]
pub fn read_positions(text: &str) -> Vec<Position> {
    let positions: Vec<(String, u64)> = serde_json::from_str(text).unwrap_or_default();
    let position = |(stream, version)| Position { stream, version };
    positions.into_iter().map(position).collect()
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
        let first = event.clone().recorded("order-\"1\"", 3);
        let second = event.clone().recorded("order-2", 1);
        tracing::subscriber::with_default(subscriber, || {
            leave_marker([&first, &second, &event]);
            leave_marker([&event]);
            tracing::info!(stream_id = "order-1", version = 4, "not published");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let read: Vec<_> = text.lines().map(read_marker).collect();
        let position = |stream: &str, version| Position {
            stream: stream.into(),
            version,
        };
        let expected = vec![position("order-\"1\"", 3), position("order-2", 1)];
        assert_eq!(read, [expected, vec![]]);
        assert!(read_marker("START RequestId: 1").is_empty());
    }
}
