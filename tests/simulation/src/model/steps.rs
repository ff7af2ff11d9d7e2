//! What can happen in a state: everything, one step at a time.

use domain::inventory::{Shortage, ShortageReason, StockMove};
use domain::order::{
    CancelReason, HeldMoney, Order, OrderCommand, OrderEvent, OrderLine, OrderRejection,
};
use domain::payment::{ChargeOutcome, PaymentId};
use event_sourcing::decider::Decider;
use jiff::{SignedDuration, Timestamp};

use super::state::{Consumer, Facts, Heard, Message, State, Worker, put, take};

type Next = Vec<(String, State)>;

/// Every state that one step leads to, with the step.
pub fn steps(state: &State, facts: &mut Facts, heals: bool) -> Next {
    let mut next = Next::new();
    called_off(state, facts, &mut next);
    let mut last = None;
    for message in &state.in_flight {
        // Equal messages lead to equal states.
        if last.replace(message) == Some(message) {
            continue;
        }
        let mut without = state.clone();
        take(&mut without.in_flight, message);
        if state.duplicates > 0 {
            let mut twice = state.clone();
            twice.duplicates -= 1;
            twice.send(*message);
            next.push((format!("{message:?} comes twice"), twice));
        }
        if state.drops > 0 {
            let mut dropped = without.clone();
            dropped.drops -= 1;
            put(&mut dropped.dropped, *message);
            next.push((format!("{message:?} is dropped"), dropped));
        }
        match message.to {
            Consumer::Inventory => inventory(&without, *message, facts, &mut next),
            Consumer::Payment => payment(&without, *message, facts, &mut next),
            Consumer::Webhook => webhook(&without, *message, facts, &mut next),
        }
    }
    for message in state.dropped.iter().filter(|_| heals) {
        let mut again = state.clone();
        take(&mut again.dropped, message);
        again.send(*message);
        next.push((format!("{message:?} comes again"), again));
    }
    for worker in &state.workers {
        let mut without = state.clone();
        take(&mut without.workers, worker);
        let mut crashed = without.clone();
        crashed.send(worker.message);
        next.push((format!("{worker:?} crashes"), crashed));
        finish(&without, *worker, facts, &mut next);
    }
    next
}

/// The customer calls it off, or the sweep expires it.
fn called_off(state: &State, facts: &mut Facts, next: &mut Next) {
    for reason in [CancelReason::Requested, CancelReason::Expired] {
        let mut after = state.clone();
        let may = match reason {
            CancelReason::Requested => &mut after.can_cancel,
            CancelReason::Expired => &mut after.can_expire,
        };
        if !std::mem::replace(may, false) {
            continue;
        }
        next.push((format!("not cancelled: {reason:?}"), after.clone()));
        let order = facts.order(&state.history);
        if reason == CancelReason::Expired && matches!(order, Order::Confirmed { .. }) {
            continue;
        }
        let command = OrderCommand::Cancel {
            reason,
            at: Timestamp::UNIX_EPOCH,
            grace: SignedDuration::from_mins(1),
        };
        // A "no" changes nothing.
        if let Ok(events) = Order::decide(&command, &order) {
            append(&mut after, &events, facts);
        }
        next.push((format!("cancelled: {reason:?}"), after));
    }
}

fn append(state: &mut State, events: &[OrderEvent], facts: &mut Facts) {
    for event in events {
        state.append(event, facts);
    }
}

/// Executes a command as `execute` does: on what was told, if the stream is still there; else on
/// what is stored.
fn execute(
    state: &mut State,
    told: Option<(Order, u8)>,
    command: &OrderCommand,
    facts: &mut Facts,
) -> Result<(), OrderRejection> {
    let order = match told {
        Some((order, head)) if head == state.version() => order,
        _ => facts.order(&state.history),
    };
    let events = Order::decide(command, &order)?;
    for one in order.moves(command).iter().filter(|_| !events.is_empty()) {
        match one {
            StockMove::Reserve { quantity, .. } => state.available -= i64::from(*quantity),
            StockMove::Release { quantity, .. } => state.available += i64::from(*quantity),
            StockMove::Restock { quantity, .. } => state.available += quantity,
        }
    }
    append(state, &events, facts);
    Ok(())
}

/// `update-inventory`: one transaction, from the trigger or from the stream.
fn inventory(state: &State, message: Message, facts: &mut Facts, next: &mut Next) {
    let trigger = trigger(state, message, facts);
    for is_fresh in [true, false] {
        let told = if is_fresh {
            Order::after(&trigger, Timestamp::UNIX_EPOCH)
        } else {
            None
        };
        let told = told.map(|order| (order, message.version));
        let mut after = state.clone();
        let done = if matches!(trigger, OrderEvent::Placed(_)) {
            reserve(&mut after, told.as_ref(), facts)
        } else {
            execute(&mut after, None, &OrderCommand::Release, facts)
        };
        if done.is_ok() {
            next.push((format!("{message:?} is handled, fresh: {is_fresh}"), after));
        } else {
            next.push((
                format!("{message:?} is refused"),
                give_back_to_platform(state, message),
            ));
        }
    }
}

