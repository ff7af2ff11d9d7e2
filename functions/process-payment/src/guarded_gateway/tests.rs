use super::*;
use crate::simulated_gateway::SimulatedGateway;
use domain::ids::OrderId;
use domain::money::{Amount, Currency};
use event_sourcing::failure::Failure;
use jiff::{SignedDuration, Timestamp};

/// Asks are counted; the time is what the test says.
#[derive(Default)]
struct Counting {
    gateway: SimulatedGateway,
    asked: Mutex<usize>,
}

impl PaymentGateway for &Counting {
    async fn charge(&self, charge: &Charge) -> Result<ChargeOutcome, GatewayError> {
        *self.asked.lock().unwrap() += 1;
        self.gateway.charge(charge).await
    }

    async fn look_up(&self, charge: &Charge) -> Result<Option<ChargeOutcome>, GatewayError> {
        self.gateway.look_up(charge).await
    }

    async fn refund(&self, refund: &Refund) -> Result<(), GatewayError> {
        self.gateway.refund(refund).await
    }
}

struct SetClock(Mutex<Timestamp>);

impl Clock for &SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

impl SetClock {
    fn advance(&self, seconds: i64) {
        *self.0.lock().unwrap() += SignedDuration::from_secs(seconds);
    }
}

fn charge(order: &str, token: &str) -> Charge {
    Charge {
        key: format!("charge-{order}"),
        order_id: OrderId::parse(order).unwrap(),
        amount: Amount::parse("1").unwrap(),
        currency: Currency::USD,
        token: Some(token.into()),
    }
}

#[tokio::test]
async fn a_gateway_that_is_down_is_not_asked_until_a_probe_gets_through() {
    let counting = Counting::default();
    let clock = SetClock(Mutex::new(Timestamp::UNIX_EPOCH));
    let gateway = GuardedGateway::new(&counting, &clock);
    for order in ["1", "2", "3"] {
        let down = gateway.charge(&charge(order, "tok_outage")).await;
        assert!(matches!(down, Err(GatewayError::Down(_))));
    }
    for _ in 0..10 {
        let answer = gateway.charge(&charge("4", "tok_visa")).await.unwrap_err();
        assert!(matches!(answer, GatewayError::NotAsked { .. }));
        assert!(matches!(Failure::from(answer), Failure::Waiting(_)));
    }
    assert_eq!(*counting.asked.lock().unwrap(), 3, "nothing is charged");
    clock.advance(10);
    assert!(gateway.charge(&charge("4", "tok_visa")).await.is_ok());
    assert!(gateway.charge(&charge("5", "tok_visa")).await.is_ok());
}

#[tokio::test]
async fn an_order_of_which_the_outcome_stays_unknown_holds_up_no_other() {
    let counting = Counting::default();
    let clock = SetClock(Mutex::new(Timestamp::UNIX_EPOCH));
    let gateway = GuardedGateway::new(&counting, &clock);
    for _ in 0..20 {
        let unknown = gateway.charge(&charge("1", "tok_timeout")).await;
        assert!(matches!(unknown, Err(GatewayError::Unknown(_))));
    }
    assert!(gateway.charge(&charge("2", "tok_visa")).await.is_ok());
}

#[tokio::test]
async fn a_declined_charge_is_an_answer_of_a_gateway_that_is_up() {
    let counting = Counting::default();
    let clock = SetClock(Mutex::new(Timestamp::UNIX_EPOCH));
    let gateway = GuardedGateway::new(&counting, &clock);
    for order in ["1", "2"] {
        let _ = gateway.charge(&charge(order, "tok_outage")).await;
    }
    assert!(gateway.charge(&charge("3", "tok_declined")).await.is_ok());
    let _ = gateway.charge(&charge("4", "tok_outage")).await;
    assert!(gateway.charge(&charge("5", "tok_visa")).await.is_ok());
}

#[tokio::test]
async fn dead_letters_that_fail_for_their_own_reasons_hold_up_neither_each_other_nor_new_orders() {
    let counting = Counting::default();
    let clock = SetClock(Mutex::new(Timestamp::UNIX_EPOCH));
    let gateway = GuardedGateway::new(&counting, &clock);
    for order in ["1", "2", "3", "4"] {
        let unknown = redriven(gateway.charge(&charge(order, "tok_timeout"))).await;
        assert!(matches!(unknown, Err(GatewayError::Unknown(_))));
    }
    assert!(gateway.charge(&charge("5", "tok_visa")).await.is_ok());
}

#[tokio::test]
async fn a_dead_letter_that_gets_through_tells_that_the_gateway_is_back() {
    let counting = Counting::default();
    let clock = SetClock(Mutex::new(Timestamp::UNIX_EPOCH));
    let gateway = GuardedGateway::new(&counting, &clock);
    for order in ["1", "2", "3"] {
        let _ = gateway.charge(&charge(order, "tok_outage")).await;
    }
    let not_asked = gateway.charge(&charge("4", "tok_visa")).await;
    assert!(matches!(not_asked, Err(GatewayError::NotAsked { .. })));
    let paid = redriven(gateway.charge(&charge("5", "tok_visa"))).await;
    assert!(paid.is_ok());
    assert!(gateway.charge(&charge("4", "tok_visa")).await.is_ok());
}

#[tokio::test]
async fn an_order_whose_own_charge_opened_the_breaker_is_never_said_not_to_have_been_asked_for() {
    let counting = Counting::default();
    let clock = SetClock(Mutex::new(Timestamp::UNIX_EPOCH));
    let gateway = GuardedGateway::new(&counting, &clock);
    for order in ["1", "2", "3", "3", "3"] {
        let unknown = gateway.charge(&charge(order, "tok_timeout")).await;
        assert!(matches!(unknown, Err(GatewayError::Unknown(_))), "{order}");
    }
}
