//! What stands for AWS: every service on one loopback address over TLS, with an RSA-2048 chain of
//! three as AWS has it, whose tables are empty and take everything.

use crate::http::{self, Response};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rsa::pkcs8::EncodePrivateKey;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;
use std::error::Error;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// The endpoint.
#[derive(Debug)]
pub struct Aws {
    /// Where it is, by name.
    pub url: String,
    /// The certificate to trust, as PEM.
    pub root: String,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    connections: AtomicU32,
    requests: AtomicU32,
}

impl Aws {
    /// Makes keys and certificates, and listens.
    ///
    /// # Errors
    /// When no port can be had, or a certificate cannot be made.
    pub fn start() -> Result<Self, Box<dyn Error>> {
        let chain = Chain::new()?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain.certificates, chain.key)?;
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("https://localhost:{}", listener.local_addr()?.port());
        let counts = Arc::new(Counts::default());
        let counted = counts.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, counts) = (config.clone(), counted.clone());
                counts.connections.fetch_add(1, Ordering::Relaxed);
                let _ = stream.set_nodelay(true);
                thread::spawn(move || {
                    let Ok(tls) = ServerConnection::new(config) else {
                        return;
                    };
                    // A connection ends when its process does.
                    let _ = http::serve(StreamOwned::new(tls, stream), |request| {
                        counts.requests.fetch_add(1, Ordering::Relaxed);
                        Some(answer(&request))
                    });
                });
            }
        });
        let root = chain.root;
        Ok(Self { url, root, counts })
    }

    /// Connections and requests since it was last asked.
    #[must_use]
    pub fn counted(&self) -> (u32, u32) {
        let connections = self.counts.connections.swap(0, Ordering::Relaxed);
        (connections, self.counts.requests.swap(0, Ordering::Relaxed))
    }
}

/// A server's chain: its own certificate, one in between, and the root that is trusted.
struct Chain {
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    root: String,
}

impl Chain {
    fn new() -> Result<Self, Box<dyn Error>> {
        let (root_key, _) = rsa_key()?;
        let root_params = authority("Bench Root CA");
        let root = root_params.self_signed(&root_key)?;
        let root_issuer = Issuer::new(root_params, root_key);
        let (between_key, _) = rsa_key()?;
        let between_params = authority("Bench RSA 2048 M01");
        let between = between_params.signed_by(&between_key, &root_issuer)?;
        let between_issuer = Issuer::new(between_params, between_key);
        let (leaf_key, leaf_pkcs8) = rsa_key()?;
        let leaf = CertificateParams::new(vec!["localhost".to_owned()])?
            .signed_by(&leaf_key, &between_issuer)?;
        Ok(Self {
            certificates: vec![leaf.der().clone(), between.der().clone()],
            key: PrivateKeyDer::Pkcs8(leaf_pkcs8),
            root: root.pem(),
        })
    }
}

fn rsa_key() -> Result<(KeyPair, PrivatePkcs8KeyDer<'static>), Box<dyn Error>> {
    let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048)?;
    let der = PrivatePkcs8KeyDer::from(key.to_pkcs8_der()?.as_bytes().to_vec());
    Ok((KeyPair::try_from(&der)?, der))
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn answer(request: &http::Request) -> Response {
    let entries = |member: &str| {
        request
            .body
            .windows(member.len())
            .filter(|seen| *seen == member.as_bytes())
            .count()
    };
    let body = match request.operation.as_deref() {
        Some("GetItem" | "PutItem" | "UpdateItem" | "DeleteItem" | "TransactWriteItems") => {
            json!({})
        }
        Some("Query" | "Scan") => json!({"Items": [], "Count": 0, "ScannedCount": 0}),
        Some("BatchGetItem") => json!({"Responses": {}, "UnprocessedKeys": {}}),
        Some("PutEvents") => {
            let entries = vec![json!({"EventId": "1"}); entries("\"Detail\":")];
            json!({"FailedEntryCount": 0, "Entries": entries})
        }
        Some("PutRecords") => {
            let records =
                vec![json!({"SequenceNumber": "1", "ShardId": "1"}); entries("\"Data\":")];
            json!({"FailedRecordCount": 0, "Records": records})
        }
        _ => return respond("400 Bad Request", &json!({"__type": "ValidationException"})),
    };
    respond("200 OK", &body)
}

fn respond(status: &'static str, body: &serde_json::Value) -> Response {
    let json = "application/x-amz-json-1.0".to_owned();
    Response {
        status,
        headers: vec![
            ("content-type", json),
            ("x-amzn-requestid", "bench".to_owned()),
        ],
        body: body.to_string().into_bytes(),
    }
}
