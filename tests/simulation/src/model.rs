//! The saga of one order, checked in every state that it can come to.
//!
//! The decisions are those of the real code (`Order::decide`, `evolve`, `moves`). Around them are
//! the order's messages, the gateway and the stock, small enough to enumerate: every interleaving
//! of every step, with duplicated and dropped messages, processes that end between asking the
//! gateway and appending, answers of the gateway that are lost, fresh triggers and old ones. What
//! is dropped comes again, as redrives and sweeps make it.
//!
//! [`state`] says what a state is, [`steps`] what can happen in it, [`safety`] what must hold.

pub mod safety;
pub mod state;
pub mod steps;

use std::collections::HashMap;
use std::collections::VecDeque;
use std::collections::hash_map::Entry;

use state::{Facts, State};

/// How often messages may be duplicated, and dropped.
pub const FAULTS: u8 = 2;

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// Different states.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// States in which nothing more happens.
    pub ends: usize,
    /// What is wrong, with the way to it.
    pub wrong: Vec<String>,
}

/// All states that were reached.
struct Search {
    facts: Facts,
    numbers: HashMap<State, usize>,
    states: Vec<State>,
    /// From which state, and by which step, each was reached first.
    reached_from: Vec<Option<(usize, String)>>,
    edges: Vec<(usize, usize)>,
    todo: VecDeque<usize>,
}

impl Search {
    fn add(&mut self, state: State, from: Option<(usize, String)>) -> usize {
        let number = self.states.len();
        match self.numbers.entry(state) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                self.states.push(new.key().clone());
                new.insert(number);
                self.reached_from.push(from);
                self.todo.push_back(number);
                number
            }
        }
    }

    /// The steps that lead to a state.
    fn way_to(&self, mut number: usize) -> String {
        let mut steps = Vec::new();
        while let Some((from, step)) = &self.reached_from[number] {
            steps.push(step.as_str());
            number = *from;
        }
        steps.reverse();
        steps.join(" → ")
    }

    /// The states from which no end can be reached.
    fn lost(&self, ends: &[usize]) -> Vec<usize> {
        let mut before = vec![Vec::new(); self.states.len()];
        for (from, to) in &self.edges {
            before[*to].push(*from);
        }
        let mut reaches = vec![false; self.states.len()];
        let mut todo = ends.to_vec();
        while let Some(number) = todo.pop() {
            if !std::mem::replace(&mut reaches[number], true) {
                todo.extend(&before[number]);
            }
        }
        (0..self.states.len())
            .filter(|one| !reaches[*one])
            .collect()
    }
}

/// Enumerates everything that can become of one order, with `faults` duplicates and drops at most;
/// `heals`: what is dropped comes again.
///
/// # Errors
/// When the domain does not take the order.
pub fn check(faults: u8, heals: bool) -> Result<Checked, String> {
    let order = state::the_order()?;
    let mut search = Search {
        facts: Facts::default(),
        numbers: HashMap::new(),
        states: Vec::new(),
        reached_from: Vec::new(),
        edges: Vec::new(),
        todo: VecDeque::new(),
    };
    for available in [0, state::ORDERED] {
        let first = State::first(&order, available, faults, &mut search.facts);
        search.add(first, None);
    }
    let mut checked = Checked::default();
    let mut ends = Vec::new();
    while let Some(number) = search.todo.pop_front() {
        let state = search.states[number].clone();
        let mut wrong = safety::always(&state, &mut search.facts);
        let next = steps::steps(&state, &mut search.facts, heals);
        if next.is_empty() {
            ends.push(number);
            wrong.extend(safety::at_the_end(&state, &mut search.facts));
        }
        for what in wrong {
            checked
                .wrong
                .push(format!("{what}: {}", search.way_to(number)));
        }
        for (step, next) in next {
            let to = search.add(next, Some((number, step)));
            search.edges.push((number, to));
        }
    }
    for number in search.lost(&ends) {
        let way = search.way_to(number);
        checked
            .wrong
            .push(format!("it never comes to an end: {way}"));
    }
    checked.states = search.states.len();
    checked.steps = search.edges.len();
    checked.ends = ends.len();
    Ok(checked)
}
