//! Which records earlier parts have folded: what a Lambda window learns from the table.

use crate::ids::Ids;
use crate::part::{LambdaWindow, Part, PartKey};
use crate::window::Minute;
use std::collections::BTreeMap;

/// The ids in the parts of the minutes that a Lambda window meets.
///
/// It belongs to one Lambda window, and may be kept between its invocations in the memory of a
/// process: what this window itself wrote under a `seq` that a state has not reached yet (an
/// attempt that is being retried) does not count as seen for that state, whoever put it in here.
#[derive(Debug, Clone, PartialEq)]
pub struct Earlier {
    window: LambdaWindow,
    minutes: BTreeMap<Minute, Vec<(Option<u32>, Ids)>>,
}

/// A minute's earlier ids were not read; look them up and fold the record again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ids of {0} were not looked up")]
pub struct NotLookedUp(pub Minute);

impl Earlier {
    /// For a Lambda window that has looked nothing up yet.
    #[must_use]
    pub fn of(window: LambdaWindow) -> Self {
        Self {
            window,
            minutes: BTreeMap::new(),
        }
    }

    /// The window that it belongs to.
    #[must_use]
    pub fn window(&self) -> &LambdaWindow {
        &self.window
    }

    /// Whether the minute was looked up.
    #[must_use]
    pub fn knows(&self, minute: Minute) -> bool {
        self.minutes.contains_key(&minute)
    }

    /// Learns all parts of a minute that are in the table, by key and ids; replaces what was known
    /// of it.
    pub fn learn(&mut self, minute: Minute, parts: impl IntoIterator<Item = (PartKey, Ids)>) {
        let parts = parts
            .into_iter()
            .map(|(key, ids)| ((key.window == self.window).then_some(key.seq), ids))
            .collect();
        self.minutes.insert(minute, parts);
    }

    /// Learns a part that is in the table now: written, met or adopted. Of a minute that was not
    /// looked up nothing is learnt: looking it up will bring this part with all others.
    pub fn learn_part(&mut self, part: &Part) {
        let own = (part.key.window == self.window).then_some(part.key.seq);
        let Some(parts) = self.minutes.get_mut(&part.key.minute) else {
            return;
        };
        if own.is_some() {
            parts.retain(|(seq, _)| *seq != own);
        }
        parts.push((own, part.sums.ids.clone()));
    }

    /// Whether a part that lies before the flush `seq` of the own window has the id.
    pub(crate) fn has(
        &self,
        minute: Minute,
        id: crate::record::RecordId,
        seq: u32,
    ) -> Result<bool, NotLookedUp> {
        let parts = self.minutes.get(&minute).ok_or(NotLookedUp(minute))?;
        let before = |own: Option<u32>| own.is_none_or(|own| own < seq);
        Ok(parts
            .iter()
            .any(|(own, ids)| before(*own) && ids.contains(id)))
    }
}
