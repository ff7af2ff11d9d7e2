//! The glue to the Lambda runtime: payloads in, answers or failures out.

use crate::http_api::{HttpRequest, HttpResponse, Problem};
use crate::stream_record::BatchAnswer;
use crate::trace;
use event_sourcing::dead_letter::{DeadLetterQueue, GivenUp};
use event_sourcing::envelope::Envelope;
use event_sourcing::failure::Failure;
use event_sourcing::retry::budget;
use jiff::Timestamp;
use lambda_runtime::{Context, Diagnostic, Error, LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime};
use tracing::{Instrument as _, Span};

/// What is kept of an invocation's time for its answer to reach the platform.
const ANSWER_TIME: Duration = Duration::from_millis(500);
/// Longest time that a function can have
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>).
const LONGEST_INVOCATION: Duration = Duration::from_mins(15);
/// Key in the client context that marks a redrive, and tells the ids of the calls that were given
/// up, as a JSON list: what fails then is told to the caller, and not put into the dead-letter queue
/// once more.
pub const REDRIVE_KEY: &str = "redrive";
/// Field of an event of the bus that says that it is replayed from an archive, and in which replay
/// (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-replay-archived-event.html>).
pub const REPLAY_NAME: &str = "replay-name";

/// What a handler is at. Boxed: the SDK's futures nest deeply, and so would the runtime around
/// them.
type Handled<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + 'a>>;

/// One call of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation<P = Value> {
    /// What the function is called with.
    pub payload: P,
    /// The platform's name for this call; its retries of an event keep it. A redrive goes by the
    /// first of the calls that were given up.
    pub request_id: String,
    /// The calls that were given up and that this one redrives; none unless it is a redrive. What
    /// was begun in one of them is for this one to finish.
    pub redrive_of: Vec<String>,
    /// W3C `traceparent` of the trace it is in, when it is one that is kept.
    pub traceparent: Option<String>,
}

/// A call as the runtime hands it over: its payload's text is checked and not read yet, so that
/// each function reads it once, as what it needs.
pub type Unread = Invocation<Box<RawValue>>;

impl<P> Invocation<P> {
    /// Whether it is the redrive of a dead letter.
    #[must_use]
    pub fn is_redrive(&self) -> bool {
        !self.redrive_of.is_empty()
    }
}

impl Unread {
    /// The same call with its payload read; the text stays for whom it fails.
    ///
    /// # Errors
    /// [`Failure::Permanent`], for JSON that is nested too deep.
    pub fn read(&self) -> Result<Invocation, Failure> {
        let payload = serde_json::from_str(self.payload.get())
            .map_err(|error| Failure::Permanent(format!("the payload cannot be read: {error}")))?;
        Ok(Invocation {
            payload,
            request_id: self.request_id.clone(),
            redrive_of: self.redrive_of.clone(),
            traceparent: self.traceparent.clone(),
        })
    }
}

impl Invocation {
    /// Whether it is an event that is replayed from an archive: what it had done outside was done.
    #[must_use]
    pub fn is_replay(&self) -> bool {
        self.payload.get(REPLAY_NAME).is_some_and(Value::is_string)
    }
}

/// The answer of a consumer that acts outside to an event that is replayed: it does nothing.
#[must_use]
pub fn muted() -> Value {
    tracing::info!("a replay moves no money and tells nobody");
    json!({"muted": true})
}

/// Serves a function until the platform ends it. A failure is logged with its class and given to
/// the platform, which retries. No call, wait or handler outlives the invocation: what is not done
/// a little before the platform's deadline is given back as transient.
///
/// # Errors
/// When the runtime API cannot be reached.
pub async fn serve<F, Fut>(handle: F) -> Result<(), Error>
where
    F: Fn(Invocation) -> Fut,
    Fut: Future<Output = Result<Value, Failure>>,
{
    let handle = &handle;
    serve_unread(|call| async move { handle(call.read()?).await }).await
}

async fn serve_unread<F, Fut>(handle: F) -> Result<(), Error>
where
    F: Fn(Unread) -> Fut,
    Fut: Future<Output = Result<Value, Failure>>,
{
    let handle = &handle;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
        let request_id = event.context.request_id.clone();
        let time = time_left(event.context.deadline());
        let redrive_of = redrive_of(&event.context);
        let invocation = Invocation {
            payload: event.payload,
            request_id: redrive_of.first().unwrap_or(&request_id).clone(),
            redrive_of,
            traceparent: event
                .context
                .xray_trace_id
                .as_deref()
                .and_then(trace::traceparent),
        };
        let span = span(&request_id, invocation.traceparent.as_deref());
        let handled: Handled<'_, Value> = Box::pin(handle(invocation));
        async move { in_time(time, handled).await.map_err(told) }
            .instrument(span)
            .await
    }))
    .await
}

