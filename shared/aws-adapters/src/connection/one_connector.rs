//! The one HTTP connector of a function, made when it is first needed. The SDK's own would be made
//! once more for each client, only to see that it can be: with its parsing of the roots that is a
//! third of a start.

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use std::sync::OnceLock;
use std::time::Duration;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(1);

/// What the clients of a function share.
#[derive(Debug)]
pub(super) struct OneConnector {
    tls: TlsContext,
    connector: OnceLock<SharedHttpConnector>,
}

impl OneConnector {
    pub(super) fn new(tls: TlsContext) -> Self {
        Self {
            tls,
            connector: OnceLock::new(),
        }
    }

    /// TLS goes through ring: aws-lc seeds its random numbers for 20 ms.
    fn get(&self) -> SharedHttpConnector {
        let made = self.connector.get_or_init(|| {
            let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT);
            let connector = Connector::builder()
                .connector_settings(settings.build())
                .tls_provider(Provider::Rustls(CryptoMode::Ring))
                .tls_context(self.tls.clone())
                .build();
            SharedHttpConnector::new(connector)
        });
        made.clone()
    }
}

impl HttpClient for OneConnector {
    /// The settings of all clients are the same here: no connector has its own time for an answer,
    /// because each call has.
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.get()
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        Some(ConnectorMetadata::new("hyper", Some("1.x".into())))
    }
}
