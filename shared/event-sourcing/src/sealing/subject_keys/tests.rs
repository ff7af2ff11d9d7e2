use super::*;
use crate::retry::{Retry, Retryable};
use crate::sealing::contract;
use crate::sealing::in_memory::{InMemoryKeyService, InMemoryKeyTable};
use crate::sealing::keys::KeyErasure;
use crate::sealing::{Erasure, KeyRecord};
use jiff::Timestamp;
use std::sync::atomic::{AtomicI64, Ordering};

const PLACE: [&str; 2] = ["contact", "67890"];

/// A clock that is set by hand.
#[derive(Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

type Tested<T> = SubjectKeys<T, InMemoryKeyService, Hand>;

fn keys() -> Tested<InMemoryKeyTable> {
    over(InMemoryKeyTable::default())
}

fn over<T: SubjectKeyTable>(table: T) -> Tested<T> {
    let kept_for = SignedDuration::from_secs(180);
    SubjectKeys::new(
        table,
        InMemoryKeyService::default(),
        Hand::default(),
        kept_for,
    )
}

async fn seal<T: SubjectKeyTable>(keys: &Tested<T>, text: &str) -> Sealed {
    keys.seal("abc123", &PLACE, text.as_bytes()).await.unwrap()
}

async fn erase(keys: &Tested<InMemoryKeyTable>) -> Erasure {
    let erasure = Erasure {
        at: keys.clock.now(),
        by: "abc123".into(),
    };
    keys.table.erase("abc123", &erasure).await.unwrap()
}

async fn unseal<T: SubjectKeyTable>(
    keys: &Tested<T>,
    sealed: &Sealed,
) -> Result<Unsealed, SealingError> {
    keys.unseal("abc123", &PLACE, sealed).await
}

fn text(text: &str) -> Unsealed {
    Unsealed::Text(text.as_bytes().to_vec())
}

#[tokio::test]
async fn the_table_in_memory_keeps_the_contract() {
    contract::check(&InMemoryKeyTable::default()).await;
}

#[tokio::test]
async fn a_subject_has_one_key_and_the_service_is_asked_once_while_it_is_remembered() {
    let keys = keys();
    let first = seal(&keys, "a@x.de").await;
    let second = seal(&keys, "b@x.de").await;
    assert_eq!(first.parts().unwrap().key, second.parts().unwrap().key);
    assert_eq!(keys.service.calls(), (1, 0));
    assert_eq!(unseal(&keys, &first).await, Ok(text("a@x.de")));
    assert_eq!(keys.service.calls(), (1, 0));
    keys.clock.0.store(180, Ordering::Relaxed);
    assert_eq!(unseal(&keys, &second).await, Ok(text("b@x.de")));
    assert_eq!(keys.service.calls(), (1, 1));
}

#[tokio::test]
async fn what_is_erased_stays_closed_although_the_process_remembers_the_key() {
    let keys = keys();
    let sealed = seal(&keys, "a@x.de").await;
    let erasure = erase(&keys).await;
    let erased = Ok(Unsealed::Erased(erasure));
    assert_eq!(unseal(&keys, &sealed).await, erased);
    // Until its time is over, this process still seals under the old key: closed at once.
    let late = seal(&keys, "b@x.de").await;
    assert_eq!(unseal(&keys, &late).await, erased);
    keys.clock.0.store(180, Ordering::Relaxed);
    let new = seal(&keys, "c@x.de").await;
    assert_eq!(unseal(&keys, &new).await, Ok(text("c@x.de")));
    assert_eq!(unseal(&keys, &sealed).await, erased);
}

/// A table in which somebody else is first, just before our write.
struct Raced(InMemoryKeyTable);

impl SubjectKeyTable for Raced {
    async fn find(&self, subject: &str) -> Result<KeyRecord, SealingError> {
        self.0.find(subject).await
    }

    async fn keep(
        &self,
        subject: &str,
        key: &WrappedKey,
        at: Timestamp,
    ) -> Result<Kept, SealingError> {
        // Another service's second key is another one than our first.
        let service = InMemoryKeyService::default();
        service.generate(subject).await?;
        let (_, other) = service.generate(subject).await?;
        self.0.keep(subject, &other, at).await?;
        self.0.keep(subject, key, at).await
    }
}

#[tokio::test]
async fn two_first_orders_at_once_agree_on_one_key() {
    let keys = over(Raced(InMemoryKeyTable::default()));
    let sealed = seal(&keys, "a@x.de").await;
    let kept = keys.table.find("abc123").await.unwrap().key.unwrap();
    assert_eq!(sealed.parts().unwrap().key, kept.id());
    assert_eq!(unseal(&keys, &sealed).await, Ok(text("a@x.de")));
}

#[tokio::test]
async fn a_key_that_is_not_there_and_was_not_erased_is_told_apart_from_an_erased_one() {
    let sealed = seal(&keys(), "a@x.de").await;
    let restored = keys();
    let lost = unseal(&restored, &sealed).await.unwrap_err();
    assert!(matches!(lost, SealingError::KeyLost { .. }), "{lost}");
    assert_eq!(lost.retry(), Retry::Never);
}

#[tokio::test]
async fn a_text_of_somebody_else_does_not_open() {
    let keys = keys();
    let sealed = seal(&keys, "a@x.de").await;
    keys.seal("other", &PLACE, b"b@x.de").await.unwrap();
    let opened = keys.unseal("other", &PLACE, &sealed).await;
    assert!(matches!(opened, Err(SealingError::KeyLost { .. })));
    let damaged = Sealed::of_text(format!("{}A", sealed.as_str()));
    let opened = unseal(&keys, &damaged).await;
    assert!(
        matches!(opened, Err(SealingError::Corrupted(_))),
        "{opened:?}"
    );
}
