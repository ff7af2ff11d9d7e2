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
        trace: None,
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
        last = last_before(schedule, next, Timestamp::now());
    }
}

/// The last time up to `now` at which the schedule was to run, after it ran at `ran`: the times
/// that went by since (the machine slept) are left out, as on AWS, where none is made up for.
fn last_before(schedule: &Schedule, ran: Timestamp, now: Timestamp) -> Timestamp {
    let mut last = ran;
    while let Some(next) = schedule
        .cadence
        .next_after(last)
        .filter(|next| *next <= now)
    {
        last = next;
    }
    last
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

#[cfg(test)]
mod tests {
    use super::*;
    use sam_template::Cadence;

    #[test]
    fn what_was_slept_through_is_left_out_and_a_rate_keeps_its_phase() {
        let next = |cadence: &str, ran: &str, now: &str| {
            let schedule = Schedule {
                name: "s".to_owned(),
                arn: "arn".to_owned(),
                cadence: Cadence::parse(cadence).unwrap(),
                enabled: true,
                by: ScheduledBy::Rule,
                targets: Vec::new(),
            };
            let last = last_before(&schedule, ran.parse().unwrap(), now.parse().unwrap());
            schedule
                .cadence
                .next_after(last)
                .map(|next| next.to_string())
        };
        let rate = "rate(5 minutes)";
        assert_eq!(
            next(rate, "2025-01-01T12:01:00Z", "2025-01-01T12:01:00.1Z").unwrap(),
            "2025-01-01T12:06:00Z"
        );
        assert_eq!(
            next(rate, "2025-01-01T12:01:00Z", "2025-01-01T20:00:00Z").unwrap(),
            "2025-01-01T20:01:00Z"
        );
        assert_eq!(
            next(
                "cron(0 12 * * ? *)",
                "2025-01-01T12:00:00Z",
                "2025-01-05T13:00:00Z"
            )
            .unwrap(),
            "2025-01-06T12:00:00Z"
        );
    }
}
