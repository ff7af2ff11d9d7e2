//! Personal data: sealed wherever an event goes, closed for good once its owner has it erased, and
//! everything else goes on.

use std::collections::BTreeSet;

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_subject_keys::DynamoDbSubjectKeys;
use aws_adapters::order_contacts::{Contacts, KeysConfig, Revealed, keys};
use domain::ids::{OrderId, UserId};
use jiff::SignedDuration;
use local::programs::Programs;
use local::stack::StackOptions;
use serde_json::json;

use crate::shop::{NEEDLE, Shop, address, files, has, ordered_by};
use crate::store_contract::a_store;
use crate::system::{eventually, futures_of, order};

/// The whole rebuild of the rows.
async fn rebuild(shop: &Shop<'_>) {
    let mut call = json!({"projection": "orders", "seconds": 5});
    eventually("the rows are rebuilt", async || {
        let answer = shop.call("rebuild-orders", &call).await;
        call["position"] = answer["position"].clone();
        assert_eq!(answer["failed"].as_u64().unwrap_or(0), 0, "{answer}");
        (answer["done"] == true).then_some(())
    })
    .await;
}

/// What happened before the erasure: orders of Ann, and one of Bob.
struct Before {
    paid: String,
    declined: String,
    /// A dead letter, while the gateway is down.
    waiting: String,
    bobs: String,
}

/// Everything that can happen to orders with an address.
async fn before(shop: &Shop<'_>) -> Before {
    // A contact that is none is refused, and not logged either.
    let mut wrong = ordered_by("ann", "ann", "tok_visa");
    wrong["contact"] = json!(address("ann"));
    assert_eq!(shop.send("POST", "/orders", "0", &wrong).await.status, 400);
    let place = async |key: &str, user: &str, token: &str| {
        shop.place(key, &ordered_by(user, user, token)).await
    };
    let before = Before {
        paid: place("1", "ann", "tok_visa").await,
        declined: place("2", "ann", "tok_declined").await,
        waiting: place("3", "ann", "tok_outage").await,
        bobs: place("4", "bob", "tok_visa").await,
    };
    shop.comes_to(&before.paid, "confirmed").await;
    shop.comes_to(&before.declined, "rejected").await;
    shop.comes_to(&before.bobs, "confirmed").await;
    shop.gets_mails(&address("ann"), 5).await;
    shop.gets_mails(&address("bob"), 2).await;
    eventually("the payment is a dead letter", async || {
        shop.call("redrive-dlq", &json!({})).await;
        let places = shop.places_of(&before.waiting).await;
        places.contains("table DeadLetters").then_some(())
    })
    .await;
    before
}

/// Ann has her data erased; nobody else can.
async fn erased(shop: &Shop<'_>, before: &Before) {
    assert_eq!(shop.erase("ann", "bob").await.status, 403);
    let address_of = async |order: &str| shop.address_of(order).await;
    assert_eq!(address_of(&before.paid).await, Some(address("ann")));
    let answer = shop.erase("ann", "ann").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let erased = answer.json();
    assert_eq!(
        (&erased["userId"], &erased["erasedBy"]),
        (&json!("ann"), &json!("ann"))
    );
    let nothing = json!({});
    let again = shop.send("DELETE", "/users/ann/data", "-", &nothing).await;
    let again = again.json();
    assert_eq!(
        again, erased,
        "whoever asks again is told of the first time"
    );
    for order in [&before.paid, &before.declined, &before.waiting] {
        assert_eq!(address_of(order).await, None);
    }
    assert_eq!(address_of(&before.bobs).await, Some(address("bob")));
}

/// What waits is paid, and nobody is told, which is noted once; a rebuild works.
async fn what_waits_goes_on(shop: &Shop<'_>, waiting: &str) {
    let decision = json!({"orderId": waiting, "as": "paid", "paymentId": "pi_1",
        "reason": "seen in the dashboard", "by": "ada"});
    let resolved = shop.call("resolve-payment", &decision).await;
    assert_eq!(resolved["status"], "confirmed", "{resolved}");
    shop.comes_to(waiting, "confirmed").await;
    let payment = &shop.stored().await.streams[&format!("order-{waiting}")][2];
    let notification = format!("notification-{}", payment.event_id);
    let notified = eventually("the payment is noted", async || {
        shop.stored().await.streams.remove(&notification)
    })
    .await;
    assert_eq!(notified.len(), 1);
    assert_eq!(notified[0].event_type, "UserNotified");
    assert_eq!(notified[0].data["withheld"], "contact_erased");
    rebuild(shop).await;
}

/// The same POST is answered as it was; another order under its key is refused.
async fn a_repeat_is_answered(shop: &Shop<'_>, paid: &str) {
    let again = ordered_by("ann", "ann", "tok_visa");
    assert_eq!(shop.place("1", &again).await, paid);
    let mut other = again.clone();
    other["items"][0]["quantity"] = json!(2);
    assert_eq!(shop.send("POST", "/orders", "1", &other).await.status, 422);
}

