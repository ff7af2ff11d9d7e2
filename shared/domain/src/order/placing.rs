//! Taking an order: what the API accepts, checked field by field, and the total, computed by us.

use super::contact::Contact;
use super::events::{OrderLine, OrderPlaced, Terms};
use crate::ids::{IdempotencyKey, OrderId, UserId};
use crate::money::{Amount, Currency, MoneyError};
use crate::payment::PaymentMethod;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Most lines of an order.
pub const MAX_LINES: usize = 100;
/// Most different SKUs of an order: a `DynamoDB` transaction has at most 100 actions
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>),
/// of which one stores the event.
pub const MAX_SKUS: usize = 99;
/// Most pieces of one line.
pub const MAX_QUANTITY: u32 = 100_000;
/// Highest price of a piece, in whole units of the currency.
pub const MAX_UNIT_PRICE: &str = "10000000";
/// Most decimal places of the price of a piece; screws are sold for less than a cent.
pub const MAX_PRICE_DECIMALS: u32 = 6;
/// Longest e-mail address (RFC 5321, section 4.5.3.1.3).
pub const MAX_EMAIL_BYTES: usize = 254;
/// Longest payment token.
pub const MAX_TOKEN_BYTES: usize = 256;

/// The body of `POST /orders`. Fields that it does not have are refused, so that a typing error
/// in `contact` does not lose the address.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OrderRequest {
    /// Whose order.
    pub user_id: UserId,
    /// What is bought, 1 to [`MAX_LINES`] lines.
    pub items: Vec<RequestedLine>,
    /// In which currency all prices are.
    pub currency: Currency,
    /// How to reach the customer.
    #[serde(default)]
    pub contact: Option<RequestedContact>,
    /// How the customer pays.
    #[serde(default)]
    pub payment: Option<RequestedPayment>,
}

/// One line of [`OrderRequest`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestedLine {
    /// What is bought.
    pub sku: crate::ids::Sku,
    /// How many pieces, 1 to [`MAX_QUANTITY`].
    #[serde(deserialize_with = "crate::whole::whole")]
    pub quantity: u32,
    /// What one piece costs; zero for a gift.
    pub unit_price: Amount,
}

/// The `contact` of [`OrderRequest`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestedContact {
    /// E-mail address.
    pub email: String,
}

/// The `payment` of [`OrderRequest`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestedPayment {
    /// The gateway's token.
    pub token: String,
}

/// A field of a request that cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {reason}")]
pub struct InvalidField {
    /// Path of the field, such as `items[3].quantity`.
    pub field: String,
    /// What it must be.
    pub reason: String,
}

impl InvalidField {
    fn new(field: impl Into<String>, reason: impl ToString) -> Self {
        Self {
            field: field.into(),
            reason: reason.to_string(),
        }
    }
}

impl OrderRequest {
    /// Checks the request and makes of it the order that `key` names.
    ///
    /// # Errors
    /// The first field that is out of bounds.
    pub fn accept(self, key: &IdempotencyKey) -> Result<OrderPlaced, InvalidField> {
        let total_amount = self.total()?;
        let contact = self.contact.map(accept_contact).transpose()?;
        let payment = self.payment.map(accept_payment).transpose()?;
        let items = self
            .items
            .into_iter()
            .map(|line| OrderLine {
                sku: line.sku,
                quantity: line.quantity,
                unit_price: line.unit_price,
            })
            .collect();
        Ok(OrderPlaced {
            terms: Terms {
                order_id: OrderId::derive(&self.user_id, key),
                user_id: self.user_id,
                total_amount,
                currency: self.currency,
                contact,
                sealed_contact: None,
                payment,
            },
            items,
        })
    }

    fn total(&self) -> Result<Amount, InvalidField> {
        if self.items.is_empty() || self.items.len() > MAX_LINES {
            return Err(InvalidField::new(
                "items",
                format!("must have 1 to {MAX_LINES} lines, has {}", self.items.len()),
            ));
        }
        let mut total = Amount::ZERO;
        for (index, line) in self.items.iter().enumerate() {
            let field = |name: &str| format!("items[{index}].{name}");
            if line.quantity == 0 || line.quantity > MAX_QUANTITY {
                return Err(InvalidField::new(
                    field("quantity"),
                    format!("must be 1 to {MAX_QUANTITY}, is {}", line.quantity),
                ));
            }
            check_price(line.unit_price)
                .map_err(|reason| InvalidField::new(field("unitPrice"), reason))?;
            total = line
                .unit_price
                .times(line.quantity)
                .and_then(|price| total.plus(price))
                .map_err(|error| InvalidField::new(field("unitPrice"), error))?;
        }
        let skus = self
            .items
            .iter()
            .map(|line| &line.sku)
            .collect::<BTreeSet<_>>();
        if skus.len() > MAX_SKUS {
            return Err(InvalidField::new(
                "items",
                format!(
                    "must have at most {MAX_SKUS} different skus, has {}",
                    skus.len()
                ),
            ));
        }
        // A price of a piece may be finer than a coin; what is charged is not.
        total.payable_in(self.currency).map_err(|error| {
            InvalidField::new("items", format!("come to {total}, which {error}"))
        })?;
        Ok(total)
    }
}

