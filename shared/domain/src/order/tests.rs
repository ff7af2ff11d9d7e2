use super::*;
use crate::ids::{OrderId, Sku, UserId};
use crate::inventory::{ShortageReason, StockMove};
use crate::money::{Amount, Currency};
use event_sourcing::decider::Event as _;
use proptest::prelude::*;

pub(super) const GRACE: SignedDuration = SignedDuration::from_secs(600);

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(super) fn terms() -> Terms {
    Terms {
        order_id: OrderId::parse("67890").unwrap(),
        user_id: UserId::parse("abc123").unwrap(),
        total_amount: Amount::parse("150.75").unwrap(),
        currency: Currency::USD,
        contact: None,
        sealed_contact: None,
        payment: None,
    }
}

fn an_order() -> OrderPlaced {
    OrderPlaced {
        terms: terms(),
        items: vec![OrderLine {
            sku: Sku::parse("tea").unwrap(),
            quantity: 3,
            unit_price: Amount::parse("50.25").unwrap(),
        }],
    }
}

pub(super) fn changes(quantity: i64) -> Vec<StockChange> {
    vec![StockChange {
        sku: Sku::parse("tea").unwrap(),
        quantity,
    }]
}

pub(super) fn charge() -> PaymentId {
    PaymentId("ch_1".into())
}

fn shortages() -> Vec<Shortage> {
    vec![Shortage {
        sku: Sku::parse("tea").unwrap(),
        reason: ShortageReason::OutOfStock,
    }]
}

pub(super) fn placed() -> OrderEvent {
    OrderEvent::Placed(an_order())
}

pub(super) fn reserved() -> OrderEvent {
    OrderEvent::InventoryUpdated(InventoryUpdated {
        terms: terms(),
        reason: StockReason::Reserved,
        changes: changes(-3),
        placed_at: Some(at(0)),
    })
}

pub(super) fn released() -> OrderEvent {
    OrderEvent::InventoryUpdated(InventoryUpdated {
        terms: terms(),
        reason: StockReason::Released,
        changes: changes(3),
        placed_at: None,
    })
}

pub(super) fn out_of_stock() -> OrderEvent {
    OrderEvent::InventoryRejected(InventoryRejected {
        terms: terms(),
        shortages: shortages(),
    })
}

pub(super) fn paid() -> OrderEvent {
    OrderEvent::PaymentProcessed(PaymentProcessed {
        terms: terms(),
        payment_id: Some(charge()),
        decision: None,
        placed_at: Some(at(0)),
    })
}

pub(super) fn declined() -> OrderEvent {
    OrderEvent::PaymentFailed(PaymentFailed {
        terms: terms(),
        reason: "card_declined".into(),
        decision: None,
    })
}

pub(super) fn refunded() -> OrderEvent {
    OrderEvent::PaymentRefunded(PaymentRefunded {
        terms: terms(),
        payment_id: charge(),
    })
}

pub(super) fn cancelled() -> OrderEvent {
    OrderEvent::Cancelled(OrderCancelled {
        terms: terms(),
        reason: CancelReason::Requested,
    })
}

fn place() -> OrderCommand {
    OrderCommand::Place(an_order())
}

pub(super) fn approve() -> OrderCommand {
    OrderCommand::RecordPayment(ChargeOutcome::Approved(Some(charge())))
}

pub(super) fn decline() -> OrderCommand {
    OrderCommand::RecordPayment(ChargeOutcome::Declined("card_declined".into()))
}

pub(super) fn cancel_at(second: i64) -> OrderCommand {
    OrderCommand::Cancel {
        reason: CancelReason::Requested,
        at: at(second),
        grace: GRACE,
    }
}

pub(super) fn expire() -> OrderCommand {
    OrderCommand::Cancel {
        reason: CancelReason::Expired,
        at: at(0),
        grace: SignedDuration::ZERO,
    }
}

fn reject() -> OrderCommand {
    OrderCommand::RejectInventory(shortages())
}

fn refund() -> OrderCommand {
    OrderCommand::RecordRefund(charge())
}

struct Given(Order);

struct Decided(Result<Vec<OrderEvent>, OrderRejection>);

/// Events happen one second apart, from second 0 on.
fn given<const N: usize>(history: [OrderEvent; N]) -> Given {
    Given(Order::fold(
        history
            .iter()
            .zip(0..)
            .map(|(event, second)| (event, at(second))),
    ))
}

