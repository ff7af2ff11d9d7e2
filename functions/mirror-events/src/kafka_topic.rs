//! A topic on a Kafka cluster. Nothing is connected before the first event.

use crate::config::Cluster;
use crate::partitioning::partition;
use crate::ports::{Topic, TopicError};
use aws_adapters::connection::Connection;
use aws_adapters::parameter_store;
use event_sourcing::envelope::Envelope;
use rskafka::BackoffConfig;
use rskafka::chrono::DateTime;
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder, Credentials, SaslConfig};
use rskafka::record::Record;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OnceCell};

/// How long the cluster has to take an append, with all that has to be asked before.
const PATIENCE: Duration = Duration::from_secs(5);

/// A topic on a cluster.
#[derive(Debug)]
pub struct KafkaTopic {
    cluster: Cluster,
    aws: Connection,
    connected: OnceCell<Connected>,
}

#[derive(Debug)]
struct Connected {
    client: Client,
    partitions: u32,
    leaders: Mutex<HashMap<u32, Arc<PartitionClient>>>,
}

impl KafkaTopic {
    /// The topic of this cluster; `aws` is where its credentials are.
    #[must_use]
    pub fn new(cluster: Cluster, aws: Connection) -> Self {
        Self {
            cluster,
            aws,
            connected: OnceCell::new(),
        }
    }

    async fn connect(&self) -> Result<Connected, TopicError> {
        let mut builder = ClientBuilder::new(self.cluster.bootstrap.clone())
            .client_id("orderflow")
            .backoff_config(BackoffConfig {
                init_backoff: Duration::from_millis(50),
                max_backoff: Duration::from_secs(1),
                base: 2.0,
                deadline: Some(PATIENCE),
            });
        if self.cluster.tls {
            builder = builder.tls_config(Arc::new(self.tls()?));
        }
        if let Some(parameter) = &self.cluster.credentials_parameter {
            builder = builder.sasl_config(self.credentials(parameter).await?);
        }
        let client = builder.build().await.map_err(|error| told(&error))?;
        let topics = client.list_topics().await.map_err(|error| told(&error))?;
        let topic = topics
            .into_iter()
            .find(|one| one.name == self.cluster.topic);
        let partitions = topic.map_or(0, |topic| topic.partitions.len());
        if partitions == 0 {
            let missing = format!("there is no topic {}; create it", self.cluster.topic);
            return Err(TopicError::Unavailable(missing));
        }
        Ok(Connected {
            client,
            partitions: u32::try_from(partitions).unwrap_or(u32::MAX),
            leaders: Mutex::default(),
        })
    }

    fn tls(&self) -> Result<ClientConfig, TopicError> {
        let refused = |reason: String| TopicError::Refused(format!("KAFKA_CA: {reason}"));
        let mut roots = RootCertStore::empty();
        match &self.cluster.authorities {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                    let certificate = certificate.map_err(|error| refused(error.to_string()))?;
                    let added = roots.add(certificate);
                    added.map_err(|error| refused(error.to_string()))?;
                }
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(error.to_string()))?;
        Ok(config.with_root_certificates(roots).with_no_client_auth())
    }

    async fn credentials(&self, parameter: &str) -> Result<SaslConfig, TopicError> {
        let read = parameter_store::read(&self.aws.ssm(), parameter).await;
        let text = read.map_err(|error| TopicError::Unavailable(error.to_string()))?;
        let Some((user, password)) = text.split_once(':') else {
            let reason = format!("parameter {parameter} is not user:password");
            return Err(TopicError::Refused(reason));
        };
        let credentials = Credentials::new(user.to_owned(), password.to_owned());
        Ok(SaslConfig::ScramSha512(credentials))
    }

    async fn leader(&self, key: &str) -> Result<Arc<PartitionClient>, TopicError> {
        let connected = self.connected.get_or_try_init(|| self.connect()).await?;
        let partition = partition(key.as_bytes(), connected.partitions);
        let mut leaders = connected.leaders.lock().await;
        if let Some(leader) = leaders.get(&partition) {
            return Ok(Arc::clone(leader));
        }
        let leader = connected
            .client
            .partition_client(
                self.cluster.topic.clone(),
                i32::try_from(partition).unwrap_or(i32::MAX),
                UnknownTopicHandling::Retry,
            )
            .await
            .map_err(|error| told(&error))?;
        let leader = Arc::new(leader);
        leaders.insert(partition, Arc::clone(&leader));
        Ok(leader)
    }
}

