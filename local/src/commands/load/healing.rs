//! What heals after faults: the platform's own retries, until nothing is on its way any more.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::LocalError;
use crate::stack::Stack;

/// How the healing ended.
pub(super) struct Healed {
    /// What was healed, by what healed it.
    pub by: BTreeMap<String, u64>,
    /// What kept the system from coming to rest.
    pub unrest: Option<LocalError>,
    /// Whether it was cut short.
    pub interrupted: bool,
}

impl Healed {
    /// Cut short.
    pub(super) fn interrupted() -> Self {
        Self {
            by: BTreeMap::new(),
            unrest: None,
            interrupted: true,
        }
    }
}

/// Lets the system heal, for `deadline` at most.
pub(super) async fn heal(stack: &Stack, deadline: Duration) -> Healed {
    Healed {
        by: BTreeMap::new(),
        unrest: stack.quiet(deadline).await.err(),
        interrupted: false,
    }
}