impl Given {
    fn when(&self, command: OrderCommand) -> Decided {
        Decided(Order::decide(&command, &self.0))
    }
}

impl Decided {
    #[track_caller]
    fn then<const N: usize>(self, events: [OrderEvent; N]) {
        assert_eq!(self.0, Ok(events.to_vec()));
    }

    #[track_caller]
    fn then_nothing(self) {
        assert_eq!(self.0, Ok(vec![]));
    }

    #[track_caller]
    fn then_rejected(self, rejection: OrderRejection) {
        assert_eq!(self.0, Err(rejection));
    }
}

// An absent order.

#[test]
fn an_absent_order_can_be_placed() {
    given([]).when(place()).then([placed()]);
}

#[test]
fn an_absent_order_can_do_nothing_else() {
    for command in [
        OrderCommand::Reserve,
        reject(),
        approve(),
        decline(),
        cancel_at(0),
        OrderCommand::Release,
        refund(),
    ] {
        given([])
            .when(command)
            .then_rejected(OrderRejection::Unknown);
    }
}

// A placed order.

#[test]
fn a_placed_order_placed_again_changes_nothing() {
    given([placed()]).when(place()).then_nothing();
}

#[test]
fn another_order_under_the_same_key_is_rejected_in_every_state() {
    let mut other = an_order();
    other.terms.total_amount = Amount::parse("1").unwrap();
    let other = || OrderCommand::Place(other.clone());
    for state in [
        given([placed()]),
        given([placed(), reserved()]),
        given([placed(), reserved(), paid()]),
        given([placed(), out_of_stock()]),
        given([placed(), cancelled()]),
    ] {
        state
            .when(other())
            .then_rejected(OrderRejection::DifferentOrder);
    }
}

#[test]
fn a_placed_order_is_reserved() {
    given([placed()])
        .when(OrderCommand::Reserve)
        .then([reserved()]);
}

#[test]
fn an_order_without_lines_reserves_nothing_and_goes_on() {
    let mut plain = an_order();
    plain.items.clear();
    let state = given([OrderEvent::Placed(plain)]);
    assert!(state.0.moves(&OrderCommand::Reserve).is_empty());
    let Ok(events) = state.when(OrderCommand::Reserve).0 else {
        panic!("it goes on");
    };
    assert!(matches!(&events[..],
        [OrderEvent::InventoryUpdated(updated)] if updated.changes.is_empty()));
}

#[test]
fn a_placed_order_is_rejected_when_its_stock_falls_short() {
    given([placed()]).when(reject()).then([out_of_stock()]);
}

#[test]
fn a_placed_order_is_cancelled() {
    given([placed()]).when(cancel_at(1)).then([cancelled()]);
}

#[test]
fn a_placed_order_is_not_paid_nor_undone() {
    for command in [approve(), decline(), OrderCommand::Release, refund()] {
        assert!(matches!(
            given([placed()]).when(command).0,
            Err(OrderRejection::OutOfTurn(_))
        ));
    }
}

// A reserved order.

#[test]
fn a_reserved_order_is_confirmed_by_its_payment() {
    given([placed(), reserved()]).when(approve()).then([paid()]);
}

#[test]
fn a_reserved_order_is_rejected_by_a_declined_payment() {
    given([placed(), reserved()])
        .when(decline())
        .then([declined()]);
}

#[test]
fn a_reserved_order_is_cancelled() {
    given([placed(), reserved()])
        .when(cancel_at(2))
        .then([cancelled()]);
}

#[test]
fn a_reserved_order_repeats_nothing() {
    for command in [place(), OrderCommand::Reserve, reject()] {
        given([placed(), reserved()]).when(command).then_nothing();
    }
}

#[test]
fn a_reserved_order_keeps_its_stock_and_has_no_charge_to_refund() {
    for command in [OrderCommand::Release, refund()] {
        assert!(matches!(
            given([placed(), reserved()]).when(command).0,
            Err(OrderRejection::OutOfTurn(_))
        ));
    }
}

// A confirmed order.

#[test]
fn a_confirmed_order_repeats_nothing() {
    for command in [
        place(),
        OrderCommand::Reserve,
        reject(),
        approve(),
        decline(),
    ] {
        given([placed(), reserved(), paid()])
            .when(command)
            .then_nothing();
    }
}

#[test]
fn a_confirmed_order_is_cancelled_within_the_grace() {
    // Confirmed at second 2; the last moment of the grace counts.
    given([placed(), reserved(), paid()])
        .when(cancel_at(602))
        .then([cancelled()]);
}

