//! An HTTP server on loopback that can be stopped.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::LocalError;

/// A running server. Dropped, it ends at once.
pub(crate) struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) fn start(listener: TcpListener, router: Router) -> Result<Self, LocalError> {
        let address = listener.local_addr().map_err(|source| LocalError::Port {
            what: "an HTTP server",
            port: 0,
            option: "--api-port",
            source,
        })?;
        let (stop, mut stopped) = watch::channel(false);
        let listener = listener.tap_io(|stream| {
            // Small answers must not wait for more of them; without it they are only slower.
            let _ = stream.set_nodelay(true);
        });
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let task = tokio::spawn(async move {
            let stopped = async move {
                // An error means that the server was dropped.
                let _ = stopped.wait_for(|stopped| *stopped).await;
            };
            // It serves until it is stopped; errors of single connections are theirs.
            let _ = axum::serve(listener, service)
                .with_graceful_shutdown(stopped)
                .await;
        });
        Ok(Self {
            address,
            stop,
            task,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, and gives those under way `grace` to end.
    pub(crate) async fn stop(mut self, grace: Duration) {
        self.stop.send_replace(true);
        let _ = tokio::time::timeout(grace, &mut self.task).await;
        self.task.abort();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
