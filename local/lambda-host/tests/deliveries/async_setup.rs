//! An invoker of one scripted function, and what the tests of it use.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::fakes::{FakeDestination, FakeFunction, until};
use lambda_host::async_invoke::{
    AsyncConfig, AsyncEvent, AsyncInvoker, AsyncObserver, AsyncOptions, Journal, Origin,
    PendingInvocation,
};
use lambda_host::clock::RetryClock;
use lambda_host::delivery_faults::DeliveryFaults;

pub const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";
pub const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:f-dlq";

/// Everything an invoker was told and told.
#[derive(Default)]
pub struct Seen {
    pub steps: Mutex<Vec<String>>,
    pub kept: Mutex<BTreeMap<String, PendingInvocation>>,
    pub journal_fails: bool,
}

impl Seen {
    pub fn steps(&self) -> Vec<String> {
        self.steps.lock().expect("unpoisoned").clone()
    }

    pub fn kept(&self) -> Vec<PendingInvocation> {
        let kept = self.kept.lock().expect("unpoisoned");
        kept.values().cloned().collect()
    }
}

impl AsyncObserver for Seen {
    fn on_event(&self, _pending: &PendingInvocation, event: &AsyncEvent<'_>) {
        let step = match event {
            AsyncEvent::Submitted => "submitted".to_owned(),
            AsyncEvent::Started { attempt } => format!("started {attempt}"),
            AsyncEvent::Succeeded { .. } => "succeeded".to_owned(),
            AsyncEvent::Failed { attempt, .. } => format!("failed {attempt}"),
            AsyncEvent::NotInvoked { .. } => "not invoked".to_owned(),
            AsyncEvent::Retried { delay } => format!("retried after {delay:?}"),
            AsyncEvent::Delivered { condition, .. } => format!("delivered {condition:?}"),
            AsyncEvent::Discarded { condition } => format!("discarded {condition:?}"),
            AsyncEvent::DeliveryFailed { error, body, .. } => format!("lost {body}: {error}"),
            AsyncEvent::JournalFailed { .. } => "journal failed".to_owned(),
        };
        self.steps.lock().expect("unpoisoned").push(step);
    }
}

impl Journal for Seen {
    fn record(&self, pending: &PendingInvocation) -> std::io::Result<()> {
        if self.journal_fails {
            return Err(std::io::Error::other("the disk is full"));
        }
        let mut kept = self.kept.lock().expect("unpoisoned");
        kept.insert(pending.id.clone(), pending.clone());
        Ok(())
    }

    fn done(&self, id: &str) -> std::io::Result<()> {
        self.kept.lock().expect("unpoisoned").remove(id);
        Ok(())
    }
}

pub struct Setup {
    pub invoker: AsyncInvoker,
    pub function: Arc<FakeFunction>,
    pub destination: Arc<FakeDestination>,
    pub seen: Arc<Seen>,
}

pub fn setup(function: FakeFunction, configure: impl FnOnce(&mut AsyncConfig)) -> Setup {
    setup_with(
        function,
        FakeDestination::default(),
        Seen::default(),
        configure,
    )
}

pub fn setup_with(
    function: FakeFunction,
    destination: FakeDestination,
    seen: Seen,
    configure: impl FnOnce(&mut AsyncConfig),
) -> Setup {
    let (function, destination, seen) = (Arc::new(function), Arc::new(destination), Arc::new(seen));
    let options = AsyncOptions {
        clock: RetryClock::aws(),
        journal: Arc::clone(&seen) as Arc<dyn Journal>,
        observer: Arc::clone(&seen) as Arc<dyn AsyncObserver>,
        ..AsyncOptions::default()
    };
    setup_on(options, function, destination, seen, configure)
}

/// With faults.
pub fn setup_faulty(function: FakeFunction, faults: impl DeliveryFaults) -> Setup {
    let seen = Arc::new(Seen::default());
    let options = AsyncOptions {
        clock: RetryClock::aws(),
        journal: Arc::clone(&seen) as Arc<dyn Journal>,
        observer: Arc::clone(&seen) as Arc<dyn AsyncObserver>,
        faults: Arc::new(faults),
    };
    let destination = Arc::new(FakeDestination::default());
    setup_on(options, Arc::new(function), destination, seen, |_| {})
}

fn setup_on(
    options: AsyncOptions,
    function: Arc<FakeFunction>,
    destination: Arc<FakeDestination>,
    seen: Arc<Seen>,
    configure: impl FnOnce(&mut AsyncConfig),
) -> Setup {
    let invoker = AsyncInvoker::new(Arc::clone(&function), Arc::clone(&destination), options);
    let mut config = AsyncConfig::new(ARN);
    configure(&mut config);
    invoker.configure("f", config);
    Setup {
        invoker,
        function,
        destination,
        seen,
    }
}

impl Setup {
    pub fn submit(&self, event: &str) -> String {
        let event = event.to_owned().into();
        let rule = Origin::Rule("OrderPlacedRule".to_owned());
        let trace = Some("Root=1".to_owned());
        let submitted = self.invoker.submit("f", &event, trace, rule);
        submitted.expect("accepted")
    }

    pub async fn quiet(&self) {
        until("nothing pending", || self.invoker.pending() == 0).await;
        assert_eq!(self.seen.kept(), []);
    }

    pub fn pauses(&self) -> Vec<u64> {
        let calls = self.function.calls();
        let gaps = calls.windows(2).map(|pair| pair[1].at - pair[0].at);
        gaps.map(|gap| gap.as_secs()).collect()
    }
}
