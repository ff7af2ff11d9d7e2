//! The delivery streams of the template, as the endpoint runs them.

use std::sync::Arc;
use std::time::Duration;

use aws_endpoint::{DeliveryStreamOptions, ObjectKeys};
use sam_template::DeliveryStream;
use sam_template::delivery_stream::ObjectFacts;

use crate::error::LocalError;
use crate::receivers::allows;

/// Nobody waits for minutes here: objects are written after so long, or earlier where the template
/// says so.
const INTERVAL: Duration = Duration::from_secs(2);

/// How a delivery stream runs here.
///
/// # Errors
/// [`LocalError::NotDriven`] for a role that may not write into the bucket: all records would be
/// lost on AWS.
pub(crate) fn options(
    stream: &DeliveryStream,
    stack: &sam_template::Stack,
) -> Result<DeliveryStreamOptions, LocalError> {
    let role = stack.role(&stream.role);
    let statements = role.and_then(|role| role.permissions.as_deref());
    let objects = format!("{}/*", stream.bucket_arn);
    if statements.is_some_and(|all| !allows(all, "s3:PutObject", &objects)) {
        return Err(LocalError::NotDriven {
            resource: stream.logical_id.clone(),
            problem: format!(
                "has the role {}, which does not allow s3:PutObject on {objects}",
                stream.role
            ),
        });
    }
    Ok(DeliveryStreamOptions {
        name: stream.name.clone(),
        bucket: stream.bucket.clone(),
        interval: stream.interval.min(INTERVAL),
        size: stream.size,
        gzip: stream.gzip,
        delimits: stream.delimits,
        extension: stream.extension.clone(),
        keys: Arc::new(Keys(stream.clone())),
    })
}

/// Where the template says that records go.
struct Keys(DeliveryStream);

impl ObjectKeys for Keys {
    fn partition(&self, record: &[u8]) -> Result<Vec<String>, String> {
        let Some(query) = &self.0.query else {
            return Ok(Vec::new());
        };
        let record = serde_json::from_slice(record);
        let record = record.map_err(|error| format!("the record is no JSON: {error}"))?;
        let missing = |name| format!("the partition key {name} is null or empty");
        query.find(&record).map_err(missing)
    }

    fn prefix(&self, keys: &[String], oldest_millis: u64, random: &str) -> String {
        self.0.prefix.fill(ObjectFacts {
            keys,
            oldest_millis,
            error_type: "",
            random,
        })
    }

    fn error_prefix(&self, error_type: &str, oldest_millis: u64, random: &str) -> String {
        self.0.error_prefix.fill(ObjectFacts {
            keys: &[],
            oldest_millis,
            error_type,
            random,
        })
    }
}
