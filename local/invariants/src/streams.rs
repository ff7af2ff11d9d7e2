//! What holds of the event store itself and of the bus.

use std::collections::{BTreeMap, BTreeSet};

use event_sourcing::chain;
use event_sourcing::envelope::Envelope;

use super::{Evidence, GAP_FREE, STORED_IS_PUBLISHED, Verdict, verdict};

/// The `source` of what our own relay publishes.
const OURS: &str = "orderflow";

/// Each stored event was published at least once; nothing else was, and nothing in another form.
/// None where nobody looked at the bus.
pub(super) fn stored_is_published(evidence: &Evidence) -> Option<Verdict> {
    let published = evidence.published.as_ref()?;
    let stored = &evidence.stored;
    let mut wrongs = Vec::new();
    let mut seen: BTreeSet<(&str, u64)> = BTreeSet::new();
    let ours: Vec<_> = published.iter().filter(|one| one.source == OURS).collect();
    let envelopes: Vec<_> = ours
        .iter()
        .map(|one| Envelope::from_value(one.detail.clone()))
        .collect();
    for envelope in &envelopes {
        let envelope = match envelope {
            Ok(envelope) => envelope,
            Err(error) => {
                wrongs.push(format!("what is no event was published: {error}"));
                continue;
            }
        };
        let Some((stream, version)) = envelope.position() else {
            let id = &envelope.event_id;
            wrongs.push(format!(
                "event {id} was published without having been stored"
            ));
            continue;
        };
        let of_stream = stored.streams.get(stream);
        let same =
            of_stream.and_then(|events| events.iter().find(|event| event.version == Some(version)));
        match same {
            None => wrongs.push(format!(
                "{stream}@{version} was published and is not stored"
            )),
            Some(event) if event != envelope => {
                wrongs.push(format!(
                    "{stream}@{version} is stored otherwise than published"
                ));
            }
            Some(_) => {
                seen.insert((stream, version));
            }
        }
    }
    for (stream, events) in &stored.streams {
        for event in events {
            let version = event.version.unwrap_or_default();
            if !seen.contains(&(stream.as_str(), version)) {
                wrongs.push(format!("{stream}@{version} was never published"));
            }
        }
    }
    let counted = format!(
        "{} events stored, {} published",
        stored.events(),
        ours.len()
    );
    Some(verdict(STORED_IS_PUBLISHED, &wrongs, counted))
}

/// Versions of every stream are 1, 2, 3 …, each event linked to the one before by its hash; no two
/// events have one id; nothing was rewritten.
pub(super) fn gap_free(evidence: &Evidence) -> Verdict {
    let stored = &evidence.stored;
    let mut wrongs = stored.unreadable.clone();
    let mut ids: BTreeMap<&str, &str> = BTreeMap::new();
    for (stream, events) in &stored.streams {
        if let Err(tampered) = chain::verify(stream, events) {
            wrongs.push(tampered.to_string());
        }
        for event in events {
            if let Some(other) = ids.insert(&event.event_id, stream) {
                let id = &event.event_id;
                wrongs.push(format!(
                    "event {id} is stored twice, in {other} and {stream}"
                ));
            }
        }
    }
    if let Some(rewrites) = evidence.rewrites.filter(|rewrites| *rewrites > 0) {
        wrongs.push(format!("{rewrites} stored events were changed or removed"));
    }
    let counted = format!(
        "{} streams, {} events",
        stored.streams.len(),
        stored.events()
    );
    verdict(GAP_FREE, &wrongs, counted)
}
