//! What a host serves at the endpoint's address that is no service of AWS.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use hyper::{Request, Response};

/// Answers the requests below a path.
#[async_trait]
pub trait Site: Send + Sync {
    /// The answer to a request, with the whole path in it.
    async fn answer(&self, request: Request<Bytes>) -> Response<Bytes>;
}

#[derive(Default)]
pub(crate) struct Sites {
    by_path: RwLock<BTreeMap<String, Arc<dyn Site>>>,
}

impl Sites {
    pub(crate) fn register(&self, path: &str, site: Arc<dyn Site>) {
        let mut sites = self.by_path.write().unwrap_or_else(PoisonError::into_inner);
        sites.insert(path.to_owned(), site);
    }

    /// The site that this path belongs to.
    pub(crate) fn at(&self, path: &str) -> Option<Arc<dyn Site>> {
        let sites = self.by_path.read().unwrap_or_else(PoisonError::into_inner);
        let below = |site: &str| {
            let rest = path.strip_prefix(site);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let found = sites.iter().find(|(site, _)| below(site));
        found.map(|(_, site)| Arc::clone(site))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    #[async_trait]
    impl Site for Nothing {
        async fn answer(&self, _: Request<Bytes>) -> Response<Bytes> {
            Response::new(Bytes::new())
        }
    }

    #[test]
    fn a_site_has_its_path_and_what_is_below_it() {
        let sites = Sites::default();
        sites.register("/issuer", Arc::new(Nothing));
        assert!(sites.at("/issuer").is_some());
        assert!(sites.at("/issuer/token").is_some());
        assert!(sites.at("/issuers").is_none());
        assert!(sites.at("/").is_none());
    }
}
