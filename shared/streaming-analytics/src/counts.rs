//! How records stood to their windows: nothing is dropped without being counted.

use serde::{Deserialize, Serialize};

/// Records by what became of them; the sum is all records that came.
///
/// On time, late and duplicate ones count in the minute in which they happened. Of the others
/// nobody knows when they happened, or that minute is closed for good: they count in the minute in
/// which they arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Folded, and arrived before the lateness was over.
    pub on_time: u64,
    /// Folded as a correction.
    pub late: u64,
    /// Seen before, and not folded again.
    pub duplicate: u64,
    /// Older than the retention of parts; not folded.
    pub too_late: u64,
    /// Further in the future than clocks may differ; not folded.
    pub too_early: u64,
    /// Not readable; not folded.
    pub malformed: u64,
}

impl Counts {
    /// Adds others. Associative and commutative.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.on_time, other.on_time),
            (&mut self.late, other.late),
            (&mut self.duplicate, other.duplicate),
            (&mut self.too_late, other.too_late),
            (&mut self.too_early, other.too_early),
            (&mut self.malformed, other.malformed),
        ] {
            *mine = mine.saturating_add(theirs);
        }
    }

    /// All records.
    #[must_use]
    pub fn total(&self) -> u64 {
        [
            self.on_time,
            self.late,
            self.duplicate,
            self.too_late,
            self.too_early,
            self.malformed,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }

    /// Those that moved figures.
    #[must_use]
    pub fn folded(&self) -> u64 {
        self.on_time.saturating_add(self.late)
    }
}
