//! Whether a request was signed by Stripe, for this endpoint, just now
//! (<https://docs.stripe.com/webhooks#verify-manually>).
//!
//! `Stripe-Signature: t=1492774577,v1=5257a869…,v1=…,v0=…`: each `v1` is the HMAC-SHA256 of
//! `<t>.<body>` under the endpoint's secret, in hexadecimal digits. There are two while a secret
//! is being replaced.

use jiff::{SignedDuration, Timestamp};
use ring::hmac;

/// How far the time of a signature may be from now, so that a request that somebody copied cannot
/// be sent again later.
pub const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);
/// So many signatures are tried.
const MAX_SIGNATURES: usize = 8;

/// A `Stripe-Signature` header, read but not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// As it stands in the header: it is part of what was signed.
    time: String,
    at: Timestamp,
    tags: Vec<Vec<u8>>,
}

/// Why a request is not taken for Stripe's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no header.
    #[error("is missing: only Stripe sends requests here")]
    Missing,
    /// The header is none.
    #[error("must be like t=<seconds>,v1=<64 hexadecimal digits>")]
    Malformed,
    /// No signature is one under the secret.
    #[error("does not belong to this body; the secret must be that of this endpoint")]
    Forged,
    /// The signature is genuine, and not of now.
    #[error("is more than five minutes old, or of the future; Stripe signs every attempt anew")]
    Untimely,
}

impl Signature {
    /// Reads a header.
    ///
    /// # Errors
    /// [`SignatureError::Missing`], [`SignatureError::Malformed`].
    pub fn parse(header: Option<&str>) -> Result<Self, SignatureError> {
        let header = header.ok_or(SignatureError::Missing)?;
        let mut time = None;
        let mut tags = Vec::new();
        // Schemes that are not known here are for others.
        for part in header.split(',') {
            match part.trim().split_once('=') {
                Some(("t", seconds)) => time = Some(seconds),
                Some(("v1", digits)) if tags.len() < MAX_SIGNATURES => {
                    tags.push(tag(digits).ok_or(SignatureError::Malformed)?);
                }
                _ => {}
            }
        }
        let time = time.ok_or(SignatureError::Malformed)?;
        let at = time
            .parse()
            .ok()
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .ok_or(SignatureError::Malformed)?;
        if tags.is_empty() {
            return Err(SignatureError::Malformed);
        }
        Ok(Self {
            time: time.to_owned(),
            at,
            tags,
        })
    }

    /// Verifies that the body was signed with the secret, in constant time, and not long ago.
    ///
    /// # Errors
    /// [`SignatureError::Forged`], [`SignatureError::Untimely`].
    pub fn verify(&self, body: &[u8], secret: &str, now: Timestamp) -> Result<(), SignatureError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signed = [self.time.as_bytes(), b".", body].concat();
        if !self
            .tags
            .iter()
            .any(|tag| hmac::verify(&key, &signed, tag).is_ok())
        {
            return Err(SignatureError::Forged);
        }
        if now.duration_since(self.at).abs() > TOLERANCE {
            return Err(SignatureError::Untimely);
        }
        Ok(())
    }
}

/// The 32 bytes of an HMAC-SHA256 in hexadecimal digits.
fn tag(digits: &str) -> Option<Vec<u8>> {
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests;