#[test]
fn a_confirmed_order_is_not_cancelled_after_the_grace() {
    given([placed(), reserved(), paid()])
        .when(cancel_at(603))
        .then_rejected(OrderRejection::TooLateToCancel {
            confirmed_at: at(2),
            until: at(602),
        });
}

#[test]
fn a_second_charge_of_a_confirmed_order_is_given_back() {
    let other = PaymentId("ch_2".into());
    given([placed(), reserved(), paid()])
        .when(OrderCommand::RecordPayment(ChargeOutcome::Approved(Some(
            other.clone(),
        ))))
        .then_rejected(OrderRejection::RefundDue(other));
}

#[test]
fn a_confirmed_order_keeps_its_stock_and_its_charge() {
    for command in [OrderCommand::Release, refund()] {
        assert!(matches!(
            given([placed(), reserved(), paid()]).when(command).0,
            Err(OrderRejection::OutOfTurn(_))
        ));
    }
}

// A rejected order.

#[test]
fn an_order_rejected_for_stock_has_nothing_to_release() {
    given([placed(), out_of_stock()])
        .when(OrderCommand::Release)
        .then_nothing();
}

#[test]
fn an_order_rejected_for_payment_releases_its_stock_once() {
    given([placed(), reserved(), declined()])
        .when(OrderCommand::Release)
        .then([released()]);
    given([placed(), reserved(), declined(), released()])
        .when(OrderCommand::Release)
        .then_nothing();
}

#[test]
fn a_rejected_order_repeats_nothing() {
    for command in [place(), OrderCommand::Reserve, reject(), decline()] {
        given([placed(), reserved(), declined()])
            .when(command)
            .then_nothing();
    }
}

#[test]
fn a_rejected_order_cannot_be_cancelled() {
    given([placed(), out_of_stock()])
        .when(cancel_at(2))
        .then_rejected(OrderRejection::AlreadyRejected);
}

#[test]
fn a_charge_that_arrives_after_the_rejection_is_given_back() {
    given([placed(), reserved(), declined()])
        .when(approve())
        .then_rejected(OrderRejection::RefundDue(charge()));
    given([placed(), reserved(), declined()])
        .when(refund())
        .then([refunded()]);
}

// A cancelled order.

#[test]
fn a_cancelled_order_repeats_nothing() {
    for command in [
        place(),
        OrderCommand::Reserve,
        reject(),
        decline(),
        cancel_at(9),
    ] {
        given([placed(), reserved(), cancelled()])
            .when(command)
            .then_nothing();
    }
}

#[test]
fn a_cancelled_order_releases_its_stock_once() {
    given([placed(), reserved(), cancelled()])
        .when(OrderCommand::Release)
        .then([released()]);
    given([placed(), cancelled()])
        .when(OrderCommand::Release)
        .then_nothing();
}

#[test]
fn a_cancelled_order_gives_its_charge_back_once() {
    let state = given([placed(), reserved(), paid(), cancelled()]);
    assert_eq!(state.0.refund_due(), Some(&charge()));
    state.when(refund()).then([refunded()]);

    let state = given([placed(), reserved(), paid(), cancelled(), refunded()]);
    assert_eq!(state.0.refund_due(), None);
    state.when(refund()).then_nothing();
}

#[test]
fn a_charge_that_crosses_the_cancellation_is_given_back() {
    given([placed(), reserved(), cancelled()])
        .when(approve())
        .then_rejected(OrderRejection::RefundDue(charge()));
    given([placed(), reserved(), cancelled(), refunded()])
        .when(approve())
        .then_nothing();
}

#[test]
fn a_second_charge_of_an_order_that_ended_is_given_back_and_the_first_stays_due() {
    let second = PaymentId("ch_2".into());
    for state in [
        given([placed(), reserved(), paid(), cancelled()]),
        given([placed(), reserved(), paid(), cancelled(), refunded()]),
    ] {
        state
            .when(OrderCommand::RecordPayment(ChargeOutcome::Approved(Some(
                second.clone(),
            ))))
            .then_rejected(OrderRejection::RefundDue(second.clone()));
        // The stream has the one charge that it was confirmed by.
        state
            .when(OrderCommand::RecordRefund(second.clone()))
            .then_rejected(OrderRejection::OutOfTurn(
                "another charge than this one is on record",
            ));
    }
}

