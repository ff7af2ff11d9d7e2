use std::sync::Arc;

use event_sourcing::contract;

use crate::faults::Fault;
use crate::functions::HOSTED;
use crate::life::{Life, live};
use crate::model;
use crate::mutants::Mutant;
use crate::runner::{HUNTED, Run, hunt};
use crate::wiring::Wiring;
use crate::world::store::Store;
use crate::world::{Plan, World};

fn plan(seed: u64, orders: usize) -> Plan {
    Plan {
        seed,
        orders,
        faults: Fault::ALL.to_vec(),
        mutant: None,
        trace: true,
    }
}

fn life(seed: u64) -> Life {
    live(&plan(seed, 20), &Wiring::of_template().unwrap()).unwrap()
}

#[test]
fn every_function_that_the_template_calls_is_simulated() {
    let wiring = Wiring::of_template().unwrap();
    for program in wiring.called() {
        assert!(HOSTED.contains(&program), "{program} is not simulated");
    }
    assert!(wiring.called().count() >= 10);
    let minutes = |program: &str| {
        let mut schedules = wiring.schedules.iter();
        let schedule = schedules.find(|one| one.program == program);
        schedule.map(|one| one.every.as_secs() / 60)
    };
    assert_eq!(minutes("redrive-dlq"), Some(1));
    assert_eq!(minutes("sweep-orders"), Some(1));
    assert_eq!(minutes("reconcile-events"), Some(60));
}

#[test]
fn two_thousand_orders_keep_every_invariant_whatever_goes_wrong() {
    let run = Run {
        seed: 2,
        orders: 2_000,
        faults: Fault::ALL.to_vec(),
        mutant: None,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    };
    let report = run.go(&Wiring::of_template().unwrap(), |_| {}).unwrap();
    assert!(report.broken.is_empty(), "{:#?}", report.broken);
    assert_eq!(report.orders, 2_000);
    for (fault, count) in report.faults.iter() {
        assert!(count > 0, "{} never happened", fault.name());
    }
}

#[test]
fn the_same_seed_is_the_same_world_to_the_last_step() {
    for seed in 1..6 {
        let (first, second) = (life(seed), life(seed));
        assert_eq!(first.trace, second.trace, "seed {seed}");
        assert_eq!((first.hash, first.steps), (second.hash, second.steps));
        assert_ne!(first.hash, life(seed + 100).hash);
    }
}

#[test]
fn without_faults_nothing_is_repeated() {
    let plan = Plan {
        faults: Vec::new(),
        ..plan(1, 20)
    };
    let life = live(&plan, &Wiring::of_template().unwrap()).unwrap();
    assert_eq!(life.violations, Vec::<String>::new());
    assert_eq!((life.faults.total(), life.orders), (0, 20));
}

#[test]
fn every_planted_bug_is_caught() {
    let wiring = Wiring::of_template().unwrap();
    let survivors: Vec<_> = Mutant::ALL
        .iter()
        .filter(|mutant| hunt(**mutant, 1, HUNTED, &wiring).unwrap().by.is_none())
        .map(|mutant| mutant.name())
        .collect();
    assert_eq!(survivors, Vec::<&str>::new());
    assert!(Mutant::ALL.len() >= 12);
}

#[test]
fn one_order_is_right_in_every_state_that_it_can_come_to() {
    let checked = model::check(model::FAULTS, true).unwrap();
    assert_eq!(checked.wrong, Vec::<String>::new());
    assert!(checked.states > 10_000, "{} states", checked.states);
    assert!(checked.ends > 10, "{} ends", checked.ends);
    println!("{} states, {} steps", checked.states, checked.steps);
}

#[test]
fn an_order_whose_message_is_dropped_for_good_is_found_by_the_model() {
    let checked = model::check(1, false).unwrap();
    assert!(
        checked
            .wrong
            .iter()
            .any(|wrong| wrong.contains("ends unsettled"))
    );
    assert!(
        checked
            .wrong
            .iter()
            .any(|wrong| wrong.contains("holds stock"))
    );
    assert!(
        checked
            .wrong
            .iter()
            .any(|wrong| wrong.contains("not refunded"))
    );
}

#[tokio::test(start_paused = true)]
async fn the_simulated_store_keeps_the_contract() {
    let plan = Plan {
        faults: Vec::new(),
        ..plan(1, 0)
    };
    let world = World::new(&plan, Wiring::of_template().unwrap());
    contract::check(&Store::new(&Arc::clone(&world))).await;
}
