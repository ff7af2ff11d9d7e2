//! Data keys made and wrapped by KMS, each for one subject: the encryption context, which KMS
//! demands again to unwrap it, and by which IAM says who may use the master key for what, is
//! `{"purpose": "personal-data", "userId": …}`.

use crate::connection::Deferred;
use crate::dynamodb_event_store::describe;
use aws_sdk_kms::Client;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use event_sourcing::sealing::cipher::DataKey;
use event_sourcing::sealing::keys::KeyService;
use event_sourcing::sealing::{SealingError, WrappedKey};
use zeroize::Zeroizing;

const PURPOSE: &str = "personal-data";

/// One symmetric key of KMS.
#[derive(Debug, Clone)]
pub struct KmsKeyService {
    client: Deferred<Client>,
    master_key: String,
}

impl KmsKeyService {
    /// The service with the master key of this ARN.
    #[must_use]
    pub fn new(client: Deferred<Client>, master_key: impl Into<String>) -> Self {
        Self {
            client,
            master_key: master_key.into(),
        }
    }
}

impl KeyService for KmsKeyService {
    async fn generate(&self, subject: &str) -> Result<(DataKey, WrappedKey), SealingError> {
        let request = self
            .client
            .generate_data_key()
            .key_id(&self.master_key)
            .key_spec(DataKeySpec::Aes256)
            .encryption_context("purpose", PURPOSE)
            .encryption_context("userId", subject);
        // Boxed here and below: the SDK's futures are large, and callers nest them.
        let answer = Box::pin(request.send())
            .await
            .map_err(|error| classify(&error))?;
        let key = data_key(answer.plaintext)?;
        let wrapped = answer
            .ciphertext_blob
            .ok_or(SealingError::Corrupted("KMS gave no wrapped key"))?;
        Ok((key, WrappedKey(wrapped.into_inner())))
    }

    async fn unwrap(&self, subject: &str, key: &WrappedKey) -> Result<DataKey, SealingError> {
        let request = self
            .client
            .decrypt()
            .key_id(&self.master_key)
            .ciphertext_blob(Blob::new(key.0.clone()))
            .encryption_context("purpose", PURPOSE)
            .encryption_context("userId", subject);
        let answer = Box::pin(request.send())
            .await
            .map_err(|error| classify(&error))?;
        data_key(answer.plaintext)
    }
}

fn data_key(plain: Option<Blob>) -> Result<DataKey, SealingError> {
    let plain = plain.ok_or(SealingError::Corrupted("KMS gave no data key"))?;
    DataKey::from_bytes(&Zeroizing::new(plain.into_inner()))
        .ok_or(SealingError::Corrupted("KMS gave a key of another length"))
}

/// What the error of a call asks for
/// (<https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html#API_Decrypt_Errors>).
fn classify<E>(error: &SdkError<E>) -> SealingError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match error.code() {
        Some("InvalidCiphertextException" | "IncorrectKeyException") => {
            SealingError::Corrupted("KMS did not wrap its key for this customer")
        }
        Some(
            "AccessDeniedException"
            | "DisabledException"
            | "InvalidKeyUsageException"
            | "KMSInvalidStateException"
            | "NotFoundException"
            | "ValidationException",
        ) => SealingError::Refused(told(error)),
        _ => SealingError::Unavailable(told(error)),
    }
}

/// What went wrong, without the answer itself: a data key can be in it.
fn told<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match error {
        SdkError::ResponseError(_) => "KMS gave an answer that cannot be read".to_owned(),
        SdkError::ServiceError(_) => format!(
            "KMS says {}: {}",
            error.code().unwrap_or("nothing"),
            error.message().unwrap_or_default()
        ),
        _ => describe(error),
    }
}