/// What every log line of a call has beside its own: the call's id, and the trace where one is kept.
fn span(request_id: &str, traceparent: Option<&str>) -> Span {
    let trace_id = traceparent.and_then(|text| text.split('-').nth(1));
    tracing::error_span!("call", request_id, trace_id)
}

fn told(failure: Failure) -> Diagnostic {
    tracing::error!(
        class = failure.class(),
        reason = %failure,
        "gave the message back"
    );
    Diagnostic {
        error_type: failure.class().to_owned(),
        error_message: failure.to_string(),
    }
}

/// What a handler may take of the time until the platform's deadline. (`cargo lambda watch` tells no
/// moment but how long there is, 600,000 ms; as a moment that is in the year 1970.)
fn time_left(deadline: SystemTime) -> Duration {
    let since_1970 = deadline.duration_since(SystemTime::UNIX_EPOCH);
    let left = match since_1970 {
        Ok(time) if time <= LONGEST_INVOCATION => Ok(time),
        _ => deadline.duration_since(SystemTime::now()),
    };
    left.unwrap_or_default().saturating_sub(ANSWER_TIME)
}

/// The handler's result, or that it did not come in time.
async fn in_time<T>(
    time: Duration,
    handled: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    budget::within(time, handled).await.unwrap_or_else(|_| {
        Err(Failure::Transient(format!(
            "not done within {} ms, the time of the invocation; it comes again",
            time.as_millis()
        )))
    })
}

fn redrive_of(context: &Context) -> Vec<String> {
    let told = context.client_context.as_ref();
    let Some(ids) = told.and_then(|told| told.custom.get(REDRIVE_KEY)) else {
        return Vec::new();
    };
    serde_json::from_str(ids).unwrap_or_else(|_| vec![ids.clone()])
}

/// Serves a consumer of single events. What it will never take, and what it cannot take now, goes
/// straight into its dead-letter queue with its cause and is acknowledged, so that no retry is
/// burnt; when the queue does not take it, or there is none, the platform gets the failure.
///
/// # Errors
/// When the runtime API cannot be reached.
pub async fn serve_consumer<Q, F, Fut>(queue: Option<Q>, handle: F) -> Result<(), Error>
where
    Q: DeadLetterQueue,
    F: Fn(Invocation) -> Fut,
    Fut: Future<Output = Result<Value, Failure>>,
{
    let (queue, handle) = (queue.as_ref(), &handle);
    serve_unread(|call| consume(queue, handle, call)).await
}

/// One call of a consumer of single events: what [`serve_consumer`] does with it.
///
/// # Errors
/// The failure that is the platform's, or the redriver's.
pub async fn consume<Q, F, Fut>(
    queue: Option<&Q>,
    handle: &F,
    call: Unread,
) -> Result<Value, Failure>
where
    Q: DeadLetterQueue,
    F: Fn(Invocation) -> Fut,
    Fut: Future<Output = Result<Value, Failure>>,
{
    let handled: Handled<'_, Value> = Box::pin(handle(call.read()?));
    settle(queue, call, handled.await).await
}

/// The answer to a call whose handler came to `handled`: what [`serve_consumer`] does around a
/// handler.
///
/// # Errors
/// The failure that is the platform's, or the redriver's.
pub async fn settle<Q: DeadLetterQueue, P: Serialize>(
    queue: Option<&Q>,
    call: Invocation<P>,
    handled: Result<Value, Failure>,
) -> Result<Value, Failure> {
    match (handled, queue.filter(|_| !call.is_redrive())) {
        (Err(failure @ (Failure::Permanent(_) | Failure::Waiting(_))), Some(queue)) => {
            let payload = serde_json::to_value(&call.payload)
                .map_err(|error| Failure::Permanent(error.to_string()))?;
            give_up(queue, payload, &failure, &call.request_id).await?;
            // Who called by hand sees it; the bus does not look at answers.
            Ok(json!({"givenUp": failure.class(), "cause": failure.to_string()}))
        }
        (handled, _) => handled,
    }
}

