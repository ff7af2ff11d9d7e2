//! What reaches customers.

use std::collections::HashMap;
use std::sync::Arc;

use aws_adapters::ses_mailer::MailError;
use domain::notification::Notification;
use domain::order::OrderEvent;
use event_sourcing::envelope::Envelope;
use event_sourcing::upcaster::decode_optional;
use notify_user::notifier::{Notifier, NotifierError};
use serde_json::Value;

use super::{World, lock};
use crate::faults::Fault;

/// Mails by what they are about: the subject names the order and what happened to it.
#[derive(Debug, Default)]
pub struct Mails {
    /// How often each was sent.
    pub sent: HashMap<String, u32>,
    /// How often each may have been sent again, for nobody knew of the time before.
    pub excused: HashMap<String, u32>,
}

impl Mails {
    fn sent(&mut self, about: &str, is_excused: bool) {
        *self.sent.entry(about.to_owned()).or_default() += 1;
        if is_excused {
            *self.excused.entry(about.to_owned()).or_default() += 1;
        }
    }
}

/// The port of the handler.
#[derive(Clone)]
pub struct Mailer(pub Arc<World>);

impl Notifier for Mailer {
    async fn send(&self, notification: &Notification) -> Result<(), NotifierError> {
        let Self(world) = self;
        let about = &notification.subject;
        world.step().await;
        let fails = world.hits(Fault::MailFailure);
        if fails && world.draw(fastrand::Rng::bool) {
            return Err(MailError::Unavailable("throttled".to_owned()).into());
        }
        lock(&world.mails).sent(about, fails);
        world.note(format_args!("mail {about}"));
        world.step().await;
        if fails {
            return Err(MailError::Unavailable("no answer".to_owned()).into());
        }
        Ok(())
    }
}

impl Mailer {
    /// What the handler must not do: send at once.
    pub(crate) async fn send_about(&self, trigger: &Envelope) {
        let event: Option<OrderEvent> = decode_optional(trigger).ok().flatten();
        if let Some(notification) = event.as_ref().and_then(Notification::about) {
            // It is sent again by the handler, whatever became of it.
            let _ = self.send(&notification).await;
        }
    }
}

impl World {
    /// An invocation about this event may have sent its mail, and is made again.
    pub(crate) fn excuse_mail(&self, trigger: &Value) {
        let event = Envelope::from_value(trigger.clone()).ok();
        let event = event.and_then(|event| decode_optional::<OrderEvent>(&event).ok().flatten());
        if let Some(notification) = event.as_ref().and_then(Notification::about) {
            let mut mails = lock(&self.mails);
            *mails.excused.entry(notification.subject).or_default() += 1;
        }
    }
}
