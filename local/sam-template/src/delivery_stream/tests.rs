use super::*;
use crate::{Context, Stack};

const ARCHIVE: &str = "BufferingHints: {IntervalInSeconds: 60, SizeInMBs: 64}, \
    CompressionFormat: GZIP, FileExtension: .jsonl.gz, \
    DynamicPartitioningConfiguration: {Enabled: true}, \
    ProcessingConfiguration: {Enabled: true, Processors: [\
      {Type: MetadataExtraction, Parameters: [\
        {ParameterName: MetadataExtractionQuery, ParameterValue: '{day: .detail.timestamp[0:10], type: .detail.eventType}'},\
        {ParameterName: JsonParsingEngine, ParameterValue: JQ-1.6}]},\
      {Type: AppendDelimiterToRecord, Parameters: [{ParameterName: Delimiter, ParameterValue: '\\n'}]}]}, \
    Prefix: 'events/day=!{partitionKeyFromQuery:day}/type=!{partitionKeyFromQuery:type}/', \
    ErrorOutputPrefix: 'errors/!{firehose:error-output-type}/'";

fn stream(properties: &str) -> Result<DeliveryStream, String> {
    let yaml = format!(
        "Resources:
  Files: {{Type: AWS::S3::Bucket}}
  Writer: {{Type: AWS::IAM::Role, Properties: {{AssumeRolePolicyDocument: {{}}}}}}
  Archive:
    Type: AWS::KinesisFirehose::DeliveryStream
    Properties:
      DeliveryStreamType: DirectPut
      ExtendedS3DestinationConfiguration: {{BucketARN: !GetAtt Files.Arn, RoleARN: !GetAtt Writer.Arn, {properties}}}
"
    );
    let stack = Stack::from_yaml(&yaml, &Context::default());
    stack
        .map(|stack| stack.delivery_streams[0].clone())
        .map_err(|error| error.to_string())
}

#[test]
fn a_delivery_stream_says_where_each_record_goes() {
    let stream = stream(ARCHIVE).unwrap();
    assert_eq!(stream.name, "local-Archive");
    assert_eq!(stream.bucket, "local-files");
    assert_eq!(stream.role, "arn:aws:iam::000000000000:role/local-Writer");
    assert_eq!(stream.interval, Duration::from_mins(1));
    assert_eq!(stream.size, 64 * 1024 * 1024);
    assert!(stream.gzip && stream.delimits);
    assert_eq!(stream.extension, ".jsonl.gz");
    let record = serde_json::json!({
        "detail": {"timestamp": "2025-01-02T00:00:00Z", "eventType": "OrderPlaced"},
    });
    let keys = stream.query.unwrap().find(&record).unwrap();
    let facts = ObjectFacts {
        keys: &keys,
        oldest_millis: 0,
        error_type: "",
        random: "",
    };
    assert_eq!(
        stream.prefix.fill(facts),
        "events/day=2025-01-02/type=OrderPlaced/"
    );
}

#[test]
fn without_settings_it_has_awss_defaults() {
    let stream = stream("").unwrap();
    assert_eq!(stream.interval, Duration::from_mins(5));
    assert_eq!(stream.size, 5 * 1024 * 1024);
    assert_eq!((stream.gzip, stream.delimits), (false, false));
    assert_eq!(stream.extension, "");
}

#[test]
fn what_is_not_known_or_aws_refuses_is_refused_by_name() {
    for (from, to, problem) in [
        (
            ".detail.eventType}",
            ".detail.eventType | ascii_downcase}",
            "only queries of the form",
        ),
        ("JQ-1.6", "JQ-1.7", "must be JQ-1.6"),
        ("SizeInMBs: 64", "SizeInMBs: 5", "AWS takes 64 to 128"),
        (
            "{Enabled: true}, ",
            "{Enabled: false}, ",
            "needs DynamicPartitioningConfiguration",
        ),
        ("GZIP", "Snappy", "must be one of GZIP, UNCOMPRESSED"),
        ("FileExtension", "FileEnding", "FileEnding is not known"),
        (
            "type=!{partitionKeyFromQuery:type}/",
            "",
            "partitionKeyFromQuery:type}",
        ),
        (
            "AppendDelimiterToRecord",
            "RecordDeAggregation",
            "must be one of",
        ),
    ] {
        assert!(ARCHIVE.contains(from), "{from}");
        let refused = stream(&ARCHIVE.replace(from, to)).unwrap_err();
        assert!(refused.contains(problem), "{to}: {refused}");
        assert!(refused.contains("`Archive`"), "{refused}");
    }
}
