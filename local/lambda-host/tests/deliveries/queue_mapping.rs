//! Event source mapping of a queue: batches, deletes, failures that come back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::fakes::{FakeFunction, answer, error, throttled, until};
use lambda_host::queue_mapping::{QueueMapping, QueueMappingSettings, QueueMessage, QueueSource};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

const VISIBILITY: Duration = Duration::from_secs(30);

/// A queue in memory. A message that was received hides for 30 seconds.
#[derive(Default)]
struct MemoryQueue {
    /// Body, receives and visible-from by id.
    messages: Mutex<BTreeMap<String, (String, u32, Instant)>>,
    sent: Notify,
    deletes_fail: Mutex<u32>,
}

impl MemoryQueue {
    fn send(&self, id: &str, body: &str) {
        let mut messages = self.messages.lock().expect("unpoisoned");
        messages.insert(id.to_owned(), (body.to_owned(), 0, Instant::now()));
        self.sent.notify_waiters();
    }

    fn ids(&self) -> Vec<String> {
        let messages = self.messages.lock().expect("unpoisoned");
        messages.keys().cloned().collect()
    }

    fn receives(&self, id: &str) -> u32 {
        self.messages.lock().expect("unpoisoned")[id].1
    }

    fn take(&self, max: usize) -> Vec<QueueMessage> {
        let now = Instant::now();
        let mut messages = self.messages.lock().expect("unpoisoned");
        let visible = messages.iter_mut().filter(|(_, message)| message.2 <= now);
        visible
            .take(max)
            .map(|(id, (body, receives, visible_from))| {
                *receives += 1;
                *visible_from = now + VISIBILITY;
                QueueMessage {
                    message_id: id.clone(),
                    receipt_handle: format!("{id}#{receives}"),
                    json: json!({"messageId": id, "body": body, "eventSource": "aws:sqs"}),
                }
            })
            .collect()
    }

    fn id_of(handle: &str) -> &str {
        handle.split('#').next().expect("an id")
    }
}

impl QueueSource for MemoryQueue {
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<QueueMessage>, String> {
        let until = Instant::now() + wait;
        loop {
            let taken = self.take(max);
            if !taken.is_empty() || Instant::now() >= until {
                return Ok(taken);
            }
            let tick = (Instant::now() + Duration::from_millis(100)).min(until);
            let _ = tokio::time::timeout_at(tick, self.sent.notified()).await;
        }
    }

    async fn delete(&self, receipt_handles: Vec<String>) -> Result<(), String> {
        let mut deletes_fail = self.deletes_fail.lock().expect("unpoisoned");
        if *deletes_fail > 0 {
            *deletes_fail -= 1;
            return Err("the queue is away".to_owned());
        }
        let mut messages = self.messages.lock().expect("unpoisoned");
        for handle in receipt_handles {
            messages.remove(Self::id_of(&handle));
        }
        Ok(())
    }

    async fn change_visibility(
        &self,
        receipt_handles: Vec<String>,
        visible_after: Duration,
    ) -> Result<(), String> {
        let mut messages = self.messages.lock().expect("unpoisoned");
        for handle in receipt_handles {
            if let Some(message) = messages.get_mut(Self::id_of(&handle)) {
                message.2 = Instant::now() + visible_after;
            }
        }
        Ok(())
    }
}

fn one_at_a_time(configure: impl FnOnce(&mut QueueMappingSettings)) -> QueueMappingSettings {
    let mut settings = QueueMappingSettings::new("f");
    settings.maximum_concurrency = 1;
    settings.visibility_timeout = VISIBILITY;
    configure(&mut settings);
    settings
}

fn queue_of(ids: &[&str]) -> Arc<MemoryQueue> {
    let queue = Arc::new(MemoryQueue::default());
    for id in ids {
        queue.send(id, &format!("body of {id}"));
    }
    queue
}

