//! Resources without behaviour of their own in this crate: their property names are checked.

/// The types that [`crate::Stack`] acts on.
const ACTED_ON: [&str; 11] = [
    "AWS::DynamoDB::Table",
    "AWS::Events::EventBus",
    "AWS::Events::Rule",
    "AWS::IAM::Role",
    "AWS::Kinesis::Stream",
    "AWS::KinesisFirehose::DeliveryStream",
    "AWS::Lambda::EventSourceMapping",
    "AWS::SQS::Queue",
    "AWS::SSM::Parameter",
    "AWS::Serverless::Function",
    "AWS::Serverless::HttpApi",
];

/// The types that are kept as "other", each with its top-level properties.
const OTHER: [(&str, &[&str]); 17] = [
    ("AWS::SQS::QueuePolicy", &["PolicyDocument", "Queues"]),
    (
        "AWS::Events::EventBusPolicy",
        &[
            "Action",
            "Condition",
            "EventBusName",
            "Principal",
            "Statement",
            "StatementId",
        ],
    ),
    (
        "AWS::Lambda::Permission",
        &[
            "Action",
            "EventSourceToken",
            "FunctionName",
            "FunctionUrlAuthType",
            "InvokedViaFunctionUrl",
            "Principal",
            "PrincipalOrgID",
            "SourceAccount",
            "SourceArn",
        ],
    ),
    (
        "AWS::SecretsManager::Secret",
        &[
            "Description",
            "GenerateSecretString",
            "KmsKeyId",
            "Name",
            "ReplicaRegions",
            "SecretString",
            "Tags",
        ],
    ),
    (
        "AWS::SNS::Topic",
        &[
            "ContentBasedDeduplication",
            "DataProtectionPolicy",
            "DisplayName",
            "FifoTopic",
            "KmsMasterKeyId",
            "SignatureVersion",
            "Subscription",
            "Tags",
            "TopicName",
            "TracingConfig",
        ],
    ),
    (
        "AWS::S3::Bucket",
        &[
            "AbacStatus",
            "AccelerateConfiguration",
            "AccessControl",
            "AnalyticsConfigurations",
            "BucketEncryption",
            "BucketName",
            "CorsConfiguration",
            "IntelligentTieringConfigurations",
            "InventoryConfigurations",
            "LifecycleConfiguration",
            "LoggingConfiguration",
            "MetricsConfigurations",
            "NotificationConfiguration",
            "ObjectLockConfiguration",
            "ObjectLockEnabled",
            "OwnershipControls",
            "PublicAccessBlockConfiguration",
            "ReplicationConfiguration",
            "Tags",
            "VersioningConfiguration",
            "WebsiteConfiguration",
        ],
    ),
    ("AWS::SNS::TopicPolicy", &["PolicyDocument", "Topics"]),
    ("AWS::S3::BucketPolicy", &["Bucket", "PolicyDocument"]),
    (
        "AWS::KMS::Key",
        &[
            "BypassPolicyLockoutSafetyCheck",
            "Description",
            "EnableKeyRotation",
            "Enabled",
            "KeyPolicy",
            "KeySpec",
            "KeyUsage",
            "MultiRegion",
            "Origin",
            "PendingWindowInDays",
            "RotationPeriodInDays",
            "Tags",
        ],
    ),
    ("AWS::KMS::Alias", &["AliasName", "TargetKeyId"]),
    (
        "AWS::Logs::LogGroup",
        &[
            "DataProtectionPolicy",
            "FieldIndexPolicies",
            "KmsKeyId",
            "LogGroupClass",
            "LogGroupName",
            "RetentionInDays",
            "Tags",
        ],
    ),
    ("AWS::Logs::LogStream", &["LogGroupName", "LogStreamName"]),
    (
        "AWS::KinesisAnalyticsV2::Application",
        &[
            "ApplicationConfiguration",
            "ApplicationDescription",
            "ApplicationMaintenanceConfiguration",
            "ApplicationMode",
            "ApplicationName",
            "RunConfiguration",
            "RuntimeEnvironment",
            "ServiceExecutionRole",
            "Tags",
        ],
    ),
    (
        "AWS::KinesisAnalyticsV2::ApplicationCloudWatchLoggingOption",
        &["ApplicationName", "CloudWatchLoggingOption"],
    ),
    (
        "AWS::CloudWatch::Alarm",
        &[
            "ActionsEnabled",
            "AlarmActions",
            "AlarmDescription",
            "AlarmName",
            "ComparisonOperator",
            "DatapointsToAlarm",
            "Dimensions",
            "EvaluateLowSampleCountPercentile",
            "EvaluationPeriods",
            "ExtendedStatistic",
            "InsufficientDataActions",
            "MetricName",
            "Metrics",
            "Namespace",
            "OKActions",
            "Period",
            "Statistic",
            "Tags",
            "Threshold",
            "ThresholdMetricId",
            "TreatMissingData",
            "Unit",
        ],
    ),
    (
        "AWS::CloudWatch::Dashboard",
        &["DashboardBody", "DashboardName"],
    ),
    (
        "AWS::IAM::ManagedPolicy",
        &[
            "Description",
            "Groups",
            "ManagedPolicyName",
            "Path",
            "PolicyDocument",
            "Roles",
            "Users",
        ],
    ),
];

/// Properties by which such a resource does act: it sends what it gets on to somebody.
const ACTING: [(&str, &str); 2] = [
    ("AWS::SNS::Topic", "Subscription"),
    ("AWS::S3::Bucket", "NotificationConfiguration"),
];

/// The properties of a type that is kept as "other" that make it act nevertheless.
pub(crate) fn acting(type_name: &str) -> impl Iterator<Item = &'static str> {
    let of_type = ACTING.iter().filter(move |(name, _)| *name == type_name);
    of_type.map(|(_, property)| *property)
}

/// The top-level properties of a type that is kept as "other"; none for one that is acted on.
pub(crate) fn properties(type_name: &str) -> &'static [&'static str] {
    let found = OTHER.iter().find(|(name, _)| *name == type_name);
    found.map_or(&[], |(_, properties)| properties)
}

/// All types that the local run knows.
pub(crate) fn types() -> impl Iterator<Item = &'static str> {
    let others = OTHER.iter().map(|(name, _)| *name);
    ACTED_ON.into_iter().chain(others)
}
