//! Where events and records go that are done with: on-failure, on-success, dead-letter queue.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use crate::BoxFuture;
use crate::clock::RetryClock;

/// A delivery is tried this often before it is given up and reported.
const DELIVERY_ATTEMPTS: u32 = 10;

/// Delivers to what an ARN names: a queue, a topic, a bus, a function. The host implements it.
pub trait Destination: Send + Sync + 'static {
    /// Delivers `body` to `arn`. `attributes` are message attributes by name, all of type String.
    ///
    /// # Errors
    /// What went wrong, in words; it is tried again a few times.
    fn deliver(
        &self,
        arn: &str,
        body: String,
        attributes: BTreeMap<String, String>,
    ) -> impl Future<Output = Result<(), String>> + Send;
}

/// [`Destination`] as a trait object.
pub(crate) trait ErasedDestination: Send + Sync + 'static {
    fn deliver_boxed<'a>(
        &'a self,
        arn: &'a str,
        body: String,
        attributes: BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<(), String>>;
}

impl<T: Destination> ErasedDestination for T {
    fn deliver_boxed<'a>(
        &'a self,
        arn: &'a str,
        body: String,
        attributes: BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(self.deliver(arn, body, attributes))
    }
}

/// Any [`Destination`].
pub(crate) type AnyDestination = Arc<dyn ErasedDestination>;

/// Delivers with retries; the last error when all of them failed.
pub(crate) async fn deliver(
    destination: &AnyDestination,
    clock: RetryClock,
    arn: &str,
    body: &str,
    attributes: &BTreeMap<String, String>,
) -> Result<(), String> {
    let mut attempt = 1;
    loop {
        let sent = destination
            .deliver_boxed(arn, body.to_owned(), attributes.clone())
            .await;
        match sent {
            Err(_) if attempt < DELIVERY_ATTEMPTS => {
                tokio::time::sleep(clock.system_error_delay(attempt)).await;
                attempt += 1;
            }
            done => return done,
        }
    }
}
