use super::*;
use base64::Engine as _;

const URL: &str = "http://127.0.0.1:4566/issuer";

fn issuer() -> Issuer {
    let key = SigningKey::generate().unwrap();
    Issuer::new(URL.to_owned(), "shop".to_owned(), key)
}

fn request(method: &str, path: &str, host: &str, body: &'static str) -> Request<Bytes> {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("host", host);
    request.body(Bytes::from_static(body.as_bytes())).unwrap()
}

async fn answer(issuer: &Issuer, request: Request<Bytes>) -> (u16, Value) {
    let response = issuer.answer(request).await;
    let body = serde_json::from_slice(response.body()).unwrap();
    (response.status().as_u16(), body)
}

async fn asked(issuer: &Issuer, form: &'static str) -> (u16, Value) {
    answer(
        issuer,
        request("POST", "/issuer/token", "127.0.0.1:4566", form),
    )
    .await
}

#[tokio::test]
async fn it_is_found_as_every_issuer_is() {
    let issuer = issuer();
    let get = |path| request("GET", path, "localhost:4566", "");
    let (status, discovery) =
        answer(&issuer, get("/issuer/.well-known/openid-configuration")).await;
    assert_eq!((status, &discovery["issuer"]), (200, &json!(URL)));
    let keys = discovery["jwks_uri"].as_str().unwrap();
    let path = keys.strip_prefix("http://127.0.0.1:4566").unwrap();
    let (status, keys) = answer(&issuer, get(path)).await;
    assert_eq!((status, &keys["keys"][0]["kty"]), (200, &json!("RSA")));
    assert_eq!(keys["keys"][0]["kid"], issuer.key.id());
    assert_eq!(keys["keys"][0].get("d"), None);
    assert_eq!(answer(&issuer, get("/issuer/authorize")).await.0, 404);
}

#[tokio::test]
async fn a_token_says_what_was_asked_for() {
    let issuer = issuer();
    let form = "grant_type=client_credentials&sub=abc123&scope=orders%3Aread+openid&expires_in=60";
    let (status, token) = asked(&issuer, form).await;
    assert_eq!((status, &token["expires_in"]), (200, &json!(60)));
    let text = token["access_token"].as_str().unwrap();
    let claims = text.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims);
    let claims: Value = serde_json::from_slice(&claims.unwrap()).unwrap();
    let number = |name: &str| claims[name].as_i64().unwrap();
    assert_eq!(number("exp") - number("iat"), 60);
    assert_eq!(
        (&claims["sub"], &claims["aud"], &claims["scope"]),
        (
            &json!("abc123"),
            &json!("shop"),
            &json!("orders:read openid")
        )
    );
    assert_eq!(claims["iss"], URL);
}

#[tokio::test]
async fn what_is_no_proper_request_is_refused() {
    let issuer = issuer();
    for (form, error) in [
        ("", "unsupported_grant_type"),
        ("grant_type=password&sub=a", "unsupported_grant_type"),
        ("grant_type=client_credentials", "invalid_request"),
        ("grant_type=client_credentials&sub=", "invalid_request"),
        (
            "grant_type=client_credentials&sub=a&expires_in=0",
            "invalid_request",
        ),
        (
            "grant_type=client_credentials&sub=a&expires_in=2592001",
            "invalid_request",
        ),
    ] {
        let (status, answer) = asked(&issuer, form).await;
        assert_eq!((status, &answer["error"]), (400, &json!(error)), "{form}");
    }
    let form = "grant_type=client_credentials&sub=a";
    let rebound = request("POST", "/issuer/token", "shop.example.com:4566", form);
    assert_eq!(answer(&issuer, rebound).await.0, 403);
}

#[tokio::test]
async fn a_system_with_another_issuer_says_which() {
    let elsewhere = Elsewhere {
        issuer: "https://issuer.example.com".to_owned(),
    };
    let response = elsewhere
        .answer(request("POST", "/issuer/token", "localhost", ""))
        .await;
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    let told = body["error_description"].as_str().unwrap();
    assert!(told.contains("https://issuer.example.com"), "{told}");
}
