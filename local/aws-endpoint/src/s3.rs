//! S3: `ListObjectsV2`, `GetObject` and `HeadObject`, path-style, of the buckets that deliveries
//! write to.

use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, LAST_MODIFIED};
use hyper::{Method, Response, StatusCode};
use jiff::Timestamp;
use md5::{Digest, Md5};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::ApiError;
use crate::buckets::Buckets;
use crate::meter::Usage;

/// Most keys in one answer.
const MAX_KEYS: usize = 1000;

/// The operation and the request behind a method, a path and a query.
pub(crate) fn parse(method: &Method, path: &str, query: &str) -> Result<(String, Value), ApiError> {
    let decoded = decode(path);
    let path = decoded.trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let told: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let operation = match (method, key) {
        (&Method::GET, "") if told.get("list-type").is_some_and(|kind| kind == "2") => {
            "ListObjectsV2"
        }
        (&Method::GET, key) if !key.is_empty() => "GetObject",
        (&Method::HEAD, key) if !key.is_empty() => "HeadObject",
        _ => {
            return Err(ApiError::unknown_operation(
                "s3",
                &format!("{method} {path}?{query}"),
            ));
        }
    };
    let mut request = json!({"Bucket": bucket, "Key": key});
    for name in [
        "prefix",
        "delimiter",
        "max-keys",
        "start-after",
        "continuation-token",
    ] {
        if let Some(value) = told.get(name) {
            request[name] = json!(value);
        }
    }
    Ok((operation.to_owned(), request))
}

/// Percent signs of a path; a plus is one.
fn decode(path: &str) -> String {
    let escaped = path
        .replace('+', "%2B")
        .replace('&', "%26")
        .replace('=', "%3D");
    let decoded = form_urlencoded::parse(escaped.as_bytes()).next();
    decoded.map_or_else(String::new, |(text, _)| text.into_owned())
}

pub(crate) fn call(
    buckets: &Buckets,
    operation: &str,
    request: &Value,
    usage: &mut Usage,
) -> Result<Response<Bytes>, ApiError> {
    let text = |name: &str| request[name].as_str().unwrap_or_default();
    let bucket = text("Bucket");
    usage.resource(bucket);
    if !buckets.has(bucket) {
        return Err(not_found(
            "NoSuchBucket",
            "The specified bucket does not exist",
        ));
    }
    if operation == "ListObjectsV2" {
        return list(buckets, bucket, request);
    }
    let found = buckets.get(bucket, text("Key"));
    let found = found.map_err(|error| ApiError::internal(error.to_string()))?;
    let Some((content, modified)) = found else {
        return Err(not_found("NoSuchKey", "The specified key does not exist."));
    };
    let etag = format!("\"{}\"", etag(&content));
    let length = content.len();
    let body = match operation {
        "HeadObject" => Bytes::new(),
        _ => Bytes::from(content),
    };
    let modified = Timestamp::try_from(modified).unwrap_or(Timestamp::UNIX_EPOCH);
    let answer = Response::builder()
        .status(StatusCode::OK)
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_LENGTH, length)
        .header(ETAG, etag)
        .header(
            LAST_MODIFIED,
            modified.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(),
        )
        .header("x-amz-request-id", Uuid::new_v4().to_string())
        .body(body);
    answer.map_err(|error| ApiError::internal(error.to_string()))
}

fn etag(content: &[u8]) -> String {
    let digest = Md5::digest(content);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn not_found(code: &str, message: &str) -> ApiError {
    ApiError {
        status: 404,
        ..ApiError::new(code, message)
    }
}

/// A page of keys; common prefixes, where a delimiter is given, count as keys.
fn list(buckets: &Buckets, bucket: &str, request: &Value) -> Result<Response<Bytes>, ApiError> {
    let text = |name: &str| request[name].as_str();
    let prefix = text("prefix").unwrap_or_default();
    let limit = text("max-keys").map_or(Ok(MAX_KEYS), |told| {
        told.parse::<usize>()
            .map_err(|_| ApiError::new("InvalidArgument", "max-keys must be a number of 0 or more"))
    });
    let limit = limit?.min(MAX_KEYS);
    let after = match text("continuation-token") {
        Some(token) => {
            let after = BASE64
                .decode(token)
                .ok()
                .and_then(|after| String::from_utf8(after).ok());
            after.ok_or_else(|| {
                ApiError::new(
                    "InvalidArgument",
                    "The continuation token provided is incorrect",
                )
            })?
        }
        None => text("start-after").unwrap_or_default().to_owned(),
    };
    let objects = buckets.list(bucket, prefix);
    let objects = objects.map_err(|error| ApiError::internal(error.to_string()))?;
    let (mut shown, mut count, mut last, mut is_cut) = (String::new(), 0, after.clone(), false);
    for object in objects.iter().filter(|one| one.key > after) {
        let common = text("delimiter")
            .filter(|one| !one.is_empty())
            .and_then(|delimiter| {
                let at = object.key[prefix.len()..].find(delimiter)?;
                Some(&object.key[..prefix.len() + at + delimiter.len()])
            });
        if common.is_some_and(|common| last.starts_with(common)) {
            continue;
        }
        if count == limit {
            is_cut = true;
            break;
        }
        count += 1;
        if let Some(common) = common {
            shown += &format!(
                "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>",
                escape(common)
            );
            // Everything that begins so is behind it.
            last = format!("{common}\u{10ffff}");
        } else {
            shown += &format!(
                "<Contents><Key>{}</Key><LastModified>{}</LastModified><Size>{}</Size>\
                 <StorageClass>STANDARD</StorageClass></Contents>",
                escape(&object.key),
                iso(object.modified),
                object.bytes
            );
            last.clone_from(&object.key);
        }
    }
    let next = if is_cut {
        let token = BASE64.encode(&last);
        format!("<NextContinuationToken>{token}</NextContinuationToken>")
    } else {
        String::new()
    };
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{bucket}</Name>\
         <Prefix>{}</Prefix><KeyCount>{count}</KeyCount><MaxKeys>{limit}</MaxKeys>\
         <IsTruncated>{is_cut}</IsTruncated>{next}{shown}</ListBucketResult>",
        escape(prefix)
    );
    let answer = Response::builder()
        .status(StatusCode::OK)
        .header(CONTENT_TYPE, "application/xml")
        .body(Bytes::from(body));
    answer.map_err(|error| ApiError::internal(error.to_string()))
}

fn iso(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{time:.3}")
}

/// A text inside of XML. What XML cannot have is written as numbers, as S3 does.
pub(crate) fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => shown += "&amp;",
            '<' => shown += "&lt;",
            '>' => shown += "&gt;",
            '"' => shown += "&quot;",
            c if c.is_control() => shown += &format!("&#{};", u32::from(c)),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_bucket_and_a_key() {
        let parsed = parse(&Method::GET, "/b/day%3D1/a+b%26c%20d", "").unwrap();
        assert_eq!(
            parsed,
            (
                "GetObject".to_owned(),
                json!({"Bucket": "b", "Key": "day=1/a+b&c d"})
            )
        );
        let (operation, request) = parse(&Method::GET, "/b", "list-type=2&prefix=a%2Fb").unwrap();
        assert_eq!(operation, "ListObjectsV2");
        assert_eq!(request["prefix"], "a/b");
        assert!(parse(&Method::DELETE, "/b/k", "").is_err());
        assert!(parse(&Method::GET, "/b", "versioning").is_err());
    }
}
