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

fn sent_by(authorizer: Value) -> Result<Caller, Problem> {
    let payload = json!({"version": "2.0", "routeKey": "POST /x", "rawPath": "/x",
        "headers": {"authorization": "Bearer not-looked-at"}, "isBase64Encoded": false,
        "requestContext": {"http": {"method": "POST"}, "authorizer": authorizer}});
    HttpRequest::from_payload(payload).unwrap().caller()
}

#[test]
fn the_caller_is_that_of_the_verified_token() {
    for claims in [
        json!({"sub": "abc123", "scope": "openid orders:read orders:write"}),
        json!({"sub": "abc123", "scp": "orders:read orders:write"}),
        json!({"sub": "abc123", "scp": "[orders:read orders:write]"}),
        json!({"sub": "abc123", "scope": "orders:read", "scp": "[orders:write]"}),
    ] {
        let caller = sent_by(json!({"jwt": {"claims": claims, "scopes": null}})).unwrap();
        let expected = Caller::new("abc123", ["orders:read", "orders:write"]);
        assert_eq!(Ok(caller), expected, "{claims}");
    }
}

#[test]
fn what_the_route_asked_for_is_no_scope_of_the_caller() {
    let claims = json!({"sub": "abc123", "scope": "orders:read"});
    let scopes = json!(["orders:read", "orders:operate"]);
    let caller = sent_by(json!({"jwt": {"claims": claims, "scopes": scopes}})).unwrap();
    assert_eq!(Ok(caller), Caller::new("abc123", ["orders:read"]));
}

#[test]
fn a_request_that_no_authorizer_let_pass_has_no_caller() {
    for authorizer in [
        Value::Null,
        json!({}),
        json!({"jwt": {"claims": {}}}),
        json!({"jwt": {"claims": {"sub": "", "scope": "orders:operate"}}}),
        json!({"iam": {"userId": "abc123"}}),
    ] {
        let problem = sent_by(authorizer.clone()).unwrap_err();
        assert_eq!(
            (problem.status, problem.kind),
            (401, "unauthenticated"),
            "{authorizer}"
        );
        let answer = HttpResponse::from(problem).into_payload();
        assert_eq!(answer["headers"]["www-authenticate"], "Bearer");
    }
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

fn with_headers(headers: Value) -> HttpRequest {
    let payload = json!({"version": "2.0", "routeKey": "POST /x", "rawPath": "/x",
        "headers": headers, "isBase64Encoded": false,
        "requestContext": {"http": {"method": "POST"}, "requestId": "r"}});
    HttpRequest::from_payload(payload).unwrap()
}

#[test]
fn an_idempotency_key_is_what_every_reader_of_a_header_reads_alike() {
    let key = |text: &str| {
        let request = with_headers(json!({"idempotency-key": text}));
        let key = request.idempotency_key();
        key.map(|key| key.unwrap().to_string())
    };
    assert_eq!(key("order 1/~").as_deref(), Ok("order 1/~"));
    for wrong in [
        "",
        " ",
        " a",
        "a ",
        "caf\u{e9}",
        "a\u{a0}",
        "a\u{9b}",
        &"a".repeat(129),
    ] {
        let refused = key(wrong).unwrap_err();
        assert_eq!(
            (refused.status, refused.field.as_deref()),
            (400, Some("Idempotency-Key")),
            "{wrong:?}"
        );
    }
    assert_eq!(with_headers(json!({})).idempotency_key(), Ok(None));
}

#[test]
fn a_request_is_in_its_callers_trace_or_else_in_the_platforms() {
    let (theirs, ours) = (
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
    );
    let traced = |headers| {
        with_headers(headers)
            .traced(Some(ours.to_owned()))
            .traceparent()
    };
    assert_eq!(
        traced(json!({"traceparent": theirs})).as_deref(),
        Some(theirs)
    );
    assert_eq!(traced(json!({})).as_deref(), Some(ours));
    assert_eq!(
        traced(json!({"traceparent": "anything"})).as_deref(),
        Some(ours)
    );
}
