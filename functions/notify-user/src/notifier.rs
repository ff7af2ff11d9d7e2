//! The port to whatever reaches customers.

use aws_adapters::ses_mailer::{MailError, SesMailer};
use domain::notification::Notification;
use event_sourcing::retry::{Retry, Retryable};
use std::future::Future;

/// Why a notification was not sent.
#[derive(Debug, thiserror::Error)]
pub enum NotifierError {
    /// The mail was not sent.
    #[error(transparent)]
    Mail(#[from] MailError),
}

impl Retryable for NotifierError {
    fn retry(&self) -> Retry {
        match self {
            Self::Mail(error) => error.retry(),
        }
    }
}

/// Reaches customers.
pub trait Notifier: Send + Sync {
    /// Whether it needs to know how a customer is reached. If not, nobody unseals that.
    fn needs_contact(&self) -> bool {
        true
    }

    /// Sends one notification. What cannot be reached (a customer without an address) is a
    /// success: there is nothing to send.
    ///
    /// # Errors
    /// [`NotifierError`].
    fn send(
        &self,
        notification: &Notification,
    ) -> impl Future<Output = Result<(), NotifierError>> + Send;
}

/// Writes a line to the log.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogNotifier;

impl Notifier for LogNotifier {
    fn needs_contact(&self) -> bool {
        false
    }

    async fn send(&self, notification: &Notification) -> Result<(), NotifierError> {
        tracing::info!(
            "Sending notification for Order ID: {} to User ID: {}",
            notification.order_id,
            notification.user_id
        );
        Ok(())
    }
}

impl Notifier for SesMailer {
    async fn send(&self, notification: &Notification) -> Result<(), NotifierError> {
        let Some(contact) = &notification.contact else {
            tracing::info!(order_id = %notification.order_id, "no address to notify");
            return Ok(());
        };
        Self::send(
            self,
            &contact.email,
            &notification.subject,
            &notification.text,
        )
        .await?;
        tracing::info!(order_id = %notification.order_id, "mail sent");
        Ok(())
    }
}
