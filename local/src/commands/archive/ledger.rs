//! Proving that stored ⇔ archived: what the archive has, held against what the store has.

use std::collections::BTreeMap;

use event_sourcing::chain;
use event_sourcing::envelope::Envelope;
use event_sourcing::reconciling::Position;

/// What is known of an archived event.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Archived {
    /// The hash of what it says, made anew.
    hash: String,
    /// Whether another copy says something else.
    torn: bool,
    stored: bool,
}

/// The archived events of a period: some 200 bytes for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    archived: BTreeMap<Position, Archived>,
    findings: Findings,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Events that are stored.
    pub(super) stored: u64,
    /// Lines of the archive, duplicates and unreadable ones as well.
    pub(super) archived: u64,
    /// Lines that say the same of an event again.
    pub(super) duplicates: u64,
    /// Stored, and not in the archive.
    pub(super) missing: Vec<Position>,
    /// In the archive with another content than the stored one.
    pub(super) differing: Vec<Position>,
    /// In the archive, and not stored.
    pub(super) unstored: Vec<Position>,
    /// Lines of the archive, or items of the store, that are no recorded event: where, and why.
    pub(super) unreadable: Vec<String>,
}

impl Findings {
    /// Whether exactly what is stored is archived, however often.
    pub(super) fn is_whole(&self) -> bool {
        self.missing.is_empty()
            && self.differing.is_empty()
            && self.unstored.is_empty()
            && self.unreadable.is_empty()
    }
}

fn position(event: &Envelope) -> Option<Position> {
    let (stream, version) = event.position()?;
    Some(Position {
        stream: stream.to_owned(),
        version,
    })
}

impl Ledger {
    /// Notes a line of the archive; `place` says where it is.
    pub(super) fn archive(&mut self, event: &Envelope, place: &str) {
        let Some(position) = position(event) else {
            return self.unreadable_line(format!("{place}: it has no stream and version"));
        };
        self.findings.archived += 1;
        let hash = chain::hash_of(event);
        let first = self.archived.get_mut(&position);
        match first {
            Some(first) if first.hash == hash => self.findings.duplicates += 1,
            Some(first) => first.torn = true,
            None => {
                let first = Archived {
                    hash,
                    torn: false,
                    stored: false,
                };
                self.archived.insert(position, first);
            }
        }
    }

    /// Notes a line of the archive that is no event.
    pub(super) fn unreadable_line(&mut self, why: String) {
        self.findings.archived += 1;
        self.findings.unreadable.push(why);
    }

    /// Notes an item of the store that is no event.
    pub(super) fn unreadable_item(&mut self, why: String) {
        self.findings.stored += 1;
        self.findings.unreadable.push(why);
    }

    /// Notes a stored event; once the archive is noted whole.
    pub(super) fn store(&mut self, event: &Envelope) {
        let Some(position) = position(event) else {
            return self.unreadable_item(format!("{}: it has no stream", event.event_id));
        };
        self.findings.stored += 1;
        match self.archived.get_mut(&position) {
            None => self.findings.missing.push(position),
            Some(archived) => {
                archived.stored = true;
                if archived.torn || archived.hash != chain::hash_of(event) {
                    self.findings.differing.push(position);
                }
            }
        }
    }

    /// What came of it, in the order of streams and versions.
    pub(super) fn end(self) -> Findings {
        let mut findings = self.findings;
        let archived = self.archived.into_iter();
        let unstored = archived.filter(|(_, archived)| !archived.stored);
        findings.unstored = unstored.map(|(position, _)| position).collect();
        findings.missing.sort();
        findings.differing.sort();
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use serde_json::json;

    fn event(stream: &str, version: u64, amount: u64) -> Envelope {
        let id = format!("{stream}-{version}");
        let data = json!({"amount": amount});
        Envelope::new(&id, "T", Timestamp::UNIX_EPOCH, data).recorded(stream, version)
    }

    fn position(stream: &str, version: u64) -> Position {
        Position {
            stream: stream.to_owned(),
            version,
        }
    }

    fn findings(archived: &[Envelope], stored: &[Envelope]) -> Findings {
        let mut ledger = Ledger::default();
        for event in archived {
            ledger.archive(event, "key, line 1");
        }
        for event in stored {
            ledger.store(event);
        }
        ledger.end()
    }

    #[test]
    fn what_is_stored_and_archived_once_or_more_often_is_whole() {
        let events = [event("a", 1, 1), event("a", 2, 1), event("b", 1, 1)];
        let archived = [&events[..], &events[..2], &events[..1]].concat();
        let found = findings(&archived, &events);
        assert!(found.is_whole());
        assert_eq!((found.stored, found.archived, found.duplicates), (3, 6, 3));
    }

    #[test]
    fn what_is_on_one_side_only_is_named_on_that_side() {
        let archived = [event("a", 2, 1), event("c", 1, 1)];
        let stored = [event("b", 1, 1), event("a", 2, 1), event("a", 1, 1)];
        let found = findings(&archived, &stored);
        assert!(!found.is_whole());
        assert_eq!(found.missing, [position("a", 1), position("b", 1)]);
        assert_eq!(found.unstored, [position("c", 1)]);
        assert_eq!(found.differing, []);
    }

    #[test]
    fn another_content_is_told_also_when_only_a_second_copy_has_it() {
        let stored = [event("a", 1, 1)];
        let altered = findings(&[event("a", 1, 2)], &stored);
        let torn = findings(&[event("a", 1, 1), event("a", 1, 2)], &stored);
        for found in [altered, torn] {
            assert!(!found.is_whole());
            assert_eq!(found.differing, [position("a", 1)]);
            assert_eq!((found.missing.len(), found.unstored.len()), (0, 0));
            assert_eq!(found.duplicates, 0);
        }
    }

    #[test]
    fn a_line_without_a_position_is_no_recorded_event_and_is_told_with_its_place() {
        let plain = Envelope::new("e", "T", Timestamp::UNIX_EPOCH, json!({}));
        let found = findings(&[plain], &[]);
        assert_eq!(
            found.unreadable,
            ["key, line 1: it has no stream and version"]
        );
        assert!(!found.is_whole());
    }
}
