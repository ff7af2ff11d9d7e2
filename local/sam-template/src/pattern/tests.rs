//! Every example of EventBridge's documentation, matching and not.

use serde_json::{Value, json};

use super::EventPattern;

#[track_caller]
fn matches(pattern: &Value, event: &Value) {
    let parsed = EventPattern::parse(pattern).unwrap();
    assert!(parsed.matches(event), "{pattern} must match {event}");
}

#[track_caller]
fn matches_not(pattern: &Value, event: &Value) {
    let parsed = EventPattern::parse(pattern).unwrap();
    assert!(!parsed.matches(event), "{pattern} must not match {event}");
}

/// Tries each value of the field `a`.
#[track_caller]
fn field(pattern: &Value, yes: &[Value], no: &[Value]) {
    let pattern = json!({"detail": {"a": [pattern]}});
    for value in yes {
        matches(&pattern, &json!({"detail": {"a": value}}));
    }
    for value in no {
        matches_not(&pattern, &json!({"detail": {"a": value}}));
    }
    let present = pattern["detail"]["a"][0]["exists"] != json!(false);
    if present {
        matches_not(&pattern, &json!({"detail": {"b": 1}}));
    }
}

fn ec2_event() -> Value {
    json!({
        "version": "0",
        "detail-type": "EC2 Instance State-change Notification",
        "source": "aws.ec2",
        "time": "2017-10-02T18:43:48Z",
        "region": "us-west-1",
        "resources": ["arn:aws:ec2:us-west-1:123456789012:instance/i-1234567890abcdef0"],
        "detail": {
            "instance-id": "i-1234567890abcdef0", "state": "terminated",
            "c-count": 5, "d-count": 3, "x-limit": 301.8, "source-ip": "10.0.0.33",
            "eventVersion": "", "responseElements": null
        }
    })
}

#[test]
fn exact_values_match_by_type_and_text() {
    matches(
        &json!({"source": ["aws.ec2"], "detail": {"state": ["running", "terminated"]}}),
        &ec2_event(),
    );
    matches_not(
        &json!({"source": ["aws.ec2"], "detail": {"state": ["running"]}}),
        &ec2_event(),
    );
    field(
        &json!("x"),
        &[json!("x")],
        &[json!("X"), json!("xx"), json!(null), json!(["y"])],
    );
    field(&json!("300"), &[json!("300")], &[json!(300)]);
    field(
        &json!(true),
        &[json!(true)],
        &[json!(false), json!("true"), json!(1)],
    );
    field(&json!("é\"\\n"), &[json!("é\"\\n")], &[json!("é\\n")]);
}

#[test]
fn numbers_without_an_operator_match_by_their_text() {
    let number = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    field(
        &json!(300),
        &[json!(300)],
        &[number("300.0"), number("3.0e2"), json!("300"), json!(301)],
    );
    let account = number("123456789012345678");
    field(
        &account,
        std::slice::from_ref(&account),
        &[number("123456789012345679")],
    );
    field(&number("150.75"), &[number("150.75")], &[number("150.750")]);
}

#[test]
fn null_and_the_empty_string_are_different() {
    matches(&json!({"detail": {"eventVersion": [""]}}), &ec2_event());
    matches(
        &json!({"detail": {"responseElements": [null]}}),
        &ec2_event(),
    );
    field(&json!(""), &[json!("")], &[json!(null)]);
    field(&json!(null), &[json!(null)], &[json!("")]);
}

#[test]
fn prefix_and_suffix_match_strings_only() {
    matches(&json!({"time": [{"prefix": "2017-10-02"}]}), &ec2_event());
    matches_not(&json!({"time": [{"prefix": "2017-10-03"}]}), &ec2_event());
    field(
        &json!({"prefix": "us-"}),
        &[json!("us-east-1")],
        &[json!("eu-us-"), json!("US-x")],
    );
    field(
        &json!({"suffix": ".png"}),
        &[json!("a.png")],
        &[json!("a.png.txt"), json!("a.PNG")],
    );
    field(&json!({"prefix": "1"}), &[json!("12")], &[json!(12)]);
    field(&json!({"suffix": "5"}), &[json!("15")], &[json!(15)]);
}

#[test]
fn prefix_and_suffix_can_ignore_case() {
    field(
        &json!({"prefix": {"equals-ignore-case": "EventB"}}),
        &[json!("eventbridge"), json!("EVENTB")],
        &[json!("event"), json!("an eventb"), json!(1)],
    );
    field(
        &json!({"suffix": {"equals-ignore-case": "tBridge"}}),
        &[json!("eventBRIDGE")],
        &[json!("bridges"), json!(null)],
    );
}

