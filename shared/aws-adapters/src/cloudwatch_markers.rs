//! The markers of publishing in a log group of CloudWatch.

use crate::dynamodb_event_store::describe;
use crate::publications::{MESSAGE, read_marker};
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use event_sourcing::reconciling::{Marker, Page, PublishedMarkers, ReconcileError};
use jiff::Timestamp;

/// The markers in one log group.
#[derive(Debug, Clone)]
pub struct CloudWatchMarkers {
    client: Client,
    log_group: String,
}

impl CloudWatchMarkers {
    /// The markers in `log_group`.
    #[must_use]
    pub fn new(client: Client, log_group: impl Into<String>) -> Self {
        Self {
            client,
            log_group: log_group.into(),
        }
    }
}

impl PublishedMarkers for CloudWatchMarkers {
    /// A page is 1 MB or 10,000 lines
    /// (<https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html>).
    async fn published(
        &self,
        from: Timestamp,
        until: Timestamp,
        page: Option<&str>,
    ) -> Result<Page<Marker>, ReconcileError> {
        let request = self
            .client
            .filter_log_events()
            .log_group_name(&self.log_group)
            .filter_pattern(format!("{{ $.message = \"{MESSAGE}\" }}"))
            .start_time(from.as_millisecond())
            .end_time(until.as_millisecond())
            .set_next_token(page.map(str::to_owned));
        let answer = Box::pin(request.send())
            .await
            .map_err(|error| ReconcileError::Unavailable(describe(&error).into()))?;
        Ok(Page {
            found: answer.events().iter().filter_map(marker).collect(),
            next: answer.next_token,
        })
    }
}

/// The marker that a line is; none for a line of another kind.
fn marker(event: &FilteredLogEvent) -> Option<Marker> {
    Some(Marker {
        position: read_marker(event.message()?)?,
        at: Timestamp::from_millisecond(event.timestamp()?).ok()?,
    })
}
