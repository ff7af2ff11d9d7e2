//! The objects that records become.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use uuid::Uuid;

use super::DeliveryStreamOptions;
use super::buffer::{Buffer, Part};

/// Key of an object: <https://docs.aws.amazon.com/firehose/latest/dev/s3-object-name.html>.
pub(super) fn key(options: &DeliveryStreamOptions, buffer: &Buffer) -> String {
    let oldest = buffer.oldest_millis();
    let random: String = Uuid::new_v4()
        .simple()
        .to_string()
        .chars()
        .take(11)
        .collect();
    let prefix = match &buffer.part {
        Part::Keys(keys) => options.keys.prefix(keys, oldest, &random),
        Part::Failed => options
            .keys
            .error_prefix("processing-failed", oldest, &random),
    };
    let time = i64::try_from(oldest)
        .ok()
        .and_then(|at| Timestamp::from_millisecond(at).ok());
    let time = time
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .strftime("%Y-%m-%d-%H-%M-%S");
    let DeliveryStreamOptions {
        name, extension, ..
    } = options;
    format!("{prefix}{name}-1-{time}-{}{extension}", Uuid::new_v4())
}

/// Content of an object.
pub(super) fn content(
    options: &DeliveryStreamOptions,
    buffer: &Buffer,
) -> std::io::Result<Vec<u8>> {
    if !options.gzip {
        return Ok(buffer.content.clone());
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&buffer.content)?;
    encoder.finish()
}
