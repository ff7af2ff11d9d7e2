//! A JSON Web Token: taken apart, and its signature verified (RFC 7515, RFC 7518).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaParameters};
use serde_json::{Map, Value};

use super::keys::PublicKey;

/// A token, taken apart. Nothing in it is true before it is verified.
#[derive(Debug)]
pub(super) struct Jwt<'t> {
    /// Which key it says it was signed with.
    pub(super) key_id: String,
    /// What it claims.
    pub(super) claims: Map<String, Value>,
    algorithm: String,
    signed: &'t str,
    signature: Vec<u8>,
}

impl<'t> Jwt<'t> {
    /// Takes a token apart.
    pub(super) fn parse(token: &'t str) -> Result<Self, String> {
        let malformed = || "the token is malformed".to_owned();
        let (signed, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (header, claims) = signed.split_once('.').ok_or_else(malformed)?;
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| malformed());
        let object = |text: &str| -> Result<Map<String, Value>, String> {
            serde_json::from_slice(&bytes(text)?).map_err(|_| malformed())
        };
        let header = object(header)?;
        let named = |name: &str| header.get(name).and_then(Value::as_str).map(str::to_owned);
        // Extensions that must be understood (RFC 7515, section 4.1.11) are not.
        if header.contains_key("crit") {
            return Err(malformed());
        }
        let algorithm = named("alg").ok_or_else(malformed)?;
        if parameters(&algorithm).is_none() {
            return Err(format!("signing method {algorithm} is invalid"));
        }
        Ok(Self {
            key_id: named("kid").ok_or("the token does not have a kid")?,
            claims: object(claims)?,
            algorithm,
            signed,
            signature: bytes(signature)?,
        })
    }

    /// Whether this key signed it.
    pub(super) fn verify(&self, key: &PublicKey) -> Result<(), String> {
        let invalid = || "the token has an invalid signature".to_owned();
        if key
            .algorithm
            .as_ref()
            .is_some_and(|one| *one != self.algorithm)
        {
            return Err(invalid());
        }
        let parameters = parameters(&self.algorithm).ok_or_else(invalid)?;
        key.components
            .verify(parameters, self.signed.as_bytes(), &self.signature)
            .map_err(|_| invalid())
    }
}

/// Algorithms on RSA keys; API Gateway takes no others.
fn parameters(algorithm: &str) -> Option<&'static RsaParameters> {
    match algorithm {
        "RS256" => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        "RS384" => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        "RS512" => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        "PS256" => Some(&signature::RSA_PSS_2048_8192_SHA256),
        "PS384" => Some(&signature::RSA_PSS_2048_8192_SHA384),
        "PS512" => Some(&signature::RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}
