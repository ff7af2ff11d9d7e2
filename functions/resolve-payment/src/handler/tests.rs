use super::*;
use domain::payment::PaymentId;
use event_sourcing::chain::Head;
use event_sourcing::clock::SystemClock;
use event_sourcing::envelope::Envelope;
use event_sourcing::in_memory::InMemoryEventStore;
use jiff::Timestamp;
use process_payment::gateway::{GatewayError, Refund};
use serde_json::{Value, json};

/// Shows these books, and refunds.
struct Books(Result<Option<ChargeOutcome>, GatewayError>);

impl PaymentGateway for Books {
    async fn charge(&self, _charge: &Charge) -> Result<ChargeOutcome, GatewayError> {
        panic!("a decision charges nothing")
    }

    async fn look_up(&self, _charge: &Charge) -> Result<Option<ChargeOutcome>, GatewayError> {
        self.0.clone()
    }

    async fn refund(&self, _refund: &Refund) -> Result<(), GatewayError> {
        Ok(())
    }
}

fn unknown() -> Books {
    Books(Err(GatewayError::Unknown("timeout".into())))
}

async fn an_order(
    books: Books,
    more: &[(&str, Value)],
) -> Handler<InMemoryEventStore, Books, SystemClock> {
    let store = InMemoryEventStore::default();
    let mut events = vec![("OrderPlaced", json!({}))];
    events.push(("InventoryUpdated", json!({"reason": "reserved"})));
    events.extend(more.iter().cloned());
    let events = events
        .into_iter()
        .enumerate()
        .map(|(number, (name, mut data))| {
            for (field, value) in [
                ("orderId", json!("1")),
                ("userId", json!("u")),
                ("totalAmount", json!(5)),
            ] {
                data[field] = value;
            }
            Envelope::new(&format!("e{number}"), name, Timestamp::now(), data)
        });
    store
        .append("order-1", &Head::after(None), events.collect())
        .await
        .unwrap();
    Handler {
        store,
        gateway: books,
        clock: SystemClock,
    }
}

fn decision(resolution: &str, payment: Option<&str>) -> Value {
    let mut call =
        json!({"orderId": "1", "as": resolution, "reason": "seen in the dashboard", "by": "ada"});
    if let Some(payment) = payment {
        call["paymentId"] = json!(payment);
    }
    call
}

impl Handler<InMemoryEventStore, Books, SystemClock> {
    async fn decide(&self, call: Value) -> Result<Value, String> {
        let call = ResolvePayment::parse(&call).map_err(|failure| failure.to_string())?;
        let answer = self.handle(&call, "request").await;
        answer
            .map(|resolved| serde_json::to_value(resolved).unwrap())
            .map_err(|failure| failure.to_string())
    }
}

#[tokio::test]
async fn an_unknown_payment_is_resolved_as_paid_and_says_who_decided_and_why() {
    let order = an_order(unknown(), &[]).await;
    let answer = order.decide(decision("paid", Some("pi_1"))).await;
    assert_eq!(
        answer,
        Ok(
            json!({"orderId": "1", "status": "confirmed", "version": 3, "appended": "PaymentProcessed"})
        )
    );
    let event = order.store.arrivals().pop().unwrap();
    assert_eq!(event.actor.as_deref(), Some("ada"));
    assert_eq!(event.causation_id.as_deref(), Some("request"));
    assert_eq!(event.correlation_id.as_deref(), Some("e0"));
    assert_eq!(event.data["decision"], "seen in the dashboard");
    assert_eq!(event.data["paymentId"], "pi_1");
    // Once more: the same answer, and nothing new.
    let again = order.decide(decision("paid", Some("pi_1"))).await;
    assert_eq!(
        again,
        Ok(json!({"orderId": "1", "status": "confirmed", "version": 3}))
    );
}

#[tokio::test]
async fn an_unknown_payment_is_resolved_as_failed_and_the_order_is_rejected() {
    let order = an_order(unknown(), &[]).await;
    let answer = order.decide(decision("failed", None)).await;
    assert_eq!(
        answer,
        Ok(
            json!({"orderId": "1", "status": "rejected", "version": 3, "appended": "PaymentFailed"})
        )
    );
}

#[tokio::test]
async fn a_payment_of_a_cancelled_order_that_turns_out_paid_is_given_back() {
    let cancelled = ("OrderCancelled", json!({"reason": "requested"}));
    let order = an_order(unknown(), &[cancelled]).await;
    let answer = order.decide(decision("paid", Some("pi_1"))).await;
    assert_eq!(
        answer,
        Ok(json!({"orderId": "1", "status": "cancelled", "version": 4,
            "appended": "PaymentRefunded", "refunded": "pi_1"}))
    );
}

#[tokio::test]
async fn a_decision_against_what_is_settled_is_refused() {
    let paid = ("PaymentProcessed", json!({"paymentId": "pi_1"}));
    let order = an_order(unknown(), &[paid]).await;
    for call in [decision("failed", None), decision("paid", Some("pi_2"))] {
        let refused = order.decide(call).await.unwrap_err();
        assert!(
            refused.contains("settled before (paid as pi_1)"),
            "{refused}"
        );
    }
    assert_eq!(order.store.arrivals().len(), 3);
}

#[tokio::test]
async fn where_the_gateways_books_tell_an_outcome_nothing_else_is_decided() {
    let paid = || {
        Books(Ok(Some(ChargeOutcome::Approved(Some(PaymentId(
            "pi_1".into(),
        ))))))
    };
    let order = an_order(paid(), &[]).await;
    for call in [decision("failed", None), decision("paid", Some("pi_2"))] {
        let refused = order.decide(call).await.unwrap_err();
        assert!(
            refused.contains("was paid as pi_1; resolve it as that"),
            "{refused}"
        );
    }
    assert!(order.decide(decision("paid", Some("pi_1"))).await.is_ok());
    let order = an_order(Books(Ok(None)), &[]).await;
    assert!(order.decide(decision("failed", None)).await.is_ok());
}

#[tokio::test]
async fn a_call_that_is_none_is_told_what_it_lacks() {
    let order = an_order(unknown(), &[]).await;
    for (call, part) in [
        (json!({}), "orderId"),
        (decision("perhaps", None), "unknown variant `perhaps`"),
        (decision("paid", None), "paymentId is missing"),
        (decision("paid", Some(" ")), "paymentId must have"),
        (decision("failed", Some("pi_1")), "resolved as failed"),
        (
            json!({"orderId": "1", "as": "failed", "reason": "", "by": "ada"}),
            "reason must have",
        ),
        (
            json!({"orderId": "2", "as": "failed", "reason": "r", "by": "ada"}),
            "order 2 is not in the event store",
        ),
    ] {
        let refused = order.decide(call).await.unwrap_err();
        assert!(refused.contains(part), "{part} in {refused}");
    }
    assert_eq!(order.store.arrivals().len(), 2);
}
