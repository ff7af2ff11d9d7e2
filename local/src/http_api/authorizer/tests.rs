use super::*;
use crate::issuer::SigningKey;
use axum::Router;
use axum::http::Request;
use axum::routing::get;
use std::sync::Mutex;

/// An issuer with a key, whose documents are served on loopback.
struct Issuer {
    url: String,
    key: SigningKey,
    /// What `jwks_uri` gives.
    published: Arc<Mutex<Value>>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/tenant/", listener.local_addr().unwrap());
        let key = SigningKey::generate().unwrap();
        let published = Arc::new(Mutex::new(json!({"keys": [key.public()]})));
        let discovery = json!({"issuer": url, "jwks_uri": format!("{url}keys")});
        let keys = Arc::clone(&published);
        let documents = Router::new()
            .route(
                "/tenant/.well-known/openid-configuration",
                get(|| async move { discovery.to_string() }),
            )
            .route(
                "/tenant/keys",
                get(|| async move { keys.lock().unwrap().to_string() }),
            );
        tokio::spawn(async move { axum::serve(listener, documents).await });
        Self {
            url,
            key,
            published,
        }
    }

    fn needed(&self, scopes: &[&str]) -> Needed {
        let authorizer = JwtAuthorizer {
            issuer: self.url.clone(),
            audience: vec!["shop".to_owned()],
            identity_source: IdentitySource::Header("authorization".to_owned()),
            scopes: Vec::new(),
        };
        let keys = Keys::of(&self.url);
        Needed {
            verifier: Arc::new(Verifier { authorizer, keys }),
            scopes: scopes.iter().map(|one| (*one).to_owned()).collect(),
        }
    }

    fn claims(&self) -> Value {
        let now = Timestamp::now().as_second();
        json!({"iss": self.url, "aud": "shop", "sub": "abc123", "exp": now + 60,
            "scope": "orders:read openid"})
    }

    fn token(&self) -> String {
        self.key.signed(&self.claims()).unwrap()
    }
}

fn with(token: &str) -> Parts {
    let request = Request::get("/orders/1?access_token=from-query");
    let request = request.header("authorization", token).body(());
    request.unwrap().into_parts().0
}

async fn passes(needed: &Needed, token: &str) -> Result<Value, Refusal> {
    needed.let_pass(&with(token), Timestamp::now()).await
}

#[track_caller]
fn assert_bad(passed: Result<Value, Refusal>, why: &str) {
    match passed {
        Err(Refusal::BadToken(told)) => assert!(told.contains(why), "{told}"),
        other => panic!("{other:?} instead of: {why}"),
    }
}

#[tokio::test]
async fn a_good_token_passes_and_the_function_is_told_of_it() {
    let issuer = Issuer::start().await;
    let token = issuer.token();
    for sent in [
        format!("Bearer {token}"),
        format!("bearer  {token}"),
        token.clone(),
    ] {
        let told = passes(&issuer.needed(&["orders:read", "x"]), &sent)
            .await
            .unwrap();
        assert_eq!(told["jwt"]["claims"]["sub"], "abc123");
        assert_eq!(told["jwt"]["scopes"], json!(["orders:read", "openid"]));
    }
    let told = passes(&issuer.needed(&[]), &token).await.unwrap();
    assert_eq!(told["jwt"]["scopes"], Value::Null);
}

#[tokio::test]
async fn one_of_the_routes_scopes_is_needed() {
    let issuer = Issuer::start().await;
    let scopes = ["orders:write", "orders:operate"];
    let refused = passes(&issuer.needed(&scopes), &issuer.token()).await;
    let missing = Refusal::NoScope(scopes.map(str::to_owned).into());
    assert_eq!(refused, Err(missing.clone()));
    let answer = missing.into_answer();
    assert_eq!(answer.status(), 403);
    assert_eq!(
        answer.headers()[WWW_AUTHENTICATE],
        "Bearer scope=\"orders:write orders:operate\" error=\"insufficient_scope\""
    );
}

