//! How to reach a customer: personal data, and where it may stand in an event, plain or sealed.

use crate::ids::{OrderId, UserId};
use event_sourcing::sealing::Sealed;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Field of an event's data with the plain contact.
const PLAIN: &str = "contact";
/// Field of an event's data with the sealed contact.
const SEALED: &str = "sealedContact";

/// How to reach the customer about this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Contact {
    /// E-mail address.
    pub email: String,
}

/// What was unsealed is no contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what was unsealed is no contact; was it sealed by newer software?")]
pub struct NoContact;

impl Contact {
    /// The text to seal.
    ///
    /// # Errors
    /// Never, for a text.
    pub fn to_text(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// The contact in an unsealed text.
    ///
    /// # Errors
    /// [`NoContact`], which does not hold the text.
    pub fn from_text(text: &[u8]) -> Result<Self, NoContact> {
        serde_json::from_slice(text).map_err(|_| NoContact)
    }
}

/// Where a sealed contact belongs: it opens for this customer and this order only.
#[must_use]
pub fn place_of<'a>(user: &'a UserId, order: &'a OrderId) -> [&'a str; 3] {
    [PLAIN, user.as_str(), order.as_str()]
}

/// A plain contact that stands in the data of an event, whatever the event's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainContact {
    /// Whose it is.
    pub user: UserId,
    /// Of which order; empty where the event names none.
    order: String,
    /// All of it, with fields that we do not know, as JSON.
    pub text: Vec<u8>,
}

/// A contact that is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("data.contact can be sealed for the customer in data.userId only, and there is none")]
pub struct NobodysContact;

impl PlainContact {
    /// The plain contact in an event's data, if there is one.
    ///
    /// # Errors
    /// [`NobodysContact`].
    pub fn of(data: &Value) -> Result<Option<Self>, NobodysContact> {
        let contact = match data.get(PLAIN) {
            None | Some(Value::Null) => return Ok(None),
            Some(contact) => contact,
        };
        let text = |field: &str| data.get(field).and_then(Value::as_str);
        let user = text("userId").and_then(|user| UserId::parse(user).ok());
        Ok(Some(Self {
            user: user.ok_or(NobodysContact)?,
            order: text("orderId").unwrap_or_default().to_owned(),
            text: contact.to_string().into_bytes(),
        }))
    }

    /// Where its sealed form belongs.
    #[must_use]
    pub fn place(&self) -> [&str; 3] {
        [PLAIN, self.user.as_str(), &self.order]
    }

    /// Puts its sealed form in its place.
    pub fn replace_in(data: &mut Map<String, Value>, sealed: &Sealed) {
        data.remove(PLAIN);
        data.insert(SEALED.to_owned(), Value::from(sealed.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::OrderEvent;
    use event_sourcing::decider::Event;
    use serde_json::json;

    #[test]
    fn a_contact_comes_back_from_its_text() {
        let contact = Contact {
            email: "somebody@example.com".into(),
        };
        let text = contact.to_text().unwrap();
        assert_eq!(Contact::from_text(&text), Ok(contact));
        assert_eq!(Contact::from_text(b"{}"), Err(NoContact));
    }

    #[test]
    fn a_plain_contact_is_found_whole_and_belongs_to_customer_and_order() {
        let data = json!({"orderId": "67890", "userId": "abc123", "totalAmount": 1,
            "contact": {"email": "a@x.de", "phone": "0123"}});
        let plain = PlainContact::of(&data).unwrap().unwrap();
        let (user, order) = (
            UserId::parse("abc123").unwrap(),
            OrderId::parse("67890").unwrap(),
        );
        assert_eq!(plain.place(), place_of(&user, &order));
        let text: Value = serde_json::from_slice(&plain.text).unwrap();
        assert_eq!(text, data["contact"]);
        assert_eq!(Contact::from_text(&plain.text).unwrap().email, "a@x.de");
    }

    #[test]
    fn its_sealed_form_takes_its_place_and_the_event_is_read() {
        let Value::Object(mut data) = json!({"orderId": "67890", "userId": "abc123", "currency": "USD",
            "totalAmount": 1, "contact": {"email": "a@x.de"}})
        else {
            panic!("an object");
        };
        let sealed = Sealed::of_text("1.k.AAAA");
        PlainContact::replace_in(&mut data, &sealed);
        let data = Value::Object(data);
        assert!(!data.to_string().contains("a@x.de"));
        let event = OrderEvent::from_data("OrderPlaced", &data)
            .unwrap()
            .unwrap();
        assert_eq!(event.terms().contact, None);
        assert_eq!(event.terms().sealed_contact, Some(sealed));
        assert_eq!(event.to_data().unwrap(), data);
    }

    #[test]
    fn a_contact_that_is_nobodys_is_refused_and_none_is_none() {
        let of = |data: Value| PlainContact::of(&data);
        assert_eq!(of(json!({"userId": "abc123"})), Ok(None));
        assert_eq!(of(json!({"contact": null})), Ok(None));
        assert_eq!(
            of(json!({"contact": {"email": "a@x.de"}})),
            Err(NobodysContact)
        );
        assert_eq!(
            of(json!({"userId": "", "contact": {"email": "a@x.de"}})),
            Err(NobodysContact)
        );
    }
}
