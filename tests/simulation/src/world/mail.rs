//! What reaches customers.

use std::collections::{HashMap, HashSet};
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
    /// How often each was sent without anybody knowing: it may be sent again as often.
    pub excused: HashMap<String, u32>,
    /// How often each was sent in a call whose end nobody was told of yet.
    pending: HashMap<(String, String), u32>,
    /// Calls of whose end nobody will be told.
    untold: HashSet<String>,
}

impl Mails {
    fn sent(&mut self, about: &str, call: &str, is_excused: bool) {
        *self.sent.entry(about.to_owned()).or_default() += 1;
        if is_excused || self.untold.contains(call) {
            *self.excused.entry(about.to_owned()).or_default() += 1;
        } else {
            let sent = (about.to_owned(), call.to_owned());
            *self.pending.entry(sent).or_default() += 1;
        }
    }

    fn excuse(&mut self, about: &str, call: &str) {
        let sent = (about.to_owned(), call.to_owned());
        let pending = self.pending.remove(&sent).unwrap_or(0);
        *self.excused.entry(about.to_owned()).or_default() += pending;
    }
}

/// The port of the handler, in one call.
#[derive(Clone)]
pub struct Mailer {
    /// Where it sends.
    pub world: Arc<World>,
    /// The id of the call.
    pub call: String,
}

impl Notifier for Mailer {
    async fn send(&self, notification: &Notification) -> Result<(), NotifierError> {
        let Self { world, call } = self;
        let about = &notification.subject;
        world.step().await;
        let fails = world.hits(Fault::MailFailure);
        if fails && world.draw(fastrand::Rng::bool) {
            return Err(MailError::Unavailable("throttled".to_owned()).into());
        }
        lock(&world.mails).sent(about, call, fails);
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
    /// Nobody knows how a call about this event ended, and it is made again: what it sent may be
    /// sent once more.
    pub(crate) fn excuse_mail(&self, trigger: &Value, call: &str) {
        let event = Envelope::from_value(trigger.clone()).ok();
        let event = event.and_then(|event| decode_optional::<OrderEvent>(&event).ok().flatten());
        if let Some(notification) = event.as_ref().and_then(Notification::about) {
            lock(&self.mails).excuse(&notification.subject, call);
        }
    }

    /// The same of a call that goes on, and of what it will send.
    pub(crate) fn excuse_mail_to_come(&self, trigger: &Value, call: &str) {
        self.excuse_mail(trigger, call);
        lock(&self.mails).untold.insert(call.to_owned());
    }
}