#[test]
fn equals_ignore_case_ignores_case() {
    field(
        &json!({"equals-ignore-case": "alice"}),
        &[json!("Alice"), json!("ALICE")],
        &[json!("Alicia"), json!(1)],
    );
}

#[test]
fn anything_but_takes_values_and_lists() {
    let but = |operand: Value| json!({"anything-but": operand});
    field(
        &but(json!("initializing")),
        &[json!("running"), json!(5), json!(null), json!(true)],
        &[json!("initializing")],
    );
    field(&but(json!(123)), &[json!(124), json!("123")], &[json!(123)]);
    field(
        &but(json!(["stopped", "overloaded"])),
        &[json!("running")],
        &[json!("stopped"), json!("overloaded")],
    );
    field(
        &but(json!([100, 200, 300])),
        &[json!(301.8)],
        &[json!(100), json!(300)],
    );
}

#[test]
fn anything_but_takes_operators_with_a_value_or_a_list() {
    let but = |operand: Value| json!({"anything-but": operand});
    field(
        &but(json!({"prefix": "init"})),
        &[json!("running"), json!(5), json!(null)],
        &[json!("initializing"), json!("init")],
    );
    field(
        &but(json!({"prefix": ["init", "error"]})),
        &[json!("running")],
        &[json!("initializing"), json!("error-1")],
    );
    field(
        &but(json!({"suffix": ".txt"})),
        &[json!("a.png"), json!("a.txt.png")],
        &[json!("a.txt")],
    );
    field(
        &but(json!({"suffix": [".txt", ".rtf"]})),
        &[json!("a.png")],
        &[json!("a.txt"), json!("a.rtf")],
    );
    field(
        &but(json!({"equals-ignore-case": "initializing"})),
        &[json!("initializing2")],
        &[json!("INITIALIZING"), json!("initializing")],
    );
    field(
        &but(json!({"equals-ignore-case": ["initializing", "stopped"]})),
        &[json!("running")],
        &[json!("Stopped"), json!("InItializing")],
    );
    field(
        &but(json!({"wildcard": "*/lib/*"})),
        &[json!("/usr/bin/x"), json!("lib")],
        &[json!("/usr/lib/x")],
    );
    field(
        &but(json!({"wildcard": ["*/lib/*", "*/bin/*"]})),
        &[json!("/usr/share/x")],
        &[json!("/usr/lib/x"), json!("/usr/bin/x")],
    );
}

#[test]
fn numeric_compares_numbers_only() {
    let numeric = |operand: Value| json!({"numeric": operand});
    field(
        &numeric(json!(["=", 100])),
        &[json!(100), json!(100.0)],
        &[json!(101), json!("100")],
    );
    field(
        &numeric(json!([">", 10, "<=", 20])),
        &[json!(11), json!(20), json!(10.01)],
        &[json!(10), json!(20.1)],
    );
    field(
        &numeric(json!(["<", 10])),
        &[json!(-5), json!(9.99)],
        &[json!(10)],
    );
    field(&numeric(json!([">=", 0])), &[json!(0)], &[json!(-0.01)]);
    matches(
        &json!({"detail": {"x-limit": [{"numeric": ["=", 3.018e2]}]}}),
        &ec2_event(),
    );
}

#[test]
fn cidr_matches_addresses_of_both_kinds() {
    field(
        &json!({"cidr": "10.0.0.0/24"}),
        &[json!("10.0.0.0"), json!("10.0.0.255")],
        &[
            json!("10.0.1.0"),
            json!("9.255.255.255"),
            json!("x"),
            json!(10),
        ],
    );
    field(
        &json!({"cidr": "2001:db8::/32"}),
        &[json!("2001:db8::1"), json!("2001:DB8:ffff::")],
        &[json!("2001:db9::1"), json!("10.0.0.1")],
    );
    field(
        &json!({"cidr": "0.0.0.0/0"}),
        &[json!("1.2.3.4")],
        &[json!("::1")],
    );
    field(
        &json!({"cidr": "10.1.2.3/32"}),
        &[json!("10.1.2.3")],
        &[json!("10.1.2.2")],
    );
}

#[test]
fn exists_asks_for_leaves_only() {
    field(
        &json!({"exists": true}),
        &[json!(1), json!(""), json!(null), json!(["x"])],
        &[json!({"b": 1}), json!({}), json!([])],
    );
    let absent = json!({"detail": {"c-count": [{"exists": false}]}});
    matches(&absent, &json!({"detail": {"state": "running"}}));
    matches(&absent, &json!({"detail": {"c-count": {"c1": 100}}}));
    matches(&absent, &json!({}));
    matches_not(&absent, &json!({"detail": {"c-count": 100}}));
    matches_not(&absent, &json!({"detail": {"c-count": null}}));
}