fn bodies(event: &Value) -> Vec<&str> {
    let records = event["Records"].as_array().expect("records");
    let bodies = records.iter().map(|record| record["body"].as_str());
    bodies.map(|body| body.expect("a body")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_the_function_answers_is_deleted() {
    let queue = queue_of(&["a", "b", "c"]);
    let function = Arc::new(FakeFunction::scripted(vec![]));
    let settings = one_at_a_time(|settings| settings.batch_size = 2);
    let mapping = QueueMapping::start(settings, Arc::clone(&queue), Arc::clone(&function));
    until("deleted", || queue.ids().is_empty()).await;
    until("nothing in flight", || mapping.in_flight() == 0).await;
    let calls = function.calls();
    assert_eq!(bodies(&calls[0].event), ["body of a", "body of b"]);
    assert_eq!(bodies(&calls[1].event), ["body of c"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_failed_comes_back_when_its_visibility_timeout_ends() {
    let queue = queue_of(&["a"]);
    let function = Arc::new(FakeFunction::scripted(vec![Ok(error("no"))]));
    let settings = one_at_a_time(|_| {});
    let _mapping = QueueMapping::start(settings, Arc::clone(&queue), Arc::clone(&function));
    until("deleted", || queue.ids().is_empty()).await;
    let calls = function.calls();
    assert_eq!(calls.len(), 2);
    assert!(calls[1].at - calls[0].at >= VISIBILITY);
}

#[tokio::test(start_paused = true)]
async fn only_the_messages_that_are_reported_come_back() {
    let queue = queue_of(&["a", "b", "c"]);
    let report = r#"{"batchItemFailures":[{"itemIdentifier":"b"}]}"#;
    let function = Arc::new(FakeFunction::scripted(vec![Ok(answer(report))]));
    let settings = one_at_a_time(|settings| settings.report_batch_item_failures = true);
    let _mapping = QueueMapping::start(settings, Arc::clone(&queue), Arc::clone(&function));
    until("two left", || queue.ids() == ["b"]).await;
    until("deleted", || queue.ids().is_empty()).await;
    assert_eq!(bodies(&function.calls()[1].event), ["body of b"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_names_no_message_of_the_batch_fails_all_of_it() {
    for report in [
        r#"{"batchItemFailures":[{"itemIdentifier":"z"}]}"#,
        r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
        "not JSON",
    ] {
        let queue = queue_of(&["a", "b"]);
        let function = Arc::new(FakeFunction::scripted(vec![Ok(answer(report))]));
        let settings = one_at_a_time(|settings| settings.report_batch_item_failures = true);
        let _mapping = QueueMapping::start(settings, Arc::clone(&queue), Arc::clone(&function));
        until("deleted", || queue.ids().is_empty()).await;
        assert_eq!(function.calls().len(), 2, "{report}");
        assert_eq!(bodies(&function.calls()[1].event).len(), 2, "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_that_was_not_asked_for_deletes_the_whole_batch() {
    let queue = queue_of(&["a", "b"]);
    let report = r#"{"batchItemFailures":[{"itemIdentifier":"b"}]}"#;
    let function = Arc::new(FakeFunction::scripted(vec![Ok(answer(report))]));
    let settings = one_at_a_time(|_| {});
    let _mapping = QueueMapping::start(settings, Arc::clone(&queue), Arc::clone(&function));
    until("deleted", || queue.ids().is_empty()).await;
    assert_eq!(function.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_batch_is_tried_again_without_another_receive() {
    let queue = queue_of(&["a"]);
    let script = vec![Err(throttled()), Err(throttled()), Ok(error("no"))];
    let function = Arc::new(FakeFunction::scripted(script));
    let settings = one_at_a_time(|_| {});
    let _mapping = QueueMapping::start(settings, Arc::clone(&queue), Arc::clone(&function));
    until("three calls", || function.calls().len() == 3).await;
    assert_eq!(queue.receives("a"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_gathered_until_its_window_is_over() {
    let queue = queue_of(&["a"]);
    let function = Arc::new(FakeFunction::scripted(vec![]));
    let settings = one_at_a_time(|settings| settings.batching_window = Duration::from_secs(5));
    let _mapping = QueueMapping::start(settings, Arc::clone(&queue), Arc::clone(&function));
    tokio::time::sleep(Duration::from_secs(3)).await;
    queue.send("b", "body of b");
    until("deleted", || queue.ids().is_empty()).await;
    let calls = function.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(bodies(&calls[0].event), ["body of a", "body of b"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_the_filter_refuses_is_deleted_unseen() {
    let queue = queue_of(&["a", "b"]);
    let function = Arc::new(FakeFunction::scripted(vec![]));
    let settings = one_at_a_time(|settings| {
        settings.filter = Some(Arc::new(|message: &Value| message["messageId"] != "a"));
    });
    let mapping = QueueMapping::start(settings, Arc::clone(&queue), Arc::clone(&function));
    until("deleted", || queue.ids().is_empty()).await;
    until("nothing in flight", || mapping.in_flight() == 0).await;
    assert_eq!(bodies(&function.calls()[0].event), ["body of b"]);
}

#[tokio::test(start_paused = true)]
async fn no_more_batches_are_under_way_than_allowed() {
    let ids: Vec<String> = (0..20).map(|number| format!("{number:02}")).collect();
    let queue = queue_of(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    let mut function = FakeFunction::scripted(vec![]);
    function.takes = Duration::from_secs(1);
    let function = Arc::new(function);
    let settings = one_at_a_time(|settings| {
        settings.batch_size = 1;
        settings.maximum_concurrency = 3;
    });
    let _mapping = QueueMapping::start(settings, Arc::clone(&queue), Arc::clone(&function));
    until("deleted", || queue.ids().is_empty()).await;
    assert_eq!(function.calls().len(), 20);
    assert_eq!(function.most_at_once(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_batch_over_six_megabytes_is_cut() {
    let queue = Arc::new(MemoryQueue::default());
    for number in 0..8 {
        queue.send(&number.to_string(), &"x".repeat(1024 * 1024 - 200));
    }
    let function = Arc::new(FakeFunction::scripted(vec![]));
    let settings = one_at_a_time(|_| {});
    let _mapping = QueueMapping::start(settings, Arc::clone(&queue), Arc::clone(&function));
    until("deleted", || queue.ids().is_empty()).await;
    let calls = function.calls();
    let sizes: Vec<usize> = calls.iter().map(|call| bodies(&call.event).len()).collect();
    assert_eq!(sizes, [6, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_fails_at_first_is_tried_again() {
    let queue = queue_of(&["a"]);
    *queue.deletes_fail.lock().expect("unpoisoned") = 2;
    let function = Arc::new(FakeFunction::scripted(vec![]));
    let settings = one_at_a_time(|_| {});
    let _mapping = QueueMapping::start(settings, Arc::clone(&queue), Arc::clone(&function));
    until("deleted", || queue.ids().is_empty()).await;
    assert_eq!(function.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_settles_what_runs_and_frees_what_does_not() {
    let queue = queue_of(&["a"]);
    let mut function = FakeFunction::scripted(vec![]);
    function.takes = Duration::from_secs(10);
    let function = Arc::new(function);
    let settings = one_at_a_time(|_| {});
    let mapping = QueueMapping::start(settings, Arc::clone(&queue), Arc::clone(&function));
    until("called", || function.calls().len() == 1).await;
    mapping.stop().await;
    assert!(queue.ids().is_empty());

    queue.send("b", "body of b");
    let throttling = Arc::new(FakeFunction::new(|_| Err(throttled())));
    let settings = one_at_a_time(|_| {});
    let mapping = QueueMapping::start(settings, Arc::clone(&queue), Arc::clone(&throttling));
    until("called", || !throttling.calls().is_empty()).await;
    mapping.stop().await;
    assert_eq!(queue.take(1).len(), 1, "visible again at once");
}
