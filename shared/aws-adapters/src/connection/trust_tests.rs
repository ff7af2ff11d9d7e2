//! Whom a connection trusts, held against a server whose authority is made here.

use super::*;
use aws_sdk_dynamodb::types::AttributeValue;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

/// A table over TLS, and the bundle with the authority of its certificate.
struct Server {
    url: String,
    bundle: String,
    answered: Arc<AtomicUsize>,
    _folder: TempDir,
}

impl Server {
    fn start() -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_key = KeyPair::generate().unwrap();
        let root = authority.self_signed(&root_key).unwrap().pem();
        let issuer = Issuer::new(authority, root_key);
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let chain = vec![own.signed_by(&key, &issuer).unwrap().der().clone()];
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key.into())
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().join("bundle.pem");
        std::fs::write(&bundle, root).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "https://localhost:{}",
            listener.local_addr().unwrap().port()
        );
        let answered = Arc::new(AtomicUsize::default());
        let (config, counter) = (Arc::new(config), answered.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Who does not trust the server hangs up.
                let _ = answer(stream, config.clone(), &counter);
            }
        });
        Self {
            url,
            bundle: bundle.to_str().unwrap().to_owned(),
            answered,
            _folder: folder,
        }
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }
}

/// Answers one request: the table has no such item.
fn answer(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    counter: &AtomicUsize,
) -> std::io::Result<()> {
    let tls = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(tls, stream));
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            None if line == "\r\n" => break,
            None if line.is_empty() => return Ok(()),
            _ => {}
        }
    }
    stream.read_exact(&mut vec![0; length])?;
    counter.fetch_add(1, Ordering::SeqCst);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\n";
    write!(stream.get_mut(), "{head}content-length: 2\r\n\r\n{{}}")?;
    stream.get_mut().flush()
}

/// Whether a table is reached; if not, why.
async fn reaches(aws: &Connection) -> Result<(), String> {
    let key = AttributeValue::S("1".to_owned());
    let asked = aws.dynamodb().get_item().table_name("t").key("id", key);
    asked
        .send()
        .await
        .map(drop)
        .map_err(|error| format!("{error:?}"))
}

fn with_roots(server: &Server, bundle: Option<&str>) -> Connection {
    let keys = Credentials::new("test", "test", None, None, "test");
    Connection::new("us-east-1", keys, Some(&server.url), roots(bundle).unwrap()).unwrap()
}

#[tokio::test]
async fn a_server_that_none_of_amazons_authorities_vouches_for_gets_no_request() {
    let server = Server::start();
    let refused = reaches(&with_roots(&server, None)).await.unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    assert_eq!(server.answered(), 0);
}

#[tokio::test]
async fn a_bundle_is_trusted_and_nobody_beside_it() {
    let (own, other) = (Server::start(), Server::start());
    assert_eq!(reaches(&with_roots(&own, Some(&own.bundle))).await, Ok(()));
    assert_eq!(own.answered(), 1);
    let refused = reaches(&with_roots(&other, Some(&own.bundle))).await;
    let refused = refused.unwrap_err();
    // Their authorities have the same name, and different keys.
    assert!(refused.contains("InvalidCertificate"), "{refused}");
    assert_eq!(other.answered(), 0);
}

#[test]
fn a_bundle_that_is_none_is_named_and_not_taken_for_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle.pem");
    let named = |path: &std::path::Path| roots(path.to_str()).unwrap_err().variable;
    assert_eq!(named(&path), "AWS_CA_BUNDLE");
    for text in [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(named(&path), "AWS_CA_BUNDLE", "{text:?}");
    }
}

#[test]
fn the_environment_names_the_bundle() {
    let server = Server::start();
    let asked = |bundle: Option<&str>| {
        let name = "connection::trust_tests::whom_the_environment_names_is_reached";
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", name, "--ignored"])
            .env("AWS_ENDPOINT_URL", &server.url)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env_remove("AWS_CA_BUNDLE")
            .envs(bundle.map(|path| ("AWS_CA_BUNDLE", path)));
        command.output().unwrap().status.success()
    };
    assert!(!asked(None));
    assert_eq!(server.answered(), 0);
    assert!(asked(Some(&server.bundle)));
    assert_eq!(server.answered(), 1);
}

#[tokio::test]
#[ignore = "the other half of the_environment_names_the_bundle, which sets the environment"]
async fn whom_the_environment_names_is_reached() {
    let aws = Connection::from_env().unwrap();
    assert_eq!(reaches(&aws).await, Ok(()));
}
