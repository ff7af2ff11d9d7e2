//! The markers that publishing leaves: one log line for the events that the bus took together. They
//! cost nothing that would not be paid anyway, and in AWS they are in one log group, whoever
//! published.

use event_sourcing::envelope::Envelope;
use event_sourcing::reconciling::Position;
use serde_json::Value;

/// The one field of a marker, which no other line has: `stream@version` of each event, a line each.
/// No message beside it: five of an order's log lines are markers, and each byte is paid for.
pub const FIELD: &str = "published";

/// Leaves the marker of events that the bus took: where each is in the store.
pub fn leave_marker<'e>(events: impl IntoIterator<Item = &'e Envelope>) {
    let positions = events.into_iter().filter_map(Envelope::position);
    let positions = positions.map(|(stream, version)| format!("{stream}@{version}"));
    let published = positions.collect::<Vec<_>>().join("\n");
    if !published.is_empty() {
        tracing::info!(published);
    }
}

/// The positions in a line; none in another line.
#[must_use]
pub fn read_marker(line: &str) -> Vec<Position> {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    line[FIELD].as_str().map(read_positions).unwrap_or_default()
}

/// The positions in a marker's field.
#[must_use]
pub fn read_positions(text: &str) -> Vec<Position> {
    let position = |line: &str| {
        let (stream, version) = line.rsplit_once('@')?;
        Some(Position {
            stream: stream.to_owned(),
            version: version.parse().ok()?,
        })
    };
    text.split('\n').filter_map(position).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::tests::lines_of;

    #[test]
    fn a_marker_is_read_as_it_is_left() {
        let data = serde_json::json!({});
        let event = Envelope::new("e", "T", jiff::Timestamp::UNIX_EPOCH, data);
        let first = event.clone().recorded("order-\"1\" @2", 3);
        let second = event.clone().recorded("order-2", 1);
        let lines = lines_of(|| {
            leave_marker([&first, &second, &event]);
            leave_marker([&event]);
            tracing::info!(stream_id = "order-1", version = 4, "not published");
        });
        let read = lines.iter().map(|line| read_marker(&line.to_string()));
        let read: Vec<_> = read.collect();
        let position = |stream: &str, version| Position {
            stream: stream.into(),
            version,
        };
        let expected = vec![position("order-\"1\" @2", 3), position("order-2", 1)];
        assert_eq!(read, [expected, vec![]]);
        assert!(read_marker("START RequestId: 1").is_empty());
    }
}
