use super::*;
use event_sourcing::in_memory::InMemoryEventStore;
use serde_json::json;
use std::sync::Mutex;
use streaming_analytics::alarms::Rule;
use streaming_analytics::insights_table::contract::part_of;
use streaming_analytics::insights_table::{
    InMemoryInsights, InsightsTable as _, MinuteTable as _, PartTable as _,
};

/// A clock that tests set.
struct TestClock(Mutex<Timestamp>);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

type Tested = Handler<InMemoryInsights, InMemoryInsights, InMemoryEventStore, TestClock>;

const WAITS: SignedDuration = SignedDuration::from_secs(180);

fn a_handler() -> Tested {
    Handler {
        table: InMemoryInsights::default(),
        rules: InMemoryInsights::default(),
        store: InMemoryEventStore::default(),
        clock: TestClock(Mutex::new(minute(0).start())),
        waits: WAITS,
        metrics: Metrics::silent(),
    }
}

/// Minutes from noon on.
fn minute(number: i64) -> Minute {
    let noon: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
    Minute::of(noon + SignedDuration::from_mins(number)).unwrap()
}

/// Rejected orders of a minute, as the bus delivers them.
fn rejected(minute: Minute, orders: std::ops::Range<u32>) -> Vec<String> {
    let event = |order: u32| {
        json!({"detail-type": "InventoryRejected", "detail": {
            "eventId": format!("event-{minute}-{order}"), "eventType": "InventoryRejected",
            "timestamp": minute.start().to_string(), "data": {"orderId": order.to_string(),
                "userId": "ann", "totalAmount": 1, "shortages": []}}})
        .to_string()
    };
    orders.map(event).collect()
}

/// What tests do and see.
impl Tested {
    /// Calls as soon as a minute is due.
    async fn closes(&self, minute: Minute) -> Value {
        *self.clock.0.lock().unwrap() = minute.end() + WAITS;
        self.handle("call").await.unwrap()
    }

    async fn writes(&self, minute: Minute, shard: &str, orders: std::ops::Range<u32>) {
        let part = part_of(minute, shard, &rejected(minute, orders));
        self.table.put_part(&part).await.unwrap();
        if self.table.progress().await.unwrap().closed_through >= Some(minute) {
            self.table.note_correction(&part.key).await.unwrap();
        }
    }

    async fn minds_rejections(&self) {
        self.rules.put_rule(&rule("rejections"), 9).await.unwrap();
    }

    async fn rejections(&self, minute: Minute) -> Option<u64> {
        let result = self.table.minute(minute).await.unwrap();
        result.map(|result| result.totals.orders.rejected)
    }

    fn alarms(&self) -> Vec<(String, String)> {
        let events = self.store.arrivals().into_iter();
        let told = events.map(|event| {
            let window = event.data["window"].as_str().unwrap_or_default();
            (event.event_type, window.to_owned())
        });
        told.collect()
    }
}

fn rule(name: &str) -> Rule {
    serde_json::from_value(json!({"name": name,
        "metric": {"kind": "orders", "figure": "rejected"}, "forWindows": 2,
        "condition": {"kind": "above", "threshold": 2, "clear": 0}}))
    .unwrap()
}

#[tokio::test]
async fn a_minute_is_closed_once_all_that_was_in_time_is_written() {
    let handler = a_handler();
    handler.closes(minute(0)).await;
    handler.writes(minute(1), "a", 0..2).await;
    handler.writes(minute(1), "b", 2..5).await;
    *handler.clock.0.lock().unwrap() = minute(1).end() + WAITS - SignedDuration::from_millis(1);
    assert_eq!(handler.handle("call").await.unwrap()["closed"], 0);
    assert_eq!(handler.rejections(minute(1)).await, None);
    let answer = handler.closes(minute(1)).await;
    assert_eq!(
        answer,
        json!({"closed": 1, "corrected": 0, "raised": 0, "cleared": 0,
        "through": minute(1)})
    );
    assert_eq!(handler.rejections(minute(1)).await, Some(5));
    assert_eq!(handler.closes(minute(1)).await["closed"], 0);
}

