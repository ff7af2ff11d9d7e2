//! Read-your-writes through a list: the order that the caller has just written is in its page, at
//! the version that the write answered with, also before the projection has come to it.

use aws_adapters::dynamodb_order_summaries::{PageStart, SummaryPage};
use domain::ids::OrderId;
use domain::order_summary::OrderSummary;

/// What a write answered with: which order, at which version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenVersion {
    /// The order.
    pub order_id: OrderId,
    /// Its version after the write.
    pub version: u64,
}

/// Reads `<orderId>@<version>`.
///
/// # Errors
/// What it must be.
pub fn parse(text: &str) -> Result<WrittenVersion, &'static str> {
    let wrong = "must be orderId@version, as a write answered with them";
    let (order, version) = text.rsplit_once('@').ok_or(wrong)?;
    match (OrderId::parse(order), version.parse()) {
        (Ok(order_id), Ok(version)) if version > 0 => Ok(WrittenVersion { order_id, version }),
        _ => Err(wrong),
    }
}

impl WrittenVersion {
    /// Whether the page has the order at this version or a later one.
    #[must_use]
    pub fn is_in(&self, page: &SummaryPage) -> bool {
        page.orders
            .iter()
            .any(|row| row.order_id == self.order_id && row.version >= self.version)
    }
}

/// Puts a row in its place in a page of at most `limit` rows that begins after `after`, if its
/// place is in this page.
#[must_use]
pub fn merged(
    mut page: SummaryPage,
    row: OrderSummary,
    after: Option<&PageStart>,
    limit: usize,
) -> SummaryPage {
    if let Some(older) = page
        .orders
        .iter_mut()
        .find(|other| other.order_id == row.order_id)
    {
        *older = row;
        return page;
    }
    let before_this_page = after.is_some_and(|after| row.placed_at >= after.placed_at);
    let behind_this_page = page.next.is_some()
        && page
            .orders
            .last()
            .is_some_and(|last| row.placed_at < last.placed_at);
    if before_this_page || behind_this_page {
        return page;
    }
    let at = page
        .orders
        .partition_point(|other| other.placed_at > row.placed_at);
    page.orders.insert(at, row);
    if page.orders.len() > limit {
        page.orders.truncate(limit);
        page.next = page.orders.last().map(|last| PageStart {
            order_id: last.order_id.clone(),
            placed_at: last.placed_at.clone(),
        });
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::UserId;
    use domain::money::{Amount, Currency};
    use domain::order_summary::OrderStatus;

    fn row(id: &str, second: u32, version: u64) -> OrderSummary {
        OrderSummary {
            order_id: OrderId::parse(id).unwrap(),
            user_id: UserId::parse("u").unwrap(),
            status: OrderStatus::Placed,
            reason: None,
            version,
            total_amount: Amount::ZERO,
            currency: Currency::USD,
            items: vec![],
            placed_at: format!("2025-01-01T12:00:{second:02}.000Z"),
            refunded: false,
            timeline: vec![],
        }
    }

    fn start(of: &OrderSummary) -> PageStart {
        PageStart {
            order_id: of.order_id.clone(),
            placed_at: of.placed_at.clone(),
        }
    }

    /// Orders c, b, a of the seconds 3, 2, 1, as a page.
    fn page(next: bool) -> SummaryPage {
        let orders = vec![row("c", 3, 2), row("b", 2, 2), row("a", 1, 2)];
        SummaryPage {
            next: next.then(|| start(&orders[2])),
            orders,
        }
    }

    fn ids(page: &SummaryPage) -> Vec<&str> {
        page.orders
            .iter()
            .map(|row| row.order_id.as_str())
            .collect()
    }

    #[test]
    fn a_row_that_is_behind_is_replaced_and_one_that_is_missing_is_put_in_its_place() {
        let newer = merged(page(false), row("b", 2, 3), None, 3);
        assert_eq!(ids(&newer), ["c", "b", "a"]);
        assert_eq!(newer.orders[1].version, 3);
        assert!(parse("b@3").unwrap().is_in(&newer));
        assert!(!parse("b@4").unwrap().is_in(&newer));

        let newest = merged(page(false), row("d", 4, 1), None, 20);
        assert_eq!(ids(&newest), ["d", "c", "b", "a"]);
        assert_eq!(newest.next, None);
    }

    #[test]
    fn a_page_that_grows_too_long_goes_on_after_its_new_last_row() {
        let full = merged(page(true), row("d", 4, 1), None, 3);
        assert_eq!(ids(&full), ["d", "c", "b"]);
        assert_eq!(full.next, Some(start(&row("b", 2, 2))));
    }

    #[test]
    fn a_row_of_another_page_is_left_to_it() {
        let first = start(&row("x", 4, 1));
        assert_eq!(
            ids(&merged(page(true), row("d", 5, 1), Some(&first), 3)),
            ["c", "b", "a"]
        );
        assert_eq!(
            ids(&merged(page(true), row("d", 0, 1), None, 3)),
            ["c", "b", "a"]
        );
        assert_eq!(
            ids(&merged(page(false), row("d", 0, 1), None, 4)),
            ["c", "b", "a", "d"]
        );
    }

    #[test]
    fn a_written_version_is_an_order_and_a_version() {
        let parsed = parse("a@b@3").unwrap();
        assert_eq!((parsed.order_id.as_str(), parsed.version), ("a@b", 3));
        for wrong in ["a", "a@", "@1", "a@0", "a@x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
