//! Judging a minute by every rule.

use domain::alarm::{Alarm, AlarmCommand, CLOSE_WINDOWS};
use domain::ids::RuleName;
use event_sourcing::execute::{Cause, Start, execute, retrying};
use event_sourcing::failure::Failure;
use event_sourcing::store::EventStore;
use jiff::Timestamp;
use std::collections::BTreeMap;
use streaming_analytics::alarms::{Rule, RuleState, decide, withdraw};
use streaming_analytics::insights_table::{ResultTable, RuleTable};
use streaming_analytics::result::MinuteResult;
use streaming_analytics::window::Minute;

/// Rules, and where each of them stands.
#[derive(Debug)]
pub struct Alarms<'a, T, S> {
    /// Where it is kept how rules stand.
    table: &'a T,
    /// Where alarms are.
    store: &'a S,
    rules: Vec<Rule>,
    states: BTreeMap<RuleName, RuleState>,
    request_id: &'a str,
    now: Timestamp,
    /// So many alarms were raised.
    pub raised: u64,
    /// So many were cleared.
    pub cleared: u64,
}

impl<'a, T: ResultTable, S: EventStore> Alarms<'a, T, S> {
    /// Reads rules and states. A state that cannot be read is one of a rule that begins anew.
    ///
    /// # Errors
    /// [`Failure`], when they are not told.
    pub async fn read(
        rules: &impl RuleTable,
        table: &'a T,
        store: &'a S,
        request_id: &'a str,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let rules = retrying(|| rules.rules()).await;
        let rules = rules.map_err(|error| Failure::from_error(&error))?;
        let states = retrying(|| table.alarm_states()).await;
        let states = states.map_err(|error| Failure::from_error(&error))?;
        let state = |(name, bytes): (RuleName, Vec<u8>)| {
            let state = RuleState::decode(&bytes).unwrap_or_else(|error| {
                tracing::error!(rule = %name, %error, "the rule begins anew");
                RuleState::default()
            });
            (name, state)
        };
        Ok(Self {
            table,
            store,
            rules,
            states: states.into_iter().map(state).collect(),
            request_id,
            now,
            raised: 0,
            cleared: 0,
        })
    }

    /// Judges a minute by every rule, in the order of time: alarms first, then where rules stand,
    /// so that a repeat decides the same, and the alarm knows it.
    ///
    /// # Errors
    /// [`Failure`], when an alarm could not be stored.
    pub async fn judge(&mut self, result: &MinuteResult) -> Result<(), Failure> {
        for rule in std::mem::take(&mut self.rules) {
            let judged = self.judge_by(&rule, result).await;
            self.rules.push(rule);
            judged?;
        }
        Ok(())
    }

    async fn judge_by(&mut self, rule: &Rule, result: &MinuteResult) -> Result<(), Failure> {
        let state = self.states.get(rule.name()).cloned().unwrap_or_default();
        let (next, changes) = decide(rule, &state, result);
        if next == state {
            return Ok(());
        }
        for change in changes {
            self.tell(rule.name(), &change.command(rule)).await?;
        }
        let bytes = next
            .encode()
            .map_err(|error| Failure::Permanent(error.to_string()))?;
        retrying(|| self.table.keep_alarm_state(rule.name(), &bytes))
            .await
            .map_err(|error| Failure::from_error(&error))?;
        self.states.insert(rule.name().clone(), next);
        Ok(())
    }

    /// Ends what rules raised that are gone.
    ///
    /// # Errors
    /// [`Failure`], when that could not be stored.
    pub async fn withdraw(&mut self, minute: Minute) -> Result<(), Failure> {
        let is_gone = |name: &RuleName| self.rules.iter().all(|rule| rule.name() != name);
        let gone: Vec<_> = self
            .states
            .keys()
            .filter(|name| is_gone(name))
            .cloned()
            .collect();
        for name in gone {
            let state = self.states.remove(&name).unwrap_or_default();
            if let Some(command) = withdraw(&name, &state, minute) {
                self.tell(&name, &command).await?;
            }
            retrying(|| self.table.forget_alarm_state(&name))
                .await
                .map_err(|error| Failure::from_error(&error))?;
        }
        Ok(())
    }

    async fn tell(&mut self, rule: &RuleName, command: &AlarmCommand) -> Result<(), Failure> {
        let (word, window) = match command {
            AlarmCommand::Raise(raised) => ("raised", raised.window),
            AlarmCommand::Clear(cleared) => ("cleared", cleared.window),
        };
        let stream = rule.stream();
        let cause = Cause {
            id: self.request_id.to_owned(),
            seed: format!("{stream}/{window}/{word}"),
            purpose: CLOSE_WINDOWS,
            correlation_id: Some(stream.clone()),
            traceparent: None,
            actor: None,
            now: self.now,
        };
        let done = execute::<Alarm>(self.store, &stream, Start::Load, command, &cause).await;
        let done = done.map_err(|error| Failure::from_error(&error))?;
        if !done.events.is_empty() {
            tracing::warn!(rule = %rule, window = %window, version = done.version, "alarm {word}");
            match command {
                AlarmCommand::Raise(_) => self.raised += 1,
                AlarmCommand::Clear(_) => self.cleared += 1,
            }
        }
        Ok(())
    }
}