fn reserve(
    state: &mut State,
    told: Option<&(Order, u8)>,
    facts: &mut Facts,
) -> Result<(), OrderRejection> {
    let mut taken = state.clone();
    execute(&mut taken, told.cloned(), &OrderCommand::Reserve, facts)?;
    if taken.available >= 0 {
        *state = taken;
        return Ok(());
    }
    // The condition on the stock failed, and with it the transaction.
    let shortages = match facts.event(state.history[0]) {
        OrderEvent::Placed(placed) => placed.items.iter().map(out_of_stock).collect(),
        _ => Vec::new(),
    };
    let command = OrderCommand::RejectInventory(shortages);
    execute(state, told.cloned(), &command, facts)
}

fn out_of_stock(line: &OrderLine) -> Shortage {
    Shortage {
        sku: line.sku.clone(),
        reason: ShortageReason::OutOfStock,
    }
}

fn trigger(state: &State, message: Message, facts: &Facts) -> OrderEvent {
    let at = usize::from(message.version.saturating_sub(1));
    facts.event(state.history[at]).clone()
}

/// What failed for good stays a dead letter, and never ends: the search finds it.
fn give_back_to_platform(state: &State, message: Message) -> State {
    let mut after = state.clone();
    after.send(message);
    after
}

fn the_charge() -> PaymentId {
    PaymentId("charge".to_owned())
}

fn outcome_of(is_charged: bool) -> ChargeOutcome {
    if is_charged {
        ChargeOutcome::Approved(Some(the_charge()))
    } else {
        ChargeOutcome::Declined("declined".to_owned())
    }
}

/// `process-payment`, up to the answer of the gateway.
fn payment(state: &State, message: Message, facts: &mut Facts, next: &mut Next) {
    if matches!(trigger(state, message, facts), OrderEvent::Cancelled(_)) {
        let order = facts.order(&state.history);
        match order.refund_due() {
            Some(_) => refund(state, message, next),
            None => next.push((format!("{message:?}: nothing to refund"), state.clone())),
        }
        return;
    }
    charge(state, message, message.version, next);
    // An old trigger is not taken at its word.
    match facts.order(&state.history) {
        Order::Reserved { .. } => charge(state, message, state.version(), next),
        Order::Cancelled { aftermath, .. } if aftermath.money == HeldMoney::Uncharged => {
            let mut after = state.clone();
            if let Some(is_charged) = state.books.outcome {
                after.work(Worker {
                    message,
                    heard: Heard::Charged(is_charged),
                    head: 0,
                });
            }
            next.push((format!("{message:?} is looked up"), after));
        }
        _ => next.push((format!("{message:?}: settled before"), state.clone())),
    }
}

/// The gateway is asked; its answer is heard, or lost.
fn charge(state: &State, message: Message, head: u8, next: &mut Next) {
    let outcomes = match state.books.outcome {
        Some(known) => vec![known],
        None => vec![true, false],
    };
    for is_charged in outcomes {
        let mut after = state.clone();
        if after.books.outcome.replace(is_charged).is_none() {
            after.books.charges += u8::from(is_charged);
            // It also tells by itself.
            after.send(Message {
                to: Consumer::Webhook,
                version: 0,
            });
        }
        let lost = give_back_to_platform(&after, message);
        next.push((format!("charged: {is_charged}, the answer is lost"), lost));
        after.work(Worker {
            message,
            heard: Heard::Charged(is_charged),
            head,
        });
        next.push((format!("charged: {is_charged}"), after));
    }
}

/// The charge is given back; the answer is heard, or lost.
fn refund(state: &State, message: Message, next: &mut Next) {
    let mut after = state.clone();
    // Under the same key it is given back once.
    after.books.refunds = 1;
    let lost = give_back_to_platform(&after, message);
    next.push(("refunded, the answer is lost".to_owned(), lost));
    after.work(Worker {
        message,
        heard: Heard::Refunded,
        head: 0,
    });
    next.push(("refunded".to_owned(), after));
}

/// `payment-webhook`: the gateway tells its outcome.
fn webhook(state: &State, message: Message, facts: &mut Facts, next: &mut Next) {
    let Some(is_charged) = state.books.outcome else {
        return;
    };
    let worker = Worker {
        message,
        heard: Heard::Charged(is_charged),
        head: 0,
    };
    finish(state, worker, facts, next);
}

/// What the gateway said is appended.
fn finish(state: &State, worker: Worker, facts: &mut Facts, next: &mut Next) {
    let mut after = state.clone();
    let command = match worker.heard {
        Heard::Charged(is_charged) => OrderCommand::RecordPayment(outcome_of(is_charged)),
        Heard::Refunded => OrderCommand::RecordRefund(the_charge()),
    };
    let told = (worker.head > 0)
        .then(|| {
            let last = facts.event(state.history[usize::from(worker.head) - 1]);
            Order::after(last, Timestamp::UNIX_EPOCH)
        })
        .flatten()
        .map(|order| (order, worker.head));
    match execute(&mut after, told, &command, facts) {
        Ok(()) => next.push((format!("{worker:?} appends"), after)),
        Err(OrderRejection::RefundDue(_)) => refund(state, worker.message, next),
        // It comes again.
        Err(_) => next.push((
            format!("{worker:?} is refused"),
            give_back_to_platform(state, worker.message),
        )),
    }
}
