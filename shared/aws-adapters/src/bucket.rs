//! Reading a bucket: its objects by a prefix, and what is in them.

use std::fmt::Display;

use aws_sdk_s3::Client;

use crate::dynamodb_event_store::describe;

/// Why a bucket was not read.
#[derive(Debug, thiserror::Error)]
#[error(
    "bucket {bucket} cannot be read: {reason}; the operator needs s3:ListBucket on it, \
     s3:GetObject on its objects, and kms:Decrypt on its key if it has one"
)]
pub struct BucketError {
    bucket: String,
    reason: String,
}

/// An object, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Its size in bytes, as it is stored.
    pub bytes: u64,
}

/// The bucket. Clones share connections.
#[derive(Debug, Clone)]
pub struct Bucket {
    client: Client,
    name: String,
}

impl Bucket {
    /// By a client of [`Connection::s3`](crate::connection::Connection::s3).
    #[must_use]
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self {
            client,
            name: name.into(),
        }
    }

    /// All objects whose keys begin with `prefix`, come after `after` and before `before`, in the
    /// order of their keys. Nothing else is asked for, and little of what comes later.
    ///
    /// # Errors
    /// [`BucketError`], when it is not answered.
    pub async fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        before: Option<&str>,
    ) -> Result<Vec<Listed>, BucketError> {
        let request = self.client.list_objects_v2().bucket(&self.name);
        let request = request
            .prefix(prefix)
            .set_start_after(after.map(str::to_owned));
        let mut pages = request.into_paginator().send();
        let mut listed = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.failed(describe(&error)))?;
            for object in page.contents.into_iter().flatten() {
                let key = object.key.unwrap_or_default();
                if before.is_some_and(|before| key.as_str() >= before) {
                    return Ok(listed);
                }
                let bytes = object.size.unwrap_or_default();
                let bytes = u64::try_from(bytes).unwrap_or_default();
                listed.push(Listed { key, bytes });
            }
        }
        Ok(listed)
    }

    /// What an object holds.
    ///
    /// # Errors
    /// [`BucketError`], when it is not answered.
    pub async fn read(&self, key: &str) -> Result<Vec<u8>, BucketError> {
        let request = self.client.get_object().bucket(&self.name).key(key);
        let of_key = |reason: &dyn Display| self.failed(format!("{key}: {reason}"));
        let answer = Box::pin(request.send()).await;
        let answer = answer.map_err(|error| of_key(&describe(&error)))?;
        let body = answer.body.collect().await;
        let body = body.map_err(|error| of_key(&error))?;
        Ok(body.into_bytes().to_vec())
    }

    fn failed(&self, reason: String) -> BucketError {
        BucketError {
            bucket: self.name.clone(),
            reason,
        }
    }
}
