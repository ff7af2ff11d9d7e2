//! Where deliveries end that nobody in the template takes: topics and buckets.

/// An `AWS::SNS::Topic`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Logical id in the template.
    pub logical_id: String,
    /// The topic's name.
    pub name: String,
    /// The topic's ARN.
    pub arn: String,
}

/// An `AWS::S3::Bucket`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Logical id in the template.
    pub logical_id: String,
    /// The bucket's name.
    pub name: String,
    /// The bucket's ARN.
    pub arn: String,
}
