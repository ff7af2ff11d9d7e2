//! What the local run does not know or AWS would not take: each an error that says where.

use super::Stack;
use crate::{Context, TemplateError};

#[track_caller]
fn refused(yaml: &str) -> String {
    Stack::from_yaml(yaml, &Context::default())
        .unwrap_err()
        .to_string()
}

/// A template with one function that has these further properties.
#[track_caller]
fn function(properties: &str) -> String {
    refused(&format!(
        "Resources:\n  Q: {{Type: AWS::SQS::Queue}}\n  N: {{Type: AWS::SNS::Topic}}\n  F:\n    \
         Type: AWS::Serverless::Function\n    Properties:\n      CodeUri: f\n      \
         Runtime: provided.al2023\n{properties}"
    ))
}

/// A template with one function that has this event.
#[track_caller]
fn event(kind: &str, properties: &str) -> String {
    function(&format!(
        "      Events:\n        E:\n          Type: {kind}\n          \
         Properties: {{{properties}}}\n"
    ))
}

#[test]
fn an_unknown_section_is_named() {
    assert_eq!(
        refused("Resource: {}\n"),
        "line 1: the section `Resource` is not known to the local run; did you mean `Resources`?"
    );
    assert!(refused("Description: x\n").contains("`Resources` is missing and required"));
}

#[test]
fn an_unknown_type_is_named_with_a_hint() {
    let yaml = "Resources:\n  T:\n    Type: AWS::DynamoDB::Tabel\n";
    let error = Stack::from_yaml(yaml, &Context::default()).unwrap_err();
    let TemplateError::UnknownResourceType {
        resource,
        type_name,
        line,
        hint,
    } = error
    else {
        panic!("unexpected: {error}");
    };
    assert_eq!((resource.as_str(), line), ("T", 2));
    assert_eq!(type_name, "AWS::DynamoDB::Tabel");
    assert_eq!(hint, "; did you mean `AWS::DynamoDB::Table`?");
}

#[test]
fn an_unknown_property_is_named_at_every_depth() {
    let yaml =
        "Resources:\n  Q:\n    Type: AWS::SQS::Queue\n    Properties:\n      VisibilityTimout: 5\n";
    assert_eq!(
        refused(yaml),
        "line 5: `Q` Properties.VisibilityTimout is not known to the local run; did you mean \
         `VisibilityTimeout`?; nothing is skipped silently, so correct the name, remove it, or \
         teach sam-template what it does"
    );
    assert!(function("      FunctionUrlConfig: {}\n").contains("`F` Properties.FunctionUrlConfig"));
    let message = event("SQS", "Queue: !GetAtt Q.Arn, BatchSiz: 5");
    assert!(
        message.contains("`F` Properties.Events.E.Properties.BatchSiz"),
        "{message}"
    );
    let rule = "Pattern: {source: [x]}, RetryPolicy: {MaxAttempts: 1}";
    assert!(event("EventBridgeRule", rule).contains("RetryPolicy.MaxAttempts"));
    let alarm = "Resources: {A: {Type: AWS::CloudWatch::Alarm, Properties: {Treshold: 1}}}\n";
    assert!(refused(alarm).contains("did you mean `Threshold`"));
    let attribute = "Resources: {A: {Type: AWS::SQS::Queue, DependOn: B}}\n";
    assert!(refused(attribute).contains("did you mean `DependsOn`"));
}

#[test]
fn an_unknown_global_is_named() {
    let yaml = "Globals: {Function: {Policies: []}}\nResources: {}\n";
    assert!(refused(yaml).contains("`Globals` Function.Policies"));
    let yaml = "Globals: {Api: {}}\nResources: {}\n";
    assert!(refused(yaml).contains("did you mean `HttpApi`") || refused(yaml).contains("Api"));
}

