//! Mail through SES v2.

use crate::connection::Deferred;
use crate::dynamodb_event_store::describe;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::error::SdkError;
use aws_sdk_sesv2::operation::send_email::SendEmailError;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};
use event_sourcing::retry::{Retry, Retryable};

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// SES did not take it this time.
    #[error("SES did not take the mail ({0}); send it again")]
    Unavailable(String),
    /// SES will never take it: the address, the sender or the account is not good.
    #[error("SES refuses the mail for good ({0})")]
    Refused(String),
}

impl Retryable for MailError {
    fn retry(&self) -> Retry {
        match self {
            Self::Unavailable(_) => Retry::Later,
            Self::Refused(_) => Retry::Never,
        }
    }
}

/// Sends plain text from one address.
#[derive(Debug, Clone)]
pub struct SesMailer {
    client: Deferred<Client>,
    from: String,
}

impl SesMailer {
    /// A mailer; `from` must be an identity that SES has verified.
    #[must_use]
    pub fn new(client: Deferred<Client>, from: impl Into<String>) -> Self {
        Self {
            client,
            from: from.into(),
        }
    }

    /// Sends one mail.
    ///
    /// # Errors
    /// [`MailError`].
    pub async fn send(&self, to: &str, subject: &str, text: &str) -> Result<(), MailError> {
        let content = |text: &str| {
            Content::builder()
                .data(text)
                .charset("UTF-8")
                .build()
                .map_err(|error| MailError::Refused(error.to_string()))
        };
        let message = Message::builder()
            .subject(content(subject)?)
            .body(Body::builder().text(content(text)?).build())
            .build();
        self.client
            .send_email()
            .from_email_address(&self.from)
            .destination(Destination::builder().to_addresses(to).build())
            .content(EmailContent::builder().simple(message).build())
            .send()
            .await
            .map(|_| ())
            .map_err(|error| classify(&error))
    }
}

fn classify(error: &SdkError<SendEmailError>) -> MailError {
    let text = describe(error);
    match error.as_service_error() {
        Some(
            SendEmailError::BadRequestException(_)
            | SendEmailError::MessageRejected(_)
            | SendEmailError::NotFoundException(_)
            | SendEmailError::MailFromDomainNotVerifiedException(_)
            | SendEmailError::AccountSuspendedException(_),
        ) => MailError::Refused(text),
        _ => MailError::Unavailable(text),
    }
}
