use super::*;

const SECRET: &str = "whsec_test_secret";
const BODY: &[u8] = br#"{"id": "evt_1"}"#;
const SIGNED_AT: i64 = 1_492_774_577;
/// `printf '1492774577.{"id": "evt_1"}' | openssl dgst -sha256 -hmac whsec_test_secret`
const GENUINE: &str = "10b0a2815816a45e6b874658b928cae03296be10637343405aaf1e8306ddffdc";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn verified(header: &str, body: &[u8], secret: &str, now: i64) -> Result<(), SignatureError> {
    Signature::parse(Some(header))?.verify(body, secret, at(now))
}

#[test]
fn a_signature_made_by_openssl_is_genuine() {
    let header = format!("t={SIGNED_AT},v1={GENUINE}");
    assert_eq!(verified(&header, BODY, SECRET, SIGNED_AT), Ok(()));
    let upper = format!("t={SIGNED_AT},v1={}", GENUINE.to_uppercase());
    assert_eq!(verified(&upper, BODY, SECRET, SIGNED_AT), Ok(()));
}

#[test]
fn one_of_several_signatures_is_enough_and_other_schemes_are_passed_over() {
    let other = "0".repeat(64);
    let header = format!("t={SIGNED_AT}, v1={other},v1={GENUINE},v0=x,future");
    assert_eq!(verified(&header, BODY, SECRET, SIGNED_AT), Ok(()));
}

#[test]
fn another_body_secret_or_time_is_forged() {
    let header = format!("t={SIGNED_AT},v1={GENUINE}");
    for (body, secret) in [
        (&br#"{"id":"evt_1"}"#[..], SECRET),
        (b"", SECRET),
        (BODY, "whsec_other"),
    ] {
        let verified = verified(&header, body, secret, SIGNED_AT);
        assert_eq!(verified, Err(SignatureError::Forged));
    }
    let later = format!("t={},v1={GENUINE}", SIGNED_AT + 1);
    assert_eq!(
        verified(&later, BODY, SECRET, SIGNED_AT),
        Err(SignatureError::Forged)
    );
}

#[test]
fn a_genuine_signature_counts_for_five_minutes() {
    let header = format!("t={SIGNED_AT},v1={GENUINE}");
    for (second, counts) in [(300, true), (301, false), (-300, true), (-301, false)] {
        assert_eq!(
            verified(&header, BODY, SECRET, SIGNED_AT + second).is_ok(),
            counts,
            "{second}"
        );
    }
}

#[test]
fn what_is_no_signature_is_refused() {
    assert_eq!(Signature::parse(None), Err(SignatureError::Missing));
    for header in [
        String::new(),
        format!("t={SIGNED_AT}"),
        format!("v1={GENUINE}"),
        format!("t=yesterday,v1={GENUINE}"),
        format!("t=99999999999999999,v1={GENUINE}"),
        format!("t={SIGNED_AT},v1=abc"),
        format!("t={SIGNED_AT},v1={}", "é".repeat(32)),
        format!("t={SIGNED_AT},v0={GENUINE}"),
    ] {
        assert_eq!(
            Signature::parse(Some(&header)),
            Err(SignatureError::Malformed),
            "{header}"
        );
    }
}
