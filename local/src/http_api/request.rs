//! A request as the event that a function gets (payload format 2.0).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::http::request::Parts;
use base64::Engine as _;
use bytes::Bytes;
use jiff::Timestamp;
use sam_template::RouteMatch;
use serde_json::{Value, json};

use super::Api;

/// One request, its route found and its body read.
pub(crate) struct Arrival<'a> {
    pub head: &'a Parts,
    pub body: &'a Bytes,
    pub from: SocketAddr,
    pub id: &'a str,
    pub found: &'a RouteMatch<'a>,
    /// What an authorizer tells of the caller; null without one.
    pub authorizer: Value,
}

/// The event.
pub(crate) fn event(api: &Api, arrival: &Arrival<'_>) -> Value {
    let uri = &arrival.head.uri;
    let (headers, cookies) = headers(arrival);
    // API Gateway's HTTP APIs decode what they call the raw path.
    let path = decoded(uri.path(), false);
    let query = uri.query().unwrap_or_default();
    let now = Timestamp::now();
    let host = headers.get("host").cloned().unwrap_or_default();
    let name = host.split(':').next().unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": arrival.found.route.key(),
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": api.account,
            "apiId": api.id,
            "domainName": host,
            "domainPrefix": name.split('.').next().unwrap_or_default(),
            "http": {
                "method": arrival.head.method.as_str(),
                "path": path,
                "protocol": format!("{:?}", arrival.head.version),
                "sourceIp": arrival.from.ip().to_string(),
                "userAgent": headers.get("user-agent").cloned().unwrap_or_default(),
            },
            "requestId": arrival.id,
            "routeKey": arrival.found.route.key(),
            "stage": api.stage,
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "timeEpoch": now.as_millisecond(),
        },
        "isBase64Encoded": false,
    });
    if !arrival.authorizer.is_null() {
        event["requestContext"]["authorizer"] = arrival.authorizer.clone();
    }
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    let parameters = query_parameters(query);
    if !parameters.is_empty() {
        event["queryStringParameters"] = json!(parameters);
    }
    if !arrival.found.path_parameters.is_empty() {
        event["pathParameters"] = json!(arrival.found.path_parameters);
    }
    if !arrival.body.is_empty() {
        let kind = headers.get("content-type").map_or("", String::as_str);
        match std::str::from_utf8(arrival.body) {
            Ok(text) if is_text(kind) => event["body"] = json!(text),
            _ => {
                let encoded = base64::engine::general_purpose::STANDARD.encode(arrival.body);
                event["body"] = json!(encoded);
                event["isBase64Encoded"] = json!(true);
            }
        }
    }
    event
}

/// Header names in lower case, the values of one name joined with commas; cookies apart.
fn headers(arrival: &Arrival<'_>) -> (BTreeMap<String, String>, Vec<String>) {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    let mut cookies = Vec::new();
    for (name, value) in &arrival.head.headers {
        // A header may hold any byte; API Gateway hands on text.
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        if name == "cookie" {
            cookies.extend(value.split("; ").map(str::to_owned));
            continue;
        }
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|all| {
                all.push(',');
                all.push_str(&value);
            })
            .or_insert(value);
    }
    let trace = arrival.id.replace('-', "");
    let (start, rest) = trace.split_at(trace.len().min(8));
    let rest = rest.get(..24).unwrap_or(rest);
    for (name, value) in [
        ("x-forwarded-for", arrival.from.ip().to_string()),
        ("x-forwarded-port", arrival.from.port().to_string()),
        ("x-forwarded-proto", "http".to_owned()),
        ("x-amzn-trace-id", format!("Root=1-{start}-{rest}")),
    ] {
        headers.entry(name.to_owned()).or_insert(value);
    }
    (headers, cookies)
}

/// The kinds of content that API Gateway hands on as text; everything else as Base64.
fn is_text(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    kind.starts_with("text/")
        || matches!(
            kind.as_str(),
            "application/json" | "application/javascript" | "application/xml"
        )
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
}

/// Names and values decoded, the values of one name joined with commas.
fn query_parameters(query: &str) -> BTreeMap<String, String> {
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decoded(value, true);
        parameters
            .entry(decoded(name, true))
            .and_modify(|all| {
                all.push(',');
                all.push_str(&value);
            })
            .or_insert(value);
    }
    parameters
}