impl Topic for KafkaTopic {
    async fn append(&self, key: &str, events: &[Envelope]) -> Result<(), TopicError> {
        let records = events.iter().map(|event| record(key, event));
        let records = records.collect::<Result<Vec<_>, _>>()?;
        let appended = async {
            let leader = self.leader(key).await?;
            // One request of one batch: the partition has all of it or nothing, in its order.
            let appended = leader.produce(records, Compression::NoCompression).await;
            appended.map(|_| ()).map_err(|error| told(&error))
        };
        tokio::time::timeout(PATIENCE, appended)
            .await
            .unwrap_or_else(|_| {
                let late = format!("no answer within {} s", PATIENCE.as_secs());
                Err(TopicError::Unavailable(late))
            })
    }
}

fn record(key: &str, event: &Envelope) -> Result<Record, TopicError> {
    let value =
        serde_json::to_vec(event).map_err(|error| TopicError::Refused(error.to_string()))?;
    let texts = [
        ("eventId", Some(&event.event_id)),
        ("eventType", Some(&event.event_type)),
        ("traceparent", event.traceparent.as_ref()),
    ];
    let headers: BTreeMap<_, _> = texts
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), text?.clone().into_bytes())))
        .collect();
    Ok(Record {
        key: Some(key.as_bytes().to_vec()),
        value: Some(value),
        headers,
        timestamp: DateTime::from_timestamp_millis(event.at().as_millisecond())
            .unwrap_or(DateTime::UNIX_EPOCH),
    })
}

/// What to do about an error of the client.
fn told(error: &Error) -> TopicError {
    let text = error.to_string();
    match error {
        Error::ServerError {
            protocol_error:
                ProtocolError::MessageTooLarge
                | ProtocolError::RecordListTooLarge
                | ProtocolError::InvalidRecord
                | ProtocolError::TopicAuthorizationFailed
                | ProtocolError::ClusterAuthorizationFailed
                | ProtocolError::SaslAuthenticationFailed,
            ..
        } => TopicError::Refused(text),
        _ => TopicError::Unavailable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_record_is_the_whole_envelope_under_its_key() {
        let data = json!({"orderId": "67890", "totalAmount": 150.75});
        let at = "2025-01-01T12:00:00Z".parse().unwrap();
        let event = Envelope::new("e-1", "OrderPlaced", at, data).recorded("order-67890", 1);
        let record = record("67890", &event).unwrap();
        assert_eq!(record.key.as_deref(), Some(b"67890".as_slice()));
        let value: Value = serde_json::from_slice(&record.value.unwrap()).unwrap();
        assert_eq!(value, serde_json::to_value(&event).unwrap());
        assert_eq!(record.timestamp.timestamp_millis(), 1_735_732_800_000);
        let headers: Vec<_> = record.headers.keys().map(String::as_str).collect();
        assert_eq!(headers, ["eventId", "eventType"]);
    }

    #[tokio::test]
    async fn a_cluster_that_is_not_there_is_unavailable_and_bad_certificates_are_refused() {
        let aws = Connection::to_endpoint("http://127.0.0.1:1", "local").unwrap();
        let mut cluster = Cluster {
            bootstrap: vec!["127.0.0.1:1".into()],
            topic: "events".into(),
            tls: true,
            authorities: Some(
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----".into(),
            ),
            credentials_parameter: None,
        };
        let topic = KafkaTopic::new(cluster.clone(), aws.clone());
        let refused = topic.append("k", &[]).await;
        assert!(
            matches!(refused, Err(TopicError::Refused(_))),
            "{refused:?}"
        );
        cluster.authorities = None;
        let topic = KafkaTopic::new(cluster, aws);
        let down = topic.append("k", &[]).await;
        assert!(matches!(down, Err(TopicError::Unavailable(_))), "{down:?}");
    }
}
