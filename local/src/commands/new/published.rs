//! Which events there are: those with a golden file, and the aggregate in whose list they are.

use std::cmp::Reverse;

use event_sourcing::envelope::Envelope;

use super::plan::Plan;
use super::refused;
use crate::error::LocalError;

/// Where every version of every event is kept as it is published.
pub(super) const GOLDEN: &str = "events/golden";
const DOMAIN: &str = "shared/domain/src";
/// What an aggregate's list of events begins with.
const LIST: &str = "stored_events! {";

/// One event type, as a consumer reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EventType {
    /// `OrderPlaced`
    pub(super) name: String,
    /// The module of its aggregate: `order`.
    pub(super) module: String,
    /// The enum of its aggregate's events: `OrderEvent`.
    pub(super) events: String,
    /// Its variant there: `Placed`.
    pub(super) variant: String,
}

/// The types that have a golden file.
pub(super) fn types(plan: &Plan) -> Result<Vec<String>, LocalError> {
    let names = plan.names_in(GOLDEN)?;
    let mut types: Vec<_> = names
        .iter()
        .filter_map(|file| Some(file.split_once(".v")?.0.to_owned()))
        .collect();
    types.dedup();
    Ok(types)
}

/// Looks an event type up.
pub(super) fn find(plan: &Plan, name: &str) -> Result<EventType, LocalError> {
    let types = types(plan)?;
    if !types.iter().any(|one| one == name) {
        return Err(refused(
            GOLDEN,
            format!("has no event {name}; there are {}", types.join(", ")),
        ));
    }
    for (module, path) in modules(plan)? {
        if let Some((events, variant)) = listed(&plan.read(&path)?, name) {
            return Ok(EventType {
                name: name.to_owned(),
                module,
                events,
                variant,
            });
        }
    }
    Err(refused(
        DOMAIN,
        format!("has no `{LIST}` that lists {name}, so no function can read it"),
    ))
}

/// Every code file of the domain, after the module of the crate that it belongs to.
fn modules(plan: &Plan) -> Result<Vec<(String, String)>, LocalError> {
    let mut modules = Vec::new();
    for name in plan.names_in(DOMAIN)? {
        if let Some(module) = name.strip_suffix(".rs") {
            modules.push((module.to_owned(), format!("{DOMAIN}/{name}")));
            continue;
        }
        for file in plan.names_in(&format!("{DOMAIN}/{name}"))? {
            if file.strip_suffix(".rs").is_some() {
                modules.push((name.clone(), format!("{DOMAIN}/{name}/{file}")));
            }
        }
    }
    Ok(modules)
}

/// The enum and the variant of the event, where this code lists it:
/// `stored_events! { OrderEvent, upcasters: ..; "OrderPlaced" => Placed(OrderPlaced), }`.
fn listed(code: &str, name: &str) -> Option<(String, String)> {
    code.split(LIST).skip(1).find_map(|list| {
        let list = list.split('}').next()?;
        let (_, row) = list.split_once(&format!("\"{name}\" =>"))?;
        let variant = row.split('(').next()?.trim();
        let events = list.split(',').next()?.trim();
        Some((events.to_owned(), variant.to_owned()))
    })
}

/// The newest recorded event of this type among the golden files that `fits`, and its file's text.
pub(super) fn golden(
    plan: &Plan,
    event_type: &str,
    fits: impl Fn(&Envelope) -> bool,
) -> Result<(Envelope, String), LocalError> {
    let mut found = Vec::new();
    for file in plan.names_in(GOLDEN)? {
        if file.split('.').next() != Some(event_type) {
            continue;
        }
        let path = format!("{GOLDEN}/{file}");
        let text = plan.read(&path)?;
        let event: Envelope =
            serde_json::from_str(&text).map_err(|error| refused(&path, error.to_string()))?;
        if event.position().is_some() && fits(&event) {
            let version = event.schema_version.unwrap_or(1);
            // The plain name goes before a form, and that before a form of another order.
            let form = file.split('.').nth(2).unwrap_or_default().to_owned();
            let rank = (
                Reverse(version),
                form.starts_with("of-"),
                form != "json",
                form,
            );
            found.push((rank, event, text));
        }
    }
    found.sort_by(|(one, ..), (other, ..)| one.cmp(other));
    match found.into_iter().next() {
        Some((_, event, text)) => Ok((event, text)),
        None => Err(refused(
            GOLDEN,
            format!("has no {event_type} with a stream and a version, as the rule wants it"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_found_in_its_aggregates_list() {
        let code = "stored_events! {\n    AEvent, upcasters: &[];\n    \"ADone\" => Done(ADone),\n}\n\
            stored_events! {\n    BEvent, upcasters: UP;\n    \"BOpened\" => Opened(BOpened),\n    \"BDone\" => Done(BDone),\n}\n";
        let found = |events: &str, variant: &str| Some((events.to_owned(), variant.to_owned()));
        assert_eq!(listed(code, "ADone"), found("AEvent", "Done"));
        assert_eq!(listed(code, "BDone"), found("BEvent", "Done"));
        assert_eq!(listed(code, "Done"), None);
    }
}
