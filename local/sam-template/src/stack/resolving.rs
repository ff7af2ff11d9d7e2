//! Intrinsic functions, and what Ref and `GetAtt` give.

use super::Stack;
use crate::Context;

/// The value of the output `O` of a template with these resources and other sections.
#[track_caller]
fn output(value: &str, sections: &str) -> String {
    let yaml = template(value, sections);
    let stack = Stack::from_yaml(&yaml, &Context::default());
    stack.unwrap().outputs["O"].clone()
}

#[track_caller]
fn unresolved(value: &str, sections: &str) -> String {
    let yaml = template(value, sections);
    let stack = Stack::from_yaml(&yaml, &Context::default());
    stack.unwrap_err().to_string()
}

fn template(value: &str, sections: &str) -> String {
    let resources = if sections.contains("Resources:") {
        ""
    } else {
        "Resources: {}\n"
    };
    format!("{sections}{resources}Outputs:\n  O:\n    Value: {value}\n")
}

const RESOURCES: &str = "
Parameters:
  Names: {Type: CommaDelimitedList, Default: 'a,b,c'}
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: f, Runtime: provided.al2023, AutoPublishAlias: live}
  T:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: Things
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      StreamSpecification: {StreamViewType: NEW_IMAGE}
  Q: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub 'q-${T}'}}
  Fifo: {Type: AWS::SQS::Queue, Properties: {FifoQueue: true}}
  B: {Type: AWS::Events::EventBus, Properties: {Name: bus}}
  R:
    Type: AWS::Events::Rule
    Properties: {EventBusName: !Ref B, EventPattern: {source: [x]}}
  A: {Type: AWS::Serverless::HttpApi}
  S: {Type: AWS::Kinesis::Stream}
  N: {Type: AWS::SNS::Topic}
  K: {Type: AWS::SecretsManager::Secret, Properties: {Name: key}}
  L: {Type: AWS::Logs::LogGroup}
  C: {Type: AWS::S3::Bucket}
  P: {Type: AWS::SSM::Parameter, Properties: {Name: /p, Type: String, Value: v}}
";

#[test]
fn ref_gives_what_aws_gives() {
    let reference = |id: &str| output(&format!("!Ref {id}"), RESOURCES);
    assert_eq!(reference("F"), "local-F");
    assert_eq!(reference("T"), "Things");
    assert_eq!(
        reference("Q"),
        "http://127.0.0.1:4566/000000000000/q-Things"
    );
    assert_eq!(
        reference("Fifo"),
        "http://127.0.0.1:4566/000000000000/local-Fifo.fifo"
    );
    assert_eq!(reference("B"), "bus");
    assert_eq!(reference("R"), "bus|local-R");
    assert_eq!(reference("A"), "a");
    assert_eq!(reference("S"), "local-S");
    assert_eq!(reference("N"), "arn:aws:sns:us-east-1:000000000000:local-N");
    assert_eq!(reference("P"), "/p");
    assert_eq!(reference("C"), "local-c");
    assert_eq!(reference("FRole"), "local-FRole");
    assert_eq!(
        reference("F.Alias"),
        "arn:aws:lambda:us-east-1:000000000000:function:local-F:live"
    );
}

#[test]
fn get_att_gives_what_aws_gives() {
    let attribute = |name: &str| output(&format!("!GetAtt {name}"), RESOURCES);
    let local =
        |service: &str, rest: &str| format!("arn:aws:{service}:us-east-1:000000000000:{rest}");
    assert_eq!(attribute("F.Arn"), local("lambda", "function:local-F"));
    assert_eq!(attribute("T.Arn"), local("dynamodb", "table/Things"));
    let stream = local("dynamodb", "table/Things/stream/1970-01-01T00:00:00.000");
    assert_eq!(attribute("T.StreamArn"), stream);
    assert_eq!(attribute("Q.Arn"), local("sqs", "q-Things"));
    assert_eq!(attribute("Q.QueueName"), "q-Things");
    assert_eq!(attribute("[Q, QueueName]"), "q-Things");
    assert_eq!(attribute("B.Arn"), local("events", "event-bus/bus"));
    assert_eq!(attribute("B.Name"), "bus");
    assert_eq!(attribute("R.Arn"), local("events", "rule/bus/local-R"));
    assert_eq!(
        attribute("A.ApiEndpoint"),
        "https://a.execute-api.us-east-1.amazonaws.com"
    );
    assert_eq!(attribute("S.Arn"), local("kinesis", "stream/local-S"));
    assert_eq!(
        attribute("K.Id"),
        local("secretsmanager", "secret:key-000000")
    );
    assert_eq!(attribute("L.Arn"), local("logs", "log-group:local-L:*"));
    assert_eq!(attribute("C.Arn"), "arn:aws:s3:::local-c");
    assert_eq!(attribute("P.Value"), "v");
    assert_eq!(
        attribute("FRole.Arn"),
        "arn:aws:iam::000000000000:role/local-FRole"
    );
}

#[test]
fn pseudo_parameters_have_the_contexts_values() {
    let value = "!Sub '${AWS::Partition} ${AWS::Region} ${AWS::AccountId} ${AWS::StackName} ${AWS::URLSuffix}'";
    assert_eq!(
        output(value, ""),
        "aws us-east-1 000000000000 local amazonaws.com"
    );
}

