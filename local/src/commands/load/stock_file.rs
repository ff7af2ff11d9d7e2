//! The file of stock: `{"tea": 10}`, or one `{sku, available, unitPrice?, currency?}` per line.

use std::path::Path;

use domain::ids::Sku;
use domain::inventory::MAX_RESTOCK;
use serde_json::Value;

use crate::commands::restock::Needs;
use crate::commands::text_file;
use crate::error::LocalError;

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<Needs, LocalError> {
    let text = text_file::read(path)?;
    parse(&text).map_err(|(line, problem)| LocalError::Input {
        path: path.to_owned(),
        line,
        problem,
    })
}

fn parse(text: &str) -> Result<Needs, (Option<usize>, String)> {
    let mut needs = Needs::default();
    if let Ok(Value::Object(all)) = serde_json::from_str::<Value>(text)
        && !all.contains_key("sku")
    {
        for (sku, level) in &all {
            add(&mut needs, sku, level).map_err(|problem| (None, problem))?;
        }
        return Ok(needs);
    }
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let at = |problem: String| (Some(index + 1), problem);
        let level: Value =
            serde_json::from_str(line).map_err(|error| at(format!("is not JSON: {error}")))?;
        let sku = level["sku"].as_str();
        let sku = sku.ok_or_else(|| at("needs a sku".to_owned()))?;
        add(&mut needs, sku, &level).map_err(at)?;
    }
    Ok(needs)
}

fn add(needs: &mut Needs, sku: &str, level: &Value) -> Result<(), String> {
    Sku::parse(sku).map_err(|error| format!("has the sku {sku:?}, which {error}"))?;
    let pieces = level.as_u64().or_else(|| level["available"].as_u64());
    let pieces = pieces
        .filter(|pieces| *pieces <= u64::from(MAX_RESTOCK))
        .ok_or_else(|| format!("{sku} needs a number of available pieces, 0 to {MAX_RESTOCK}"))?;
    let price = level.get("unitPrice").filter(|price| price.is_number());
    let currency = level.get("currency").cloned();
    let currency = currency.unwrap_or_else(|| Value::String("USD".to_owned()));
    needs.add(sku, pieces, price.map(|price| (price.clone(), currency)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn pieces(text: &str) -> Vec<(String, u64, bool)> {
        let needs = parse(text).unwrap();
        needs
            .iter()
            .map(|(sku, need)| (sku.clone(), need.pieces, need.price.is_some()))
            .collect()
    }

    #[test]
    fn stock_is_an_object_or_lines() {
        let expected = [("cup".to_owned(), 3, true), ("tea".to_owned(), 10, false)];
        assert_eq!(
            pieces(r#"{"tea": 10, "cup": {"available": 3, "unitPrice": 1}}"#),
            expected
        );
        let lines = "{\"sku\":\"tea\",\"available\":10}\n\n\
            {\"sku\":\"cup\",\"available\":3,\"unitPrice\":1,\"currency\":\"EUR\"}\n";
        assert_eq!(pieces(lines), expected);
        assert_eq!(
            pieces(r#"{"sku": "tea", "available": 1}"#),
            [("tea".to_owned(), 1, false)]
        );
    }

    #[test]
    fn a_line_without_a_sku_or_with_impossible_pieces_is_named() {
        let refused = |text| parse(text).unwrap_err();
        assert_eq!(
            refused("{\"sku\":\"a\",\"available\":1}\n{\"available\":1}").0,
            Some(2)
        );
        assert_eq!(refused("{\"sku\":\"a\"}").0, Some(1));
        assert_eq!(refused("{\"a\": -1}").0, None);
        assert_eq!(refused("{\"a\": 9007199254740991}").0, None);
        assert_eq!(refused("{\"\": 1}").0, None);
    }
}
