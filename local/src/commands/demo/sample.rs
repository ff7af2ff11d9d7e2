//! A sample order: a file in `events/demo`.
//!
//! ```json
//! { "name": "paid", "note": "what it shows",
//!   "stock": [{ "sku": "tea", "available": 10, "unitPrice": 4.5, "currency": "USD" }],
//!   "request": { "userId": "…", "currency": "USD", "items": [ … ] },
//!   "then": "cancel" | "repeat" | "repeat-with-another-body",
//!   "expect": { "status": "confirmed", "reason": "…", "events": ["OrderPlaced", …] } }
//! ```
//!
//! `request` is the body of `POST /orders`; `put` in its place is a plain event that another
//! producer puts on the bus. `stock`, `then` and `reason` may be absent; `reason` is a part of the
//! order's reason. An `InventoryUpdated` is expected with its reason: `InventoryUpdated(reserved)`.

use std::path::Path;

use domain::inventory::MAX_RESTOCK;
use serde_json::Value;

use crate::commands::text_file;
use crate::error::LocalError;

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    /// The file's name, without its ending.
    pub file: String,
    pub name: String,
    pub note: String,
    pub stock: Vec<Stocked>,
    pub way: Way,
    pub then: Option<Then>,
    pub expect: Expected,
}

/// What is in stock before.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stocked {
    pub sku: String,
    pub available: u64,
    /// Price of a piece and its currency.
    pub price: Option<(Value, Value)>,
}

/// How the order comes in.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Way {
    /// By `POST /orders`.
    Request(Value),
    /// By an event of another producer.
    Put(Value),
}

/// What the customer does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Cancels it when it is confirmed.
    Cancel,
    /// Sends the same request again.
    Repeat,
    /// Sends another request with the same key.
    RepeatWithAnotherBody,
}

/// What should become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    pub status: String,
    pub reason: Option<String>,
    pub events: Vec<String>,
}

/// Reads every sample of a folder, in the order of the file names.
pub(super) fn read_all(folder: &Path) -> Result<Vec<Sample>, LocalError> {
    let entries = std::fs::read_dir(folder).map_err(|error| LocalError::file(folder, error))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|error| LocalError::file(folder, error))?
            .path();
        if path.extension().is_some_and(|ending| ending == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    if paths.is_empty() {
        return Err(LocalError::Input {
            path: folder.to_owned(),
            line: None,
            problem: "has no sample orders (*.json); name another folder with --samples".to_owned(),
        });
    }
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Result<Sample, LocalError> {
    let text = text_file::read(path)?;
    let file = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let parsed = serde_json::from_str(&text)
        .map_err(|error| error.to_string())
        .and_then(|value| parse(file, &value));
    parsed.map_err(|problem| LocalError::Input {
        path: path.to_owned(),
        line: None,
        problem,
    })
}

fn parse(file: String, value: &Value) -> Result<Sample, String> {
    const FIELDS: [&str; 7] = ["name", "note", "stock", "request", "put", "then", "expect"];
    let fields = value.as_object().ok_or("a sample is a JSON object")?;
    if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(format!(
            "`{unknown}` is no field of a sample ({})",
            FIELDS.join(", ")
        ));
    }
    let text = |name: &str| {
        let text = value[name].as_str().map(str::to_owned);
        text.ok_or_else(|| format!("`{name}` must be a text"))
    };
    let way = match (fields.get("request"), fields.get("put")) {
        (Some(request), None) => Way::Request(request.clone()),
        (None, Some(event)) => Way::Put(event.clone()),
        _ => return Err("a sample has either `request` or `put`".to_owned()),
    };
    let then = match fields
        .get("then")
        .map(|then| then.as_str().unwrap_or_default())
    {
        None => None,
        Some("cancel") => Some(Then::Cancel),
        Some("repeat") => Some(Then::Repeat),
        Some("repeat-with-another-body") => Some(Then::RepeatWithAnotherBody),
        Some(other) => {
            return Err(format!(
                "`then` is {other:?}; it can be cancel, repeat or repeat-with-another-body"
            ));
        }
    };
    let expect = &value["expect"];
    let events = expect["events"]
        .as_array()
        .ok_or("`expect.events` must be a list")?;
    let stock = value["stock"].as_array();
    Ok(Sample {
        file,
        name: text("name")?,
        note: text("note")?,
        stock: stock
            .into_iter()
            .flatten()
            .map(stocked)
            .collect::<Result<_, _>>()?,
        way,
        then,
        expect: Expected {
            status: expect["status"]
                .as_str()
                .ok_or("`expect.status` must be a text")?
                .to_owned(),
            reason: expect["reason"].as_str().map(str::to_owned),
            events: events
                .iter()
                .map(|event| event.as_str().unwrap_or_default().to_owned())
                .collect(),
        },
    })
}

fn stocked(value: &Value) -> Result<Stocked, String> {
    let sku = value["sku"].as_str().ok_or("`stock` needs a sku")?;
    let available = value["available"]
        .as_u64()
        .filter(|pieces| *pieces <= u64::from(MAX_RESTOCK))
        .ok_or_else(|| format!("`stock` needs available pieces, 0 to {MAX_RESTOCK}"))?;
    let price = value.get("unitPrice").cloned();
    Ok(Stocked {
        sku: sku.to_owned(),
        available,
        price: price.zip(value.get("currency").cloned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paid() -> Value {
        json!({"name": "paid", "note": "n", "request": {"userId": "u"},
            "expect": {"status": "confirmed", "events": ["OrderPlaced"]}})
    }

    #[test]
    fn the_samples_of_this_repository_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/demo");
        assert!(read_all(&folder).unwrap().len() >= 10);
    }

    #[test]
    fn a_sample_that_says_something_unknown_is_refused() {
        assert!(parse("f".to_owned(), &paid()).is_ok());
        for (field, wrong) in [
            ("then", json!("explode")),
            ("thn", json!("cancel")),
            ("put", json!({})),
            ("name", json!(1)),
            ("expect", json!({"status": "confirmed"})),
        ] {
            let mut sample = paid();
            sample[field] = wrong;
            assert!(parse("f".to_owned(), &sample).is_err(), "{field}");
        }
    }
}
