use super::tests::{
    any_command, approve, at, cancelled, charge, declined, expire, out_of_stock, paid, placed,
    refunded, released, reserved, run,
};
use super::*;
use proptest::prelude::*;

const PATIENCE: Patience = Patience {
    stuck_after: SignedDuration::from_secs(300),
    payment_deadline: SignedDuration::from_hours(24),
};
/// Long enough after the events of these tests to be stuck, short enough to be paid.
const STUCK: i64 = 1000;
/// Past the deadline.
const TOO_LATE: i64 = 100_000;

/// Events one second apart.
fn history(events: &[OrderEvent]) -> Vec<(OrderEvent, Timestamp)> {
    events.iter().cloned().zip((0..).map(at)).collect()
}

fn swept<const N: usize>(events: [OrderEvent; N], second: i64) -> Sweep {
    PATIENCE.sweep(&history(&events), at(second))
}

#[test]
fn an_order_with_nothing_left_to_do_is_left_alone() {
    for settled in [
        vec![],
        vec![placed(), out_of_stock()],
        vec![placed(), cancelled()],
        vec![placed(), reserved(), paid()],
        vec![placed(), reserved(), declined(), released()],
        vec![placed(), reserved(), cancelled(), released()],
        vec![
            placed(),
            reserved(),
            paid(),
            cancelled(),
            released(),
            refunded(),
        ],
        vec![
            placed(),
            reserved(),
            paid(),
            cancelled(),
            refunded(),
            released(),
        ],
        vec![placed(), reserved(), cancelled(), refunded(), released()],
    ] {
        let swept = PATIENCE.sweep(&history(&settled), at(TOO_LATE));
        assert_eq!(swept, Sweep::Settled, "{settled:?}");
    }
}

#[test]
fn the_event_that_somebody_still_has_to_act_on_is_published_again() {
    for (open, index) in [
        (vec![placed()], 0),
        (vec![placed(), reserved()], 1),
        (vec![placed(), reserved(), declined()], 2),
        (vec![placed(), reserved(), cancelled()], 2),
        (vec![placed(), reserved(), paid(), cancelled()], 3),
        // Not the last event: one of the two who act on the end has.
        (
            vec![placed(), reserved(), paid(), cancelled(), released()],
            3,
        ),
        (
            vec![placed(), reserved(), paid(), cancelled(), refunded()],
            3,
        ),
        (vec![placed(), reserved(), cancelled(), refunded()], 2),
    ] {
        let swept = PATIENCE.sweep(&history(&open), at(STUCK));
        assert_eq!(swept, Sweep::PublishAgain(index), "{open:?}");
    }
}

#[test]
fn an_order_that_moved_a_short_while_ago_is_left_alone_whatever_its_deadline() {
    assert_eq!(swept([placed()], 299), Sweep::Moving);
    assert_eq!(swept([placed()], 300), Sweep::PublishAgain(0));
    let late = [(placed(), at(0)), (reserved(), at(TOO_LATE))];
    assert_eq!(PATIENCE.sweep(&late, at(TOO_LATE + 299)), Sweep::Moving);
    assert_eq!(PATIENCE.sweep(&late, at(TOO_LATE + 300)), Sweep::Expire);
}

#[test]
fn an_event_of_the_far_future_did_not_happen_a_short_while_ago() {
    let odd = [(placed(), at(10 * TOO_LATE))];
    assert_eq!(PATIENCE.sweep(&odd, at(0)), Sweep::PublishAgain(0));
}

#[test]
fn only_an_order_that_is_still_to_be_paid_expires() {
    assert_eq!(swept([placed()], 86_399), Sweep::PublishAgain(0));
    assert_eq!(swept([placed()], 86_400), Sweep::Expire);
    assert_eq!(swept([placed(), reserved()], TOO_LATE), Sweep::Expire);
    let ended = [placed(), reserved(), declined()];
    assert_eq!(swept(ended, TOO_LATE), Sweep::PublishAgain(2));
}

#[test]
fn an_order_that_is_paid_at_the_last_moment_does_not_expire() {
    let order = fold(&[placed(), reserved(), paid()]);
    assert_eq!(Order::decide(&expire(), &order), Ok(vec![]));
}