#[test]
fn exists_false_beside_a_value_is_either() {
    let pattern =
        json!({"source": ["s"], "detail": {"a": [{"exists": false}, "x", {"numeric": [">", 5]}]}});
    matches(&pattern, &json!({"source": "s", "detail": {"a": "x"}}));
    matches(&pattern, &json!({"source": "s", "detail": {"a": 6}}));
    matches(&pattern, &json!({"source": "s", "detail": {}}));
    matches_not(&pattern, &json!({"source": "s", "detail": {"a": "y"}}));
    let always = json!({"source": ["s"], "a": [{"exists": false}, {"exists": true}]});
    matches(&always, &json!({"source": "s"}));
    matches(&always, &json!({"source": "s", "a": 1}));
}

#[test]
fn wildcards_match_any_run_of_characters() {
    let wildcard = |text: &str| json!({"wildcard": text});
    field(
        &wildcard("dir/*.png"),
        &[json!("dir/a.png"), json!("dir/x/y.png"), json!("dir/.png")],
        &[json!("dir/a.jpg"), json!("other/a.png")],
    );
    field(
        &wildcard("*"),
        &[json!(""), json!("x")],
        &[json!(1), json!(true)],
    );
    field(
        &wildcard(r"a\*b*"),
        &[json!("a*b"), json!("a*bc")],
        &[json!("axb")],
    );
    field(&wildcard(r"a\\*"), &[json!(r"a\x")], &[json!("ax")]);
    let all = json!({"detail": {"EventBusArn": [{"wildcard": "arn:aws:events:us-east-1:*:event-bus/*"}]}});
    let arn = |arn: &str| json!({"detail": {"EventBusArn": arn}});
    matches(
        &all,
        &arn("arn:aws:events:us-east-1:123456789012:event-bus/myEventBus"),
    );
    matches_not(
        &all,
        &arn("arn:aws:events:us-east-2:123456789012:event-bus/myEventBus"),
    );
}

#[test]
fn arrays_in_events_match_item_by_item() {
    let pattern = json!({"resources": ["arn:a", "arn:b"]});
    matches(&pattern, &json!({"resources": ["arn:x", "arn:b"]}));
    matches_not(&pattern, &json!({"resources": ["arn:x"]}));
    matches_not(&pattern, &json!({"resources": []}));
    // any item that is not it is enough
    field(
        &json!({"anything-but": "x"}),
        &[json!(["x", "y"])],
        &[json!(["x"]), json!([])],
    );
    let but = json!({"anything-but": {"prefix": "x"}});
    field(
        &but,
        &[json!(["x1", "y"])],
        &[json!(["x1", "x2"]), json!([])],
    );
}

#[test]
fn two_fields_must_match_in_the_same_item_of_an_array() {
    let employees = json!({"employees": [
        {"first": "Anna", "last": "Smith", "age": 30},
        {"first": "Peter", "last": "Jones", "age": 40},
    ]});
    let both = |first: &str, last: &str| json!({"employees": {"first": [first], "last": [last]}});
    matches(&both("Anna", "Smith"), &employees);
    matches_not(&both("Anna", "Jones"), &employees);
    // also where the value is tested outside of the engine
    let mixed = |age: u32| json!({"employees": {"first": ["Anna"], "age": [age]}});
    matches(&mixed(30), &employees);
    matches_not(&mixed(40), &employees);
    let nested = json!({"employees": [[{"first": "Anna"}], [{"first": "Peter"}]]});
    matches(&json!({"employees": {"first": ["Peter"]}}), &nested);
}

#[test]
fn an_object_inside_of_an_array_keeps_its_path() {
    let event = json!({"a": [[[2.5], {"a": null, "b": ""}]]});
    matches_not(&json!({"a": [null]}), &event);
    matches(&json!({"a": {"a": [null], "b": [""]}}), &event);
}

#[test]
fn several_fields_can_be_asked_for_or_be_absent_at_once() {
    let pattern = json!({
        "a": [{"exists": true}], "b": [{"exists": true}],
        "c": [{"exists": false}], "d": [{"exists": false}]
    });
    matches(&pattern, &json!({"a": 1, "b": 2, "e": 3}));
    matches_not(&pattern, &json!({"a": 1, "b": 2, "d": 3}));
    matches_not(&pattern, &json!({"a": 1}));
}

#[test]
fn or_matches_if_one_alternative_does() {
    let pattern = json!({"detail": {"$or": [
        {"c-count": [{"numeric": [">", 0, "<=", 5]}]},
        {"d-count": [{"numeric": ["<", 10]}]},
        {"x-limit": [{"numeric": ["=", 3.018e2]}]},
    ]}});
    matches(&pattern, &ec2_event());
    matches(&pattern, &json!({"detail": {"c-count": 6, "d-count": 9}}));
    matches_not(
        &pattern,
        &json!({"detail": {"c-count": 6, "d-count": 10, "x-limit": 1}}),
    );
}

