use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(rename = "items")]
    _items: Vec<Line>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(rename = "quantity")]
    _quantity: u32,
}

fn refused(body: &str) -> Problem {
    let payload = json!({"version": "2.0", "routeKey": "POST /x", "rawPath": "/x", "headers": {},
        "requestContext": {"http": {"method": "POST"}, "requestId": "r"},
        "body": body, "isBase64Encoded": false});
    HttpRequest::from_payload(payload)
        .unwrap()
        .body::<Body>()
        .unwrap_err()
}

#[test]
fn the_subject_is_that_of_the_verified_token() {
    let request = |authorizer: Value| {
        let payload = json!({"version": "2.0", "routeKey": "POST /x", "rawPath": "/x",
            "headers": {"authorization": "Bearer not-looked-at"}, "isBase64Encoded": false,
            "requestContext": {"http": {"method": "POST"}, "authorizer": authorizer}});
        HttpRequest::from_payload(payload).unwrap()
    };
    let token = json!({"jwt": {"claims": {"sub": "abc123"}, "scopes": null}});
    assert_eq!(request(token).subject().as_deref(), Some("abc123"));
    assert_eq!(request(json!({"jwt": {"claims": {}}})).subject(), None);
    assert_eq!(request(Value::Null).subject(), None);
}

#[test]
fn the_refused_field_is_named() {
    for (body, field) in [
        ("", "body"),
        ("{", "body"),
        ("[]", "body"),
        ("{}", "items"),
        (r#"{"items": 1}"#, "items"),
        (r#"{"items": [{}]}"#, "items[0].quantity"),
        (r#"{"items": [{"quantity": -1}]}"#, "items[0].quantity"),
        (r#"{"items": [{"quantity": 1.5}]}"#, "items[0].quantity"),
        (r#"{"items": [{"quantity": 1, "x": 1}]}"#, "items[0].x"),
        (r#"{"items": [], "itmes": []}"#, "itmes"),
        (r#"{"items": []} x"#, "body"),
    ] {
        let problem = refused(body);
        assert_eq!(
            (problem.status, problem.field.as_deref()),
            (400, Some(field)),
            "{body}: {problem}"
        );
    }
    let large = refused(&"x".repeat(MAX_BODY_BYTES + 1));
    assert_eq!((large.status, large.field.as_deref()), (413, Some("body")));
}
