//! What `PutRule` refuses.

use serde_json::{Value, json};

use super::{EventPattern, PatternError};

#[track_caller]
fn refused(pattern: &Value) -> String {
    EventPattern::parse(pattern).unwrap_err().to_string()
}

#[test]
fn a_leaf_that_is_not_an_array_is_refused() {
    let message = refused(&json!({"detail": {"state": "running"}}));
    assert!(
        message.contains("`detail.state` is \"running\""),
        "{message}"
    );
    assert!(message.contains("[\"running\"]"), "{message}");
    assert_eq!(
        EventPattern::parse(&json!([])),
        Err(PatternError::NotAnObject)
    );
    assert!(EventPattern::parse_text("{").is_err());
}

#[test]
fn empty_arrays_and_objects_are_refused() {
    assert!(refused(&json!({"detail": {"state": []}})).contains("`detail.state` is empty"));
    assert!(refused(&json!({"detail": {}})).contains("`detail` is empty"));
    assert!(refused(&json!({})).contains("the pattern` is empty"));
}

#[test]
fn an_unknown_operator_is_refused_by_name() {
    let message = refused(&json!({"a": [{"contains": "x"}]}));
    assert!(message.contains("the operator `contains`"), "{message}");
    let message = refused(&json!({"a": [{"prefx": "x"}]}));
    assert!(message.contains("did you mean `prefix`"), "{message}");
    let message = refused(&json!({"a": [{"anything-but": {"cidr": "10.0.0.0/8"}}]}));
    assert!(message.contains("anything-but: cidr"), "{message}");
    assert!(refused(&json!({"a": [{"regexp": "x"}]})).contains("regexp"));
    assert!(refused(&json!({"a": [{"shellstyle": "x"}]})).contains("shellstyle"));
}

#[test]
fn wrong_operands_are_refused() {
    let refused = |operator: Value| refused(&json!({"a": [operator]}));
    assert!(refused(json!({"prefix": 1})).contains("takes a string"));
    assert!(refused(json!({"prefix": {"suffix": "x"}})).contains("equals-ignore-case"));
    assert!(refused(json!({"prefix": "a", "suffix": "b"})).contains("one key"));
    assert!(refused(json!({"exists": "true"})).contains("true or false"));
    assert!(refused(json!({"numeric": [">", "5"]})).contains("takes [\"=\", n]"));
    assert!(refused(json!({"numeric": ["<", 5, ">", 1]})).contains("takes [\"=\", n]"));
    assert!(refused(json!({"numeric": [">", 5, "<", 5]})).contains("bottom"));
    assert!(refused(json!({"numeric": ["=", 6e9]})).contains("5.0e9"));
    assert!(refused(json!({"cidr": "10.0.0.0"})).contains("CIDR"));
    assert!(refused(json!({"cidr": "10.0.0.0/33"})).contains("CIDR"));
    assert!(refused(json!({"wildcard": "a**b"})).contains("in a row"));
    assert!(refused(json!({"wildcard": r"a\b"})).contains("backslash"));
    assert!(refused(json!({"anything-but": ["a", 1]})).contains("only strings"));
    assert!(refused(json!({"anything-but": []})).contains("only strings"));
    assert!(refused(json!({"anything-but": {"prefix": ""}})).contains("empty prefix"));
    assert!(refused(json!([1])).contains("array in an array"));
}

#[test]
fn a_wrong_or_is_refused() {
    assert!(refused(&json!({"$or": [{"a": [1]}]})).contains("at least two"));
    assert!(refused(&json!({"$or": {"a": [1]}})).contains("at least two"));
    assert!(refused(&json!({"$or": [{"a": [1]}, 5]})).contains("at least two"));
    let operator = json!({"$or": [{"prefix": ["x"]}, {"a": [1]}]});
    assert!(refused(&operator).contains("is an operator"));
    let many: Vec<Value> = (0..40).map(|n| json!({"f": [n]})).collect();
    let squared = json!({"$or": many.clone(), "d": {"$or": many}});
    assert_eq!(
        EventPattern::parse(&squared),
        Err(PatternError::TooManyAlternatives(1_600))
    );
}