#[test]
fn a_function_outside_of_awss_limits_is_refused() {
    assert!(function("      Timeout: 901\n").contains("is 901; AWS takes 1 to 900"));
    assert!(function("      MemorySize: 64\n").contains("128 to 10240"));
    assert!(function("      Timeout: soon\n").contains("must be a whole number, but is `soon`"));
    assert!(function("      Layers: [a]\n").contains("has no layers"));
    let config = "      EventInvokeConfig: {MaximumRetryAttempts: 3}\n";
    assert!(function(config).contains("0 to 2"));
    let yaml = "Resources: {F: {Type: AWS::Serverless::Function, Properties: {CodeUri: ., Runtime: provided.al2023}}}\n";
    assert!(refused(yaml).contains("Metadata.BuildProperties.Binary"));
    let yaml = "Resources: {F: {Type: AWS::Serverless::Function, Properties: {CodeUri: f, Runtime: python3.12}}}\n";
    assert!(refused(yaml).contains("provided.al2023"));
    let yaml = "Resources: {F: {Type: AWS::Serverless::Function, Properties: {CodeUri: f}}}\n";
    assert!(refused(yaml).contains("`F` Properties.Runtime is missing"));
}

#[test]
fn a_destination_must_be_a_queue_of_the_template() {
    let destination = |arn: &str| {
        function(&format!(
            "      EventInvokeConfig: {{DestinationConfig: {{OnFailure: {{Destination: {arn}}}}}}}\n"
        ))
    };
    assert!(destination("!Ref N").contains("is of an AWS::SNS::Topic"));
    assert!(destination("!Ref Q").contains("it takes the queue's Arn"));
    let message = destination("'arn:aws:sqs:us-east-1:1:other'");
    assert!(
        message.contains("is no queue of this template"),
        "{message}"
    );
}

#[test]
fn a_rule_that_put_rule_would_refuse_is_refused() {
    let message = event("EventBridgeRule", "Pattern: {detail: {state: running}}");
    assert!(
        message.contains("Events.E.Properties.Pattern is not a valid event pattern"),
        "{message}"
    );
    assert!(
        message.contains("`detail.state` is \"running\""),
        "{message}"
    );
    let bus = event("EventBridgeRule", "Pattern: {a: [1]}, EventBusName: other");
    assert!(bus.contains("is no event bus of this template"), "{bus}");
    let input = "Pattern: {a: [1]}, Input: '{'";
    assert!(event("EventBridgeRule", input).contains("not valid JSON"));
    let dead = "Pattern: {a: [1]}, DeadLetterConfig: {Type: SNS}";
    assert!(event("EventBridgeRule", dead).contains("Type: SQS"));
    let target = |kind: &str, more: &str| {
        refused(&format!(
            "Resources: {{N: {{Type: {kind}}}, R: {{Type: AWS::Events::Rule, Properties: {{EventPattern: {{a: [1]}}, Targets: [{{Id: x, Arn: !GetAtt N.Arn{more}}}]}}}}}}\n"
        ))
    };
    assert!(target("AWS::Logs::LogGroup", "").contains("cannot deliver to"));
    let stream = target("AWS::Kinesis::Stream", "");
    assert!(
        stream.contains("Targets[0].RoleArn is missing and required"),
        "{stream}"
    );
    let role = target("AWS::Kinesis::Stream", ", RoleArn: x");
    assert!(
        role.contains("is the ARN of no role of this template"),
        "{role}"
    );
    let path = target(
        "AWS::Kinesis::Stream",
        ", KinesisParameters: {PartitionKeyPath: id}",
    );
    assert!(path.contains("a path is `$`"), "{path}");
}

