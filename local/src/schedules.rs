//! Schedules: each starts its targets when its time has come, whatever the last run does.

use std::time::Duration;

use jiff::Timestamp;
use lambda_host::async_invoke::Origin;
use sam_template::{Schedule, ScheduledBy};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::delivery::{Delivery, Sender};

/// Never sleeps longer than this at once: the machine may have slept meanwhile.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// The running schedules. Dropped, they stop.
pub(crate) struct Schedules {
    tasks: Vec<JoinHandle<()>>,
}

impl Schedules {
    /// Starts every enabled schedule; a rate counts from now.
    pub(crate) fn start(
        schedules: Vec<Schedule>,
        delivery: &Delivery,
        region: &str,
        account: &str,
    ) -> Self {
        let tasks = schedules
            .into_iter()
            .filter(|schedule| schedule.enabled)
            .map(|schedule| {
                let delivery = delivery.clone();
                let (region, account) = (region.to_owned(), account.to_owned());
                tokio::spawn(async move { run(&schedule, &delivery, &region, &account).await })
            })
            .collect();
        Self { tasks }
    }
}

impl Drop for Schedules {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn run(schedule: &Schedule, delivery: &Delivery, region: &str, account: &str) {
    let sender = Sender {
        name: schedule.name.clone(),
        arn: schedule.arn.clone(),
        origin: Origin::Schedule(schedule.name.clone()),
    };
    let mut last = Timestamp::now();
    while let Some(next) = schedule.cadence.next_after(last) {
        loop {
            let left =
                Duration::try_from(next.duration_since(Timestamp::now())).unwrap_or_default();
            if left.is_zero() {
                break;
            }
            tokio::time::sleep(left.min(LOOK_AGAIN)).await;
        }
        let event = event(schedule, next, region, account);
        for target in &schedule.targets {
            delivery
                .deliver(&sender, target, &event, &Timestamp::now().to_string())
                .await;
        }
        last = next;
    }
}

/// What a target without an input of its own gets.
fn event(schedule: &Schedule, at: Timestamp, region: &str, account: &str) -> Value {
    let (source, detail) = match schedule.by {
        ScheduledBy::Rule => ("aws.events", json!({})),
        ScheduledBy::Scheduler => ("aws.scheduler", json!("{}")),
    };
    json!({
        "version": "0",
        "id": uuid::Uuid::new_v4().to_string(),
        "detail-type": "Scheduled Event",
        "source": source,
        "account": account,
        "time": format!("{at:.0}"),
        "region": region,
        "resources": [schedule.arn],
        "detail": detail,
    })
}
