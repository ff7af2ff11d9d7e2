//! Customers' keys.

use std::sync::Arc;

use event_sourcing::sealing::in_memory::InMemorySubjectKeys;
use event_sourcing::sealing::keys::Sealing;
use event_sourcing::sealing::{Sealed, SealingError, Unsealed};

use super::World;
use super::clock::WorldClock;
use crate::faults::Fault;

/// The keys of a world. Whoever seals remembers all of them: its clock stands still.
pub type KeptKeys = InMemorySubjectKeys<WorldClock>;

/// The port of the handlers.
#[derive(Clone)]
pub struct Keys(pub Arc<World>);

impl Keys {
    /// Table and key service are asked; they may not answer.
    async fn asked(&self) -> Result<(), SealingError> {
        let Self(world) = self;
        world.step().await;
        if world.hits(Fault::Throttled) {
            return Err(SealingError::Unavailable("throttled".to_owned()));
        }
        Ok(())
    }
}

impl Sealing for Keys {
    async fn seal(
        &self,
        subject: &str,
        place: &[&str],
        text: &[u8],
    ) -> Result<Sealed, SealingError> {
        self.asked().await?;
        self.0.keys.seal(subject, place, text).await
    }

    async fn unseal(
        &self,
        subject: &str,
        place: &[&str],
        sealed: &Sealed,
    ) -> Result<Unsealed, SealingError> {
        self.asked().await?;
        self.0.keys.unseal(subject, place, sealed).await
    }
}