/// Nobody knew what became of the payment when the order expired; the gateway had charged.
#[test]
fn a_charge_that_turns_up_after_the_order_expired_is_given_back() {
    let mut events = vec![placed(), reserved()];
    events.extend(Order::decide(&expire(), &fold(&events)).unwrap());
    let OrderEvent::Cancelled(expired) = &events[2] else {
        panic!("it expires");
    };
    assert_eq!(expired.reason, CancelReason::Expired);
    events.push(released());
    let due = Err(OrderRejection::RefundDue(charge()));
    assert_eq!(Order::decide(&approve(), &fold(&events)), due);
    events.push(refunded());
    assert!(fold(&events).is_settled());
    assert_eq!(Order::decide(&approve(), &fold(&events)), Ok(vec![]));
}

#[test]
fn the_wait_doubles_up_to_a_limit_and_ends_at_the_deadline() {
    let open = history(&[placed(), reserved(), declined()]);
    let wait = |healed| {
        let later = PATIENCE.look_again(&open, healed, at(STUCK));
        later.duration_since(at(STUCK)).as_secs()
    };
    assert_eq!([0, 1, 2, 3].map(wait), [300, 600, 1200, 2400]);
    assert_eq!([7, 200, u32::MAX].map(wait), [21_600; 3]);
    let unpaid = history(&[placed()]);
    let look = PATIENCE.look_again(&unpaid, 6, at(80_000));
    assert_eq!(look, at(86_400));
    let late = PATIENCE.look_again(&unpaid, 0, at(TOO_LATE));
    assert_eq!(late, at(TOO_LATE + 300));
}

fn fold(events: &[OrderEvent]) -> Order {
    Order::fold(events.iter().zip((0..).map(at)))
}

/// What those who act on an event want of its order, if the gateway says `outcome`.
fn consumers(event: &OrderEvent, outcome: &OrderCommand, order: &Order) -> Vec<OrderCommand> {
    let refund = order.refund_due().cloned().map(OrderCommand::RecordRefund);
    match event {
        OrderEvent::Placed(_) => vec![OrderCommand::Reserve],
        OrderEvent::InventoryUpdated(updated) if updated.reason == StockReason::Reserved => {
            vec![outcome.clone()]
        }
        OrderEvent::PaymentFailed(_) => vec![OrderCommand::Release],
        OrderEvent::Cancelled(_) => {
            let release = std::iter::once(OrderCommand::Release);
            release.chain(refund).collect()
        }
        _ => vec![],
    }
}

fn any_outcome() -> impl Strategy<Value = OrderCommand> {
    prop_oneof![Just(approve()), Just(super::tests::decline())]
}

proptest! {
    #[test]
    fn sweeps_end_every_order_and_never_touch_a_settled_one(
        commands in proptest::collection::vec(any_command(), 0..40),
        outcome in any_outcome(),
    ) {
        let mut events: Vec<_> = run(&commands).into_iter().map(|(event, _)| event).collect();
        // An order has at most two ends that are acted on, so it takes few sweeps.
        for _ in 0..5 {
            let order = fold(&events);
            let swept = PATIENCE.sweep(&history(&events), at(STUCK));
            prop_assert_eq!(swept == Sweep::Settled, order.is_settled());
            let Sweep::PublishAgain(index) = swept else { break };
            let before = events.len();
            for command in consumers(&events[index].clone(), &outcome, &order) {
                let order = fold(&events);
                let decided = Order::decide(&command, &order);
                prop_assert!(decided.is_ok(), "{decided:?}");
                events.extend(decided.unwrap_or_default());
            }
            prop_assert!(events.len() > before, "no progress from {:?}", events.last());
        }
        prop_assert!(fold(&events).is_settled(), "{:?}", fold(&events));
    }

    #[test]
    fn an_order_that_expires_gives_everything_back(
        commands in proptest::collection::vec(any_command(), 0..40),
    ) {
        let mut events: Vec<_> = run(&commands).into_iter().map(|(event, _)| event).collect();
        if PATIENCE.sweep(&history(&events), at(TOO_LATE)) != Sweep::Expire {
            return Ok(());
        }
        for command in [expire(), OrderCommand::Release] {
            events.extend(Order::decide(&command, &fold(&events)).unwrap_or_default());
        }
        let expired = fold(&events);
        prop_assert!(matches!(expired, Order::Cancelled { .. }), "{expired:?}");
        prop_assert!(expired.is_settled());
    }

    #[test]
    fn what_an_event_alone_says_of_being_settled_is_what_the_stream_says(
        commands in proptest::collection::vec(any_command(), 0..40),
    ) {
        let history = run(&commands);
        let events: Vec<_> = history.into_iter().map(|(event, _)| event).collect();
        for until in 1..=events.len() {
            if let Some(settled) = Order::is_settled_after(&events[until - 1]) {
                prop_assert_eq!(settled, fold(&events[..until]).is_settled());
            }
        }
    }
}
