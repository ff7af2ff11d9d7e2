//! Erasing a customer's personal data: their key is destroyed, and with it everything that was
//! sealed under it, in the event store and in every copy of an event. Events, hashes and rows stay
//! as they are. It cannot be undone, and doing it again changes nothing.

use aws_adapters::http_api::{HttpRequest, HttpResponse, Problem};
use domain::ids::UserId;
use event_sourcing::clock::Clock;
use event_sourcing::execute::retrying;
use event_sourcing::failure::Failure;
use event_sourcing::sealing::Erasure;
use event_sourcing::sealing::keys::KeyErasure;
use serde_json::json;

/// Erases.
#[derive(Debug)]
pub struct Handler<K, C> {
    /// Customers' keys.
    pub keys: K,
    /// Tells when.
    pub clock: C,
}

impl<K: KeyErasure, C: Clock> Handler<K, C> {
    /// Answers one request.
    ///
    /// # Errors
    /// The problem to answer with.
    pub async fn handle(&self, request: &HttpRequest) -> Result<HttpResponse, Problem> {
        let caller = request.caller()?;
        let user = request.path("id", UserId::parse)?;
        if !caller.writes_orders()?.covers(&user) {
            return Err(not_theirs(&user));
        }
        let wanted = Erasure {
            at: self.clock.now(),
            by: caller.subject().to_owned(),
        };
        let erasure = retrying(|| self.keys.erase(user.as_str(), &wanted))
            .await
            .map_err(|error| Problem::from(Failure::from_error(&error)))?;
        let repeated = erasure != wanted;
        tracing::info!(user_id = %user, by = erasure.by, repeated,
            "personal data erased");
        Ok(HttpResponse::json(
            200,
            json!({"userId": user, "erasedAt": erasure.at.to_string(), "erasedBy": erasure.by}),
        ))
    }
}

fn not_theirs(user: &UserId) -> Problem {
    Problem::new(
        403,
        "not-your-data",
        "Personal data is erased by whom it is about",
        format!("id must be the token's sub, is {user}; orders:operate erases anybody's"),
    )
    .of("id")
}