#[test]
fn sub_takes_variables_and_literals() {
    let value = "!Sub ['${X}-${T.Arn}-${!literal}', {X: !Ref B}]";
    let expected = "bus-arn:aws:dynamodb:us-east-1:000000000000:table/Things-${literal}";
    assert_eq!(output(value, RESOURCES), expected);
}

#[test]
fn lists_are_joined_split_and_selected() {
    assert_eq!(output("!Join ['-', [x, !Ref B, 5]]", RESOURCES), "x-bus-5");
    assert_eq!(output("!Join ['+', !Ref Names]", RESOURCES), "a+b+c");
    assert_eq!(output("!Select [1, !Ref Names]", RESOURCES), "b");
    assert_eq!(output("!Select ['2', !Split ['/', 'p/q/r']]", ""), "r");
    let arn = "!Select [5, {'Fn::Split': [':', !GetAtt Q.Arn]}]";
    assert_eq!(output(arn, RESOURCES), "q-Things");
}

const CONDITIONS: &str = "
Parameters: {Stage: {Type: String, Default: dev}}
Mappings: {M: {dev: {Size: 5}}}
Conditions:
  IsDev: !Equals [!Ref Stage, dev]
  IsProd: {'Fn::Not': [{Condition: IsDev}]}
  Both: !And [!Condition IsDev, !Not [!Condition IsProd]]
  Either: !Or [!Condition IsProd, !Equals [!FindInMap [M, !Ref Stage, Size], '5']]
";

#[test]
fn conditions_choose() {
    let choose = |name: &str| output(&format!("!If [{name}, yes, no]"), CONDITIONS);
    assert_eq!(choose("IsDev"), "yes");
    assert_eq!(choose("IsProd"), "no");
    assert_eq!(choose("Both"), "yes");
    assert_eq!(choose("Either"), "yes");
    assert_eq!(output("!FindInMap [M, dev, Size]", CONDITIONS), "5");
    let default = "{'Fn::FindInMap': [M, x, Size, {DefaultValue: 7}]}";
    assert_eq!(output(default, CONDITIONS), "7");
    assert!(unresolved("!FindInMap [M, x, Size]", CONDITIONS).contains("no M → x → Size"));
    assert!(unresolved("!If [IsDve, 1, 2]", CONDITIONS).contains("did you mean `IsDev`"));
}

#[test]
fn no_value_removes_a_property() {
    let yaml = "
Conditions: {Never: !Equals [a, b]}
Resources:
  Q:
    Type: AWS::SQS::Queue
    Properties:
      DelaySeconds: !If [Never, 5, !Ref AWS::NoValue]
      QueueName: !If [Never, x, !Ref 'AWS::NoValue']
";
    let stack = Stack::from_yaml(yaml, &Context::default()).unwrap();
    assert_eq!(stack.queues[0].name, "local-Q");
    assert!(stack.queues[0].attributes.is_empty());
}

#[test]
fn what_cannot_be_resolved_is_named_with_its_place() {
    let message = unresolved("!Ref Tabel", RESOURCES);
    assert!(message.contains("`Outputs` O.Ref"), "{message}");
    assert!(
        message.contains("no resource or parameter `Tabel`"),
        "{message}"
    );
    let message = unresolved("!GetAtt Q.StreamArn", RESOURCES);
    assert!(
        message.contains("`StreamArn` of `Q` (AWS::SQS::Queue)"),
        "{message}"
    );
    assert!(unresolved("!ImportValue x", "").contains("Fn::ImportValue"));
    assert!(unresolved("!GetAZs ''", "").contains("does not know Fn::GetAZs"));
    assert!(unresolved("!Sub '${X'", "").contains("no closing brace"));
    assert!(unresolved("!Select [9, [a]]", "").contains("index 9"));
    assert!(unresolved("!Equals [a, b]", "").contains("Conditions section"));
    assert!(unresolved("'{{resolve:ssm:/x}}'", "").contains("dynamic reference"));
    let cycle = "Conditions: {A: !Not [!Condition B], B: !Not [!Condition A]}\n";
    assert!(unresolved("x", cycle).contains("depends on itself"));
}

#[test]
fn a_resource_behind_a_false_condition_is_not_there() {
    let yaml = "
Conditions: {Never: !Equals [a, b]}
Resources:
  Q: {Type: AWS::SQS::Queue, Condition: Never}
  Unknown: {Type: AWS::EC2::Instance, Condition: Never, Properties: {Anything: 1}}
";
    let stack = Stack::from_yaml(yaml, &Context::default()).unwrap();
    assert!(stack.queues.is_empty());
    let message = unresolved("!Ref Q", yaml);
    assert!(message.contains("condition `Never` is false"), "{message}");
}

#[test]
fn names_that_depend_on_each_other_are_an_error() {
    let resources = "
Resources:
  A: {Type: AWS::Events::EventBus, Properties: {Name: !Sub '${B}-a'}}
  B: {Type: AWS::Events::EventBus, Properties: {Name: !Sub '${A}-b'}}
";
    assert!(unresolved("x", resources).contains("depends on itself"));
}

#[test]
fn a_bus_and_a_table_may_have_the_same_name() {
    let yaml = "
Resources:
  T:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: orders
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
  B: {Type: AWS::Events::EventBus, Properties: {Name: orders}}
  R: {Type: AWS::Events::Rule, Properties: {EventBusName: !Ref B, EventPattern: {source: [x]}}}
";
    let stack = Stack::from_yaml(yaml, &Context::default()).unwrap();
    assert_eq!(stack.rules[0].bus, "orders");
}
