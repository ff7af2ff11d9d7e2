//! `SESv2`: `SendEmail`, recorded and not sent.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::ApiError;
use crate::clock::now_millis;

/// Recipients of one mail that SES takes.
const MAX_RECIPIENTS: usize = 50;

/// A mail that was accepted.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SentEmail {
    /// The id the sender got.
    pub message_id: String,
    /// Milliseconds since the Unix epoch.
    pub at_millis: u64,
    /// `FromEmailAddress`.
    pub from: String,
    /// To, Cc and Bcc addresses.
    pub recipients: Vec<String>,
    /// Subject of a simple mail, empty for others.
    pub subject: String,
    /// Plain text of a simple mail, empty for others.
    pub text: String,
    /// The whole request.
    pub request: Value,
}

#[derive(Debug, Default)]
pub(crate) struct Mail {
    sent: Mutex<Vec<SentEmail>>,
}

impl Mail {
    pub(crate) fn sent(&self) -> Vec<SentEmail> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.clone()
    }

    pub(crate) fn call(&self, operation: &str, request: Value) -> Result<Value, ApiError> {
        if operation != "SendEmail" {
            return Err(ApiError::unknown_operation("ses", operation));
        }
        let bad = |message: &str| ApiError::new("BadRequestException", message);
        let from = request["FromEmailAddress"].as_str().unwrap_or_default();
        if !is_address(from) {
            return Err(bad("FromEmailAddress is missing or not an e-mail address"));
        }
        let recipients: Vec<String> = ["ToAddresses", "CcAddresses", "BccAddresses"]
            .iter()
            .filter_map(|list| request["Destination"][list].as_array())
            .flatten()
            .map(|address| address.as_str().unwrap_or_default().to_owned())
            .collect();
        if recipients.is_empty() || recipients.len() > MAX_RECIPIENTS {
            return Err(bad("Destination must hold 1 to 50 addresses"));
        }
        if let Some(wrong) = recipients.iter().find(|address| !is_address(address)) {
            return Err(bad(&format!("not an e-mail address: {wrong:?}")));
        }
        let content = &request["Content"];
        let kinds = ["Simple", "Raw", "Template"];
        if kinds
            .iter()
            .filter(|kind| content[**kind].is_object())
            .count()
            != 1
        {
            return Err(bad(
                "Content must hold exactly one of Simple, Raw and Template",
            ));
        }
        let simple = &content["Simple"];
        if simple.is_object() {
            if simple["Subject"]["Data"].as_str().is_none_or(str::is_empty) {
                return Err(bad("Subject is missing"));
            }
            if !simple["Body"]["Text"]["Data"].is_string()
                && !simple["Body"]["Html"]["Data"].is_string()
            {
                return Err(bad("Body must hold Text or Html"));
            }
        }
        let text = |value: &Value| value["Data"].as_str().unwrap_or_default().to_owned();
        let message_id = Uuid::new_v4().to_string();
        let email = SentEmail {
            message_id: message_id.clone(),
            at_millis: now_millis(),
            from: from.to_owned(),
            recipients,
            subject: text(&simple["Subject"]),
            text: text(&simple["Body"]["Text"]),
            request,
        };
        self.sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(email);
        Ok(json!({"MessageId": message_id}))
    }
}

/// `name@domain`, or `Name <name@domain>`.
fn is_address(text: &str) -> bool {
    let address = match (text.rfind('<'), text.strip_suffix('>')) {
        (Some(at), Some(inner)) => &inner[at + 1..],
        _ => text,
    };
    let valid = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
    address
        .split_once('@')
        .is_some_and(|(name, domain)| valid(name) && valid(domain) && !domain.contains('@'))
}