#[test]
fn a_mapping_that_aws_would_refuse_is_refused() {
    let sqs = |more: &str| event("SQS", &format!("Queue: !GetAtt Q.Arn{more}"));
    assert!(sqs(", BatchSize: 100").contains("MaximumBatchingWindowInSeconds of at least 1"));
    assert!(sqs(", BatchSize: 0").contains("1 to 10000"));
    assert!(sqs(", BisectBatchOnFunctionError: true").contains("BisectBatchOnFunctionError"));
    assert!(sqs(", FunctionResponseTypes: [X]").contains("only ReportBatchItemFailures"));
    let filter = ", FilterCriteria: {Filters: [{Pattern: '{\"body\": {\"a\": [{\"like\": 1}]}}'}]}";
    let message = sqs(filter);
    assert!(message.contains("Filters[0].Pattern"), "{message}");
    assert!(message.contains("`like`"), "{message}");
    let wrong = event(
        "DynamoDB",
        "Stream: !GetAtt Q.Arn, StartingPosition: LATEST",
    );
    assert!(wrong.contains("!GetAtt <Table>.StreamArn"), "{wrong}");
    assert!(event("SQS", "Queue: !Ref Q").contains("!GetAtt <Queue>.Arn"));
}

#[test]
fn a_schedule_or_route_that_aws_would_refuse_is_refused() {
    let message = event("Schedule", "Schedule: rate(1 minutes)");
    assert!(message.contains("must be singular"), "{message}");
    assert!(
        message.contains("Events.E.Properties.Schedule"),
        "{message}"
    );
    assert!(event("HttpApi", "Path: orders, Method: get").contains("starts with `/`"));
    assert!(event("HttpApi", "Path: /orders").contains("Method is missing"));
    assert!(event("HttpApi", "Path: /o, Method: FETCH").contains("no HTTP method"));
    let kind = event("Api", "Path: /o, Method: GET");
    assert!(kind.contains("does not know"), "{kind}");
}

#[test]
fn a_table_that_dynamodb_would_refuse_is_refused() {
    let table = |properties: &str| {
        refused(&format!(
            "Resources: {{T: {{Type: AWS::DynamoDB::Table, Properties: {{BillingMode: \
             PAY_PER_REQUEST, {properties}}}}}}}\n"
        ))
    };
    let id = "AttributeDefinitions: [{AttributeName: id, AttributeType: S}]";
    let missing = table(&format!(
        "{id}, KeySchema: [{{AttributeName: pk, KeyType: HASH}}]"
    ));
    assert!(
        missing.contains("is `pk`, which AttributeDefinitions does not define"),
        "{missing}"
    );
    let range = table(&format!(
        "{id}, KeySchema: [{{AttributeName: id, KeyType: RANGE}}]"
    ));
    assert!(range.contains("one HASH key"), "{range}");
    let unused = table(
        "AttributeDefinitions: [{AttributeName: id, AttributeType: S}, {AttributeName: x, \
         AttributeType: S}], KeySchema: [{AttributeName: id, KeyType: HASH}]",
    );
    assert!(unused.contains("`x`, which no key uses"), "{unused}");
    let yaml = format!(
        "Resources: {{T: {{Type: AWS::DynamoDB::Table, Properties: {{{id}, KeySchema: \
         [{{AttributeName: id, KeyType: HASH}}]}}}}}}\n"
    );
    assert!(refused(&yaml).contains("required with BillingMode PROVISIONED"));
}

#[test]
fn a_dependency_that_is_not_there_is_named() {
    let yaml = "Resources: {A: {Type: AWS::SQS::Queue, DependsOn: [B]}}\n";
    assert!(refused(yaml).contains("names `B`, which is no resource"));
}

#[test]
fn a_queue_whose_messages_come_back_too_soon_is_refused() {
    let slow =
        "      Timeout: 60\n      Events: {E: {Type: SQS, Properties: {Queue: !GetAtt Q.Arn}}}\n";
    let message = function(slow);
    assert!(
        message.contains("`Q` Properties.VisibilityTimeout is 30 s"),
        "{message}"
    );
    assert!(message.contains("Timeout of `F`"), "{message}");
}

#[test]
fn a_reserved_variable_is_refused() {
    let message = function("      Environment: {Variables: {AWS_REGION: x}}\n");
    assert!(
        message.contains("`AWS_REGION`, which Lambda sets itself"),
        "{message}"
    );
}
