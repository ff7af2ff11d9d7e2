//! What a template wires runs, also what ours does not use: schedules, queues as targets, other
//! names and parameters.

use crate::system::{System, changed_template, eventually, order};
use jiff::{Timestamp, ToSpan as _};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_calls_its_function_at_its_time() {
    let soon = Timestamp::now() + 5.seconds();
    let at = soon.strftime("%Y-%m-%dT%H:%M:%S");
    let plain = r#"{"eventId": "12345", "eventType": "OrderPlaced", "timestamp": "2025-01-01T12:00:00Z", "data": {"orderId": "67890", "userId": "abc123", "totalAmount": 150.75}}"#;
    let schedule = format!(
        "      Events:\n        AtOnce:\n          Type: ScheduleV2\n          Properties:\n            ScheduleExpression: at({at})\n            Input: '{plain}'\n        OrderMovedOn:"
    );
    let (_folder, path) = changed_template(|template| {
        template.replace("      Events:\n        OrderMovedOn:", &schedule)
    });
    let system = System::start(&["--template", &path]);
    eventually("the scheduled notification is stored", async || {
        let stored = system.stored().await;
        stored
            .streams
            .contains_key("notification-12345")
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_sends_what_its_pattern_matches_to_a_queue() {
    let rule = "
  BigOrders:
    Type: AWS::SQS::Queue
    Properties: { QueueName: big-orders }

  BigOrdersRule:
    Type: AWS::Events::Rule
    Properties:
      EventBusName: !Ref OrdersBus
      EventPattern:
        detail:
          $or:
            - eventType: [{ prefix: OrderPl }]
              data: { totalAmount: [{ numeric: ['>=', 1000] }] }
            - eventType: [{ wildcard: '*Cancelled' }]
      Targets:
        - { Id: queue, Arn: !GetAtt BigOrders.Arn, InputPath: $.detail.data.orderId }

Outputs:";
    let (_folder, path) = changed_template(|template| template.replace("\nOutputs:", rule));
    let system = System::start(&["--template", &path]);
    system.stock("yacht", 5, "1000").await;
    system.stock("tea", 5, "1").await;
    let small = system.place("small", &order("u", "tea", 1, "1")).await;
    let big = system.place("big", &order("u", "yacht", 1, "1000")).await;
    for id in [&small, &big] {
        system.order_at(id, "confirmed").await;
    }
    let url = format!("{}/000000000000/big-orders", system.aws);
    let receive = json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 5});
    let received = system.aws("AmazonSQS.ReceiveMessage", &receive).await;
    let bodies: Vec<_> = received["Messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["Body"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(bodies, [json!(big).to_string()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_names_everything_anew_and_all_goes_on() {
    let system = System::start(&["--parameter", "Prefix=shop-"]);
    system.stock("tea", 5, "1").await;
    let id = system.place("k", &order("u", "tea", 1, "1")).await;
    system.order_at(&id, "confirmed").await;
    let tables = system.aws("DynamoDB_20120810.ListTables", &json!({})).await;
    assert_eq!(
        tables["TableNames"],
        json!([
            "shop-AlarmRules",
            "shop-DeadLetters",
            "shop-EventStore",
            "shop-Insights",
            "shop-MirrorPositions",
            "shop-Orders",
            "shop-OrdersGreen",
            "shop-Stock",
            "shop-SubjectKeys"
        ])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_throttle_of_the_api_are_told_to_come_later() {
    let (_folder, path) = changed_template(|template| {
        let limits =
            "ThrottlingBurstLimit: !Ref ApiBurstLimit, ThrottlingRateLimit: !Ref ApiRateLimit";
        assert!(template.contains(limits));
        template.replace(
            limits,
            "ThrottlingBurstLimit: 2, ThrottlingRateLimit: 0.001",
        )
    });
    let system = System::start(&["--template", &path]);
    for _ in 0..2 {
        assert_eq!(system.get("/inventory/tea").await.status, 404);
    }
    let refused = system.get("/inventory/tea").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json(), json!({"message": "Too Many Requests"}));
    assert_eq!(system.get("/orders/1").await.status, 404, "another route");
}
