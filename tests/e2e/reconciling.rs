//! Events that were stored and never published are found and published; afterwards there are none.

use serde_json::{Value, json};

use crate::system::{System, changed_template, eventually, order, run};

/// stored, published, missing, repaired, unstored.
fn figures(answer: &Value) -> [u64; 5] {
    ["stored", "published", "missing", "repaired", "unstored"]
        .map(|name| answer[name].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_publication_was_dropped_is_found_and_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    // The relay looks at no order, and what it was shown it will not be shown again.
    let (_broken, template) = changed_template(|template| {
        let relay = "StartingPosition: TRIM_HORIZON\n            BatchSize: 100\n            FunctionResponseTypes";
        assert!(template.contains(relay));
        let filtered = "StartingPosition: TRIM_HORIZON\n            BatchSize: 100\n            FilterCriteria:\n              Filters:\n                - Pattern: '{\"dynamodb\":{\"Keys\":{\"streamId\":{\"S\":[{\"prefix\":\"inventory-\"}]}}}}'\n            FunctionResponseTypes";
        template.replacen(relay, filtered, 1)
    });
    let broken = System::start(&["--data-dir", data, "--template", &template]);
    broken.stock("tea", 10, "2").await;
    let lost = broken.place("a", &order("u", "tea", 1, "2")).await;
    broken.order_at(&lost, "placed").await;
    assert_eq!(broken.interrupt(), Some(0));

    let (_hasty, template) = changed_template(|template| {
        template.replace("SETTLED_AFTER_SECONDS: 600", "SETTLED_AFTER_SECONDS: 1")
    });
    let arguments = ["--data-dir", data, "--template", &template];
    let system = System::start(&arguments);
    let fine = system.place("b", &order("u", "tea", 1, "2")).await;
    system.order_at(&fine, "confirmed").await;
    assert_eq!(system.events_of(&lost).await, ["OrderPlaced"]);

    let dry = eventually("all but one were published", async || {
        let call = json!({"dryRun": true});
        let answer = system.invoke("reconcile-events", &call).await.unwrap();
        // One restock, three events of the order and two of its notifications.
        (figures(&answer) == [7, 6, 1, 0, 0])
            .then_some(answer.clone())
            .ok_or_else(|| answer.to_string())
    })
    .await;
    assert_eq!(dry["named"], json!([format!("order-{lost}@1")]));
    let repaired = system.invoke("reconcile-events", &json!({})).await.unwrap();
    assert_eq!(figures(&repaired)[2..], [1, 1, 0], "{repaired}");
    system.order_at(&lost, "confirmed").await;
    system.invariants_hold(&[lost, fine]).await;

    // The markers are kept over a restart.
    assert_eq!(system.interrupt(), Some(0));
    let system = System::start(&arguments);
    eventually("everything was published", async || {
        let answer = system.invoke("reconcile-events", &json!({})).await.unwrap();
        (figures(&answer) == [11, 11, 0, 0, 0])
            .then_some(())
            .ok_or_else(|| answer.to_string())
    })
    .await;
    let mut call = json!({"seconds": 0});
    loop {
        let answer = system.invoke("reconcile-events", &call).await.unwrap();
        if answer["done"] == true {
            assert_eq!(figures(&answer), [11, 11, 0, 0, 0]);
            break;
        }
        call["position"] = answer["position"].clone();
    }
    let output = run(&["reconcile", "--data-dir", data]);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    assert!(
        printed.contains("everything that was stored was published"),
        "{printed}"
    );
}
