//! The key that the local issuer signs with: RSA, generated once for each user of this machine, so
//! that tokens outlive a restart and no start waits for a new key.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use rsa::RsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey as _;
use serde_json::{Value, json};

/// Size of the key; API Gateway takes no smaller ones.
const BITS: usize = 2048;
/// The file with the key (PKCS #8, DER), in the folder of the user's data.
const FILE: &str = "orderflow/issuer-key.der";

/// Why there is no key, or no signature.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file has something else in it.
    #[error("{} is no RSA key of {BITS} bits ({reason}); remove it, and a new one is made", .path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file cannot be read.
    #[error("the issuer's key {} cannot be read: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No key can be made, or nothing signed with it.
    #[error("the issuer's key cannot be used: {0}")]
    Unusable(String),
}

/// A key. Clones share it.
#[derive(Clone)]
pub struct SigningKey {
    pair: Arc<RsaKeyPair>,
    id: String,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    /// The user's key; where the user's folder cannot be written, that of the data directory; where
    /// there is none, one for this run.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn of_user(data_dir: Option<&Path>) -> Result<Self, KeyError> {
        let folder = user_data_folder(|name| std::env::var_os(name).map(PathBuf::from));
        let of_user = folder.map(|folder| folder.join(FILE));
        let of_data = data_dir.map(|folder| folder.join(FILE));
        let places: Vec<_> = of_user.into_iter().chain(of_data).collect();
        Self::kept_in(&places)
    }

    /// The key in the first of these files that there is. Where there is none, a new one is made
    /// and kept in the first that can be written.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn kept_in(places: &[PathBuf]) -> Result<Self, KeyError> {
        for path in places {
            if let Some(key) = Self::read(path)? {
                return Ok(key);
            }
        }
        let document = generated()?;
        for path in places {
            match keep(path, &document) {
                Ok(()) => break,
                // Somebody else was faster: theirs is the one.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    if let Some(key) = Self::read(path)? {
                        return Ok(key);
                    }
                }
                // A folder that cannot be written.
                Err(_) => {}
            }
        }
        Self::parse(&document).map_err(KeyError::Unusable)
    }

    /// A new key, kept nowhere.
    ///
    /// # Errors
    /// [`KeyError::Unusable`], without random numbers.
    pub fn generate() -> Result<Self, KeyError> {
        Self::parse(&generated()?).map_err(KeyError::Unusable)
    }

    fn read(path: &Path) -> Result<Option<Self>, KeyError> {
        let document = match std::fs::read(path) {
            Ok(document) => document,
            // A folder that may not be looked into keeps no key of ours.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied
                ) =>
            {
                return Ok(None);
            }
            Err(source) => {
                let path = path.to_owned();
                return Err(KeyError::Unreadable { path, source });
            }
        };
        let key = Self::parse(&document).map_err(|reason| KeyError::NoKey {
            path: path.to_owned(),
            reason,
        });
        key.map(Some)
    }

    fn parse(document: &[u8]) -> Result<Self, String> {
        let pair = RsaKeyPair::from_pkcs8(document).map_err(|error| error.to_string())?;
        let id = thumbprint(&pair);
        let pair = Arc::new(pair);
        Ok(Self { pair, id })
    }

    /// Its id, the `kid` of tokens: the thumbprint of RFC 7638.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its public half as a JSON Web Key.
    #[must_use]
    pub fn public(&self) -> Value {
        let (n, e) = components(&self.pair);
        json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id, "n": n, "e": e})
    }

    /// A token with these claims.
    ///
    /// # Errors
    /// [`KeyError::Unusable`], without random numbers.
    pub fn signed(&self, claims: &Value) -> Result<String, KeyError> {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.id});
        self.signed_under(&header, claims)
    }

    /// A token with this header, which need not tell the truth, and these claims.
    ///
    /// # Errors
    /// [`KeyError::Unusable`], without random numbers.
    pub fn signed_under(&self, header: &Value, claims: &Value) -> Result<String, KeyError> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let mut signature = vec![0; self.pair.public().modulus_len()];
        let random = SystemRandom::new();
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &random,
                signed.as_bytes(),
                &mut signature,
            )
            .map_err(|_| KeyError::Unusable("there are no random numbers".to_owned()))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn generated() -> Result<Vec<u8>, KeyError> {
    let unusable = |error: String| KeyError::Unusable(error);
    let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, BITS)
        .map_err(|error| unusable(error.to_string()))?;
    let document = key
        .to_pkcs8_der()
        .map_err(|error| unusable(error.to_string()))?;
    Ok(document.as_bytes().to_vec())
}

/// Writes a file that only its user may read, unless there is one: whole, or not at all.
fn keep(path: &Path, document: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // Temporary files are their user's only.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(document)?;
    file.persist_noclobber(path)
        .map(|_| ())
        .map_err(|error| error.error)
}

/// Where a user's programs keep data: on Unix as the XDG base directories say.
fn user_data_folder(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let absolute = |name: &str| variable(name).filter(|path| path.is_absolute());
    if cfg!(windows) {
        return absolute("LOCALAPPDATA");
    }
    absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")))
}

/// Modulus and exponent, in base64.
fn components(pair: &RsaKeyPair) -> (String, String) {
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
    (text(&public.n), text(&public.e))
}

fn thumbprint(pair: &RsaKeyPair) -> String {
    let (n, e) = components(pair);
    // Exactly these members, in this order, without space.
    let canonical = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    let digest = ring::digest::digest(&ring::digest::SHA256, canonical.as_bytes());
    URL_SAFE_NO_PAD.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_its_users_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/key.der");
        let kept = || SigningKey::kept_in(std::slice::from_ref(&path)).unwrap();
        let first = kept();
        assert_eq!(first.public(), kept().public());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        // Nothing is left beside it, and whoever comes too late takes what is there.
        let beside = std::fs::read_dir(path.parent().unwrap()).unwrap();
        assert_eq!(beside.count(), 1);
        let late = keep(&path, b"another").unwrap_err();
        assert_eq!(late.kind(), ErrorKind::AlreadyExists);
        assert_eq!(first.public(), kept().public());
    }

    #[test]
    fn where_one_folder_cannot_be_written_the_next_keeps_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let places = [file.join("below/key.der"), folder.path().join("key.der")];
        let first = SigningKey::kept_in(&places).unwrap();
        assert_eq!(first.id(), SigningKey::kept_in(&places).unwrap().id());
        assert!(places[1].exists());
        assert_ne!(first.id(), SigningKey::kept_in(&[]).unwrap().id());
    }

    #[test]
    fn a_file_that_is_no_key_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.der");
        std::fs::write(&path, "no key").unwrap();
        let refused = SigningKey::kept_in(&[path]).unwrap_err().to_string();
        assert!(refused.contains("key.der") && refused.contains("remove it"));
    }

    #[test]
    fn the_folder_is_the_users() {
        if cfg!(windows) {
            return;
        }
        let folder = |set: &[(&str, &str)]| {
            let found = |name: &str| set.iter().find(|(one, _)| *one == name);
            user_data_folder(|name| found(name).map(|(_, value)| PathBuf::from(value)))
        };
        let home = ("HOME", "/home/ada");
        assert_eq!(folder(&[home]), Some("/home/ada/.local/share".into()));
        assert_eq!(
            folder(&[home, ("XDG_DATA_HOME", "/data")]),
            Some("/data".into())
        );
        // Relative paths must be ignored.
        let relative = folder(&[home, ("XDG_DATA_HOME", "data")]);
        assert_eq!(relative, Some("/home/ada/.local/share".into()));
        assert_eq!(folder(&[]), None);
    }
}
