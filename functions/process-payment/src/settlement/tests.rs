use super::*;
use crate::gateway::{Charge, GatewayError};
use domain::order::{CancelReason, OrderEvent};
use event_sourcing::chain::Head;
use event_sourcing::decider::Event as _;
use event_sourcing::execute::decode;
use event_sourcing::in_memory::InMemoryEventStore;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use std::sync::Mutex;

/// Keeps the keys of the refunds.
#[derive(Default)]
struct Refunds(Mutex<Vec<String>>);

impl PaymentGateway for Refunds {
    async fn charge(&self, _charge: &Charge) -> Result<ChargeOutcome, GatewayError> {
        panic!("settling charges nothing")
    }

    async fn look_up(&self, _charge: &Charge) -> Result<Option<ChargeOutcome>, GatewayError> {
        panic!("settling asks nothing")
    }

    async fn refund(&self, refund: &Refund) -> Result<(), GatewayError> {
        self.0.lock().unwrap().push(refund.key.clone());
        Ok(())
    }
}

#[derive(Default)]
struct World {
    store: InMemoryEventStore,
    gateway: Refunds,
}

/// What happens to an order whose stock is reserved, in any order and any number of times.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    GatewayPaid,
    GatewayFailed,
    OperatorPaid,
    OperatorFailed,
    Cancel,
    /// The consumer of `OrderCancelled` gets its message.
    RefundCancelled,
}

fn order_id() -> OrderId {
    OrderId::parse("1").unwrap()
}

fn paid() -> ChargeOutcome {
    ChargeOutcome::Approved(Some(PaymentId("pi_1".into())))
}

fn failed() -> ChargeOutcome {
    ChargeOutcome::Declined("card_declined".into())
}

fn decided(outcome: ChargeOutcome) -> Telling {
    Telling::Operator {
        outcome,
        decision: "seen in the dashboard".into(),
    }
}

/// A cause as this way in makes one: every call has another id.
fn cause(seed: &str) -> Cause {
    Cause {
        id: seed.to_owned(),
        seed: seed.to_owned(),
        purpose: "somebody",
        correlation_id: None,
        traceparent: None,
        actor: Some(seed.to_owned()),
        now: Timestamp::now(),
    }
}

impl World {
    async fn reserved() -> Self {
        let world = Self::default();
        let terms = json!({"orderId": "1", "userId": "u", "totalAmount": 5});
        let mut reserved = terms.clone();
        reserved["reason"] = json!("reserved");
        let now = Timestamp::now();
        let events = vec![
            Envelope::new("e1", "OrderPlaced", now, terms),
            Envelope::new("e2", "InventoryUpdated", now, reserved),
        ];
        let start = Head::after(None);
        world.store.append("order-1", &start, events).await.unwrap();
        world
    }