/// Checks the price of one piece.
///
/// # Errors
/// What the price must be.
pub fn check_price(price: Amount) -> Result<(), String> {
    let most = Amount::parse(MAX_UNIT_PRICE).map_err(|error: MoneyError| error.to_string())?;
    if price > most {
        return Err(format!("must be at most {most}, is {price}"));
    }
    if price.decimal_places() > MAX_PRICE_DECIMALS {
        return Err(format!(
            "must have at most {MAX_PRICE_DECIMALS} decimal places, is {price}"
        ));
    }
    Ok(())
}

fn accept_contact(contact: RequestedContact) -> Result<Contact, InvalidField> {
    let email = contact.email;
    let well_formed = email.len() <= MAX_EMAIL_BYTES
        && !email.chars().any(|c| c.is_control() || c.is_whitespace())
        && email
            .rsplit_once('@')
            .is_some_and(|(local, host)| !local.is_empty() && !host.is_empty());
    if !well_formed {
        return Err(InvalidField::new(
            "contact.email",
            format!("must be an e-mail address of at most {MAX_EMAIL_BYTES} bytes"),
        ));
    }
    Ok(Contact { email })
}

fn accept_payment(payment: RequestedPayment) -> Result<PaymentMethod, InvalidField> {
    let token = payment.token;
    if token.is_empty()
        || token.len() > MAX_TOKEN_BYTES
        || !token.chars().all(|c| c.is_ascii_graphic())
    {
        return Err(InvalidField::new(
            "payment.token",
            format!("must be 1 to {MAX_TOKEN_BYTES} printable ASCII characters"),
        ));
    }
    Ok(PaymentMethod { token })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn accept(body: &serde_json::Value) -> Result<OrderPlaced, InvalidField> {
        serde_json::from_str::<OrderRequest>(&body.to_string())
            .unwrap()
            .accept(&IdempotencyKey::parse("k").unwrap())
    }

    fn body() -> serde_json::Value {
        json!({"userId": "abc123", "currency": "USD",
               "items": [{"sku": "tea", "quantity": 3, "unitPrice": 0.1}]})
    }

    fn refused_field(change: impl FnOnce(&mut serde_json::Value)) -> String {
        let mut body = body();
        change(&mut body);
        accept(&body).unwrap_err().field
    }

    #[test]
    fn the_total_is_computed_exactly() {
        let placed = accept(&body()).unwrap();
        assert_eq!(placed.terms.total_amount, Amount::parse("0.3").unwrap());
    }

    #[test]
    fn a_gift_costs_nothing() {
        let mut gift = body();
        gift["items"][0]["unitPrice"] = json!(0);
        assert!(accept(&gift).unwrap().terms.total_amount.is_zero());
    }

    #[test]
    fn the_refused_field_is_named() {
        assert_eq!(refused_field(|b| b["items"] = json!([])), "items");
        assert_eq!(
            refused_field(|b| b["items"][0]["quantity"] = json!(0)),
            "items[0].quantity"
        );
        assert_eq!(
            refused_field(|b| b["items"][0]["quantity"] = json!(100_001)),
            "items[0].quantity"
        );
        assert_eq!(
            refused_field(|b| b["items"][0]["unitPrice"] = json!(10_000_001)),
            "items[0].unitPrice"
        );
        assert_eq!(
            refused_field(|b| b["items"][0]["unitPrice"] = json!(0.000_000_1)),
            "items[0].unitPrice"
        );
        assert_eq!(
            refused_field(|b| b["currency"] = json!("JPY")),
            "items",
            "nobody can pay 0.3 JPY"
        );
        assert_eq!(
            refused_field(|b| b["contact"] = json!({"email": "nobody"})),
            "contact.email"
        );
        assert_eq!(
            refused_field(|b| b["payment"] = json!({"token": ""})),
            "payment.token"
        );
    }

    #[test]
    fn a_piece_may_cost_less_than_a_coin_as_long_as_the_total_can_be_paid() {
        let screws = |quantity: u32| {
            let mut order = body();
            order["items"] = json!([{"sku": "screw", "quantity": quantity, "unitPrice": 0.005}]);
            accept(&order).map(|placed| placed.terms.total_amount.to_string())
        };
        assert_eq!(screws(100).as_deref(), Ok("0.5"));
        assert_eq!(screws(1).unwrap_err().field, "items");
    }

    #[test]
    fn a_sku_may_stand_on_several_lines_at_several_prices() {
        let mut two = body();
        two["items"] = json!([{"sku": "tea", "quantity": 1, "unitPrice": 1},
                              {"sku": "tea", "quantity": 1, "unitPrice": 2}]);
        assert_eq!(accept(&two).unwrap().terms.total_amount.to_string(), "3");
    }

    #[test]
    fn an_order_has_at_most_100_lines_of_99_skus() {
        let lines = |count: usize, skus: usize| {
            let mut many = body();
            many["items"] = (0..count)
                .map(|n| json!({"sku": format!("s{}", n % skus), "quantity": 1, "unitPrice": 1}))
                .collect();
            accept(&many)
        };
        assert!(lines(100, 99).is_ok());
        assert_eq!(lines(100, 100).unwrap_err().field, "items");
        assert_eq!(lines(101, 1).unwrap_err().field, "items");
    }
}
