//! The claims of a token: whether they hold, and how a function is told of them.

use sam_template::JwtAuthorizer;
use serde_json::{Map, Value};

/// Checks issuer, audience and times; `now` in seconds since 1970.
pub(super) fn check(
    claims: &Map<String, Value>,
    authorizer: &JwtAuthorizer,
    now: i64,
) -> Result<(), String> {
    if claims.get("iss").and_then(Value::as_str) != Some(&authorizer.issuer) {
        return Err("the token does not have a valid issuer".to_owned());
    }
    // `client_id` counts only where there is no `aud`.
    let audience = claims.get("aud").or_else(|| claims.get("client_id"));
    let is_ours = |name: &Value| {
        let name = name.as_str();
        name.is_some_and(|name| authorizer.audience.iter().any(|one| one == name))
    };
    let for_us = match audience {
        Some(Value::Array(names)) => names.iter().any(is_ours),
        Some(one) => is_ours(one),
        None => false,
    };
    if !for_us {
        return Err("the token does not have a valid audience".to_owned());
    }
    check_times(claims, now)
}

fn check_times(claims: &Map<String, Value>, now: i64) -> Result<(), String> {
    #[allow(clippy::cast_precision_loss)] // Seconds are far from 2^53.
    let now = now as f64;
    let time = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(time) => match time.as_f64().filter(|time| time.is_finite()) {
            Some(time) => Ok(Some(time)),
            None => Err(format!("the token does not have a valid {name}")),
        },
    };
    match time("exp")? {
        None => return Err("the token does not have an exp".to_owned()),
        Some(end) if end <= now => return Err("the token has expired".to_owned()),
        Some(_) => {}
    }
    if time("nbf")?.is_some_and(|start| start > now) {
        return Err("the token is not valid yet".to_owned());
    }
    if time("iat")?.is_some_and(|issued| issued > now) {
        return Err("the token was issued in the future".to_owned());
    }
    Ok(())
}

/// The scopes, in `scope` or `scp`: words of a text, or a list.
pub(super) fn scopes(claims: &Map<String, Value>) -> Vec<String> {
    let words = |claim: &Value| match claim {
        Value::String(text) => text.split_ascii_whitespace().map(str::to_owned).collect(),
        Value::Array(items) => items
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    };
    let of = |name: &str| claims.get(name).map(words).unwrap_or_default();
    let mut scopes = of("scope");
    scopes.extend(of("scp"));
    scopes
}

/// The claims as a function gets them: every one a text, a list in brackets without commas; null
/// ones not at all.
pub(super) fn told(claims: &Map<String, Value>) -> Value {
    let told = claims.iter().filter_map(|(name, value)| {
        let text = text(value)?;
        Some((name.clone(), Value::String(text)))
    });
    Value::Object(told.collect())
}

fn text(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().filter_map(text).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam_template::IdentitySource;
    use serde_json::json;

    const NOW: i64 = 1_735_732_800;

    /// The claims of a good token with one of them changed; null for one that is not there.
    fn checked(name: &str, value: Value) -> Result<(), String> {
        let authorizer = JwtAuthorizer {
            issuer: "https://issuer".to_owned(),
            audience: vec!["web".to_owned(), "app".to_owned()],
            identity_source: IdentitySource::Header("authorization".to_owned()),
            scopes: Vec::new(),
        };
        let mut claims = json!({"iss": "https://issuer", "aud": "web", "exp": NOW + 1,
            "nbf": NOW, "iat": NOW, "sub": "abc123"});
        let claims = claims.as_object_mut().unwrap();
        if value.is_null() {
            claims.remove(name);
        } else {
            claims.insert(name.to_owned(), value);
        }
        check(claims, &authorizer, NOW)
    }

    #[test]
    fn a_token_must_be_of_the_issuer_and_for_the_audience() {
        assert_eq!(checked("aud", json!("app")), Ok(()));
        assert_eq!(checked("aud", json!(["other", "app"])), Ok(()));
        for issuer in [
            json!("https://issuer/"),
            json!(7),
            json!(["https://issuer"]),
            Value::Null,
        ] {
            assert!(checked("iss", issuer.clone()).is_err(), "{issuer}");
        }
        for audience in [
            json!("other"),
            json!([]),
            json!(["other"]),
            json!(7),
            Value::Null,
        ] {
            let refused = checked("aud", audience.clone()).unwrap_err();
            assert_eq!(refused, "the token does not have a valid audience");
        }
    }

    #[test]
    fn the_client_id_counts_where_there_is_no_audience() {
        let check = |claims: Value| {
            let authorizer = JwtAuthorizer {
                issuer: "i".to_owned(),
                audience: vec!["web".to_owned()],
                identity_source: IdentitySource::Header("authorization".to_owned()),
                scopes: Vec::new(),
            };
            check(claims.as_object().unwrap(), &authorizer, NOW).is_ok()
        };
        assert!(check(
            json!({"iss": "i", "client_id": "web", "exp": NOW + 1})
        ));
        assert!(!check(
            json!({"iss": "i", "client_id": "web", "aud": "other", "exp": NOW + 1})
        ));
        assert!(!check(
            json!({"iss": "i", "client_id": "other", "exp": NOW + 1})
        ));
    }

    #[test]
    fn a_token_counts_from_its_beginning_to_its_end() {
        for (name, value) in [
            ("exp", json!(NOW + 1)),
            ("exp", json!(1_735_732_800.5)),
            ("nbf", json!(NOW)),
            ("nbf", Value::Null),
            ("iat", json!(NOW)),
            ("iat", Value::Null),
        ] {
            assert_eq!(checked(name, value.clone()), Ok(()), "{name} {value}");
        }
        for (name, value) in [
            ("exp", json!(NOW)),
            ("exp", json!(NOW - 1)),
            ("exp", Value::Null),
            ("exp", json!("2099-01-01")),
            ("nbf", json!(NOW + 1)),
            ("iat", json!(NOW + 1)),
            ("iat", json!("now")),
        ] {
            assert!(checked(name, value.clone()).is_err(), "{name} {value}");
        }
    }

    #[test]
    fn scopes_are_words_or_a_list() {
        let of = |claims: Value| scopes(claims.as_object().unwrap());
        assert_eq!(of(json!({"scope": "a b"})), ["a", "b"]);
        assert_eq!(of(json!({"scp": ["a", "b"]})), ["a", "b"]);
        assert_eq!(of(json!({"scp": "a b"})), ["a", "b"]);
        assert_eq!(of(json!({"scope": "a", "scp": ["b"]})), ["a", "b"]);
        assert!(of(json!({"scope": 7})).is_empty());
    }

    #[test]
    fn a_function_is_told_of_claims_as_texts() {
        let claims = json!({"sub": "abc123", "exp": 1_787_996_002, "admin": true, "none": null,
            "groups": ["a", "b"], "address": {"city": "Łódź"}});
        let expected = json!({"sub": "abc123", "exp": "1787996002", "admin": "true",
            "groups": "[a b]", "address": "{\"city\":\"Łódź\"}"});
        assert_eq!(told(claims.as_object().unwrap()), expected);
    }
}