#[tokio::test]
async fn what_comes_late_corrects_the_result_its_hour_and_its_day() {
    let handler = a_handler();
    handler.closes(minute(-1)).await;
    handler.writes(minute(0), "a", 0..1).await;
    handler.closes(minute(0)).await;
    handler.writes(minute(0), "b", 1..3).await;
    assert_eq!(handler.closes(minute(0)).await["corrected"], 1);
    assert_eq!(handler.rejections(minute(0)).await, Some(3));
    assert_eq!(handler.table.corrections(9).await.unwrap(), []);
    let hour = minute(0).hour();
    assert_eq!(
        handler.table.hour(hour).await.unwrap(),
        None,
        "it is not over"
    );

    handler.closes(minute(59)).await;
    let rejected_in_hour = async || {
        let hour = handler.table.hour(hour).await.unwrap().unwrap();
        hour.totals.orders.rejected
    };
    assert_eq!(rejected_in_hour().await, 3);
    handler.writes(minute(7), "a", 0..4).await;
    handler.closes(minute(60)).await;
    assert_eq!(rejected_in_hour().await, 7);

    for number in 1..8 {
        handler.closes(minute(100 * number)).await;
    }
    handler.closes(minute(12 * 60 - 1)).await;
    let day = hour.day();
    let of_day = handler.table.days(day, day.next()).await.unwrap();
    assert_eq!(of_day[0].totals.orders.rejected, 7);
    handler.writes(minute(9), "a", 0..1).await;
    handler.closes(minute(12 * 60)).await;
    let of_day = handler.table.days(day, day.next()).await.unwrap();
    assert_eq!(of_day[0].totals.orders.rejected, 8);
}

#[tokio::test]
async fn the_first_call_looks_back_an_hour_and_after_an_outage_calls_catch_up() {
    let handler = a_handler();
    handler.writes(minute(-59), "a", 0..1).await;
    assert_eq!(handler.closes(minute(0)).await["closed"], 60);
    assert_eq!(handler.rejections(minute(-59)).await, Some(1));
    handler.writes(minute(300), "a", 0..2).await;
    let closed = [120, 120, 61, 0];
    for count in closed {
        assert_eq!(handler.closes(minute(301)).await["closed"], count);
    }
    assert_eq!(handler.rejections(minute(300)).await, Some(2));
}

#[tokio::test]
async fn an_alarm_is_raised_and_cleared_once_each_per_episode() {
    let handler = a_handler();
    handler.minds_rejections().await;
    handler.closes(minute(-1)).await;
    for number in 0..4 {
        handler.writes(minute(number), "a", 0..9).await;
        let answer = handler.closes(minute(number)).await;
        assert_eq!(answer["raised"], u64::from(number == 1), "{number}");
    }
    let answer = handler.closes(minute(6)).await;
    assert_eq!(answer["cleared"], 1);
    let told = |kind: &str, at| (kind.to_owned(), minute(at).to_string());
    assert_eq!(
        handler.alarms(),
        [told("AlarmRaised", 1), told("AlarmCleared", 5)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_did_not_end_is_made_up_for_and_raises_nothing_twice() {
    for calls_before in 0..12 {
        let handler = a_handler();
        handler.minds_rejections().await;
        handler.closes(minute(-1)).await;
        for number in 0..3 {
            handler.writes(minute(number), "a", 0..9).await;
        }
        *handler.clock.0.lock().unwrap() = minute(2).end() + WAITS;
        // It dies at some call of the table.
        handler.table.fail_after(calls_before, 1000);
        let died = handler.handle("call").await;
        assert!(died.is_err(), "{calls_before} {died:?}");
        handler.table.fail_after(0, 0);
        handler.handle("call").await.unwrap();
        for number in 0..3 {
            assert_eq!(handler.rejections(minute(number)).await, Some(9));
        }
        let raised = ("AlarmRaised".to_owned(), minute(1).to_string());
        assert_eq!(handler.alarms(), [raised], "{calls_before}");
    }
}

#[tokio::test]
async fn what_a_rule_raised_that_is_gone_is_cleared() {
    let handler = a_handler();
    handler.minds_rejections().await;
    handler.closes(minute(-1)).await;
    for number in 0..2 {
        handler.writes(minute(number), "a", 0..9).await;
    }
    handler.closes(minute(1)).await;
    handler
        .rules
        .remove_rule(rule("rejections").name())
        .await
        .unwrap();
    let answer = handler.closes(minute(2)).await;
    assert_eq!(answer["cleared"], 1);
    assert_eq!(handler.alarms()[1].0, "AlarmCleared");
    assert_eq!(handler.table.alarm_states().await.unwrap(), []);
}
