//! Data keys, wrapped and unwrapped.

use std::collections::HashMap;

use aws_endpoint::{Endpoint, Options};
use aws_sdk_kms::Client;
use aws_sdk_kms::error::ProvideErrorMetadata as _;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;

use crate::setup::config;

const KEY: &str = "arn:aws:kms:us-east-1:000000000000:key/shop-PersonalDataKey";
const OTHER: &str = "arn:aws:kms:us-east-1:000000000000:key/shop-OtherKey";

fn client(endpoint: &Endpoint) -> Client {
    let retries = aws_sdk_kms::config::retry::RetryConfig::disabled();
    Client::from_conf(config!(aws_sdk_kms, endpoint).retry_config(retries).build())
}

async fn started(options: Options) -> Endpoint {
    let endpoint = Endpoint::start(options).await.expect("started");
    for key in [KEY, OTHER] {
        endpoint.create_key(key).expect("created");
    }
    endpoint
}

fn of(user: &str) -> HashMap<String, String> {
    [("purpose", "personal-data"), ("userId", user)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// A data key of a user: in plain, and wrapped.
async fn generate(client: &Client, user: &str) -> (Vec<u8>, Vec<u8>) {
    let made = client
        .generate_data_key()
        .key_id(KEY)
        .key_spec(DataKeySpec::Aes256)
        .set_encryption_context(Some(of(user)))
        .send()
        .await
        .expect("made");
    assert_eq!(made.key_id(), Some(KEY));
    let bytes = |blob: Option<Blob>| blob.expect("there").into_inner();
    (bytes(made.plaintext), bytes(made.ciphertext_blob))
}

/// The plain key, or the error's code.
async fn decrypt(
    client: &Client,
    key: Option<&str>,
    wrapped: &[u8],
    user: &str,
) -> Result<Vec<u8>, String> {
    let request = client
        .decrypt()
        .set_key_id(key.map(str::to_owned))
        .ciphertext_blob(Blob::new(wrapped))
        .set_encryption_context(Some(of(user)));
    match request.send().await {
        Ok(answer) => Ok(answer.plaintext.expect("there").into_inner()),
        Err(error) => Err(error.code().expect("a code").to_owned()),
    }
}

#[tokio::test]
async fn a_data_key_is_unwrapped_for_the_context_that_it_was_made_for_and_no_other() {
    let endpoint = started(Options::default()).await;
    let client = client(&endpoint);
    let (plain, wrapped) = generate(&client, "abc123").await;
    assert_eq!(plain.len(), 32);
    for key in [None, Some(KEY), Some("shop-PersonalDataKey")] {
        assert_eq!(
            decrypt(&client, key, &wrapped, "abc123").await.as_ref(),
            Ok(&plain)
        );
    }
    let code = |result: Result<Vec<u8>, String>| result.expect_err("refused");
    let refused = decrypt(&client, None, &wrapped, "abc124").await;
    assert_eq!(code(refused), "InvalidCiphertextException");
    let refused = decrypt(&client, Some(OTHER), &wrapped, "abc123").await;
    assert_eq!(code(refused), "IncorrectKeyException");
    let refused = decrypt(&client, Some("nobodys"), &wrapped, "abc123").await;
    assert_eq!(code(refused), "NotFoundException");
    let mut altered = wrapped.clone();
    *altered.last_mut().expect("not empty") ^= 1;
    let refused = decrypt(&client, None, &altered, "abc123").await;
    assert_eq!(code(refused), "InvalidCiphertextException");
    let refused = decrypt(&client, None, b"x", "abc123").await;
    assert_eq!(code(refused), "InvalidCiphertextException");
}

#[tokio::test]
async fn no_two_data_keys_are_the_same_and_a_key_that_is_not_there_makes_none() {
    let endpoint = started(Options::default()).await;
    let client = client(&endpoint);
    assert_ne!(
        generate(&client, "abc123").await.0,
        generate(&client, "abc123").await.0
    );
    let refused = client
        .generate_data_key()
        .key_id("nobodys")
        .key_spec(DataKeySpec::Aes256)
        .send()
        .await
        .expect_err("refused");
    assert_eq!(refused.code(), Some("NotFoundException"));
    let metered = endpoint.meter().total(|call| call.service == "kms");
    assert_eq!((metered.requests, metered.errors), (3, 1));
}

#[tokio::test]
async fn keys_survive_a_restart_in_a_file_that_only_its_owner_reads() {
    let directory = tempfile::tempdir().expect("a folder");
    let options = || Options {
        data_dir: Some(directory.path().to_owned()),
        ..Options::default()
    };
    let endpoint = started(options()).await;
    let (plain, wrapped) = generate(&client(&endpoint), "abc123").await;
    endpoint.shutdown().await.expect("stopped");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let file = directory.path().join("kms.json");
        let mode = std::fs::metadata(&file).expect("it is kept").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }
    let endpoint = started(options()).await;
    let again = decrypt(&client(&endpoint), Some(KEY), &wrapped, "abc123").await;
    assert_eq!(again, Ok(plain));
    let described = client(&endpoint).describe_key().key_id(KEY).send().await;
    let described = described.expect("described").key_metadata.expect("there");
    assert_eq!(described.arn(), Some(KEY));
    assert!(described.enabled());
}
