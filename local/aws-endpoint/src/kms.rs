//! KMS: data keys under symmetric keys that stay here. The keys that the host creates are kept in
//! the data directory, so that what was wrapped before a restart is unwrapped after it.
//! <https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html>

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};

use crate::files::replace_private;
use crate::{ApiError, EndpointError};

/// Bytes of a master key, and of a data key of the one kind that is served.
const KEY_BYTES: usize = 32;
/// Most characters of an encryption context
/// (<https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html>).
const MAX_CONTEXT: usize = 8192;
/// Longest ciphertext that `Decrypt` takes, in bytes.
const MAX_CIPHERTEXT: usize = 6144;
/// First byte of every ciphertext.
const FORMAT: u8 = 1;

/// Members of each operation that are served.
const OF_GENERATE: [&str; 4] = ["EncryptionContext", "KeyId", "KeySpec", "NumberOfBytes"];
const OF_DECRYPT: [&str; 4] = [
    "CiphertextBlob",
    "EncryptionAlgorithm",
    "EncryptionContext",
    "KeyId",
];

/// The keys by their ARN.
pub(crate) struct Kms {
    keys: Mutex<BTreeMap<String, String>>,
    random: SystemRandom,
    /// Where the keys are kept; none for an ephemeral endpoint.
    file: Option<PathBuf>,
}

impl Kms {
    /// Opens the keys that are kept.
    pub(crate) fn open(directory: Option<&Path>) -> Result<Self, EndpointError> {
        let file = directory.map(|directory| directory.join("kms.json"));
        let keys = match file.as_ref().filter(|file| file.exists()) {
            Some(file) => read(file)?,
            None => BTreeMap::new(),
        };
        Ok(Self {
            keys: Mutex::new(keys),
            random: SystemRandom::new(),
            file,
        })
    }

    /// Creates a key, unless there is one of this ARN.
    pub(crate) fn create_key(&self, arn: &str) -> Result<(), EndpointError> {
        let mut keys = self.keys();
        if keys.contains_key(arn) {
            return Ok(());
        }
        let failed = |what: String| EndpointError::Storage {
            path: self.file.clone().unwrap_or_default(),
            what,
        };
        let bytes: [u8; KEY_BYTES] = self.random().map_err(|error| failed(error.to_string()))?;
        keys.insert(arn.to_owned(), STANDARD.encode(bytes));
        match &self.file {
            Some(file) => replace_private(file, &json!(*keys).to_string().into_bytes()),
            None => Ok(()),
        }
    }

    pub(crate) fn call(&self, operation: &str, request: &Value) -> Result<Value, ApiError> {
        match operation {
            "GenerateDataKey" => self.generate(request),
            "Decrypt" => self.decrypt(request),
            "DescribeKey" => self.describe(request),
            _ => Err(ApiError::unknown_operation("kms", operation)),
        }
    }