/// Decodes `%41`, and `+` where it means a space. What is no escape stays; what is not UTF-8
/// becomes U+FFFD.
fn decoded(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while let Some(&byte) = bytes.get(index) {
        let escape = text
            .get(index + 1..index + 3)
            .filter(|hex| byte == b'%' && hex.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let Some(escaped) = escape {
            decoded.push(escaped);
            index += 3;
        } else {
            let space = plus_is_space && byte == b'+';
            decoded.push(if space { b' ' } else { byte });
            index += 1;
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use sam_template::Route;
    use std::time::Duration;

    #[track_caller]
    fn event_of(request: Request<&'static [u8]>) -> Value {
        let route = Route {
            api: "Api".to_owned(),
            method: request.method().to_string(),
            path: "/orders/{id}".to_owned(),
            function: "F".to_owned(),
            timeout: Duration::from_secs(30),
            auth: sam_template::RouteAuth::default(),
            throttle: None,
        };
        let routes = [route];
        let path = request.uri().path().to_owned();
        let method = request.method().to_string();
        let found = sam_template::route::find(&routes, &method, &path).unwrap();
        let (head, body) = request.into_parts();
        let api = Api {
            routes: Vec::new(),
            functions: BTreeMap::new(),
            id: "api".to_owned(),
            stage: "$default".to_owned(),
            account: "000000000000".to_owned(),
        };
        event(
            &api,
            &Arrival {
                head: &head,
                body: &Bytes::from_static(body),
                from: "127.0.0.1:9".parse().unwrap(),
                id: "0f1e2d3c-0000-4000-8000-000000000000",
                found: &found,
                authorizer: json!({"jwt": {"claims": {"sub": "abc123"}, "scopes": null}}),
            },
        )
    }

    #[test]
    fn a_request_becomes_an_event_of_payload_format_2() {
        let event = event_of(
            Request::post("/orders/a%20b?x=1&y=%26&x=2+3")
                .header("Host", "127.0.0.1:3000")
                .header("User-Agent", "curl")
                .header("Accept", "a")
                .header("Accept", "b")
                .header("Cookie", "one=1; two=2")
                .header("Content-Type", "application/json; charset=utf-8")
                .body(b"{\"a\": 1.50}".as_slice())
                .unwrap(),
        );
        assert_eq!(event["version"], "2.0");
        assert_eq!(event["routeKey"], "POST /orders/{id}");
        assert_eq!(event["rawPath"], "/orders/a b");
        assert_eq!(event["rawQueryString"], "x=1&y=%26&x=2+3");
        assert_eq!(
            event["queryStringParameters"],
            json!({"x": "1,2 3", "y": "&"})
        );
        assert_eq!(event["pathParameters"], json!({"id": "a b"}));
        assert_eq!(event["headers"]["accept"], "a,b");
        assert_eq!(event["headers"].get("cookie"), None);
        assert_eq!(event["cookies"], json!(["one=1", "two=2"]));
        assert_eq!(event["body"], "{\"a\": 1.50}");
        assert_eq!(event["isBase64Encoded"], false);
        let context = &event["requestContext"];
        assert_eq!(context["http"]["method"], "POST");
        assert_eq!(context["http"]["protocol"], "HTTP/1.1");
        assert_eq!(context["http"]["sourceIp"], "127.0.0.1");
        assert_eq!(context["http"]["userAgent"], "curl");
        assert_eq!(context["domainName"], "127.0.0.1:3000");
        assert_eq!(context["authorizer"]["jwt"]["claims"]["sub"], "abc123");
        assert_eq!(context["stage"], "$default");
        assert!(context["timeEpoch"].is_number());
    }

    #[test]
    fn a_body_that_is_no_text_comes_as_base64() {
        let json = |body| {
            let request = Request::put("/orders/1").header("content-type", "application/json");
            event_of(request.body(body).unwrap())
        };
        let binary = json(b"\xff\xfe");
        assert_eq!(binary["body"], "//4=");
        assert_eq!(binary["isBase64Encoded"], true);
        assert_eq!(json(b"").get("body"), None);
        let form = Request::put("/orders/1")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(b"{}".as_slice())
            .unwrap();
        assert_eq!(event_of(form)["isBase64Encoded"], true);
    }
}