#[test]
fn or_can_be_nested_and_parallel() {
    let nested = json!({
        "source": ["aws.cloudwatch"],
        "$or": [
            {"metricName": ["CPUUtilization", "ReadLatency"]},
            {
                "metricType": ["MetricType"],
                "namespace": ["AWS/EC2", "AWS/ES"],
                "$or": [{"metricId": [1234]}, {"spaceId": [{"anything-but": {"prefix": "x"}}]}]
            },
            {"scope": ["Service"]}
        ]
    });
    let event = |fields: Value| {
        let mut event = fields;
        event["source"] = json!("aws.cloudwatch");
        event
    };
    matches(&nested, &event(json!({"metricName": "ReadLatency"})));
    matches(&nested, &event(json!({"scope": "Service"})));
    let inner = json!({"metricType": "MetricType", "namespace": "AWS/ES"});
    matches_not(&nested, &event(inner.clone()));
    let mut with_id = inner.clone();
    with_id["metricId"] = json!(1234);
    matches(&nested, &event(with_id));
    let mut with_space = inner;
    with_space["spaceId"] = json!("y");
    matches(&nested, &event(with_space));
    matches_not(&nested, &json!({"scope": "Service"}));
    let parallel = json!({
        "$or": [{"a": [1]}, {"b": [2]}],
        "detail": {"$or": [{"c": [3]}, {"d": [4]}]}
    });
    matches(&parallel, &json!({"b": 2, "detail": {"c": 3}}));
    matches_not(&parallel, &json!({"b": 2, "detail": {"c": 4}}));
    matches_not(&parallel, &json!({"b": 1, "detail": {"c": 3}}));
}

#[test]
fn the_documented_complex_example_matches() {
    let pattern = json!({
        "time": [{"prefix": "2017-10-02"}],
        "detail": {
            "state": [{"anything-but": "initializing"}],
            "c-count": [{"numeric": [">", 0, "<=", 5]}],
            "d-count": [{"numeric": ["<", 10]}],
            "x-limit": [{"anything-but": [100, 200, 300]}],
            "source-ip": [{"cidr": "10.0.0.0/8"}]
        }
    });
    matches(&pattern, &ec2_event());
    let mut event = ec2_event();
    event["detail"]["x-limit"] = json!(200);
    matches_not(&pattern, &event);
}

#[test]
fn a_dotted_key_is_the_same_as_nesting() {
    let nested = json!({"detail": {"state": {"status": ["running"]}}});
    let dotted = json!({"detail": {"state.status": ["running"]}});
    let events = [
        json!({"detail": {"state": {"status": "running"}}}),
        json!({"detail": {"state.status": "running"}}),
        json!({"detail": {"state": {"other": 1}, "state.status": "running"}}),
    ];
    for event in &events {
        matches(&nested, event);
        matches(&dotted, event);
    }
}

#[test]
fn the_rules_of_an_order_system_select_their_events() {
    let recorded = json!({
        "source": ["orderflow"],
        "detail-type": ["InventoryUpdated"],
        "detail": {"version": [{"exists": true}], "data": {"reason": ["reserved"]}}
    });
    let event = |detail: Value| json!({"source": "orderflow", "detail-type": "InventoryUpdated", "detail": detail});
    matches(
        &recorded,
        &event(json!({"version": 2, "data": {"reason": "reserved"}})),
    );
    matches_not(
        &recorded,
        &event(json!({"version": 2, "data": {"reason": "released"}})),
    );
    matches_not(&recorded, &event(json!({"data": {"reason": "reserved"}})));
    let plain = json!({"detail": {"eventId": [{"exists": true}], "version": [{"exists": false}]}});
    matches(&plain, &event(json!({"eventId": "12345"})));
    matches_not(&plain, &event(json!({"eventId": "12345", "version": 1})));
}

#[test]
fn mapping_filters_use_the_same_language() {
    let filter = EventPattern::parse_text(
        r#"{"eventName": ["INSERT"], "dynamodb": {"NewImage": {"eventType": {"S": [{"prefix": "Order"}]}}}}"#,
    );
    let filter = filter.unwrap();
    let record = |name: &str, kind: &str| json!({"eventName": name, "dynamodb": {"NewImage": {"eventType": {"S": kind}}}});
    assert!(filter.matches(&record("INSERT", "OrderPlaced")));
    assert!(!filter.matches(&record("REMOVE", "OrderPlaced")));
    assert!(!filter.matches(&record("INSERT", "UserNotified")));
}
