use super::*;
use jiff::SignedDuration;
use streaming_analytics::insights_table::contract::part_of;
use streaming_analytics::insights_table::{
    InMemoryInsights, PartTable as _, Progress, ResultTable as _,
};
use streaming_analytics::result::RollUp;

struct At(Timestamp);

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// Minutes from noon on.
fn minute(number: i64) -> Minute {
    let noon: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    Minute::of(noon + SignedDuration::from_mins(number)).unwrap()
}

/// An order of two pieces, its payment, and a reading.
fn records(minute: Minute) -> Vec<String> {
    let at = minute.start();
    let event = |kind: &str, data: Value| {
        let mut all = json!({"orderId": format!("{at}"), "userId": "ann", "totalAmount": 4.5,
            "currency": "EUR"});
        for (name, value) in data.as_object().unwrap() {
            all[name] = value.clone();
        }
        json!({"detail-type": kind, "detail": {"eventId": format!("{kind}-{at}"),
            "eventType": kind, "timestamp": at.to_string(), "data": all}})
        .to_string()
    };
    let items = json!([{"sku": "tea", "quantity": 2, "unitPrice": 2.25}]);
    vec![
        event("OrderPlaced", json!({ "items": items })),
        event("PaymentProcessed", json!({"placedAt": at.to_string()})),
        json!({"deviceId": "fridge", "sensor": "t", "value": 4.5, "unit": "Cel",
            "at": at.to_string()})
        .to_string(),
    ]
}

/// Minutes 0 and 2 are closed, minute 3 is not, and it is minute 4.
async fn handler() -> Handler<InMemoryInsights, At> {
    let table = InMemoryInsights::default();
    for number in [0, 2] {
        let part = part_of(minute(number), "a", &records(minute(number)));
        let result = MinuteResult::of(minute(number), &[part]);
        table.put_minute(&result).await.unwrap();
        let hour = RollUp::of_minutes(minute(0).hour().previous(), &[]);
        table.put_hour(&hour).await.unwrap();
    }
    let part = part_of(minute(3), "a", &records(minute(3)));
    table.put_part(&part).await.unwrap();
    let made = Progress {
        closed_through: Some(minute(2)),
        made_through: Some(minute(2)),
    };
    table.advance(Progress::default(), made).await.unwrap();
    Handler {
        table,
        clock: At(minute(4).start()),
    }
}

fn request(route: &str, query: &Value, scope: &str) -> HttpRequest {
    HttpRequest::from_payload(json!({"version": "2.0", "routeKey": route, "headers": {},
        "queryStringParameters": query, "pathParameters": {"id": "fridge"},
        "isBase64Encoded": false, "requestContext": {"http": {"method": "GET"},
            "authorizer": {"jwt": {"claims": {"sub": "op", "scope": scope}, "scopes": null}}}}))
    .unwrap()
}

async fn told(route: &str, query: Value) -> Value {
    let handler = handler().await;
    let answer = handler
        .handle(&request(route, &query, "orders:operate"))
        .await;
    let payload = answer.unwrap().into_payload();
    serde_json::from_str(payload["body"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn every_window_of_the_span_is_told_of_closed_empty_and_open_ones() {
    let answer = told("GET /insights", json!({"from": minute(0).to_string()})).await;
    let windows = answer["windows"].as_array().unwrap();
    let seen: Vec<_> = windows
        .iter()
        .map(|window| {
            (
                window["placed"].as_u64().unwrap(),
                window["final"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(seen, [(1, true), (0, true), (1, true), (1, false)]);
    assert_eq!(windows[0]["revenue"], json!({"EUR": 4.5}));
    assert_eq!(windows[0]["topSkus"][0]["sku"], "tea");
    assert_eq!(windows[0]["records"]["onTime"], 3);
    assert_eq!(windows[0]["p50Ms"].as_u64().map(|ms| ms < 2), Some(true));
    assert_eq!(windows[1]["failureRatio"], Value::Null);
}

#[tokio::test]
async fn an_hour_that_is_on_is_put_together_from_its_minutes() {
    for step in ["hour", "day"] {
        let answer = told("GET /insights", json!({ "step": step })).await;
        let last = answer["windows"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()
            .clone();
        assert_eq!(
            (&last["placed"], &last["final"]),
            (&json!(3), &json!(false)),
            "{step}"
        );
    }
}

#[tokio::test]
async fn a_table_for_spreadsheets_has_a_line_per_window() {
    let handler = handler().await;
    let query = json!({"from": minute(0).to_string(), "format": "csv"});
    let answer = handler
        .handle(&request("GET /insights", &query, "orders:operate"))
        .await;
    let payload = answer.unwrap().into_payload();
    assert_eq!(
        payload["headers"]["content-type"],
        "text/csv; charset=utf-8"
    );
    let lines: Vec<_> = payload["body"].as_str().unwrap().split("\r\n").collect();
    assert_eq!(lines.len(), 6);
    assert!(
        lines[0].ends_with("malformed,revenueEUR,refundsEUR"),
        "{}",
        lines[0]
    );
    assert!(lines[1].starts_with("2026-01-01T12:00:00Z,2026-01-01T12:01:00Z,true,1,1,1,0,"));
    assert!(lines[1].ends_with(",3,0,0,0,0,0,4.5,0"), "{}", lines[1]);
    let columns = |line: &str| line.split(',').count();
    assert!(
        lines[..5]
            .iter()
            .all(|line| columns(line) == columns(lines[0]))
    );
}

#[tokio::test]
async fn skus_are_added_up_over_the_span() {
    let answer = told("GET /insights/top-skus", json!({"limit": "1"})).await;
    assert_eq!(answer["topSkus"][0]["sku"], "tea");
    assert_eq!(answer["topSkus"][0]["pieces"], 6);
}

#[tokio::test]
async fn a_devices_readings_are_told_per_window_and_sensor() {
    let answer = told("GET /devices/{id}", json!({"from": minute(0).to_string()})).await;
    let readings = answer["readings"].as_array().unwrap();
    let seen: Vec<_> = readings
        .iter()
        .map(|reading| {
            (
                reading["start"].clone(),
                reading["mean"].clone(),
                reading["final"].clone(),
            )
        })
        .collect();
    let at = |number| json!(minute(number).to_string());
    let expected = [(0, true), (2, true), (3, false)]
        .map(|(number, is_final)| (at(number), json!(4.5), json!(is_final)));
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn only_operators_see_the_shops_figures() {
    let handler = handler().await;
    for scope in ["", "orders:read orders:write", "telemetry:write"] {
        let answer = handler
            .handle(&request("GET /insights", &json!({}), scope))
            .await;
        assert_eq!(answer.unwrap_err().status, 403, "{scope}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_that_does_not_answer_and_wrong_parameters_are_problems() {
    let handler = handler().await;
    for (route, query, field) in [
        ("GET /insights", json!({"format": "xml"}), "format"),
        ("GET /insights/top-skus", json!({"limit": "0"}), "limit"),
        (
            "GET /devices/{id}",
            json!({"from": "2025-12-31T00:00:00Z"}),
            "from",
        ),
    ] {
        let answer = handler
            .handle(&request(route, &query, "orders:operate"))
            .await;
        assert_eq!(answer.unwrap_err().field.as_deref(), Some(field));
    }
    handler.table.fail_next(1000);
    for route in ["GET /insights", "GET /devices/{id}"] {
        let answer = handler
            .handle(&request(route, &json!({}), "orders:operate"))
            .await;
        assert_eq!(answer.unwrap_err().status, 503);
    }
}
