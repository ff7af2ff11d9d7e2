//! The markers of publishing in a log group of CloudWatch.

use crate::connection::Deferred;
use crate::dynamodb_event_store::describe;
use crate::publications::{FIELD, read_marker};
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;
use event_sourcing::reconciling::{Marker, Page, PublishedMarkers, ReconcileError};
use jiff::Timestamp;

/// The markers in one log group.
#[derive(Debug, Clone)]
pub struct CloudWatchMarkers {
    client: Deferred<Client>,
    log_group: String,
}

impl CloudWatchMarkers {
    /// The markers in `log_group`.
    #[must_use]
    pub fn new(client: Deferred<Client>, log_group: impl Into<String>) -> Self {
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
            .filter_pattern(format!("{{ $.{FIELD} = \"*\" }}"))
            .start_time(from.as_millisecond())
            .end_time(until.as_millisecond())
            .set_next_token(page.map(str::to_owned));
        let answer = Box::pin(request.send())
            .await
            .map_err(|error| ReconcileError::Unavailable(describe(&error).into()))?;
        Ok(Page {
            found: answer.events().iter().flat_map(markers).collect(),
            next: answer.next_token,
        })
    }
}

/// The markers in a line; none in a line of another kind.
fn markers(event: &FilteredLogEvent) -> Vec<Marker> {
    let at = event.timestamp().map(Timestamp::from_millisecond);
    let Some(Ok(at)) = at else { return Vec::new() };
    let positions = event.message().map(read_marker).unwrap_or_default();
    let marker = |position| Marker { position, at };
    positions.into_iter().map(marker).collect()
}