    fn generate(&self, request: &Value) -> Result<Value, ApiError> {
        refuse_others(request, &OF_GENERATE)?;
        let is_aes_256 = match (&request["KeySpec"], &request["NumberOfBytes"]) {
            (spec, Value::Null) => spec == "AES_256",
            (Value::Null, bytes) => *bytes == json!(KEY_BYTES),
            _ => false,
        };
        if !is_aes_256 {
            return Err(ApiError::unsupported("data keys other than AES_256"));
        }
        let (arn, key) = self.key(request)?;
        let plain: [u8; KEY_BYTES] = self.random()?;
        let nonce: [u8; NONCE_LEN] = self.random()?;
        let mut sealed = plain.to_vec();
        cipher(&key)?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context(request)?),
                &mut sealed,
            )
            .map_err(|_| ApiError::internal("the data key cannot be wrapped"))?;
        let length = u16::try_from(arn.len()).unwrap_or(u16::MAX);
        let mut blob = vec![FORMAT];
        blob.extend(length.to_be_bytes());
        blob.extend(arn.as_bytes());
        blob.extend(nonce);
        blob.extend(sealed);
        Ok(
            json!({"CiphertextBlob": STANDARD.encode(blob), "Plaintext": STANDARD.encode(plain),
            "KeyId": arn}),
        )
    }

    fn decrypt(&self, request: &Value) -> Result<Value, ApiError> {
        refuse_others(request, &OF_DECRYPT)?;
        let blob = request["CiphertextBlob"].as_str().unwrap_or_default();
        let blob = STANDARD.decode(blob).unwrap_or_default();
        if blob.is_empty() || blob.len() > MAX_CIPHERTEXT {
            return Err(ApiError::validation(format!(
                "1 validation error detected: Value at 'ciphertextBlob' failed to satisfy \
                 constraint: Member must have length between 1 and {MAX_CIPHERTEXT}"
            )));
        }
        let (arn, nonce, sealed) = taken_apart(&blob).ok_or_else(invalid_ciphertext)?;
        let key = self
            .keys()
            .get(arn)
            .cloned()
            .ok_or_else(invalid_ciphertext)?;
        if !request["KeyId"].is_null() && self.key(request)?.0 != arn {
            return Err(ApiError::new(
                "IncorrectKeyException",
                "The key ID in the request does not identify a CMK that can perform this operation.",
            ));
        }
        let mut text = sealed.to_vec();
        let plain = cipher(&key)?
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context(request)?),
                &mut text,
            )
            .map_err(|_| invalid_ciphertext())?;
        Ok(json!({"Plaintext": STANDARD.encode(plain), "KeyId": arn,
            "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}))
    }

    fn describe(&self, request: &Value) -> Result<Value, ApiError> {
        refuse_others(request, &["KeyId"])?;
        let (arn, _) = self.key(request)?;
        let id = arn.rsplit('/').next().unwrap_or_default();
        Ok(
            json!({"KeyMetadata": {"Arn": arn, "KeyId": id, "Enabled": true,
            "KeyState": "Enabled", "KeySpec": "SYMMETRIC_DEFAULT", "KeyUsage": "ENCRYPT_DECRYPT",
            "KeyManager": "CUSTOMER", "Origin": "AWS_KMS",
            "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"]}}),
        )
    }

    /// The key that a request names, by ARN or id.
    fn key(&self, request: &Value) -> Result<(String, String), ApiError> {
        let id = request["KeyId"].as_str().unwrap_or_default();
        let keys = self.keys();
        let found = keys
            .iter()
            .find(|(arn, _)| *arn == id || arn.rsplit_once('/').is_some_and(|(_, end)| end == id));
        found
            .map(|(arn, key)| (arn.clone(), key.clone()))
            .ok_or_else(|| ApiError::new("NotFoundException", format!("Key '{id}' does not exist")))
    }

    fn keys(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn random<const N: usize>(&self) -> Result<[u8; N], ApiError> {
        let mut bytes = [0; N];
        self.random
            .fill(&mut bytes)
            .map_err(|_| ApiError::internal("the machine has no random numbers"))?;
        Ok(bytes)
    }
}

fn read(file: &Path) -> Result<BTreeMap<String, String>, EndpointError> {
    let failed = |what: String| EndpointError::Storage {
        path: file.to_owned(),
        what,
    };
    let text = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))
}

fn cipher(key: &str) -> Result<LessSafeKey, ApiError> {
    let bytes = STANDARD.decode(key).unwrap_or_default();
    UnboundKey::new(&AES_256_GCM, &bytes)
        .map(LessSafeKey::new)
        .map_err(|_| ApiError::internal("the kept key is damaged"))
}

/// Key, nonce and sealed part of a ciphertext.
fn taken_apart(blob: &[u8]) -> Option<(&str, [u8; NONCE_LEN], &[u8])> {
    let (&[format, high, low], rest) = blob.split_first_chunk::<3>()?;
    let (arn, rest) = rest.split_at_checked(u16::from_be_bytes([high, low]).into())?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
    let arn = std::str::from_utf8(arn).ok()?;
    (format == FORMAT).then_some((arn, *nonce, sealed))
}

/// The encryption context in one order, whatever the request's.
fn context(request: &Value) -> Result<Vec<u8>, ApiError> {
    let given = match &request["EncryptionContext"] {
        Value::Null => BTreeMap::new(),
        Value::Object(pairs) => pairs
            .iter()
            .map(|(name, value)| Some((name.as_str(), value.as_str()?)))
            .collect::<Option<BTreeMap<_, _>>>()
            .ok_or_else(|| ApiError::serialization("an encryption context has texts only"))?,
        _ => {
            return Err(ApiError::serialization(
                "EncryptionContext must be an object",
            ));
        }
    };
    let text = json!(given).to_string();
    if text.chars().count() > MAX_CONTEXT {
        return Err(ApiError::validation("the encryption context is too long"));
    }
    Ok(text.into_bytes())
}

fn invalid_ciphertext() -> ApiError {
    ApiError::new("InvalidCiphertextException", "")
}

/// Refuses members that would have an effect on AWS and have none here.
fn refuse_others(request: &Value, served: &[&str]) -> Result<(), ApiError> {
    let mut given = request.as_object().into_iter().flatten();
    match given.find(|(name, value)| !value.is_null() && !served.contains(&name.as_str())) {
        Some((name, _)) => Err(ApiError::unsupported(format!("{name} of KMS"))),
        None => Ok(()),
    }
}
