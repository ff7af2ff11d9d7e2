//! The items of a SKU's buckets.

use crate::dynamodb_item::Item;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::ids::Sku;
use domain::inventory::buckets::MAX_BUCKETS;
use domain::inventory::{Price, StockLevel};
use domain::money::{Amount, Currency};
use event_sourcing::chain::Head;
use event_sourcing::store::ReadError;

/// The key of a bucket. That of bucket 0 is the SKU itself; the others begin with a blank, as no
/// SKU does.
pub(super) fn key(sku: &Sku, bucket: u16) -> String {
    match bucket {
        0 => sku.as_str().to_owned(),
        bucket => format!(" {bucket} {sku}"),
    }
}

/// The SKU of which the item under this key of the table holds stock.
#[must_use]
pub fn sku_of_key(key: &str) -> &str {
    let bucket = key.strip_prefix(' ').and_then(|rest| rest.split_once(' '));
    bucket.map_or(key, |(_, sku)| sku)
}

pub(super) fn corrupt(sku: &Sku, attribute: &str) -> ReadError {
    ReadError::Corrupt {
        stream: sku.stream(),
        version: 0,
        reason: format!("its stock has no readable {attribute}"),
    }
}

/// What the item of bucket 0 tells: `available` is what is in this bucket.
pub(super) fn level(sku: &Sku, item: &Item) -> Result<StockLevel, ReadError> {
    let whole = |attribute: &str, absent: u64| match item.get(attribute) {
        None => Ok(absent),
        Some(_) => number(item, attribute).ok_or_else(|| corrupt(sku, attribute)),
    };
    let buckets = u16::try_from(whole("bucketCount", 1)?)
        .ok()
        .filter(|count| (1..=MAX_BUCKETS).contains(count))
        .ok_or_else(|| corrupt(sku, "bucketCount"))?;
    let hash = item.get("hash").and_then(|hash| hash.as_s().ok()).cloned();
    Ok(StockLevel {
        available: available(item).ok_or_else(|| corrupt(sku, "available"))?,
        price: price(item).map_err(|attribute| corrupt(sku, attribute))?,
        head: Head {
            version: whole("version", 0)?,
            hash,
        },
        buckets,
    })
}

fn price(item: &Item) -> Result<Option<Price>, &'static str> {
    match (item.get("unitPrice"), item.get("currency")) {
        (Some(AttributeValue::N(price)), Some(AttributeValue::S(code))) => Ok(Some(Price {
            unit_price: Amount::parse(price).map_err(|_| "unitPrice")?,
            currency: Currency::parse(code).map_err(|_| "currency")?,
        })),
        _ => Ok(None),
    }
}

/// Pieces in this bucket.
pub(super) fn available(item: &Item) -> Option<i64> {
    number(item, "available")
}

/// Which layout the bucket belongs to; 0 for a SKU that was never split.
pub(super) fn layout(item: &Item) -> Option<u64> {
    match item.get("layoutVersion") {
        None => Some(0),
        Some(_) => number(item, "layoutVersion"),
    }
}

/// Whether a SKU of which this is bucket 0 is split.
pub(super) fn is_split(item: &Item) -> bool {
    number::<u16>(item, "bucketCount").is_some_and(|count| count > 1)
}

fn number<T: std::str::FromStr>(item: &Item, attribute: &str) -> Option<T> {
    item.get(attribute)?.as_n().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_bucket_is_no_skus_and_tells_its_sku() {
        let tea = Sku::parse("green tea 2").unwrap();
        assert_eq!(key(&tea, 0), "green tea 2");
        assert_eq!(key(&tea, 63), " 63 green tea 2");
        for bucket in [0, 1, 63] {
            assert_eq!(sku_of_key(&key(&tea, bucket)), "green tea 2");
        }
        assert!(Sku::parse(key(&tea, 1)).is_err());
    }
}
