//! Lambda's Invoke API, up to the call. Who runs functions is the host's business.
//! <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use hyper::{HeaderMap, Method, Response};

use crate::ApiError;

const BEFORE_NAME: &str = "/2015-03-31/functions/";
const AFTER_NAME: &str = "/invocations";

/// A call of a function, as it came over HTTP.
#[derive(Debug, Clone)]
pub struct FunctionCall {
    /// What it is called by: a name or an ARN.
    pub function: String,
    /// The request's headers, with the invocation type.
    pub headers: HeaderMap,
    /// The event.
    pub payload: Bytes,
}

/// Runs functions.
#[async_trait]
pub trait FunctionCalls: Send + Sync {
    /// Answers a call as Lambda does: also a refusal or a function's error is an answer.
    async fn call(&self, call: FunctionCall) -> Response<Bytes>;
}

#[derive(Default)]
pub(crate) struct Functions {
    calls: RwLock<Option<Arc<dyn FunctionCalls>>>,
}

impl Functions {
    pub(crate) fn register(&self, calls: Arc<dyn FunctionCalls>) {
        *self.calls.write().unwrap_or_else(PoisonError::into_inner) = Some(calls);
    }

    pub(crate) async fn call(&self, call: FunctionCall) -> Result<Response<Bytes>, ApiError> {
        Ok(self.calls()?.call(call).await)
    }

    fn calls(&self) -> Result<Arc<dyn FunctionCalls>, ApiError> {
        let calls = self.calls.read().unwrap_or_else(PoisonError::into_inner);
        calls.clone().ok_or_else(|| {
            ApiError::internal("no functions are registered with the local AWS endpoint")
        })
    }
}

/// Name or ARN of the function that a request invokes; none for another request.
pub(crate) fn invoked(method: &Method, path: &str) -> Option<String> {
    let name = path.strip_prefix(BEFORE_NAME)?.strip_suffix(AFTER_NAME)?;
    let one_segment = !name.is_empty() && !name.contains('/');
    // The colons of an ARN are the only ones that clients escape.
    (*method == Method::POST && one_segment).then(|| name.replace("%3A", ":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_called_by_its_name_or_its_arn() {
        let named = |path: &str| invoked(&Method::POST, path);
        let plain = "/2015-03-31/functions/place-order/invocations";
        assert_eq!(named(plain).as_deref(), Some("place-order"));
        let arn =
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A1%3Afunction%3Aa/invocations";
        assert_eq!(
            named(arn).as_deref(),
            Some("arn:aws:lambda:us-east-1:1:function:a")
        );
        assert_eq!(named("/2015-03-31/functions//invocations"), None);
        assert_eq!(named("/2015-03-31/functions/a/b/invocations"), None);
        assert_eq!(invoked(&Method::GET, plain), None);
    }
}
