use super::*;
use proptest::prelude::*;

const POLICY: Policy = Policy {
    orders: 3,
    first: SignedDuration::from_secs(10),
    longest: SignedDuration::from_secs(40),
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

/// Opened at second 0.
fn an_open_one() -> CircuitBreaker {
    let mut breaker = CircuitBreaker::new(POLICY);
    for order in ["1", "2", "3"] {
        breaker.failed(order, at(0));
    }
    breaker
}

#[test]
fn it_opens_after_failures_of_several_orders_in_a_row() {
    let mut breaker = CircuitBreaker::new(POLICY);
    for (order, opens) in [("1", false), ("2", false), ("3", true)] {
        assert_eq!(breaker.admit(order, at(0)), Ok(()));
        assert_eq!(breaker.failed(order, at(0)), opens);
    }
    assert_eq!(breaker.admit("x", at(9)), Err(at(10)));
}

#[test]
fn one_order_that_fails_for_ever_does_not_open_it() {
    let mut breaker = CircuitBreaker::new(POLICY);
    for second in 0..100 {
        assert!(!breaker.failed("1", at(second)));
    }
    assert_eq!(breaker.admit("x", at(100)), Ok(()));
}

#[test]
fn a_success_between_failures_keeps_it_closed() {
    let mut breaker = CircuitBreaker::new(POLICY);
    for order in 0..100 {
        assert!(!breaker.failed(&order.to_string(), at(0)));
        if order % 2 == 1 {
            breaker.succeeded();
        }
    }
    assert_eq!(breaker.admit("x", at(0)), Ok(()));
}

#[test]
fn after_the_cool_down_one_probe_goes_through_and_no_other() {
    let mut breaker = an_open_one();
    assert_eq!(breaker.admit("4", at(10)), Ok(()));
    assert_eq!(breaker.admit("5", at(10)), Err(at(20)));
}

#[test]
fn a_probe_that_succeeds_closes_it() {
    let mut breaker = an_open_one();
    assert_eq!(breaker.admit("x", at(10)), Ok(()));
    breaker.succeeded();
    assert_eq!(breaker, CircuitBreaker::new(POLICY));
}

#[test]
fn a_probe_that_fails_doubles_the_cool_down_up_to_the_longest() {
    let mut breaker = an_open_one();
    let mut now = 10;
    for (order, cool_down) in [("4", 20), ("5", 40), ("6", 40)] {
        assert_eq!(breaker.admit(order, at(now)), Ok(()));
        assert!(breaker.failed(order, at(now)));
        now += cool_down;
        assert_eq!(breaker.admit("x", at(now - 1)), Err(at(now)));
    }
}

/// What became of its charge may be unknown: nobody may say then that the gateway was not asked.
#[test]
fn an_order_that_went_through_goes_through_again_and_counts_once() {
    let mut breaker = an_open_one();
    assert_eq!(breaker.admit("3", at(1)), Ok(()), "it opened it");
    assert_eq!(breaker.admit("4", at(10)), Ok(()));
    assert!(breaker.failed("4", at(10)));
    for second in 11..29 {
        assert_eq!(breaker.admit("4", at(second)), Ok(()));
        assert!(!breaker.failed("4", at(second)));
        assert_eq!(breaker.admit("5", at(second)), Err(at(30)));
    }
    assert_eq!(breaker.admit("5", at(30)), Ok(()));
    assert_eq!(breaker.admit("4", at(30)), Err(at(50)));
}

#[test]
fn a_probe_that_never_tells_is_followed_by_another() {
    let mut breaker = an_open_one();
    assert_eq!(breaker.admit("4", at(10)), Ok(()));
    assert_eq!(breaker.admit("5", at(19)), Err(at(20)));
    assert_eq!(breaker.admit("5", at(20)), Ok(()));
}

#[test]
fn a_clock_that_is_set_back_does_not_hold_it_open() {
    let mut breaker = an_open_one();
    assert_eq!(breaker.admit("x", at(-1000)), Ok(()));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Call { order: u8, succeeds: bool },
    Wait(i64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_u8..6, prop::bool::weighted(0.2))
            .prop_map(|(order, succeeds)| Step::Call { order, succeeds }),
        (0_i64..30).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn it_never_holds_anybody_up_for_longer_than_the_longest_cool_down(
        steps in proptest::collection::vec(any_step(), 0..60)
    ) {
        let mut breaker = CircuitBreaker::new(POLICY);
        let mut second = 0;
        let mut failing = BTreeSet::new();
        for step in steps {
            match step {
                Step::Wait(seconds) => second += seconds,
                Step::Call { order, succeeds } => match breaker.admit(&order.to_string(), at(second)) {
                    Ok(()) if succeeds => {
                        breaker.succeeded();
                        failing.clear();
                    }
                    Ok(()) => {
                        breaker.failed(&order.to_string(), at(second));
                        failing.insert(order);
                    }
                    Err(until) => {
                        prop_assert!(failing.len() >= POLICY.orders);
                        prop_assert!(until > at(second));
                        prop_assert!(until <= at(second + 40));
                    }
                },
            }
        }
        prop_assert_eq!(breaker.admit("x", at(second + 40)), Ok(()));
    }
}
