//! A client that is made at its first call.

use aws_types::SdkConfig;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// A client of a service that not every call needs. To make one, the SDK parses its list of AWS's
/// partitions, once per service: a fifth of the instructions of a whole start.
#[derive(Debug, Clone)]
pub struct Deferred<C>(Arc<Inner<C>>);

#[derive(Debug)]
struct Inner<C> {
    sdk: SdkConfig,
    make: fn(&SdkConfig) -> C,
    client: OnceLock<C>,
}

impl<C> Deferred<C> {
    pub(super) fn new(sdk: &SdkConfig, make: fn(&SdkConfig) -> C) -> Self {
        Self(Arc::new(Inner {
            sdk: sdk.clone(),
            make,
            client: OnceLock::new(),
        }))
    }

    /// Made now, for a function that does nothing without it.
    #[must_use]
    pub fn made(self) -> Self {
        let _: &C = &self;
        self
    }
}

impl<C> Deref for Deferred<C> {
    type Target = C;

    fn deref(&self) -> &C {
        let inner = &self.0;
        inner.client.get_or_init(|| (inner.make)(&inner.sdk))
    }
}
