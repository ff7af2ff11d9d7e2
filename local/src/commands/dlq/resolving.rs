//! `dlq resolve`: a letter whose matter is settled is closed; an unknown payment is settled first.

use std::process::ExitCode;

use aws_adapters::dead_letter_message::event_in;
use aws_adapters::function_calls::Called;
use event_sourcing::dead_letter::{DeadLetter, Filter, LetterSummary, resolve};
use process_payment::gateway::UNKNOWN_OUTCOME;
use serde_json::{Value, json};

use super::Signed;
use super::args::{ResolutionArg, ResolveArgs, stream_of};
use super::desk::{Chosen, Desk};
use super::error::DlqError;
use super::report::{Outcome, Report};
use crate::commands::interrupted;
use crate::commands::interruption::Interruption;
use crate::commands::step_by_step::patiently;
use crate::error::LocalError;
use crate::terminal::printable;

/// Who charges.
const PAYER: &str = "process-payment";
/// The event on which it charges.
const CHARGED_ON: &str = "InventoryUpdated";
/// The function that settles payments.
const SETTLER: &str = "resolve-payment";

/// Resolves.
pub(super) async fn run(
    desk: &Desk<'_>,
    args: &ResolveArgs,
    signed: &Signed,
    interruption: &mut Interruption,
) -> Result<ExitCode, LocalError> {
    let mut report = Report::of("resolve", signed, false, args.record.json);
    let (resolved, on) = {
        let resolved = resolved(desk, args, signed, &mut report);
        interruption.finish(resolved).await
    };
    let Some(resolved) = resolved else {
        return Ok(interrupted());
    };
    resolved?;
    if !on {
        report.was_interrupted();
    }
    report.end();
    Ok(report.code())
}

async fn resolved(
    desk: &Desk<'_>,
    args: &ResolveArgs,
    signed: &Signed,
    report: &mut Report,
) -> Result<(), LocalError> {
    let letters = match (&args.letter, &args.order) {
        (Some(part), _) => vec![open(desk, part, args.resolution, signed).await?],
        (None, Some(order)) => charges(desk, order).await?,
        // One of them is required.
        (None, None) => Vec::new(),
    };
    if let Some(resolution) = args.resolution {
        let order = match (&args.order, letters.first()) {
            (Some(order), _) => order.clone(),
            (None, Some(letter)) => order_of(desk, letter).await?,
            (None, None) => return Ok(()),
        };
        let answer = settle(desk, args, resolution, &order, signed).await?;
        report.say(&told(&order, &answer));
        report.payment = Some(answer);
        if letters.is_empty() {
            report.say("No open letter is about this payment.");
        }
    }
    let chosen = Chosen::named(letters);
    for letter in &chosen.letters {
        let by = signed.now();
        let acted = desk.act(&letter.letter_id, &chosen, &by, resolve).await?;
        report.acted(&letter.letter_id, acted, Outcome::Resolved);
    }
    Ok(())
}

/// The letter, which can be closed.
async fn open(
    desk: &Desk<'_>,
    part: &str,
    resolution: Option<ResolutionArg>,
    signed: &Signed,
) -> Result<LetterSummary, DlqError> {
    let letter = desk.find(part).await?;
    // Before anything else is done.
    resolve(letter.clone(), &signed.now())?;
    if resolution.is_none() && is_open_payment(&letter) {
        return Err(DlqError::PaymentOpen(letter.letter_id));
    }
    Ok(LetterSummary::of(&letter))
}

fn is_open_payment(letter: &DeadLetter) -> bool {
    letter.consumer == PAYER && letter.cause.starts_with(UNKNOWN_OUTCOME)
}

/// The open letters about charging an order.
async fn charges(desk: &Desk<'_>, order: &str) -> Result<Vec<LetterSummary>, LocalError> {
    let filter = Filter {
        consumer: Some(PAYER.to_owned()),
        event_type: Some(CHARGED_ON.to_owned()),
        stream_id: Some(stream_of(order)),
        ..Filter::open()
    };
    desk.matching(&filter).await
}

/// The order whose payment a letter is about.
async fn order_of(desk: &Desk<'_>, letter: &LetterSummary) -> Result<String, DlqError> {
    let letter = desk.find(&letter.letter_id).await?;
    let event = event_in(&letter.payload).filter(|_| letter.consumer == PAYER);
    let order = event.and_then(|event| Some(event.data.get("orderId")?.as_str()?.to_owned()));
    order.ok_or(DlqError::NoPayment(letter.letter_id))
}

/// Has the payment settled; what became of the order.
async fn settle(
    desk: &Desk<'_>,
    args: &ResolveArgs,
    resolution: ResolutionArg,
    order: &str,
    signed: &Signed,
) -> Result<Value, LocalError> {
    let mut call = json!({"orderId": order, "as": resolution.as_str(), "reason": signed.why,
        "by": signed.who});
    if let Some(payment) = &args.payment_id {
        call["paymentId"] = json!(payment);
    }
    match patiently(desk.system, SETTLER, &call).await? {
        Called::Answer(answer) => Ok(answer),
        Called::Failed {
            error_type,
            message,
        } => Err(DlqError::Function {
            function: SETTLER,
            error_type,
            message,
        }
        .into()),
    }
}

fn told(order: &str, answer: &Value) -> String {
    let text = |name: &str| answer[name].as_str().map(printable);
    let status = text("status").unwrap_or_default();
    let appended = match text("appended") {
        Some(event) => format!("{event} was appended"),
        None => "all was settled before".to_owned(),
    };
    let refunded = text("refunded").map(|payment| format!("; {payment} was given back"));
    format!(
        "Order {} is {status}: {appended}{}.",
        printable(order),
        refunded.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_the_order_is_said() {
        let answer = json!({"orderId": "7", "status": "confirmed", "version": 3,
            "appended": "PaymentProcessed"});
        assert_eq!(
            told("7", &answer),
            "Order 7 is confirmed: PaymentProcessed was appended."
        );
        let answer = json!({"orderId": "7", "status": "cancelled", "version": 5,
            "refunded": "pi_1"});
        assert_eq!(
            told("7", &answer),
            "Order 7 is cancelled: all was settled before; pi_1 was given back."
        );
    }
}