    fn settlement(&self) -> Settlement<'_, InMemoryEventStore, Refunds> {
        Settlement {
            store: &self.store,
            gateway: &self.gateway,
        }
    }

    async fn tell(&self, who: &str, telling: &Telling) -> Result<Settled, SettleError> {
        self.settlement()
            .settle(&order_id(), Start::Load, telling, &cause(who))
            .await
    }

    async fn take(&self, step: Step, number: usize) {
        let who = format!("step {number}");
        let outcome = match step {
            Step::GatewayPaid => self.tell(&who, &Telling::Gateway(paid())).await,
            Step::GatewayFailed => self.tell(&who, &Telling::Gateway(failed())).await,
            Step::OperatorPaid => self.tell(&who, &decided(paid())).await,
            Step::OperatorFailed => self.tell(&who, &decided(failed())).await,
            Step::Cancel => return self.cancel(&who).await,
            Step::RefundCancelled => return self.refund_cancelled(&who).await,
        };
        match outcome {
            Ok(_) => {}
            Err(SettleError::Refused {
                rejection: OrderRejection::SettledOtherwise(_),
                ..
            }) => assert_eq!(step, Step::OperatorFailed, "only a decision is refused"),
            Err(error) => panic!("{step:?}: {error}"),
        }
    }

    async fn cancel(&self, who: &str) {
        let command = OrderCommand::Cancel {
            reason: CancelReason::Requested,
            at: Timestamp::now(),
            grace: SignedDuration::from_hours(1),
        };
        match execute::<Order>(&self.store, "order-1", Start::Load, &command, &cause(who)).await {
            Ok(_) | Err(ExecuteError::Rejected(OrderRejection::AlreadyRejected)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    async fn refund_cancelled(&self, who: &str) {
        let order = self.settlement().order(&order_id()).await.unwrap();
        if let Some(payment) = order.state.refund_due() {
            self.settlement()
                .give_back(&order_id(), payment.clone(), &cause(who))
                .await
                .unwrap();
        }
    }

    fn count(&self, event_type: &str) -> usize {
        let events = self.store.arrivals();
        events
            .iter()
            .filter(|event| event.event_type == event_type)
            .count()
    }

    fn last(&self) -> OrderEvent {
        decode(self.store.arrivals().last().unwrap()).unwrap()
    }

    async fn state(&self) -> Order {
        self.settlement().order(&order_id()).await.unwrap().state
    }
}

#[tokio::test]
async fn the_gateways_answer_and_its_webhook_are_one_event_whoever_comes_first() {
    let mut ids = Vec::new();
    for ways in [["charge", "webhook"], ["webhook", "charge"]] {
        let world = World::reserved().await;
        for way in ways {
            let settled = world.tell(way, &Telling::Gateway(paid())).await.unwrap();
            assert_eq!((settled.status, settled.version), ("confirmed", 3));
        }
        assert_eq!(world.count("PaymentProcessed"), 1);
        ids.push(world.store.arrivals().pop().unwrap().event_id);
    }
    assert_eq!(ids[0], ids[1], "the id is that of the charge");
}

#[tokio::test]
async fn tellings_at_the_same_time_settle_once() {
    for (first, second, refunds) in [
        (paid(), paid(), 0),
        (paid(), failed(), 0),
        // The charge of an order that was rejected meanwhile is given back.
        (failed(), paid(), 1),
    ] {
        let world = World::reserved().await;
        let before = world.settlement().order(&order_id()).await.unwrap();
        // Both decide from the same state: the second one finds its version taken.
        let start = || Start::From {
            state: before.state.clone(),
            head: before.head.clone(),
        };
        for (who, outcome) in [("charge", first), ("webhook", second)] {
            world
                .settlement()
                .settle(
                    &order_id(),
                    start(),
                    &Telling::Gateway(outcome),
                    &cause(who),
                )
                .await
                .unwrap();
        }
        assert_eq!(
            world.count("PaymentProcessed") + world.count("PaymentFailed"),
            1
        );
        assert_eq!(world.count("PaymentRefunded"), refunds);
    }
}

#[tokio::test]
async fn a_decision_keeps_who_made_it_and_why() {
    let world = World::reserved().await;
    let settled = world.tell("ada", &decided(failed())).await.unwrap();
    assert_eq!(settled.status, "rejected");
    let event = world.store.arrivals().pop().unwrap();
    assert_eq!(event.actor.as_deref(), Some("ada"));
    let OrderEvent::PaymentFailed(failed) = world.last() else {
        panic!("{:?}", world.last().event_type());
    };
    assert_eq!(failed.decision.as_deref(), Some("seen in the dashboard"));
    // The gateway knows better, later: the charge is given back, once.
    for _ in 0..2 {
        world
            .tell("webhook", &Telling::Gateway(paid()))
            .await
            .unwrap();
    }
    assert_eq!(world.count("PaymentRefunded"), 1);
    assert_eq!(*world.gateway.0.lock().unwrap(), ["refund-pi_1"]);
}

#[tokio::test]
async fn a_decision_against_what_was_settled_is_refused_and_changes_nothing() {
    let world = World::reserved().await;
    world
        .tell("charge", &Telling::Gateway(paid()))
        .await
        .unwrap();
    let other = ChargeOutcome::Approved(Some(PaymentId("pi_2".into())));
    for decision in [failed(), other] {
        let refused = world.tell("ada", &decided(decision)).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "order 1: the payment was settled before (paid as pi_1), and the decision says otherwise"
        );
    }
    assert_eq!(world.store.arrivals().len(), 3);
    assert!(world.gateway.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_second_charge_is_given_back_and_the_first_one_stands_until_it_is_due() {
    let world = World::reserved().await;
    world
        .tell("charge", &Telling::Gateway(paid()))
        .await
        .unwrap();
    let second = Telling::Gateway(ChargeOutcome::Approved(Some(PaymentId("pi_2".into()))));
    let settled = world.tell("webhook", &second).await.unwrap();
    assert_eq!(settled.refunded, Some(PaymentId("pi_2".into())));
    assert_eq!(settled.status, "confirmed");

    world.cancel("customer").await;
    let settled = world.tell("webhook", &second).await.unwrap();
    assert_eq!(settled.status, "cancelled");
    assert_eq!(world.count("PaymentRefunded"), 0, "the first is still due");
    world.refund_cancelled("customer").await;
    assert_eq!(world.count("PaymentRefunded"), 1);
    assert_eq!(
        *world.gateway.0.lock().unwrap(),
        ["refund-pi_2", "refund-pi_2", "refund-pi_1"]
    );
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::GatewayPaid),
        Just(Step::GatewayFailed),
        Just(Step::OperatorPaid),
        Just(Step::OperatorFailed),
        Just(Step::Cancel),
        Just(Step::RefundCancelled),
    ]
}

proptest! {
    #[test]
    fn whatever_is_told_in_whatever_order_the_money_is_where_it_belongs(
        steps in proptest::collection::vec(any_step(), 1..12)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let world = runtime.block_on(async {
            let world = World::reserved().await;
            for (number, step) in steps.iter().enumerate() {
                world.take(*step, number).await;
            }
            // Each message is delivered in the end.
            world.refund_cancelled("end").await;
            world
        });
        let charged = steps.iter()
            .any(|step| matches!(step, Step::GatewayPaid | Step::OperatorPaid));
        let delivered = match runtime.block_on(world.state()) {
            Order::Confirmed { .. } => true,
            Order::Reserved { .. } => {
                prop_assert!(!charged);
                return Ok(());
            }
            _ => false,
        };
        prop_assert!(world.count("PaymentProcessed") <= 1);
        prop_assert!(world.count("PaymentProcessed") + world.count("PaymentFailed") <= 1);
        let owed = charged && !delivered;
        prop_assert_eq!(world.count("PaymentRefunded"), usize::from(owed));
        let refunds = world.gateway.0.lock().unwrap();
        prop_assert_eq!(refunds.is_empty(), !owed);
        prop_assert!(refunds.iter().all(|key| key == "refund-pi_1"));
    }
}
