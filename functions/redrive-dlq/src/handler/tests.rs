use super::*;
use aws_adapters::dead_letter_message::GivenUpBatch;
use aws_adapters::function_calls::{CallError, Called};
use aws_adapters::sqs_dead_letter_queue::{Message, QueueError, attribute};
use aws_adapters::stream_history::Restored;
use event_sourcing::dead_letter::{Act, Class, DeadLetter, InMemoryDeadLetters, Status};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Mutex;

const ROUNDS: u32 = 3;

/// A clock that goes when it is told to.
struct Hand(Mutex<Timestamp>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// What a consumer answers.
#[derive(Debug, Clone)]
enum Answer {
    Is(Called),
    /// The platform does not call it.
    Throttled,
}

/// Queues in memory, and consumers that answer as they are told to.
#[derive(Default)]
struct Fake {
    queue: Mutex<Vec<Message>>,
    called: Mutex<Vec<String>>,
    answers: Mutex<BTreeMap<String, Answer>>,
    records: Mutex<Vec<Restored>>,
}

impl Platform for Fake {
    async fn receive(&self, consumer: &Consumer) -> Result<Vec<Message>, QueueError> {
        if consumer.name != "pay" {
            return Ok(Vec::new());
        }
        let queue = self.queue.lock().unwrap();
        // Received twice when it is not deleted.
        Ok(queue.iter().take(10).cloned().collect())
    }

    async fn delete(&self, _: &Consumer, message: &Message) -> Result<(), QueueError> {
        let mut queue = self.queue.lock().unwrap();
        queue.retain(|one| one.receipt != message.receipt);
        Ok(())
    }

    async fn restore(&self, _: &Consumer, _: &GivenUpBatch) -> Result<Vec<Restored>, Failure> {
        Ok(self.records.lock().unwrap().clone())
    }

    async fn call(&self, consumer: &Consumer, letter: &DeadLetter) -> Result<Called, CallError> {
        let id = letter.letter_id.clone();
        tokio::task::yield_now().await;
        self.called.lock().unwrap().push(id.clone());
        let answers = self.answers.lock().unwrap();
        let answer = answers.get(&id).or_else(|| answers.get("*"));
        match answer {
            None => Ok(Called::Answer(Value::Null)),
            Some(Answer::Is(called)) => Ok(called.clone()),
            Some(Answer::Throttled) => Err(CallError::Throttled {
                function: consumer.function.clone(),
            }),
        }
    }
}

type Tested = Handler<InMemoryDeadLetters, Fake, Hand>;

fn a_handler() -> Tested {
    let consumer = |name: &str| Consumer {
        name: name.to_owned(),
        queue: format!("https://{name}-dlq"),
        function: name.to_owned(),
        streams: String::new(),
    };
    Handler {
        letters: InMemoryDeadLetters::default(),
        platform: Fake::default(),
        consumers: vec![consumer("pay"), consumer("tell")],
        policy: RedrivePolicy {
            first_delay: Duration::from_mins(1),
            longest_delay: Duration::from_hours(4),
            rounds: ROUNDS,
        },
        metrics: Metrics::of("redrive-dlq"),
        clock: Hand(Mutex::new(Timestamp::UNIX_EPOCH)),
    }
}

impl Tested {
    fn put(&self, number: u64, body: &Value) {
        self.put_with(number, body, BTreeMap::new());
    }

    fn put_with(&self, number: u64, body: &Value, attributes: BTreeMap<String, String>) {
        let mut queue = self.platform.queue.lock().unwrap();
        queue.push(Message {
            id: format!("message-{number}"),
            body: body.to_string(),
            attributes,
            sent_at: self.clock.now(),
            receipt: format!("receipt-{number}"),
        });
    }

    /// An event that its consumer gave up because what it needs is down.
    fn put_waiting(&self, stream: &str, version: u64) {
        let class = (attribute::CLASS.to_owned(), "Waiting".to_owned());
        self.put_with(100 + version, &event(stream, version), [class].into());
    }

    fn put_event(&self, stream: &str, version: u64) {
        self.put(version, &event(stream, version));
    }

    fn answer(&self, letter: &str, answer: Answer) {
        let mut answers = self.platform.answers.lock().unwrap();
        answers.insert(letter.to_owned(), answer);
    }

    fn later(&self, by: Duration) {
        let mut now = self.clock.0.lock().unwrap();
        *now += SignedDuration::try_from(by).unwrap();
    }

    fn called(&self) -> Vec<String> {
        std::mem::take(&mut *self.platform.called.lock().unwrap())
    }

    async fn call(&self, payload: Value) -> Value {
        self.handle(payload).await.unwrap()
    }

    fn letter(&self, id: &str) -> DeadLetter {
        let all = self.letters.all();
        all.into_iter().find(|one| one.letter_id == id).unwrap()
    }
}

fn event(stream: &str, version: u64) -> Value {
    json!({"eventId": format!("{stream}-{version}"), "eventType": "OrderPlaced",
        "timestamp": "1970-01-01T00:00:00Z", "streamId": stream, "version": version,
        "data": {"orderId": "1"}})
}

fn failed(error_type: &str) -> Answer {
    Answer::Is(Called::Failed {
        error_type: error_type.to_owned(),
        message: "no".to_owned(),
    })
}

fn done() -> Answer {
    Answer::Is(Called::Answer(Value::Null))
}

fn counted(answer: &Value, name: &str) -> u64 {
    answer[name].as_u64().unwrap()
}

#[tokio::test]
async fn a_message_is_redriven_when_its_time_has_come() {
    let handler = a_handler();
    handler.put_event("a", 1);
    let answer = handler.call(json!({})).await;
    assert_eq!(
        (counted(&answer, "takenIn"), counted(&answer, "due")),
        (1, 0)
    );
    assert!(handler.platform.queue.lock().unwrap().is_empty());
    assert!(handler.called().is_empty());
    handler.later(Duration::from_mins(1));
    let answer = handler.call(json!({})).await;
    assert_eq!(counted(&answer, "redriven"), 1);
    assert_eq!(handler.called(), ["pay/a-1"]);
    assert_eq!(handler.letter("pay/a-1").status, Status::Redriven);
    let answer = handler.call(json!({"now": true})).await;
    assert_eq!(counted(&answer, "due"), 0);
}

#[tokio::test]
async fn a_poison_message_ends_parked_after_its_rounds_and_is_never_called_with_again() {
    let handler = a_handler();
    handler.answer("*", failed("Permanent"));
    handler.put_event("a", 1);
    for number in 100..120 {
        handler.call(json!({})).await;
        handler.later(Duration::from_hours(4));
        // The system's own healing publishes the event again, and the consumer gives it up again.
        handler.put(number, &event("a", 1));
    }
    assert_eq!(handler.called().len(), ROUNDS as usize);
    let letter = handler.letter("pay/a-1");
    assert_eq!((letter.status, letter.round), (Status::Parked, ROUNDS));
    let rounds = letter
        .history
        .iter()
        .filter(|one| one.act == Act::RoundFailed);
    assert_eq!(rounds.count(), ROUNDS as usize);
    let answer = handler.call(json!({"now": true})).await;
    assert_eq!(counted(&answer, "parkedInAll"), 1);
    assert!(handler.called().is_empty());
}

#[tokio::test]
async fn a_stream_goes_in_version_order_and_stops_at_the_letter_that_fails() {
    let handler = a_handler();
    for version in [3, 1, 2] {
        handler.put_event("a", version);
    }
    handler.put_event("b", 7);
    handler.call(json!({})).await;
    handler.answer("pay/a-2", failed("Transient"));
    handler.later(Duration::from_mins(1));
    let answer = handler.call(json!({})).await;
    let mut called = handler.called();
    called.retain(|id| id != "pay/b-7");
    assert_eq!(called, ["pay/a-1", "pay/a-2"]);
    assert_eq!(
        (counted(&answer, "failed"), counted(&answer, "skipped")),
        (1, 1)
    );
    // The third does not pass the second, which waits for its next round.
    let answer = handler.call(json!({})).await;
    assert_eq!(counted(&answer, "due"), 0);
    handler.answer("pay/a-2", done());
    handler.later(Duration::from_mins(2));
    handler.call(json!({})).await;
    assert_eq!(handler.called(), ["pay/a-2", "pay/a-3"]);
}

#[tokio::test]
async fn a_letter_that_is_named_does_not_pass_an_earlier_one_that_waits() {
    let handler = a_handler();
    for version in 1..=3 {
        handler.put_event("a", version);
    }
    handler.put_event("b", 9);
    handler.call(json!({})).await;
    let named = |letters: &[&str]| json!({"letters": letters, "now": true});
    let answer = handler.call(named(&["pay/a-2", "pay/b-9"])).await;
    assert_eq!(
        answer["letters"],
        json!({"pay/a-2": "behind", "pay/b-9": "redriven"})
    );
    assert_eq!(handler.called(), ["pay/b-9"]);
    // Nor when the earlier one is due, and only nobody named it.
    handler.later(Duration::from_mins(1));
    let answer = handler.call(named(&["pay/a-3", "pay/a-2"])).await;
    assert_eq!((counted(&answer, "due"), handler.called().len()), (0, 0));
    handler.answer("pay/a-2", failed("Transient"));
    let answer = handler
        .call(named(&["pay/a-3", "pay/a-2", "pay/a-1"]))
        .await;
    assert_eq!(
        answer["letters"],
        json!({"pay/a-1": "redriven", "pay/a-2": "failed", "pay/a-3": "behind"})
    );
    assert_eq!(handler.called(), ["pay/a-1", "pay/a-2"]);
    let answer = handler.call(json!({"letters": ["pay/a-2"]})).await;
    assert_eq!(answer["letters"], json!({"pay/a-2": "notDue"}));
}

#[tokio::test]
async fn what_is_down_is_asked_few_times_a_call_and_uses_up_no_round() {
    for (down, asks) in [(failed("Waiting"), 3), (Answer::Throttled, 1)] {
        let handler = a_handler();
        for number in 1..=5 {
            handler.put_event(&format!("s{number}"), number);
        }
        handler.call(json!({})).await;
        handler.answer("*", down);
        for _ in 0..10 {
            handler.later(Duration::from_mins(5));
            let answer = handler.call(json!({})).await;
            assert_eq!(handler.called().len(), asks);
            assert_eq!(counted(&answer, "waiting"), 5);
        }
        for letter in handler.letters.all() {
            assert_eq!((letter.status, letter.round), (Status::Waiting, 0));
        }
        handler.answer("*", done());
        handler.later(Duration::from_mins(5));
        assert_eq!(counted(&handler.call(json!({})).await, "redriven"), 5);
    }
}

#[tokio::test]
async fn letters_that_fail_for_reasons_of_their_own_hold_nobody_up() {
    let handler = a_handler();
    for number in 1..=20 {
        handler.put_event(&format!("poison{number}"), number);
        handler.answer(&format!("pay/poison{number}-{number}"), failed("Transient"));
    }
    handler.later(Duration::from_secs(1));
    for number in 21..=25 {
        handler.put_waiting(&format!("fine{number}"), number);
    }
    handler.call(json!({})).await;
    handler.later(Duration::from_mins(1));
    let answer = handler.call(json!({})).await;
    assert_eq!(
        (counted(&answer, "failed"), counted(&answer, "redriven")),
        (20, 5)
    );
}

/// Poison that looks like an outage, and an operator who asks for everything again and again.
#[tokio::test]
async fn every_letter_gets_its_turn_whoever_waits_before_it() {
    for call in [json!({}), json!({"now": true})] {
        let handler = a_handler();
        for number in 1..=7 {
            handler.put_waiting(&format!("poison{number}"), number);
            handler.answer(&format!("pay/poison{number}-{number}"), failed("Waiting"));
        }
        handler.put_waiting("zz-fine", 9);
        handler.call(json!({})).await;
        let mut calls = 0;
        while handler.letter("pay/zz-fine-9").status != Status::Redriven {
            handler.later(Duration::from_mins(1));
            handler.call(call.clone()).await;
            calls += 1;
            assert!(calls <= 3, "{call}");
        }
    }
}

/// An outcome that is unknown stays so, and is found as such, while what would tell it is down.
#[tokio::test]
async fn what_is_down_replaces_no_cause_of_the_letters_own() {
    let handler = a_handler();
    handler.put_event("a", 1);
    handler.call(json!({})).await;
    handler.answer("*", failed("Transient"));
    handler.call(json!({"now": true})).await;
    handler.answer(
        "*",
        Answer::Is(Called::Failed {
            error_type: "Waiting".to_owned(),
            message: "down".to_owned(),
        }),
    );
    handler.call(json!({"now": true})).await;
    handler.put_waiting("a", 1);
    handler.call(json!({})).await;
    let letter = handler.letter("pay/a-1");
    assert_eq!(
        (letter.class, letter.cause.as_str()),
        (Class::Transient, "no")
    );
    let acts: Vec<_> = letter.history.iter().map(|entry| entry.act).collect();
    assert!(acts.contains(&Act::Postponed), "{acts:?}");
}

#[tokio::test]
async fn two_redrivers_at_once_call_with_a_letter_once() {
    let handler = a_handler();
    for number in 1..=20 {
        handler.put_event(&format!("s{number}"), number);
    }
    handler.call(json!({})).await;
    handler.later(Duration::from_mins(1));
    let (a, b) = tokio::join!(handler.call(json!({})), handler.call(json!({})));
    assert_eq!(counted(&a, "redriven") + counted(&b, "redriven"), 20);
    assert_eq!(handler.called().len(), 20);
}

#[tokio::test]
async fn garbage_is_parked_and_nobody_is_called_with_it() {
    let handler = a_handler();
    handler.put(1, &json!("not an event"));
    let answer = handler.call(json!({})).await;
    assert_eq!(
        (counted(&answer, "takenIn"), counted(&answer, "parked")),
        (1, 1)
    );
    let answer = handler.call(json!({"now": true})).await;
    assert_eq!(
        (counted(&answer, "due"), counted(&answer, "parkedInAll")),
        (0, 1)
    );
    assert_eq!(
        handler.letter("pay/message-1").payload,
        json!("not an event")
    );
    assert!(handler.called().is_empty());
}

fn a_batch() -> Value {
    json!({"requestContext": {"condition": "RetryAttemptsExhausted", "approximateInvokeCount": 20},
        "timestamp": "1970-01-01T00:00:00Z",
        "DDBStreamBatchInfo": {"shardId": "s", "startSequenceNumber": "1",
            "endSequenceNumber": "2", "batchSize": 2, "streamArn": "arn",
            "approximateArrivalOfFirstRecord": "1970-01-01T00:00:00Z",
            "approximateArrivalOfLastRecord": "1970-01-01T00:00:00Z"}})
}

fn record(version: u64) -> Restored {
    Restored {
        position: format!("order-1/{version}"),
        payload: json!({"Records": [{"eventName": "INSERT", "dynamodb": {
            "SequenceNumber": version.to_string(), "NewImage": {
                "eventId": {"S": format!("e{version}")}, "eventType": {"S": "OrderPlaced"},
                "timestamp": {"S": "1970-01-01T00:00:00Z"}, "data": {"M": {}},
                "streamId": {"S": "order-1"}, "version": {"N": version.to_string()}}}}]}),
    }
}

#[tokio::test]
async fn a_batch_that_a_mapping_gave_up_becomes_a_letter_for_each_of_its_records() {
    let handler = a_handler();
    handler
        .platform
        .records
        .lock()
        .unwrap()
        .extend([record(2), record(1)]);
    handler.put(1, &a_batch());
    assert_eq!(counted(&handler.call(json!({})).await, "takenIn"), 2);
    let letter = handler.letter("pay/e1");
    assert_eq!(letter.attempts, 20);
    assert_eq!(letter.payload, record(1).payload);
    let again = json!({"batchItemFailures": [{"itemIdentifier": "1"}]});
    handler.answer("pay/e1", Answer::Is(Called::Answer(again)));
    let answer = handler.call(json!({"now": true})).await;
    assert_eq!(
        (counted(&answer, "failed"), counted(&answer, "skipped")),
        (1, 1)
    );
    assert_eq!(handler.called(), ["pay/e1"]);
}

#[tokio::test]
async fn a_batch_of_which_nothing_is_found_is_kept_for_an_operator() {
    let handler = a_handler();
    handler.put(1, &a_batch());
    handler.call(json!({})).await;
    let letter = handler.letter("pay/message-1");
    assert_eq!((letter.status, letter.payload), (Status::Parked, a_batch()));
}

#[tokio::test]
async fn an_operator_redrives_what_he_names_at_the_rate_he_says_or_only_asks() {
    let handler = a_handler();
    for version in 1..=3 {
        handler.put_event("a", version);
    }
    handler.call(json!({})).await;
    let answer = handler.call(json!({"now": true, "dryRun": true})).await;
    assert_eq!(
        (counted(&answer, "due"), counted(&answer, "redriven")),
        (3, 0)
    );
    let answer = handler.call(json!({"consumer": "tell", "now": true})).await;
    assert_eq!(counted(&answer, "due"), 0);
    let one = json!({"letters": ["pay/a-1"], "now": true});
    assert_eq!(counted(&handler.call(one).await, "redriven"), 1);
    assert_eq!(handler.called(), ["pay/a-1"]);
    let unknown = handler.handle(json!({"consumer": "nobody"})).await;
    assert!(matches!(unknown, Err(Failure::Permanent(_))));
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept_and_nothing_is_begun_that_the_time_does_not_allow() {
    let handler = a_handler();
    for number in 1..=9 {
        handler.put_event(&format!("s{number}"), number);
    }
    handler.call(json!({})).await;
    let began = tokio::time::Instant::now();
    let rated = json!({"now": true, "rate": 0.1});
    let done = budget::within(Duration::from_secs(90), handler.handle(rated)).await;
    let answer = done.unwrap().unwrap();
    // One at 0, 10, .. 50 s; at 60 s a consumer could take longer than what is left.
    assert_eq!(counted(&answer, "redriven"), 6);
    assert_eq!(counted(&answer, "skipped"), 3);
    assert!(began.elapsed() < Duration::from_secs(90));
}