#[test]
fn a_free_order_is_confirmed_and_cancelled_without_a_charge() {
    let free = || OrderCommand::RecordPayment(ChargeOutcome::Approved(None));
    let confirmed = OrderEvent::PaymentProcessed(PaymentProcessed {
        terms: terms(),
        payment_id: None,
        decision: None,
        placed_at: Some(at(0)),
    });
    given([placed(), reserved()])
        .when(free())
        .then([confirmed.clone()]);
    let state = given([placed(), reserved(), confirmed, cancelled()]);
    assert_eq!(state.0.refund_due(), None);
    state.when(free()).then_nothing();
}

// A payment that an operator settles.

fn resolve(outcome: ChargeOutcome) -> OrderCommand {
    OrderCommand::ResolvePayment {
        outcome,
        decision: "seen in the gateway's books".into(),
    }
}

fn resolve_as_paid(payment: &PaymentId) -> OrderCommand {
    resolve(ChargeOutcome::Approved(Some(payment.clone())))
}

fn resolve_as_failed() -> OrderCommand {
    resolve(ChargeOutcome::Declined("not_charged".into()))
}

#[test]
fn a_reserved_order_is_settled_by_a_decision_that_the_event_keeps() {
    let decision = Some("seen in the gateway's books".to_owned());
    given([placed(), reserved()])
        .when(resolve_as_paid(&charge()))
        .then([OrderEvent::PaymentProcessed(PaymentProcessed {
            terms: terms(),
            payment_id: Some(charge()),
            decision: decision.clone(),
            placed_at: Some(at(0)),
        })]);
    given([placed(), reserved()])
        .when(resolve_as_failed())
        .then([OrderEvent::PaymentFailed(PaymentFailed {
            terms: terms(),
            reason: "not_charged".into(),
            decision,
        })]);
}

#[test]
fn a_decision_that_says_what_is_settled_changes_nothing() {
    given([placed(), reserved(), paid()])
        .when(resolve_as_paid(&charge()))
        .then_nothing();
    given([placed(), reserved(), paid(), cancelled(), refunded()])
        .when(resolve_as_paid(&charge()))
        .then_nothing();
    for end in [declined(), cancelled()] {
        given([placed(), reserved(), end])
            .when(resolve_as_failed())
            .then_nothing();
    }
}

#[test]
fn a_decision_against_what_is_settled_is_refused() {
    let otherwise = || OrderRejection::SettledOtherwise("paid as ch_1".into());
    let other = PaymentId("ch_2".into());
    for state in [
        given([placed(), reserved(), paid()]),
        given([placed(), reserved(), paid(), cancelled()]),
        given([placed(), reserved(), paid(), cancelled(), refunded()]),
    ] {
        state.when(resolve_as_failed()).then_rejected(otherwise());
        state
            .when(resolve_as_paid(&other))
            .then_rejected(otherwise());
    }
}

#[test]
fn a_charge_that_a_decision_finds_after_the_end_is_given_back() {
    for end in [declined(), cancelled()] {
        given([placed(), reserved(), end])
            .when(resolve_as_paid(&charge()))
            .then_rejected(OrderRejection::RefundDue(charge()));
    }
}

#[test]
fn nothing_is_decided_of_an_order_without_a_reservation() {
    given([])
        .when(resolve_as_failed())
        .then_rejected(OrderRejection::Unknown);
    assert!(matches!(
        given([placed()]).when(resolve_as_paid(&charge())).0,
        Err(OrderRejection::OutOfTurn(_))
    ));
}

// Properties.

pub(super) fn any_command() -> impl Strategy<Value = OrderCommand> {
    prop_oneof![
        Just(place()),
        Just(OrderCommand::Reserve),
        Just(reject()),
        Just(approve()),
        Just(OrderCommand::RecordPayment(ChargeOutcome::Approved(None))),
        Just(decline()),
        Just(resolve_as_paid(&charge())),
        Just(resolve_as_failed()),
        (0_i64..1300).prop_map(cancel_at),
        Just(expire()),
        Just(OrderCommand::Release),
        Just(refund()),
    ]
}

/// Runs commands as `execute` does and gives the history with the stock moves of each event.
pub(super) fn run(commands: &[OrderCommand]) -> Vec<(OrderEvent, Vec<StockMove>)> {
    let mut history: Vec<(OrderEvent, Vec<StockMove>)> = Vec::new();
    for command in commands {
        let state = fold(&history);
        for event in Order::decide(command, &state).unwrap_or_default() {
            history.push((event, state.moves(command)));
        }
    }
    history
}

