//! `AWS::Kinesis::Stream`.

use crate::error::TemplateError;
use crate::intrinsic::{Declaration, Resolver};
use crate::properties::Properties;

/// Shards that a stream on demand begins with.
/// <https://docs.aws.amazon.com/streams/latest/dev/how-do-i-size-a-stream.html>
const SHARDS_ON_DEMAND: u32 = 4;

/// A Kinesis data stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KinesisStream {
    /// Logical id in the template.
    pub logical_id: String,
    /// The stream's name.
    pub name: String,
    /// The stream's ARN.
    pub arn: String,
    /// `ShardCount`; 4 on demand.
    pub shards: u32,
    /// Whether AWS changes the number of shards by itself.
    pub on_demand: bool,
    /// How long records can be read, in hours; 24 if the template does not say.
    pub retention_hours: u32,
    /// Largest record with its key, in KiB; 1024 if the template does not say.
    pub max_record_kib: u32,
}

pub(crate) fn read(
    resolver: &Resolver<'_>,
    declaration: &Declaration,
    properties: &mut Properties<'_>,
) -> Result<KinesisStream, TemplateError> {
    properties.without_local_effect(&[
        "DesiredShardLevelMetrics",
        "Name",
        "StreamEncryption",
        "Tags",
    ]);
    let shards = properties.unsigned("ShardCount", (1, 100_000))?;
    let mut mode = None;
    if let Some(mut details) = properties.map("StreamModeDetails")? {
        mode = details.choice("StreamMode", &["ON_DEMAND", "PROVISIONED"])?;
        details.finish()?;
    }
    let on_demand = mode.as_deref().map(|mode| mode == "ON_DEMAND");
    let on_demand = on_demand.unwrap_or(shards.is_none());
    if on_demand && shards.is_some() {
        let problem = "stands beside StreamMode ON_DEMAND, with which AWS takes none";
        return Err(properties.invalid("ShardCount", problem));
    }
    if !on_demand && shards.is_none() {
        let place = properties.place("ShardCount");
        return Err(TemplateError::Missing { place });
    }
    let retention = properties.unsigned("RetentionPeriodHours", (24, 8_760))?;
    let largest = properties.unsigned("MaxRecordSizeInKiB", (1_024, 10_240))?;
    Ok(KinesisStream {
        logical_id: declaration.logical_id.clone(),
        name: resolver.physical_name(declaration)?,
        arn: resolver.arn(declaration)?,
        shards: shards.unwrap_or(SHARDS_ON_DEMAND),
        on_demand,
        retention_hours: retention.unwrap_or(24),
        max_record_kib: largest.unwrap_or(1_024),
    })
}

#[cfg(test)]
mod tests {
    use crate::{Context, KinesisStream, Stack};

    fn stream(properties: &str) -> Result<KinesisStream, String> {
        let yaml = format!(
            "Resources: {{S: {{Type: AWS::Kinesis::Stream, Properties: {{{properties}}}}}}}"
        );
        let stack = Stack::from_yaml(&yaml, &Context::default());
        stack
            .map(|stack| stack.kinesis_streams[0].clone())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_stream_has_its_shards_or_aws_decides() {
        let read = |properties| {
            let stream = stream(properties).unwrap();
            (stream.shards, stream.on_demand, stream.retention_hours)
        };
        assert_eq!(read("ShardCount: 2"), (2, false, 24));
        assert_eq!(read(""), (4, true, 24));
        assert_eq!(
            read("StreamModeDetails: {StreamMode: ON_DEMAND}, RetentionPeriodHours: 168"),
            (4, true, 168)
        );
    }

    #[test]
    fn what_aws_refuses_is_refused() {
        for (properties, problem) in [
            (
                "ShardCount: 2, StreamModeDetails: {StreamMode: ON_DEMAND}",
                "Properties.ShardCount stands beside StreamMode ON_DEMAND",
            ),
            (
                "StreamModeDetails: {StreamMode: PROVISIONED}",
                "Properties.ShardCount is missing",
            ),
            ("RetentionPeriodHours: 23", "AWS takes 24 to 8760"),
            ("Shards: 1", "Properties.Shards is not known"),
        ] {
            let refused = stream(properties).unwrap_err();
            assert!(refused.contains(problem), "{refused}");
        }
    }
}
