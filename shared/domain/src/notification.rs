//! Whom an event has to be told to, and in which words.

use crate::ids::{OrderId, UserId};
use crate::order::{CancelReason, Contact, OrderEvent, Terms};
use crate::stored_events::stored_events;
use event_sourcing::decider::Decider;
use event_sourcing::sealing::Sealed;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A message to a customer about one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Which order it is about.
    pub order_id: OrderId,
    /// Who gets it.
    pub user_id: UserId,
    /// Where to, where known and not sealed.
    pub contact: Option<Contact>,
    /// Where to, sealed.
    pub sealed_contact: Option<Sealed>,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
}

/// The stream of the notification that the event with this id triggers.
#[must_use]
pub fn notification_stream(event_id: &str) -> String {
    format!("notification-{event_id}")
}

/// One fact on the stream of a notification. Stored format: add a version and an upcaster, never
/// rename.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotificationEvent {
    /// Somebody took it on themselves to send it; version 1 of every notification's stream.
    Notified(UserNotified),
    /// It could not be sent.
    Failed(NotificationFailed),
    /// Somebody took it on themselves to send it after all.
    Retried(NotificationRetried),
}

/// Why somebody is not told what they would have been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Withheld {
    /// Their personal data was erased, and with it the way to reach them.
    ContactErased,
}

/// Data of `UserNotified`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UserNotified {
    /// Which order it is about.
    pub order_id: OrderId,
    /// Who gets it.
    pub user_id: UserId,
    /// The `eventType` of the event that triggered it.
    pub about: String,
    /// The invocation that sends it; a retry of the same invocation may send it again.
    pub claimed_by: String,
    /// Why it is not sent after all; absent when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<Withheld>,
}

/// Data of `NotificationFailed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NotificationFailed {
    /// Which order it is about.
    pub order_id: OrderId,
    /// Why it could not be sent.
    pub reason: String,
}

/// Data of `NotificationRetried`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NotificationRetried {
    /// Which order it is about.
    pub order_id: OrderId,
    /// The invocation that sends it.
    pub claimed_by: String,
    /// Why it is not sent after all; absent when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<Withheld>,
}

/// Where a notification stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotificationState {
    /// Nobody took it on.
    Open,
    /// This invocation sends it, or has sent it.
    Claimed {
        /// Which invocation.
        by: String,
    },
    /// Sending failed; whoever comes next may try.
    Failed,
}

/// What an invocation wants of a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotificationCommand {
    /// Send it: whoever is granted this, and nobody else, sends.
    Claim(UserNotified),
    /// Note that the claimer could not send it.
    Fail(NotificationFailed),
}

/// Notifications reject nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("notifications reject nothing")]
pub enum NotificationRejection {}

impl Decider for NotificationState {
    type State = Self;
    type Command = NotificationCommand;
    type Event = NotificationEvent;
    type Rejection = NotificationRejection;

    fn initial() -> Self {
        Self::Open
    }

    fn decide(
        command: &NotificationCommand,
        state: &Self,
    ) -> Result<Vec<NotificationEvent>, NotificationRejection> {
        Ok(match (command, state) {
            (NotificationCommand::Claim(claim), Self::Open) => {
                vec![NotificationEvent::Notified(claim.clone())]
            }
            (NotificationCommand::Claim(claim), Self::Failed) => {
                vec![NotificationEvent::Retried(NotificationRetried {
                    order_id: claim.order_id.clone(),
                    claimed_by: claim.claimed_by.clone(),
                    withheld: claim.withheld,
                })]
            }
            (NotificationCommand::Claim(_), Self::Claimed { .. }) => vec![],
            (NotificationCommand::Fail(failed), Self::Claimed { .. }) => {
                vec![NotificationEvent::Failed(failed.clone())]
            }
            (NotificationCommand::Fail(_), Self::Open | Self::Failed) => vec![],
        })
    }

    fn evolve(_: Self, event: &NotificationEvent, _: Timestamp) -> Self {
        match event {
            NotificationEvent::Notified(claim) => Self::Claimed {
                by: claim.claimed_by.clone(),
            },
            NotificationEvent::Retried(claim) => Self::Claimed {
                by: claim.claimed_by.clone(),
            },
            NotificationEvent::Failed(_) => Self::Failed,
        }
    }
}

stored_events! {
    NotificationEvent, upcasters: &[];
    "UserNotified" => Notified(UserNotified),
    "NotificationFailed" => Failed(NotificationFailed),
    "NotificationRetried" => Retried(NotificationRetried),
}

