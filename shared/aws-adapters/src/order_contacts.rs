//! How customers are reached, sealed before it is stored and unsealed to be used: what the
//! functions that touch a contact share.

use crate::connection::Connection;
use crate::dynamodb_subject_keys::DynamoDbSubjectKeys;
use crate::environment::{ConfigError, parsed, required};
use crate::kms_key_service::KmsKeyService;
use domain::ids::{OrderId, UserId};
use domain::order::{Contact, NoContact, NobodysContact, PlainContact, Terms, place_of};
use event_sourcing::clock::SystemClock;
use event_sourcing::execute::retrying;
use event_sourcing::retry::{Retry, Retryable};
use event_sourcing::sealing::keys::Sealing;
use event_sourcing::sealing::subject_keys::SubjectKeys;
use event_sourcing::sealing::{Sealed, SealingError, Unsealed};
use jiff::SignedDuration;
use serde_json::Value;

/// Where the keys are, and how long they are remembered.
#[derive(Debug, Clone)]
pub struct KeysConfig {
    /// Table of wrapped keys.
    pub table: String,
    /// ARN of the master key.
    pub master_key: String,
    /// How long a process remembers a key.
    pub remembered_for: SignedDuration,
}

impl KeysConfig {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`ConfigError`] names the bad variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Self {
            table: required("SUBJECT_KEYS_TABLE")?,
            master_key: required("PERSONAL_DATA_KEY")?,
            remembered_for: SignedDuration::from_secs(
                parsed::<u32>("DATA_KEY_SECONDS", 180)?.into(),
            ),
        })
    }
}

/// Whether contacts are sealed before they are stored; without a say, they are.
///
/// # Errors
/// [`ConfigError`], for another word than `true` and `false`.
pub fn seals_from_env() -> Result<bool, ConfigError> {
    parsed("SEAL_PERSONAL_DATA", true)
}

/// Keys in a table, wrapped by KMS.
pub type KmsSubjectKeys = SubjectKeys<DynamoDbSubjectKeys, KmsKeyService, SystemClock>;

/// The keys that the settings name.
#[must_use]
pub fn keys(aws: &Connection, config: KeysConfig) -> KmsSubjectKeys {
    SubjectKeys::new(
        DynamoDbSubjectKeys::new(aws.dynamodb(), config.table),
        KmsKeyService::new(aws.kms(), config.master_key),
        SystemClock,
        config.remembered_for,
    )
}

/// Why a contact was not sealed or unsealed.
#[derive(Debug, thiserror::Error)]
pub enum ContactError {
    /// The keys did not do it.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// It is no contact.
    #[error(transparent)]
    NoContact(#[from] NoContact),
    /// It is nobody's.
    #[error(transparent)]
    Nobodys(#[from] NobodysContact),
    /// It cannot be written.
    #[error("the contact cannot be written as JSON")]
    Malformed(#[from] serde_json::Error),
}

impl Retryable for ContactError {
    fn retry(&self) -> Retry {
        match self {
            Self::Sealing(error) => error.retry(),
            Self::NoContact(_) | Self::Nobodys(_) | Self::Malformed(_) => Retry::Never,
        }
    }
}

/// What a sealed contact is found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revealed {
    /// This.
    Contact(Contact),
    /// Nobody can tell any more.
    Erased,
}

/// Seals and unseals contacts.
#[derive(Debug)]
pub struct Contacts<K> {
    /// Keys of customers.
    pub keys: K,
    /// Whether new contacts are sealed. Sealed ones are unsealed either way.
    pub seals: bool,
}

impl<K: Sealing> Contacts<K> {
    /// The terms as they are to be stored. Without a contact, nobody is asked for a key.
    ///
    /// # Errors
    /// [`ContactError`].
    pub async fn sealed(&self, terms: &Terms) -> Result<Terms, ContactError> {
        let Some(contact) = terms.contact.as_ref().filter(|_| self.seals) else {
            return Ok(terms.clone());
        };
        let text = contact.to_text()?;
        let place = place_of(&terms.user_id, &terms.order_id);
        let sealed = self.seal(&terms.user_id, &place, &text).await?;
        Ok(terms.clone().with_sealed_contact(sealed))
    }

    /// The data of another producer's event as it is to be stored.
    ///
    /// # Errors
    /// [`ContactError`].
    pub async fn sealed_data(&self, data: Value) -> Result<Value, ContactError> {
        if !self.seals {
            return Ok(data);
        }
        match (PlainContact::of(&data)?, data) {
            (Some(plain), Value::Object(mut data)) => {
                let sealed = self.seal(&plain.user, &plain.place(), &plain.text).await?;
                PlainContact::replace_in(&mut data, &sealed);
                Ok(Value::Object(data))
            }
            (_, data) => Ok(data),
        }
    }

    /// What is in the sealed contact of a customer's order.
    ///
    /// # Errors
    /// [`ContactError`].
    pub async fn reveal(
        &self,
        user: &UserId,
        order: &OrderId,
        sealed: &Sealed,
    ) -> Result<Revealed, ContactError> {
        let place = place_of(user, order);
        let unsealed = retrying(|| self.keys.unseal(user.as_str(), &place, sealed)).await?;
        Ok(match unsealed {
            Unsealed::Text(text) => Revealed::Contact(Contact::from_text(&text)?),
            Unsealed::Erased(erasure) => {
                tracing::info!(order_id = %order, erased_at = %erasure.at, "the contact was erased");
                Revealed::Erased
            }
        })
    }

    async fn seal(
        &self,
        user: &UserId,
        place: &[&str],
        text: &[u8],
    ) -> Result<Sealed, SealingError> {
        retrying(|| self.keys.seal(user.as_str(), place, text)).await
    }
}
