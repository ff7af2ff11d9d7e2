//! Splitting a SKU's stock into buckets, and merging them.

use super::writes::Resplit;
use super::{DynamoDbStock, Stored};
use crate::dynamodb_event_store::describe;
use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use domain::ids::Sku;
use domain::inventory::buckets::{Buckets, MAX_BUCKETS};
use event_sourcing::retry::{Retry, Retryable};
use event_sourcing::store::ReadError;

/// Why a SKU's stock was not split.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// Nobody ever stocked it.
    #[error("SKU {0} is unknown; restock it first")]
    Unknown(Sku),
    /// It moved meanwhile, or somebody else split it: try again.
    #[error("the stock of {0} moved meanwhile")]
    Moved(Sku),
    /// It could not be read.
    #[error("the stock could not be read")]
    Read(#[from] ReadError),
    /// Unknown whether it is split; splitting again does no harm.
    #[error("the stock could not be split: {0}")]
    Unavailable(String),
    /// The table will never take it.
    #[error("the stock cannot be split: {0}")]
    Malformed(String),
}

impl Retryable for SplitError {
    fn retry(&self) -> Retry {
        match self {
            Self::Unknown(_) | Self::Malformed(_) => Retry::Never,
            Self::Moved(_) | Self::Unavailable(_) => Retry::Later,
            Self::Read(error) => error.retry(),
        }
    }
}

impl DynamoDbStock {
    /// Splits the stock of a SKU into `count` buckets, 1 to [`MAX_BUCKETS`], with an even share
    /// each. Nothing is written when it has as many.
    ///
    /// # Errors
    /// [`SplitError`].
    pub async fn split(&self, sku: &Sku, count: u16) -> Result<(), SplitError> {
        let Some(stored) = self.stored(sku).await? else {
            return Err(SplitError::Unknown(sku.clone()));
        };
        self.resplit(sku, &stored, count).await?;
        Ok(())
    }

    /// What is in which bucket afterwards.
    pub(super) async fn resplit(
        &self,
        sku: &Sku,
        stored: &Stored,
        count: u16,
    ) -> Result<Buckets, SplitError> {
        let count = count.clamp(1, MAX_BUCKETS);
        let resplit = Resplit {
            sku,
            layout: stored.buckets.layout,
            before: stored.buckets.count(),
            after: count,
            price: stored.level.price,
        };
        if resplit.before == count {
            return Ok(stored.buckets.clone());
        }
        let after = stored.buckets.resplit(count);
        let writes = stored
            .buckets
            .differences(&after)
            .into_iter()
            .map(|part| resplit.update(&self.table, part))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| SplitError::Malformed(error.to_string()))?;
        let sent = self
            .client
            .transact_write_items()
            .set_transact_items(Some(writes))
            .send();
        let Err(error) = Box::pin(sent).await else {
            tracing::info!(sku = %sku, before = resplit.before, buckets = count, "stock split");
            return Ok(after);
        };
        Err(match error.code() {
            Some("TransactionCanceledException") => SplitError::Moved(sku.clone()),
            Some("ValidationException") => SplitError::Malformed(describe(&error)),
            _ => SplitError::Unavailable(describe(&error)),
        })
    }
}
