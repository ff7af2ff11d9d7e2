//! The buses: what is put on one goes to every target of every rule that matches.

use std::sync::Arc;

use async_trait::async_trait;
use aws_endpoint::{BusEvent, EventSink};
use invariants::Published;
use jiff::Timestamp;
use lambda_host::async_invoke::Origin;
use sam_template::Rule;

use crate::delivery::{Delivery, Sender};
use crate::history::History;

/// Routes events by the rules of the template.
pub(crate) struct Buses {
    rules: Vec<(Rule, Sender)>,
    delivery: Delivery,
    history: Arc<History>,
}

impl Buses {
    pub(crate) fn new(rules: Vec<Rule>, delivery: Delivery, history: Arc<History>) -> Self {
        let rules = rules
            .into_iter()
            .filter(|rule| rule.enabled)
            .map(|rule| {
                let sender = Sender {
                    name: rule.name.clone(),
                    arn: rule.arn.clone(),
                    origin: Origin::Rule(rule.name.clone()),
                    trace: None,
                };
                (rule, sender)
            })
            .collect();
        Self {
            rules,
            delivery,
            history,
        }
    }
}

#[async_trait]
impl EventSink for Buses {
    async fn accept(&self, bus: &str, events: Vec<BusEvent>) {
        let ingested = Timestamp::now().to_string();
        for BusEvent {
            envelope: event,
            trace,
        } in events
        {
            let matching =
                |(rule, _): &&(Rule, Sender)| rule.bus == bus && rule.pattern.matches(&event);
            for (rule, sender) in self.rules.iter().filter(matching) {
                let sender = Sender {
                    trace: trace.clone(),
                    ..sender.clone()
                };
                for target in &rule.targets {
                    self.delivery
                        .deliver(&sender, target, &event, &ingested)
                        .await;
                }
            }
            self.history.published(Published {
                bus: bus.to_owned(),
                source: event["source"].as_str().unwrap_or_default().to_owned(),
                detail: event["detail"].clone(),
            });
        }
    }
}
