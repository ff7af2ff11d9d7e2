//! Reading events of every version: the data of an older one is lifted, step by step, to the
//! shape that the code knows.
//!
//! `schemaVersion` in the envelope is the version of an event type's data; 1 where it is absent.
//! A type whose shape changes gets one more [`Upcaster`], and is from then on written in the next
//! version; what was stored stays as it is. [`decode`] is the one place where an event is read,
//! wherever it comes from: store, bus, dead-letter queue, archive, replay.

use crate::decider::Event;
use crate::envelope::Envelope;
use crate::retry::{Retry, Retryable};
use serde_json::Value;
use std::borrow::Cow;

/// Lifts the data of one version of an event type to the next.
#[derive(Debug, Clone, Copy)]
pub struct Upcaster {
    /// Whose data.
    pub event_type: &'static str,
    /// The version that it lifts, to the one after.
    pub from: u32,
    /// Gives the data in the next version's shape. Total: what is no data of its version either
    /// is left for [`Event::from_data`] to refuse. Keep fields that it does not know.
    pub upcast: fn(Value) -> Value,
}

/// A stored event that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {event_id} ({event_type}) cannot be read: {reason}")]
pub struct Unreadable {
    /// Which event.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Unreadable {
    fn new(envelope: &Envelope, reason: String) -> Self {
        Self {
            event_id: envelope.event_id.clone(),
            event_type: envelope.event_type.clone(),
            reason,
        }
    }
}

impl Retryable for Unreadable {
    fn retry(&self) -> Retry {
        Retry::Never
    }
}

/// The aggregate's event in an envelope of any version.
///
/// # Errors
/// [`Unreadable`] for a type that the aggregate does not know, for data that lacks what the type
/// needs, and for a version that only newer software knows.
pub fn decode<E: Event>(envelope: &Envelope) -> Result<E, Unreadable> {
    decode_optional(envelope)?
        .ok_or_else(|| Unreadable::new(envelope, "the aggregate has no such event type".into()))
}

/// [`decode`] where events of other aggregates may come along: `None` for a type that this one
/// does not know.
///
/// # Errors
/// [`Unreadable`] for data that lacks what the type needs, and for a version that only newer
/// software knows.
pub fn decode_optional<E: Event>(envelope: &Envelope) -> Result<Option<E>, Unreadable> {
    let event_type = &envelope.event_type;
    let written = envelope.schema_version.unwrap_or(1);
    let Some(data) = upcast(E::upcasters(), event_type, written, &envelope.data) else {
        return match E::from_data(event_type, &envelope.data) {
            Ok(None) => Ok(None),
            Ok(Some(_)) | Err(_) => Err(Unreadable::new(envelope, newer::<E>(event_type, written))),
        };
    };
    E::from_data(event_type, &data)
        .map_err(|error| Unreadable::new(envelope, format!("data {error}")))
}

fn newer<E: Event>(event_type: &str, written: u32) -> String {
    format!(
        "a newer version of the software wrote it: its schemaVersion is {written}, this one \
         knows {} at most; deploy the newer one here, then redrive",
        current_version(E::upcasters(), event_type)
    )
}

/// The version in which events of this type are written: one more than it has upcasters.
#[must_use]
pub fn current_version(upcasters: &[Upcaster], event_type: &str) -> u32 {
    upcasters
        .iter()
        .filter(|upcaster| upcaster.event_type == event_type)
        .fold(1, |version, _| version + 1)
}

/// What the envelope of a new event says as its `schemaVersion`: nothing as long as that is 1.
#[must_use]
pub fn written_version<E: Event>(event_type: &str) -> Option<u32> {
    Some(current_version(E::upcasters(), event_type)).filter(|version| *version > 1)
}

/// The data in the current version's shape; `None` when `version` is above the current one.
///
/// Data of the current version comes back as it is.
#[must_use]
pub fn upcast<'a>(
    upcasters: &[Upcaster],
    event_type: &str,
    version: u32,
    data: &'a Value,
) -> Option<Cow<'a, Value>> {
    let current = current_version(upcasters, event_type);
    if version > current {
        return None;
    }
    let mut data = Cow::Borrowed(data);
    for from in version..current {
        let step = upcasters
            .iter()
            .find(|step| step.event_type == event_type && step.from == from)?;
        data = Cow::Owned((step.upcast)(data.into_owned()));
    }
    Some(data)
}

/// A version that no upcaster lifts, or more than one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event_type} has {found} upcasters from version {from}, and needs one")]
pub struct UpcasterGap {
    /// Whose upcasters.
    pub event_type: &'static str,
    /// The version in question.
    pub from: u32,
    /// How many there are.
    pub found: usize,
}

/// Checks that every type's upcasters lead from version 1 to the current one without a gap. For
/// the tests of an aggregate: nothing checks it when an event is read.
///
/// # Errors
/// [`UpcasterGap`], the first one.
pub fn check(upcasters: &[Upcaster]) -> Result<(), UpcasterGap> {
    for event_type in upcasters.iter().map(|upcaster| upcaster.event_type) {
        for from in 1..current_version(upcasters, event_type) {
            let found = upcasters
                .iter()
                .filter(|upcaster| upcaster.event_type == event_type && upcaster.from == from)
                .count();
            if found != 1 {
                return Err(UpcasterGap {
                    event_type,
                    from,
                    found,
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
