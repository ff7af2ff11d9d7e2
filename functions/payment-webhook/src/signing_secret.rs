//! The port to the secret with which Stripe signs for this endpoint.

use aws_adapters::parameter_store::KeptParameter;
use std::future::Future;

/// Gives the endpoint's signing secret.
pub trait SigningSecret: Send + Sync {
    /// The secret as it is now; never empty.
    ///
    /// # Errors
    /// Why there is none, without the secret.
    fn current(&self) -> impl Future<Output = Result<String, String>> + Send;
}

impl SigningSecret for KeptParameter {
    async fn current(&self) -> Result<String, String> {
        let secret = self.read().await.map_err(|error| error.to_string())?;
        match secret.trim() {
            // Everybody can sign with it.
            "" => Err("the parameter is empty".to_owned()),
            secret => Ok(secret.to_owned()),
        }
    }
}
