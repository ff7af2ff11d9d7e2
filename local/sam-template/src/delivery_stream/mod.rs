//! `AWS::KinesisFirehose::DeliveryStream` that writes objects into a bucket of the template.

mod prefix;
mod query;

use std::time::Duration;

pub use prefix::{ObjectFacts, ObjectPrefix};
pub use query::{PartitionQuery, QueryError};

use crate::error::TemplateError;
use crate::intrinsic::{Declaration, Resolver};
use crate::properties::Properties;
use crate::role::role_arn;

/// Least size of a buffer with dynamic partitioning, in MB.
/// <https://docs.aws.amazon.com/firehose/latest/dev/dynamic-partitioning-buffering-agg-jq.html>
const LEAST_PARTITIONED_MB: u32 = 64;

/// A Firehose delivery stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryStream {
    /// Logical id in the template.
    pub logical_id: String,
    /// The delivery stream's name.
    pub name: String,
    /// The delivery stream's ARN.
    pub arn: String,
    /// Name of the bucket that the objects go to.
    pub bucket: String,
    /// ARN of the bucket.
    pub bucket_arn: String,
    /// ARN of the role that writes them.
    pub role: String,
    /// An object is written after so long; 300 s if the template does not say.
    pub interval: Duration,
    /// An object is written when it has so many bytes; 5 MB if the template does not say.
    pub size: usize,
    /// Whether objects are compressed with gzip.
    pub gzip: bool,
    /// Whether a line break is put behind each record.
    pub delimits: bool,
    /// What follows the object's name; `.gz` where they are compressed and nothing is said.
    pub extension: String,
    /// Where the partition keys of a record are; none without dynamic partitioning.
    pub query: Option<PartitionQuery>,
    /// Prefix of the objects.
    pub prefix: ObjectPrefix,
    /// Prefix of the objects with records that failed.
    pub error_prefix: ObjectPrefix,
}

pub(crate) fn read(
    resolver: &Resolver<'_>,
    declaration: &Declaration,
    properties: &mut Properties<'_>,
) -> Result<DeliveryStream, TemplateError> {
    properties.without_local_effect(&[
        "DeliveryStreamEncryptionConfigurationInput",
        "DeliveryStreamName",
        "Tags",
    ]);
    properties.choice("DeliveryStreamType", &["DirectPut"])?;
    let Some(mut destination) = properties.map("ExtendedS3DestinationConfiguration")? else {
        let place = properties.place("ExtendedS3DestinationConfiguration");
        return Err(TemplateError::Missing { place });
    };
    let read = of_destination(resolver, declaration, &mut destination)?;
    destination.finish()?;
    Ok(read)
}

fn of_destination(
    resolver: &Resolver<'_>,
    declaration: &Declaration,
    destination: &mut Properties<'_>,
) -> Result<DeliveryStream, TemplateError> {
    destination.without_local_effect(&["CloudWatchLoggingOptions", "EncryptionConfiguration"]);
    destination.choice("S3BackupMode", &["Disabled"])?;
    destination.choice("CustomTimeZone", &["UTC"])?;
    let bucket_arn = destination.required_text("BucketARN")?;
    let owner = resolver.owner_of(&bucket_arn)?;
    let Some(owner) = owner.filter(|owner| owner.type_name == "AWS::S3::Bucket") else {
        let problem = format!("is `{bucket_arn}`, which is no bucket of this template");
        return Err(destination.invalid("BucketARN", problem));
    };
    let bucket = resolver.physical_name(owner)?;
    let partitions = partitions(destination)?;
    let (query, delimits) = processing(destination)?;
    match (partitions, &query) {
        (true, None) => {
            let problem = "is enabled, but no MetadataExtraction gives the partition keys";
            return Err(destination.invalid("DynamicPartitioningConfiguration", problem));
        }
        (false, Some(_)) => {
            let problem = "extracts metadata, which needs DynamicPartitioningConfiguration";
            return Err(destination.invalid("ProcessingConfiguration", problem));
        }
        _ => {}
    }
    let (interval, size) = buffering(destination, partitions)?;
    let compression = destination.choice("CompressionFormat", &["GZIP", "UNCOMPRESSED"])?;
    let gzip = compression.as_deref() == Some("GZIP");
    let extension = destination.text("FileExtension")?;
    let keys: Vec<&str> = query.iter().flat_map(PartitionQuery::names).collect();
    let prefix = prefix(destination, "Prefix", &keys, false)?;
    let error_prefix = self::prefix(destination, "ErrorOutputPrefix", &keys, true)?;
    Ok(DeliveryStream {
        logical_id: declaration.logical_id.clone(),
        name: resolver.physical_name(declaration)?,
        arn: resolver.arn(declaration)?,
        bucket,
        bucket_arn,
        role: role_arn(resolver, destination, "RoleARN")?,
        interval,
        size,
        gzip,
        delimits,
        extension: extension.unwrap_or_else(|| if gzip { ".gz" } else { "" }.to_owned()),
        query,
        prefix,
        error_prefix,
    })
}