fn fold(history: &[(OrderEvent, Vec<StockMove>)]) -> Order {
    Order::fold(
        history
            .iter()
            .zip(0..)
            .map(|((event, _), second)| (event, at(second))),
    )
}

proptest! {
    #[test]
    fn any_sequence_of_commands_keeps_the_invariants(
        commands in proptest::collection::vec(any_command(), 0..40)
    ) {
        let history = run(&commands);
        let count = |wanted: &str| history.iter()
            .filter(|(event, _)| event.event_type() == wanted).count();
        // One acceptance, one charge, one refund, one end.
        for once in ["OrderPlaced", "PaymentProcessed", "PaymentRefunded", "OrderCancelled"] {
            prop_assert!(count(once) <= 1, "{once} {}", count(once));
        }
        prop_assert!(count("InventoryRejected") + count("PaymentFailed") <= 1);
        // What is held follows from the moves: nothing below zero, nothing given back twice.
        let mut held = 0_i64;
        for (_, moves) in &history {
            for stock_move in moves {
                match stock_move {
                    StockMove::Reserve { quantity, .. } => held += i64::from(*quantity),
                    StockMove::Release { quantity, .. } => held -= i64::from(*quantity),
                    StockMove::Restock { .. } => prop_assert!(false, "no order restocks"),
                }
                prop_assert!((0..=3).contains(&held));
            }
        }
        // The events say the same as the moves.
        let told: i64 = history.iter().map(|(event, _)| match event {
            OrderEvent::InventoryUpdated(updated) =>
                updated.changes.iter().map(|change| change.quantity).sum(),
            _ => 0,
        }).sum();
        prop_assert_eq!(told, -held);
        // An order that ended undelivered and has been cleaned up holds nothing.
        if let Order::Rejected { aftermath, .. } | Order::Cancelled { aftermath, .. } = fold(&history) {
            prop_assert_eq!(held == 0, aftermath.stock == HeldStock::Free);
        }
    }

    #[test]
    fn folding_is_deterministic_and_survives_json(
        commands in proptest::collection::vec(any_command(), 0..40)
    ) {
        let history = run(&commands);
        let through_json: Vec<_> = history.iter().map(|(event, moves)| {
            let text = event.to_data().unwrap().to_string();
            let data: serde_json::Value = serde_json::from_str(&text).unwrap();
            let event = OrderEvent::from_data(event.event_type(), &data).unwrap().unwrap();
            (event, moves.clone())
        }).collect();
        prop_assert_eq!(fold(&history), fold(&through_json));
    }

    #[test]
    fn the_triggered_step_decides_the_same_from_the_event_as_from_the_stream(
        commands in proptest::collection::vec(any_command(), 0..40),
        outcome in prop_oneof![Just(approve()), Just(decline())],
    ) {
        let history = run(&commands);
        let Some((trigger, _)) = history.last() else { return Ok(()); };
        let Some(shortcut) = Order::after(trigger, at(0)) else { return Ok(()); };
        let folded = fold(&history);
        let step = match trigger {
            OrderEvent::Placed(_) => OrderCommand::Reserve,
            _ => outcome,
        };
        prop_assert_eq!(Order::decide(&step, &shortcut), Order::decide(&step, &folded));
        prop_assert_eq!(shortcut.moves(&step), folded.moves(&step));
    }

    #[test]
    fn amounts_keep_every_digit_through_json(whole in 0_u64..1_000_000_000, cents in 0_u8..100) {
        let text = format!("{whole}.{cents:02}");
        let mut order = an_order();
        order.terms.total_amount = Amount::parse(&text).unwrap();
        let data = OrderEvent::Placed(order.clone()).to_data().unwrap();
        let back = OrderEvent::from_data("OrderPlaced",
            &serde_json::from_str(&data.to_string()).unwrap()).unwrap();
        prop_assert_eq!(back, Some(OrderEvent::Placed(order)));
    }
}

#[test]
fn the_plain_event_of_other_producers_parses_as_it_is() {
    let data: serde_json::Value =
        serde_json::from_str(r#"{"orderId": "67890", "userId": "abc123", "totalAmount": 150.75}"#)
            .unwrap();
    let plain = OrderPlaced {
        terms: terms(),
        items: vec![],
    };
    assert_eq!(
        OrderEvent::from_data("OrderPlaced", &data).unwrap(),
        Some(OrderEvent::Placed(plain))
    );
    assert_eq!(OrderEvent::from_data("Unheard", &data).unwrap(), None);
}
