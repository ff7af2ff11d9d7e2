//! Bytes with a version in front.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes that nobody wrote in this form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damaged {
    /// Not the base64 that a state is written in.
    #[error("is not base64")]
    NotBase64,
    /// Written by other software.
    #[error("is of version {0}, which is not known here")]
    Version(u8),
    /// No bytes at all.
    #[error("is empty")]
    Empty,
    /// Not what the version says.
    #[error("is damaged: {0}")]
    Content(String),
}

/// `version`, then the value in `postcard`'s form.
pub(crate) fn encode<T: Serialize>(version: u8, value: &T) -> Result<Vec<u8>, Damaged> {
    postcard::to_extend(value, vec![version]).map_err(|error| Damaged::Content(error.to_string()))
}

/// Reads what [`encode`] wrote, and nothing else: no byte may be left.
pub(crate) fn decode<T: DeserializeOwned>(version: u8, bytes: &[u8]) -> Result<T, Damaged> {
    let (first, rest) = bytes.split_first().ok_or(Damaged::Empty)?;
    if *first != version {
        return Err(Damaged::Version(*first));
    }
    match postcard::take_from_bytes(rest) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(Damaged::Content("bytes are left".into())),
        Err(error) => Err(Damaged::Content(error.to_string())),
    }
}