impl Notification {
    /// The message that `event` calls for; `None` for an event that customers need not hear of.
    #[must_use]
    pub fn about(event: &OrderEvent) -> Option<Self> {
        let Terms {
            order_id,
            user_id,
            total_amount,
            currency,
            contact,
            sealed_contact,
            ..
        } = event.terms();
        let (subject, text) = match event {
            OrderEvent::Placed(_) => (
                format!("We have your order {order_id}"),
                format!("Thank you. Your order {order_id} over {total_amount} {currency} is in."),
            ),
            OrderEvent::PaymentProcessed(_) => (
                format!("Your order {order_id} is confirmed"),
                format!("We received {total_amount} {currency} and prepare your order."),
            ),
            OrderEvent::InventoryRejected(_) => (
                format!("We cannot deliver your order {order_id}"),
                "Something in it is not available as ordered. You have not been charged.".into(),
            ),
            OrderEvent::PaymentFailed(_) => (
                format!("Your order {order_id} could not be paid"),
                "The payment was declined. You have not been charged.".into(),
            ),
            OrderEvent::Cancelled(cancelled) => (
                format!("Your order {order_id} is cancelled"),
                match cancelled.reason {
                    CancelReason::Requested => "It was cancelled on request.".into(),
                    CancelReason::Expired => "It was not paid in time.".into(),
                },
            ),
            OrderEvent::PaymentRefunded(_) => (
                format!("Your money for order {order_id} is on its way back"),
                format!("We refunded {total_amount} {currency}."),
            ),
            OrderEvent::InventoryUpdated(_) => return None,
        };
        Some(Self {
            order_id: order_id.clone(),
            user_id: user_id.clone(),
            contact: contact.clone(),
            sealed_contact: sealed_contact.clone(),
            subject,
            text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event_sourcing::decider::Event;

    fn about(event_type: &str, more: &str) -> Option<Notification> {
        let data =
            format!(r#"{{"orderId": "67890", "userId": "abc123", "totalAmount": 150.75{more}}}"#);
        let data = serde_json::from_str(&data).unwrap();
        Notification::about(&OrderEvent::from_data(event_type, &data).unwrap().unwrap())
    }

    #[test]
    fn customers_hear_of_everything_but_stock_moves() {
        for (event_type, more) in [
            ("OrderPlaced", ""),
            ("PaymentProcessed", ""),
            ("PaymentFailed", r#", "reason": "x""#),
            ("InventoryRejected", r#", "shortages": []"#),
            ("OrderCancelled", r#", "reason": "requested""#),
            ("PaymentRefunded", r#", "paymentId": "ch_1""#),
        ] {
            let notification = about(event_type, more).expect(event_type);
            assert_eq!(notification.user_id.as_str(), "abc123");
            assert!(notification.subject.contains("67890"), "{event_type}");
        }
        assert_eq!(about("InventoryUpdated", r#", "reason": "reserved""#), None);
    }

    fn claim(by: &str) -> UserNotified {
        UserNotified {
            order_id: OrderId::parse("67890").unwrap(),
            user_id: UserId::parse("abc123").unwrap(),
            about: "OrderPlaced".into(),
            claimed_by: by.into(),
            withheld: None,
        }
    }

    fn failed() -> NotificationFailed {
        NotificationFailed {
            order_id: OrderId::parse("67890").unwrap(),
            reason: "no route".into(),
        }
    }

    fn after(history: &[NotificationEvent]) -> NotificationState {
        NotificationState::fold(history.iter().map(|event| (event, Timestamp::UNIX_EPOCH)))
    }

    fn decide(command: NotificationCommand, state: &NotificationState) -> Vec<NotificationEvent> {
        NotificationState::decide(&command, state).unwrap()
    }

    #[test]
    fn an_open_notification_is_claimed_by_the_first_and_by_nobody_else() {
        let first = decide(NotificationCommand::Claim(claim("a")), &after(&[]));
        assert_eq!(first, [NotificationEvent::Notified(claim("a"))]);
        assert_eq!(
            decide(NotificationCommand::Claim(claim("b")), &after(&first)),
            []
        );
    }

    #[test]
    fn a_failed_notification_can_be_claimed_again_without_a_second_user_notified() {
        let mut history = vec![NotificationEvent::Notified(claim("a"))];
        history.extend(decide(
            NotificationCommand::Fail(failed()),
            &after(&history),
        ));
        let again = decide(NotificationCommand::Claim(claim("b")), &after(&history));
        assert_eq!(
            again.iter().map(Event::event_type).collect::<Vec<_>>(),
            ["NotificationRetried"]
        );
        history.extend(again);
        assert_eq!(
            after(&history),
            NotificationState::Claimed { by: "b".into() }
        );
    }

    #[test]
    fn what_is_withheld_is_claimed_like_anything_else_and_says_why() {
        let withheld = UserNotified {
            withheld: Some(Withheld::ContactErased),
            ..claim("b")
        };
        let first = decide(NotificationCommand::Claim(withheld.clone()), &after(&[]));
        assert_eq!(first, [NotificationEvent::Notified(withheld.clone())]);
        assert_eq!(
            first[0].to_data().unwrap()["withheld"],
            serde_json::json!("contact_erased")
        );
        let mut history = vec![NotificationEvent::Notified(claim("a"))];
        history.extend(decide(
            NotificationCommand::Fail(failed()),
            &after(&history),
        ));
        let again = decide(NotificationCommand::Claim(withheld), &after(&history));
        let [NotificationEvent::Retried(retried)] = again.as_slice() else {
            panic!("it is claimed anew");
        };
        assert_eq!(retried.withheld, Some(Withheld::ContactErased));
    }

    #[test]
    fn what_nobody_claimed_cannot_fail() {
        assert_eq!(decide(NotificationCommand::Fail(failed()), &after(&[])), []);
    }
}
