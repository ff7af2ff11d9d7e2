//! Each function may do what it does, and nothing else.
//!
//! What no policy allows is refused by `cargo local`, so every flow of these tests shows that what is
//! needed is granted. That what is granted is needed is shown by what all of them asked for together:
//! `cargo test-all --test e2e -- --ignored what_functions_are_granted`, after the others.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::repository::stack;
use crate::system::{System, changed_template, order, permissions_folder};

/// Granted and not used by any flow of the tests: function, action, and why it is granted.
const UNUSED: [(&str, &str, &str); 19] = [
    (
        "notify-user",
        "sqs:SendMessage",
        "no flow has what it gives up",
    ),
    (
        "project-orders",
        "sqs:SendMessage",
        "no flow has what it gives up",
    ),
    (
        "publish-events",
        "sqs:SendMessage",
        "no flow has what it gives up",
    ),
    (
        "mirror-events",
        "dynamodb:Query",
        "only with a cluster: tests/kafka/run",
    ),
    (
        "mirror-events",
        "dynamodb:UpdateItem",
        "only with a cluster: tests/kafka/run",
    ),
    (
        "payment-webhook",
        "ssm:GetParameter",
        "late charges go back through a simulated gateway",
    ),
    (
        "resolve-payment",
        "ssm:GetParameter",
        "decisions are held against a simulated gateway",
    ),
    (
        "rebuild-orders",
        "dynamodb:UpdateItem",
        "only for rows that an event changed during the rebuild",
    ),
    (
        "record-events",
        "kms:Decrypt",
        "only for a customer whose key another call made",
    ),
    (
        "reconcile-events",
        "dynamodb:Query",
        "only for markers of events out of the period",
    ),
    (
        "reconcile-events",
        "ssm:GetParameter",
        "only the clock's calls go on where one stopped",
    ),
    (
        "reconcile-events",
        "ssm:PutParameter",
        "only the clock's calls go on where one stopped",
    ),
    (
        "redrive-dlq",
        "dynamodb:GetItem",
        "only for batches that a mapping gave up",
    ),
    (
        "redrive-dlq",
        "dynamodb:GetRecords",
        "only for batches that a mapping gave up",
    ),
    (
        "redrive-dlq",
        "dynamodb:GetShardIterator",
        "only for batches that a mapping gave up",
    ),
    (
        "redrive-dlq",
        "lambda:InvokeFunction",
        "not every consumer gives something up",
    ),
    (
        "redrive-dlq",
        "sqs:DeleteMessage",
        "not every consumer gives something up",
    ),
    (
        "sweep-orders",
        "dynamodb:Query",
        "the green rows are live only after a rebuild",
    ),
    (
        "sweep-orders",
        "dynamodb:UpdateItem",
        "the green rows are live only after a rebuild",
    ),
];

/// An action that a function asked for, or was granted, on a resource.
type Asked = (String, String, String);

/// What the systems of all tests asked for.
fn asked() -> BTreeSet<Asked> {
    let files = std::fs::read_dir(permissions_folder()).unwrap();
    let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let mut asked = BTreeSet::new();
    for text in texts {
        // The last line of a process that was killed may be cut off.
        let whole = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let allowed = whole.filter(|line: &Value| line["allowed"] == true);
        asked.extend(allowed.map(|line| {
            let field = |name: &str| line[name].as_str().unwrap().to_owned();
            (field("function"), field("action"), field("resource"))
        }));
    }
    asked
}

/// What the template grants, with everything that can be turned on.
fn granted() -> BTreeSet<Asked> {
    let stack = stack(&[("PaymentGateway", "stripe"), ("Notifier", "ses")]);
    let mut granted = BTreeSet::new();
    for function in &stack.functions {
        for statement in function.permissions.as_ref().unwrap() {
            for action in &statement.actions {
                for resource in &statement.resources {
                    granted.insert((function.name.clone(), action.clone(), resource.clone()));
                }
            }
        }
    }
    granted
}

fn is_used((function, action, pattern): &Asked, used: &BTreeSet<Asked>) -> bool {
    used.iter().any(|(by, what, resource)| {
        (by, what) == (function, action) && sam_template::policy::is_like(pattern, resource)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_policy_allows_is_refused() {
    let (_folder, template) = changed_template(|template| {
        let granted = "Action: [dynamodb:PutItem]\n              Resource: !GetAtt EventStore.Arn";
        assert!(
            template.contains(granted),
            "what place-order may do is written otherwise"
        );
        template.replacen(granted, &granted.replace("PutItem", "GetItem"), 1)
    });
    let system = System::start(&["--template", &template]);
    let answer = system
        .post_order("key", &order("ada", "tea", 1, "4.5"))
        .await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(system.stored().await.streams.is_empty());
}

#[test]
#[ignore = "asks what all other tests did: run it after them"]
fn what_functions_are_granted_is_used_by_them() {
    let used = asked();
    let excused = |(function, action, _): &Asked| {
        let excuses = |(by, what, _): &(&str, &str, &str)| by == function && what == action;
        UNUSED.iter().any(excuses)
    };
    let granted = granted();
    let unused: Vec<_> = granted
        .iter()
        .filter(|grant| !is_used(grant, &used))
        .collect();
    let unexplained: Vec<_> = unused.iter().filter(|grant| !excused(grant)).collect();
    assert!(
        unexplained.is_empty(),
        "granted and never used: {unexplained:#?}"
    );
}
