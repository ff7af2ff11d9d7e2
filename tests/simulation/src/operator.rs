//! An operator, who does at any moment what an operator can: redrives at once, parks a letter and
//! releases it later, sweeps and reconciles by hand.

use std::sync::Arc;
use std::time::Duration;

use event_sourcing::dead_letter::{
    ActRefused, DeadLetter, DeadLetters as _, DeadLettersError, Filter, Operator, Status, park,
    purge, release, update,
};
use serde_json::{Value, json};

use crate::faults::Fault;
use crate::scheduler::spawn;
use crate::world::World;

/// How often the operator looks.
const LOOKS: Duration = Duration::from_mins(3);
/// How long a letter stays parked at most.
const PARKED: Duration = Duration::from_mins(20);

type Act = fn(DeadLetter, &Operator) -> Result<DeadLetter, ActRefused>;

/// An act that came to nothing.
#[derive(Debug, thiserror::Error)]
enum NotDone {
    #[error(transparent)]
    Refused(#[from] ActRefused),
    #[error(transparent)]
    Letters(#[from] DeadLettersError),
}

/// Acts while faults go on, until `end`.
pub async fn meddle(world: Arc<World>, end: Duration) {
    while world.elapsed() < end {
        world.pause(LOOKS).await;
        if world.hits(Fault::EarlyRedrive) {
            // Impatient, and not alone.
            for _ in 0..world.draw(|rng| rng.u32(1..=3)) {
                by_hand(&world, "redrive-dlq", json!({"now": true}));
            }
        }
        if world.hits(Fault::OperatorActs) {
            match world.draw(|rng| rng.u32(..4)) {
                0 => by_hand(&world, "sweep-orders", json!({})),
                1 => by_hand(&world, "reconcile-events", json!({"seconds": 60})),
                _ => set_aside(&world).await,
            }
        }
    }
}

/// Calls a function, and goes on meanwhile.
fn by_hand(world: &Arc<World>, program: &'static str, payload: Value) {
    let world = Arc::clone(world);
    spawn(async move {
        world.operate(program, &payload).await;
    });
}

/// Parks a letter that waits, and releases it some time later.
async fn set_aside(world: &Arc<World>) {
    let waiting = world.letters.waiting().await.unwrap_or_default();
    if waiting.is_empty() {
        return;
    }
    let chosen = world.draw(|rng| rng.usize(..waiting.len()));
    let letter_id = waiting[chosen].letter_id.clone();
    if act(world, &letter_id, park).await {
        let world = Arc::clone(world);
        spawn(async move {
            world.pause(PARKED).await;
            act(&world, &letter_id, release).await;
        });
    }
}

/// Whether the letters took it.
async fn act(world: &World, letter_id: &str, act: Act) -> bool {
    let by = Operator {
        who: "ada".to_owned(),
        why: "looks at it".to_owned(),
        at: world.told_time(),
    };
    let done = update(&world.letters, letter_id, |stored| {
        stored
            .map(|letter| act(letter, &by))
            .transpose()
            .map_err(NotDone::from)
    });
    let done = done.await.is_ok();
    world.note(format_args!("the operator acts on {letter_id}: {done}"));
    done
}

/// Decides about what is parked, once everything works: poison is purged, all else is released.
/// Whether anything was.
pub async fn decide(world: &Arc<World>) -> bool {
    let parked = Filter {
        statuses: vec![Status::Parked],
        ..Filter::default()
    };
    let mut released = false;
    for letter in world.letters.list(&parked).await.unwrap_or_default() {
        if world.is_poison(&letter) {
            act(world, &letter.letter_id, purge).await;
        } else {
            released |= act(world, &letter.letter_id, release).await;
        }
    }
    released
}