/// A new order of the same customer has a new key, and its mails.
async fn a_new_order_works(shop: &Shop<'_>) -> String {
    let new = ordered_by("ann", "ann2", "tok_visa");
    let new = shop.place("5", &new).await;
    shop.comes_to(&new, "confirmed").await;
    shop.gets_mails(&address("ann2"), 2).await;
    assert_eq!(shop.address_of(&new).await, Some(address("ann2")));
    new
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_nowhere_in_plain_and_after_its_erasure_nobody_can_tell_it() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing is remembered, so that an erasure takes effect at once.
    let shop = Shop::open(folder.path(), &[("DataKeySeconds", "0")]).await;
    shop.stock().await;
    let before = before(&shop).await;
    // The order is everywhere, its address nowhere.
    let found = shop.places_of(&before.paid).await;
    for place in [
        "table EventStore",
        "table Orders",
        "log lines",
        "file history.jsonl",
    ] {
        assert!(found.contains(place), "{place} is not in {found:?}");
    }
    let of_aws = found.iter().any(|place| place.starts_with("file aws/"));
    assert!(of_aws, "{found:?}");
    assert_eq!(shop.places_of(NEEDLE).await, BTreeSet::new());

    erased(&shop, &before).await;
    what_waits_goes_on(&shop, &before.waiting).await;
    a_repeat_is_answered(&shop, &before.paid).await;
    let new = a_new_order_works(&shop).await;
    assert_eq!(shop.address_of(&before.paid).await, None);
    let mails = shop.mails_to(&address("ann")).len();
    assert_eq!(mails, 5, "no mail after the erasure");
    let accepted = [
        before.paid,
        before.declined,
        before.waiting,
        before.bobs,
        new,
    ];
    shop.holds(&accepted).await;
    assert_eq!(shop.places_of(NEEDLE).await, BTreeSet::new());
    shop.close().await;
    for file in files(folder.path()) {
        assert!(
            !has(&std::fs::read(&file).unwrap(), NEEDLE),
            "{}",
            file.display()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_sealing_a_contact_is_stored_as_it_is_and_both_kinds_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path(), &[]).await;
    shop.stock().await;
    let sealed = shop
        .place("1", &ordered_by("ann", "ann", "tok_outage"))
        .await;
    shop.gets_mails(&address("ann"), 1).await;
    shop.close().await;

    let shop = Shop::open(folder.path(), &[("SealPersonalData", "false")]).await;
    // The order of before goes on, and its customer is told.
    let cancel = format!("/orders/{sealed}/cancel");
    assert_eq!(
        shop.send("POST", &cancel, "-", &json!({})).await.status,
        202
    );
    shop.gets_mails(&address("ann"), 1).await;
    // Its POST again is the same, in plain; another contact is another order.
    let again = ordered_by("ann", "ann", "tok_outage");
    assert_eq!(shop.place("1", &again).await, sealed);
    let other = ordered_by("ann", "annie", "tok_outage");
    assert_eq!(shop.send("POST", "/orders", "1", &other).await.status, 422);

    let plain = shop.place("2", &ordered_by("bob", "bob", "tok_visa")).await;
    shop.comes_to(&plain, "confirmed").await;
    shop.gets_mails(&address("bob"), 2).await;
    let found = shop.places_of(NEEDLE).await;
    assert!(found.contains("table EventStore"), "{found:?}");
    assert!(!found.contains("log lines"), "{found:?}");
    let made = shop
        .stack
        .endpoint()
        .meter()
        .total(|call| call.service == "kms" && call.operation == "GenerateDataKey");
    assert_eq!(made.requests, 0);
    shop.holds(&[sealed, plain]).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_of_another_producer_is_sealed_before_it_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path(), &[]).await;
    let detail = json!({"eventId": "12345", "eventType": "OrderPlaced",
        "timestamp": "2025-01-01T12:00:00Z", "data": {"orderId": "67890", "userId": "abc123",
        "totalAmount": 150.75, "contact": {"email": address("theirs"), "phone": NEEDLE}}});
    let entry = json!({"EventBusName": "orders", "Source": "legacy.shop",
        "DetailType": "OrderPlaced", "Detail": detail.to_string()});
    let put = json!({"Entries": [entry]});
    let endpoint = shop.stack.endpoint();
    endpoint.call("events", "PutEvents", put).await.unwrap();
    shop.comes_to("67890", "confirmed").await;
    shop.gets_mails(&address("theirs"), 2).await;
    assert_eq!(shop.address_of("67890").await, Some(address("theirs")));
    // Their own entry on the bus was theirs; what we keep of it, and publish, is sealed.
    let found = shop.places_of(NEEDLE).await;
    let ours = found.iter().filter(|place| !place.starts_with("file"));
    assert_eq!(ours.count(), 0, "{found:?}");
    let published = shop.stack.published();
    let of_order = published
        .iter()
        .filter(|one| one.detail["version"].is_number());
    assert!(of_order.clone().count() >= 3);
    for event in of_order {
        assert!(!format!("{event:?}").contains(NEEDLE), "{event:?}");
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn first_orders_at_once_share_one_key_and_later_ones_ask_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(folder.path(), &[("Notifier", "log")]).await;
    shop.stock().await;
    let no_contact = shop.place("0", &order("ann", "tea", 1, "1")).await;
    let metered = |service: &str, operation: &str| {
        let meter = shop.stack.endpoint().meter();
        let total = meter.total(|call| call.service == service && call.operation == operation);
        total.requests
    };
    shop.comes_to(&no_contact, "confirmed").await;
    assert_eq!(
        metered("kms", "GenerateDataKey") + metered("kms", "Decrypt"),
        0
    );

    let placing: Vec<_> = (1..=8).map(|number| number.to_string()).collect();
    let bodies = ordered_by("ann", "ann", "tok_visa");
    let placed = placing.iter().map(|key| shop.place(key, &bodies));
    let mut placed: Vec<String> = futures_of(placed).await;
    let used = metered("kms", "GenerateDataKey") + metered("kms", "Decrypt");
    assert!(used >= 1);
    for number in 9..=20 {
        placed.push(shop.place(&number.to_string(), &bodies).await);
    }
    let after = metered("kms", "GenerateDataKey") + metered("kms", "Decrypt");
    let processes = u64::from(processes());
    assert!(
        after <= 2 * processes,
        "{after} calls by {processes} processes"
    );

    let stored = shop.stored().await;
    let key_of = |order: &String| {
        let sealed = stored.streams[&format!("order-{order}")][0].data["sealedContact"].clone();
        let sealed = sealed.as_str().unwrap().to_owned();
        sealed.split('.').nth(1).unwrap().to_owned()
    };
    let keys: BTreeSet<String> = placed.iter().map(key_of).collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
    shop.close().await;
}

/// So many processes a function has at most.
fn processes() -> u32 {
    let program = Programs::One("none".into());
    StackOptions::new("none", program).max_processes
}

#[tokio::test]
async fn the_table_of_keys_on_dynamodb_keeps_the_contract() {
    let (endpoint, _, _) = a_store().await;
    let dynamodb = Connection::to_endpoint(&endpoint.url(), "local-test")
        .unwrap()
        .dynamodb();
    let table = DynamoDbSubjectKeys::new(dynamodb, "SubjectKeys");
    event_sourcing::sealing::contract::check(&table).await;
    endpoint.shutdown().await.unwrap();
}

#[tokio::test]
async fn while_the_key_service_is_down_a_contact_waits_and_a_damaged_one_is_given_up() {
    use event_sourcing::retry::{Retry, Retryable as _};
    use event_sourcing::sealing::Sealed;

    let (endpoint, _, _) = a_store().await;
    let arn = "arn:aws:kms:us-east-1:000000000000:key/local-PersonalDataKey";
    let aws = Connection::to_endpoint(&endpoint.url(), "local-test").unwrap();
    let contacts = |master_key: &str| Contacts {
        keys: keys(
            &aws,
            KeysConfig {
                table: "SubjectKeys".to_owned(),
                master_key: master_key.to_owned(),
                remembered_for: SignedDuration::ZERO,
            },
        ),
        seals: true,
    };
    let data = json!({"userId": "ann", "orderId": "1", "contact": {"email": address("ann")}});
    // The key is not there: somebody has to look.
    let refused = contacts(arn).sealed_data(data.clone()).await.unwrap_err();
    assert_eq!(refused.retry(), Retry::Never, "{refused}");
    assert!(
        refused.to_string().contains("NotFoundException"),
        "{refused}"
    );
    endpoint.create_key(arn).unwrap();
    let sealed = contacts(arn).sealed_data(data).await.unwrap();
    let sealed = sealed["sealedContact"].as_str().unwrap().to_owned();
    let (user, order) = (UserId::parse("ann").unwrap(), OrderId::parse("1").unwrap());
    let reveal = async |sealed: &str| {
        let contacts = contacts(arn);
        contacts
            .reveal(&user, &order, &Sealed::of_text(sealed))
            .await
    };
    assert!(matches!(reveal(&sealed).await, Ok(Revealed::Contact(_))));
    let damaged = reveal(&format!("{sealed}AAAA")).await.unwrap_err();
    assert_eq!(damaged.retry(), Retry::Never, "{damaged}");
    endpoint.shutdown().await.unwrap();
    let down = reveal(&sealed).await.unwrap_err();
    assert_eq!(down.retry(), Retry::Later, "{down}");
}
