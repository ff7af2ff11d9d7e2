//! A function's answer as the response that a client gets (payload format 2.0).

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, SET_COOKIE};
use axum::http::{Response, StatusCode};
use base64::Engine as _;
use serde_json::{Value, json};

/// What API Gateway answers by itself.
pub(crate) fn message(status: u16, message: &str) -> Response<Body> {
    let body = json!({"message": message}).to_string();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// The response in a function's answer; none when it is not one.
///
/// Without `statusCode`, the answer itself is the body of a 200, of type `application/json`.
pub(crate) fn response(payload: &[u8]) -> Option<Response<Body>> {
    let answer: Value = if payload.iter().all(u8::is_ascii_whitespace) {
        Value::Null
    } else {
        serde_json::from_slice(payload).ok()?
    };
    let Some(status) = answer.get("statusCode") else {
        let body = match &answer {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let mut response = Response::new(Body::from(body));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        return Some(response);
    };
    let status = match status {
        Value::String(text) => text.parse().ok()?,
        number => u16::try_from(number.as_u64()?).ok()?,
    };
    let status = Some(status).filter(|status| (100..=599).contains(status))?;
    let mut response = Response::new(Body::from(body(&answer)?));
    *response.status_mut() = StatusCode::from_u16(status).ok()?;
    let headers = response.headers_mut();
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => return None,
        };
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        // The server says itself how long the body is and how it is sent.
        if name != "content-length" && name != "transfer-encoding" && name != "connection" {
            headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
        }
    }
    for cookie in answer["cookies"].as_array().into_iter().flatten() {
        headers.append(SET_COOKIE, HeaderValue::from_str(cookie.as_str()?).ok()?);
    }
    headers
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("text/plain;charset=UTF-8"));
    Some(response)
}

fn body(answer: &Value) -> Option<Vec<u8>> {
    let body = match answer.get("body") {
        None | Some(Value::Null) => return Some(Vec::new()),
        Some(body) => body.as_str()?,
    };
    if answer["isBase64Encoded"] == json!(true) {
        return base64::engine::general_purpose::STANDARD.decode(body).ok();
    }
    Some(body.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(answer: &Value) -> (u16, String, String) {
        let response = response(answer.to_string().as_bytes()).unwrap();
        let kind = response.headers()[CONTENT_TYPE]
            .to_str()
            .unwrap()
            .to_owned();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await;
        (
            status,
            kind,
            String::from_utf8(body.unwrap().to_vec()).unwrap(),
        )
    }

    #[tokio::test]
    async fn an_answer_with_a_status_is_the_response() {
        let answer = json!({"statusCode": 202, "headers": {"Content-Type": "application/json",
            "X-Count": 3}, "cookies": ["a=1", "b=2"], "body": "{}"});
        let response = response(answer.to_string().as_bytes()).unwrap();
        assert_eq!(response.status(), 202);
        assert_eq!(response.headers()["x-count"], "3");
        let cookies: Vec<_> = response.headers().get_all(SET_COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1", "b=2"]);
    }

    #[tokio::test]
    async fn a_body_is_plain_text_unless_said_and_base64_is_decoded() {
        let (status, kind, body) = read(&json!({"statusCode": "200", "body": "hi"})).await;
        assert_eq!((status, body.as_str()), (200, "hi"));
        assert_eq!(kind, "text/plain;charset=UTF-8");
        let encoded = json!({"statusCode": 200, "body": "aGk=", "isBase64Encoded": true});
        assert_eq!(read(&encoded).await.2, "hi");
    }

    #[tokio::test]
    async fn an_answer_without_a_status_is_the_body_of_a_200() {
        let (status, kind, body) = read(&json!({"orderId": "1"})).await;
        assert_eq!((status, kind.as_str()), (200, "application/json"));
        assert_eq!(body, r#"{"orderId":"1"}"#);
        assert_eq!(read(&json!("hi")).await.2, "hi");
    }

    #[test]
    fn an_answer_that_is_no_response_is_none() {
        for answer in [
            "not json",
            r#"{"statusCode": 99}"#,
            r#"{"statusCode": "two"}"#,
            r#"{"statusCode": 200, "body": {}}"#,
            r#"{"statusCode": 200, "headers": {"a b": "c"}}"#,
        ] {
            assert!(response(answer.as_bytes()).is_none(), "{answer}");
        }
    }
}