async fn give_up(
    queue: &impl DeadLetterQueue,
    payload: Value,
    failure: &Failure,
    request_id: &str,
) -> Result<(), Failure> {
    let given_up = GivenUp::new(payload, failure, Timestamp::now()).in_call(request_id);
    queue.give_up(&given_up).await.map_err(|error| {
        Failure::Transient(format!("{failure}; {error}: {:?}", error.0.to_string()))
    })?;
    tracing::error!(class = failure.class(), reason = %failure, "gave the message up");
    Ok(())
}

/// What a handler of a batch of records came to: which have to come again, and which are given up.
pub trait RecordsAnswer {
    /// What was given up: what the function is called with to try each record alone again, and why.
    fn given_up(&self) -> Vec<(Value, Failure)>;

    /// Settles what was given up: `kept` says whether the dead-letter queue has a record. What it
    /// has not comes again.
    fn settle(&mut self, kept: &[bool]);

    /// What the platform is told. What was given up and is not settled comes again.
    ///
    /// # Errors
    /// The failure of the whole call, where records cannot be told apart.
    fn into_answer(self, is_redrive: bool) -> Result<Value, Failure>;
}

impl RecordsAnswer for BatchAnswer {
    fn given_up(&self) -> Vec<(Value, Failure)> {
        let given_up = BatchAnswer::given_up(self).iter();
        given_up
            .map(|one| (one.payload(), one.failure.clone()))
            .collect()
    }

    fn settle(&mut self, kept: &[bool]) {
        BatchAnswer::settle(self, kept);
    }

    fn into_answer(self, _: bool) -> Result<Value, Failure> {
        Ok(self.into_payload())
    }
}

/// Serves a consumer of a stream (of a table, of a Kafka topic): like [`serve_consumer`], record by
/// record. A redrive calls with one record, whose failure is the call's.
///
/// # Errors
/// When the runtime API cannot be reached.
pub async fn serve_stream<Q, F, Fut, A>(queue: Option<Q>, handle: F) -> Result<(), Error>
where
    Q: DeadLetterQueue,
    F: Fn(Value) -> Fut,
    Fut: Future<Output = Result<A, Failure>>,
    A: RecordsAnswer,
{
    let (queue, handle) = (queue.as_ref(), &handle);
    serve_unread(|call| async move {
        let handled: Handled<'_, A> = Box::pin(handle(call.read()?.payload));
        let answer = handled.await?;
        settle_batch(queue, &call, answer).await
    })
    .await
}

/// The answer to a call whose handler came to `answer`: what [`serve_stream`] does around a
/// handler.
///
/// # Errors
/// Of a redrive, why its record was given up; what the answer is where it is a failure.
pub async fn settle_batch<Q: DeadLetterQueue, A: RecordsAnswer, P>(
    queue: Option<&Q>,
    call: &Invocation<P>,
    mut answer: A,
) -> Result<Value, Failure> {
    let given_up = answer.given_up();
    if call.is_redrive() {
        return match given_up.into_iter().next() {
            Some((_, failure)) => Err(failure),
            None => answer.into_answer(true),
        };
    }
    let mut kept = Vec::new();
    for (payload, failure) in given_up {
        let sent = match queue {
            Some(queue) => give_up(queue, payload, &failure, &call.request_id).await,
            None => Err(failure),
        };
        if let Err(failure) = &sent {
            tracing::error!(class = failure.class(), reason = %failure, "record comes again");
        }
        kept.push(sent.is_ok());
    }
    answer.settle(&kept);
    answer.into_answer(false)
}

/// Serves a function behind the HTTP API; a problem is an answer, too.
///
/// # Errors
/// When the runtime API cannot be reached.
pub async fn serve_http<F, Fut>(handle: F) -> Result<(), Error>
where
    F: Fn(HttpRequest) -> Fut,
    Fut: Future<Output = Result<HttpResponse, Problem>>,
{
    let handle = &handle;
    serve_unread(|call| respond(handle, call)).await
}

/// One call of a function behind the HTTP API: what [`serve_http`] does with it.
///
/// # Errors
/// When the payload is no request.
pub async fn respond<F, Fut>(handle: &F, call: Unread) -> Result<Value, Failure>
where
    F: Fn(HttpRequest) -> Fut,
    Fut: Future<Output = Result<HttpResponse, Problem>>,
{
    let request = HttpRequest::from_text(call.payload.get())?.traced(call.traceparent);
    let answered = budget::in_time(handle(request)).await;
    let answered =
        answered.unwrap_or_else(|late| Err(Problem::from(Failure::Transient(late.to_string()))));
    Ok(answer(answered).into_payload())
}