fn partitions(destination: &mut Properties<'_>) -> Result<bool, TemplateError> {
    let Some(mut config) = destination.map("DynamicPartitioningConfiguration")? else {
        return Ok(false);
    };
    config.without_local_effect(&["RetryOptions"]);
    let enabled = config.boolean("Enabled")?;
    config.finish()?;
    Ok(enabled.unwrap_or(false))
}

fn buffering(
    destination: &mut Properties<'_>,
    partitions: bool,
) -> Result<(Duration, usize), TemplateError> {
    let least = if partitions { LEAST_PARTITIONED_MB } else { 1 };
    let (mut interval, mut megabytes) = (None, None);
    if let Some(mut hints) = destination.map("BufferingHints")? {
        interval = hints.seconds("IntervalInSeconds", (0, 900))?;
        megabytes = hints.unsigned("SizeInMBs", (least, 128))?;
        hints.finish()?;
    }
    let interval = interval.unwrap_or(Duration::from_mins(5));
    let megabytes = megabytes.unwrap_or(least.max(5));
    Ok((interval, megabytes as usize * 1024 * 1024))
}

/// The query of the partition keys, and whether records are delimited.
fn processing(
    destination: &mut Properties<'_>,
) -> Result<(Option<PartitionQuery>, bool), TemplateError> {
    let (mut query, mut delimits) = (None, false);
    let Some(mut config) = destination.map("ProcessingConfiguration")? else {
        return Ok((query, delimits));
    };
    let enabled = config.boolean("Enabled")?.unwrap_or(false);
    for mut processor in config.maps("Processors")? {
        processor.required("Type")?;
        let known = ["AppendDelimiterToRecord", "MetadataExtraction"];
        let kind = processor.choice("Type", &known)?;
        if kind.as_deref() == Some("MetadataExtraction") {
            query = Some(extraction(&mut processor)?);
        } else {
            delimits = true;
            parameter(&mut processor, "Delimiter", |text| {
                let fits = matches!(text, "\\n" | "\n");
                fits.then_some(()).ok_or_else(|| "must be \\n".to_owned())
            })?;
        }
        processor.finish()?;
    }
    config.finish()?;
    if !enabled {
        return Ok((None, false));
    }
    Ok((query, delimits))
}

fn extraction(processor: &mut Properties<'_>) -> Result<PartitionQuery, TemplateError> {
    parameter(processor, "JsonParsingEngine", |text| {
        let fits = text == "JQ-1.6";
        fits.then_some(())
            .ok_or_else(|| "must be JQ-1.6".to_owned())
    })?;
    let query = parameter(processor, "MetadataExtractionQuery", |text| {
        PartitionQuery::parse(text).map_err(|error| error.to_string())
    })?;
    query.ok_or_else(|| processor.invalid("Parameters", "lacks MetadataExtractionQuery"))
}

/// Reads the parameter of a processor that has this name.
fn parameter<T>(
    processor: &mut Properties<'_>,
    name: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, TemplateError> {
    let mut found = None;
    for mut parameter in processor.maps("Parameters")? {
        let known = ["Delimiter", "JsonParsingEngine", "MetadataExtractionQuery"];
        parameter.required("ParameterName")?;
        let named = parameter.choice("ParameterName", &known)?;
        let value = parameter.required_text("ParameterValue")?;
        if named.as_deref() == Some(name) {
            let value = read(&value);
            found = Some(value.map_err(|problem| parameter.invalid("ParameterValue", problem))?);
        }
        parameter.finish()?;
    }
    Ok(found)
}

fn prefix(
    destination: &mut Properties<'_>,
    name: &'static str,
    keys: &[&str],
    error: bool,
) -> Result<ObjectPrefix, TemplateError> {
    let text = destination.text(name)?.unwrap_or_default();
    let parsed = ObjectPrefix::parse(&text, keys, error);
    parsed.map_err(|problem| destination.invalid(name, problem))
}

#[cfg(test)]
mod tests;