#[tokio::test]
async fn a_token_that_the_issuer_did_not_sign_as_it_is_does_not_pass() {
    let issuer = Issuer::start().await;
    let needed = issuer.needed(&[]);
    let claims = issuer.claims();
    let under = |header: Value| issuer.key.signed_under(&header, &claims).unwrap();
    let kid = issuer.key.id();

    let stranger = SigningKey::generate().unwrap();
    let forged = json!({"alg": "RS256", "kid": kid});
    let forged = stranger.signed_under(&forged, &claims).unwrap();
    assert_bad(passes(&needed, &forged).await, "invalid signature");
    let other_hash = under(json!({"alg": "RS512", "kid": kid}));
    assert_bad(passes(&needed, &other_hash).await, "invalid signature");
    for method in ["none", "None", "HS256", "ES256"] {
        let token = under(json!({"alg": method, "kid": kid}));
        let why = format!("signing method {method} is invalid");
        assert_bad(passes(&needed, &token).await, &why);
    }
    assert_bad(
        passes(&needed, &under(json!({"alg": "RS256"}))).await,
        "kid",
    );
    let critical = under(json!({"alg": "RS256", "kid": kid, "crit": ["exp"]}));
    assert_bad(passes(&needed, &critical).await, "malformed");
    assert_bad(
        passes(&needed, &stranger.signed(&claims).unwrap()).await,
        "has no key",
    );

    // Claims that are changed, or without a signature.
    let good = issuer.token();
    let [header, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("{good}");
    };
    let mut richer = issuer.claims();
    richer["scope"] = json!("orders:operate");
    let richer = issuer.key.signed(&richer).unwrap();
    let richer = richer.split('.').nth(1).unwrap();
    let changed = format!("{header}.{richer}.{signature}");
    assert_bad(passes(&needed, &changed).await, "invalid signature");
    let unsigned = format!("{header}.{claims}.");
    assert_bad(passes(&needed, &unsigned).await, "invalid signature");
    for junk in ["x", "a.b", "a.b.c", "..", &format!("{good}.x")] {
        assert_bad(passes(&needed, junk).await, "malformed");
    }
}

#[tokio::test]
async fn a_request_without_a_token_is_told_to_bring_one() {
    let issuer = Issuer::start().await;
    let needed = issuer.needed(&[]);
    for nothing in ["", " ", "Bearer "] {
        let refused = passes(&needed, nothing).await;
        assert!(refused.is_err(), "{nothing:?}");
    }
    let answer = Refusal::NoToken.into_answer();
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.headers()[WWW_AUTHENTICATE], "Bearer");
    let told = Refusal::BadToken("a \"b\"\n\\".to_owned()).into_answer();
    assert_eq!(
        told.headers()[WWW_AUTHENTICATE],
        "Bearer scope=\"\" error=\"invalid_token\" error_description=\"a 'b''\""
    );
}

#[tokio::test]
async fn a_token_is_found_in_the_query_where_it_is_to_be_there() {
    let source = IdentitySource::Query("access_token".to_owned());
    assert_eq!(token(&with("x"), &source).as_deref(), Some("from-query"));
    let source = IdentitySource::Query("other".to_owned());
    assert_eq!(token(&with("x"), &source), None);
}

#[tokio::test]
async fn keys_are_asked_for_again_when_the_issuer_has_a_new_one() {
    let issuer = Issuer::start().await;
    let needed = issuer.needed(&[]);
    assert!(passes(&needed, &issuer.token()).await.is_ok());
    let new = SigningKey::generate().unwrap();
    *issuer.published.lock().unwrap() = json!({"keys": [
        {"kty": "EC", "kid": "elliptic"}, issuer.key.public(), new.public()]});
    let token = new.signed(&issuer.claims()).unwrap();
    let until = tokio::time::Instant::now() + std::time::Duration::from_mins(1);
    while passes(&needed, &token).await.is_err() {
        assert!(tokio::time::Instant::now() < until, "never");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    // A key for encryption signs nothing.
    let mut encrypts = new.public();
    encrypts["use"] = json!("enc");
    *issuer.published.lock().unwrap() = json!({"keys": [encrypts]});
    assert_bad(passes(&issuer.needed(&[]), &token).await, "has no key");
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_or_is_another_one_lets_nobody_pass() {
    let issuer = Issuer::start().await;
    let token = issuer.token();
    let with_issuer = |url: String| {
        let mut needed = issuer.needed(&[]);
        let verifier = Arc::get_mut(&mut needed.verifier).unwrap();
        verifier.keys = Keys::of(&url);
        needed
    };
    let nobody = with_issuer("http://127.0.0.1:1".to_owned());
    assert_bad(passes(&nobody, &token).await, "communication error");
    let another = with_issuer(issuer.url.trim_end_matches('/').to_owned());
    assert_bad(passes(&another, &token).await, "is of the issuer");
}