/// What a handler's result looks like outside.
#[must_use]
pub fn answer(result: Result<HttpResponse, Problem>) -> HttpResponse {
    result.unwrap_or_else(HttpResponse::from)
}

/// The event in a payload: the `detail` of what the bus delivers, or the plain event itself.
///
/// The detail is taken out as it is: of what stands around it nothing is needed.
///
/// # Errors
/// [`Failure::Permanent`], when it is neither.
pub fn event_of(payload: Value) -> Result<Envelope, Failure> {
    let detail = match payload {
        Value::Object(mut fields) if fields.contains_key("detail-type") => {
            delivered(&mut fields)
                .map_err(|error| Failure::Permanent(format!("not an event of the bus: {error}")))?
        }
        payload => payload,
    };
    Envelope::from_value(detail)
        .map_err(|error| Failure::Permanent(format!("not an event: {error}")))
}

/// The detail of what the bus delivers, which has a type and a source.
fn delivered(fields: &mut Map<String, Value>) -> Result<Value, String> {
    for name in ["detail-type", "source"] {
        match fields.get(name) {
            Some(Value::String(_)) => {}
            Some(_) => return Err(format!("{name} must be a text")),
            None => return Err(format!("missing field `{name}`")),
        }
    }
    fields
        .remove("detail")
        .ok_or_else(|| "missing field `detail`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use event_sourcing::dead_letter::{Class, InMemoryDeadLetterQueue, NotTaken};

    /// A queue that takes nothing.
    struct Closed;

    impl DeadLetterQueue for Closed {
        async fn give_up(&self, _: &GivenUp) -> Result<(), NotTaken> {
            Err(NotTaken("closed".into()))
        }
    }

    fn call(payload: &Value) -> Invocation {
        Invocation {
            payload: payload.clone(),
            request_id: "call-1".to_owned(),
            redrive_of: Vec::new(),
            traceparent: None,
        }
    }

    fn redrive() -> Invocation {
        Invocation {
            redrive_of: vec!["call-1".to_owned()],
            ..call(&Value::Null)
        }
    }

    fn permanent() -> Failure {
        Failure::Permanent("no such order".into())
    }

    #[tokio::test]
    async fn what_will_never_be_taken_goes_to_the_queue_with_its_cause_and_is_acknowledged() {
        let queue = InMemoryDeadLetterQueue::default();
        for failure in [permanent(), Failure::Waiting("the gateway is down".into())] {
            let payload = json!({"eventId": "1"});
            let answer = settle(Some(&queue), call(&payload), Err(failure.clone())).await;
            assert_eq!(answer.unwrap()["givenUp"], json!(failure.class()));
            let [given_up] = queue.drain().try_into().unwrap();
            assert_eq!(given_up.payload, payload);
            assert_eq!(given_up.request_id.as_deref(), Some("call-1"));
            assert_eq!(given_up.cause, failure.to_string());
            assert_eq!(given_up.class, Class::of_error_type(failure.class()));
        }
    }

    fn unread(text: String) -> Unread {
        Invocation {
            payload: RawValue::from_string(text).unwrap(),
            request_id: "call-1".to_owned(),
            redrive_of: Vec::new(),
            traceparent: None,
        }
    }

    #[tokio::test]
    async fn a_consumer_gives_an_event_up_to_the_digit_as_it_came() {
        let queue = InMemoryDeadLetterQueue::default();
        let refuses = |_| async { Err(permanent()) };
        let text = r#"{"data":{"totalAmount":150.750},"eventId":"1"}"#;
        let answer = consume(Some(&queue), &refuses, unread(text.to_owned())).await;
        assert_eq!(answer.unwrap()["givenUp"], "Permanent");
        let [given_up] = queue.drain().try_into().unwrap();
        assert_eq!(given_up.payload.to_string(), text);
    }

    #[tokio::test]
    async fn what_is_nested_too_deep_to_be_read_is_a_failure_and_no_panic() {
        let queue = InMemoryDeadLetterQueue::default();
        let takes = |_| async { Ok(Value::Null) };
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let answer = consume(Some(&queue), &takes, unread(deep)).await;
        assert!(matches!(answer, Err(Failure::Permanent(_))), "{answer:?}");
        assert!(queue.drain().is_empty());
    }

    #[tokio::test]
    async fn what_may_succeed_later_and_what_no_queue_takes_is_the_platforms() {
        let queue = InMemoryDeadLetterQueue::default();
        let later = Failure::Transient("busy".into());
        let settled = settle(Some(&queue), call(&Value::Null), Err(later.clone())).await;
        assert_eq!(settled, Err(later));
        assert!(queue.drain().is_empty());
        let without = settle(None::<&Closed>, call(&Value::Null), Err(permanent())).await;
        assert_eq!(without, Err(permanent()));
        let closed = settle(Some(&Closed), call(&Value::Null), Err(permanent())).await;
        assert!(matches!(closed, Err(Failure::Transient(_))), "{closed:?}");
    }

    fn a_batch_with_one_given_up() -> BatchAnswer {
        let mut answer = BatchAnswer::default();
        answer.give_up("1", json!({"r": 1}), permanent());
        answer.fail("2");
        answer
    }

    #[tokio::test]
    async fn a_record_that_is_given_up_does_not_hold_up_its_shard() {
        let failures = |answer: Value| answer["batchItemFailures"].clone();
        let queue = InMemoryDeadLetterQueue::default();
        let answer = settle_batch(
            Some(&queue),
            &call(&Value::Null),
            a_batch_with_one_given_up(),
        )
        .await;
        assert_eq!(failures(answer.unwrap()), json!([{"itemIdentifier": "2"}]));
        let [given_up] = queue.drain().try_into().unwrap();
        assert_eq!(given_up.payload, json!({"Records": [{"r": 1}]}));

        let both = json!([{"itemIdentifier": "2"}, {"itemIdentifier": "1"}]);
        let answer = settle_batch(
            Some(&Closed),
            &call(&Value::Null),
            a_batch_with_one_given_up(),
        )
        .await;
        assert_eq!(failures(answer.unwrap()), both);
        let answer = settle_batch(
            None::<&Closed>,
            &call(&Value::Null),
            a_batch_with_one_given_up(),
        )
        .await;
        assert_eq!(failures(answer.unwrap()), both);
    }

    #[tokio::test]
    async fn a_redrive_that_fails_is_told_and_not_given_up_once_more() {
        let queue = InMemoryDeadLetterQueue::default();
        let answer = settle_batch(Some(&queue), &redrive(), a_batch_with_one_given_up()).await;
        assert_eq!(answer, Err(permanent()));
        assert!(queue.drain().is_empty());
        let mut context = Context::default();
        assert!(redrive_of(&context).is_empty());
        for (custom, ids) in [
            (json!({}), &[][..]),
            (json!({REDRIVE_KEY: "[\"a\",\"b\"]"}), &["a", "b"]),
            (json!({REDRIVE_KEY: "a"}), &["a"]),
        ] {
            context.client_context = serde_json::from_value(json!({ "custom": custom })).unwrap();
            assert_eq!(redrive_of(&context), ids);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_does_not_end_is_cut_off_and_its_message_comes_again() {
        let never = std::future::pending::<Result<(), Failure>>();
        let cut_off = in_time(Duration::from_secs(14), never).await;
        assert!(matches!(cut_off, Err(Failure::Transient(_))), "{cut_off:?}");
        let deadline = SystemTime::now() + Duration::from_secs(15);
        assert!(time_left(deadline) <= Duration::from_millis(14_500));
        assert_eq!(time_left(SystemTime::UNIX_EPOCH), Duration::ZERO);
        let passed = SystemTime::now() - Duration::from_secs(1);
        assert_eq!(time_left(passed), Duration::ZERO);
        let told_as_time = SystemTime::UNIX_EPOCH + Duration::from_mins(10);
        assert_eq!(time_left(told_as_time), Duration::from_millis(599_500));
    }

    #[test]
    fn an_event_is_taken_from_the_bus_or_as_it_is() {
        let plain = json!({"eventId": "12345", "eventType": "OrderPlaced",
            "timestamp": "2025-01-01T12:00:00Z", "data": {"orderId": "67890"}});
        let delivered = json!({"version": "0", "id": "x", "detail-type": "OrderPlaced",
            "source": "legacy", "account": "1", "time": "2025-01-01T12:00:00Z",
            "region": "us-east-1", "resources": [], "detail": plain});
        assert_eq!(event_of(plain), event_of(delivered));
        assert!(matches!(
            event_of(json!({"x": 1})),
            Err(Failure::Permanent(_))
        ));
    }
}
