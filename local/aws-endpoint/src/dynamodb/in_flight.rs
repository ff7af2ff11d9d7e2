//! Items and tokens of transactions that are on their way right now.

use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ApiError;

/// The items of all transactional writes between their arrival and their
/// answer. AWS answers a request that meets one of them with a conflict.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    items: Mutex<HashSet<String>>,
}

/// Takes its items out of the set when the transaction ends.
#[derive(Debug)]
pub(super) struct Entered<'set> {
    set: &'set InFlight,
    items: Vec<String>,
}

impl InFlight {
    fn items(&self) -> MutexGuard<'_, HashSet<String>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which of the items are in a transaction right now.
    pub(super) fn conflicts(&self, ids: &[String]) -> Vec<bool> {
        let items = self.items();
        ids.iter().map(|id| items.contains(id)).collect()
    }

    /// Enters a transaction's items, or tells which of them are taken.
    pub(super) fn enter(&self, ids: Vec<String>) -> Result<Entered<'_>, Vec<bool>> {
        let mut items = self.items();
        let taken: Vec<bool> = ids.iter().map(|id| items.contains(id)).collect();
        if taken.contains(&true) {
            return Err(taken);
        }
        items.extend(ids.iter().cloned());
        Ok(Entered {
            set: self,
            items: ids,
        })
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut items = self.set.items();
        for id in &self.items {
            items.remove(id);
        }
    }
}

/// How long AWS remembers a `ClientRequestToken`.
const TOKEN_LIFETIME: Duration = Duration::from_mins(10);

#[derive(Debug)]
struct Remembered {
    fingerprint: u64,
    /// None while the first request with the token is still on its way.
    done_at: Option<Instant>,
}

/// `ClientRequestToken`s of the last ten minutes.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    seen: Mutex<HashMap<String, Remembered>>,
}

/// What a request's token says about it.
#[derive(Debug)]
pub(super) enum TokenState<'tokens> {
    /// To be run; to be told when it is done.
    First(Option<TokenGuard<'tokens>>),
    /// Was run before: to be answered again without effect.
    Replay,
}

/// Forgets the token again unless the request succeeded.
#[derive(Debug)]
pub(super) struct TokenGuard<'tokens> {
    tokens: &'tokens Tokens,
    token: String,
}

impl Tokens {
    fn seen(&self) -> MutexGuard<'_, HashMap<String, Remembered>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks a request's token up.
    ///
    /// # Errors
    /// `IdempotentParameterMismatchException` when the token came with another
    /// request, `TransactionInProgressException` when that is still running.
    pub(super) fn begin(&self, request: &Value) -> Result<TokenState<'_>, ApiError> {
        let Some(token) = request.get("ClientRequestToken").and_then(Value::as_str) else {
            return Ok(TokenState::First(None));
        };
        if !(1..=36).contains(&token.len()) {
            return Err(ApiError::validation(
                "ClientRequestToken must be 1 to 36 characters long",
            ));
        }
        let mut hasher = DefaultHasher::new();
        hash_regardless_of_order(&request["TransactItems"], &mut hasher);
        let fingerprint = hasher.finish();
        let mut seen = self.seen();
        seen.retain(|_, remembered| {
            remembered
                .done_at
                .is_none_or(|done_at| done_at.elapsed() < TOKEN_LIFETIME)
        });
        match seen.entry(token.to_owned()) {
            Entry::Occupied(entry) if entry.get().fingerprint != fingerprint => Err(ApiError::new(
                "IdempotentParameterMismatchException",
                "Request parameters do not match the parameters of a previous call that used the \
                 same ClientRequestToken.",
            )),
            Entry::Occupied(entry) if entry.get().done_at.is_none() => Err(ApiError::new(
                "TransactionInProgressException",
                "The transaction with the given request token is already in progress.",
            )),
            Entry::Occupied(_) => Ok(TokenState::Replay),
            Entry::Vacant(entry) => {
                entry.insert(Remembered {
                    fingerprint,
                    done_at: None,
                });
                Ok(TokenState::First(Some(TokenGuard {
                    tokens: self,
                    token: token.to_owned(),
                })))
            }
        }
    }
}

/// Feeds a JSON value to a hasher. The order in which a caller happens to
/// write an object's members (SDKs keep them in hash maps) changes nothing.
fn hash_regardless_of_order(value: &Value, hasher: &mut impl Hasher) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            ("{", members.len()).hash(hasher);
            for (name, member) in members {
                name.hash(hasher);
                hash_regardless_of_order(member, hasher);
            }
        }
        Value::Array(elements) => {
            ("[", elements.len()).hash(hasher);
            for element in elements {
                hash_regardless_of_order(element, hasher);
            }
        }
        scalar => scalar.to_string().hash(hasher),
    }
}

impl TokenGuard<'_> {
    /// The request succeeded: its token counts from now on.
    pub(super) fn done(self) {
        if let Some(remembered) = self.tokens.seen().get_mut(&self.token) {
            remembered.done_at = Some(Instant::now());
        }
    }
}

impl Drop for TokenGuard<'_> {
    fn drop(&mut self) {
        let mut seen = self.tokens.seen();
        if seen.get(&self.token).is_some_and(|r| r.done_at.is_none()) {
            seen.remove(&self.token);
        }
    }
}
