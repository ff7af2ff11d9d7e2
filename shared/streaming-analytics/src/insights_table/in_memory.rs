//! A table in memory, for tests of who uses one.

use super::{
    Correction, DeviceWindow, InsightsTable, MinuteTable, PartTable, Progress, PutPart,
    ResultTable, RuleTable, TableError,
};
use crate::alarms::Rule;
use crate::devices::{DeviceKey, DeviceSpan, Devices};
use crate::ids::Ids;
use crate::part::{Part, PartKey};
use crate::result::{MinuteResult, RollUp};
use crate::window::{Day, Hour, Minute};
use domain::ids::{DeviceId, RuleName};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct Tables {
    parts: BTreeMap<PartKey, Part>,
    progress: Progress,
    corrections: BTreeMap<Minute, String>,
    minutes: BTreeMap<Minute, MinuteResult>,
    hours: BTreeMap<Hour, RollUp<Hour>>,
    days: BTreeMap<Day, RollUp<Day>>,
    alarms: BTreeMap<RuleName, Vec<u8>>,
    rules: BTreeMap<RuleName, Rule>,
    /// After so many calls.
    answered: u32,
    /// So many fail.
    failing: u32,
}

/// A table of insights in memory.
#[derive(Debug, Default)]
pub struct InMemoryInsights(Mutex<Tables>);

impl InMemoryInsights {
    /// The next `calls` calls are not answered, and do nothing.
    pub fn fail_next(&self, calls: u32) {
        self.fail_after(0, calls);
    }

    /// After `answered` more calls, `calls` calls are not answered, and do nothing.
    pub fn fail_after(&self, answered: u32, calls: u32) {
        let mut tables = self.guard();
        (tables.answered, tables.failing) = (answered, calls);
    }

    /// All parts.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        self.guard().parts.values().cloned().collect()
    }

    fn guard(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tables(&self) -> Result<MutexGuard<'_, Tables>, TableError> {
        let mut tables = self.guard();
        if tables.answered > 0 {
            tables.answered -= 1;
        } else if tables.failing > 0 {
            tables.failing -= 1;
            return Err(TableError::Unavailable("told to fail".into()));
        }
        Ok(tables)
    }
}

impl Tables {
    fn parts_of(&self, minute: Minute) -> impl Iterator<Item = &Part> {
        let parts = self.parts.values();
        parts.filter(move |part| part.key.minute == minute)
    }
}

impl MinuteTable for InMemoryInsights {
    async fn progress(&self) -> Result<Progress, TableError> {
        Ok(self.tables()?.progress)
    }

    async fn parts_of(&self, minute: Minute) -> Result<Vec<Part>, TableError> {
        Ok(self.tables()?.parts_of(minute).cloned().collect())
    }
}

impl PartTable for InMemoryInsights {
    async fn ids_of(&self, minute: Minute) -> Result<Vec<(PartKey, Ids)>, TableError> {
        let tables = self.tables()?;
        let parts = tables.parts_of(minute);
        let ids = parts.map(|part| (part.key.clone(), part.sums.ids.clone()));
        Ok(ids.collect())
    }

    async fn put_part(&self, part: &Part) -> Result<PutPart, TableError> {
        let mut tables = self.tables()?;
        if let Some(stored) = tables.parts.get(&part.key) {
            return Ok(PutPart::There(Box::new(stored.clone())));
        }
        tables.parts.insert(part.key.clone(), part.clone());
        Ok(PutPart::Written)
    }

    async fn replace_part(&self, part: &Part, stored: &Part) -> Result<PutPart, TableError> {
        let mut tables = self.tables()?;
        match tables.parts.get(&part.key) {
            Some(there) if there != stored => Ok(PutPart::There(Box::new(there.clone()))),
            _ => {
                tables.parts.insert(part.key.clone(), part.clone());
                Ok(PutPart::Written)
            }
        }
    }

    async fn note_correction(&self, part: &PartKey) -> Result<(), TableError> {
        let mut tables = self.tables()?;
        tables.corrections.insert(part.minute, part.to_string());
        Ok(())
    }
}

impl ResultTable for InMemoryInsights {
    async fn advance(&self, from: Progress, to: Progress) -> Result<bool, TableError> {
        let mut tables = self.tables()?;
        let is_next = tables.progress == from;
        if is_next {
            tables.progress = to;
        }
        Ok(is_next)
    }

    async fn corrections(&self, limit: usize) -> Result<Vec<Correction>, TableError> {
        let tables = self.tables()?;
        let all = tables.corrections.iter().map(|(minute, noted)| Correction {
            minute: *minute,
            noted: noted.clone(),
        });
        Ok(all.take(limit).collect())
    }

    async fn forget_correction(&self, correction: &Correction) -> Result<(), TableError> {
        let mut tables = self.tables()?;
        if tables.corrections.get(&correction.minute) == Some(&correction.noted) {
            tables.corrections.remove(&correction.minute);
        }
        Ok(())
    }

    async fn minute(&self, minute: Minute) -> Result<Option<MinuteResult>, TableError> {
        Ok(self.tables()?.minutes.get(&minute).cloned())
    }

    async fn put_minute(&self, result: &MinuteResult) -> Result<(), TableError> {
        let mut tables = self.tables()?;
        let there = tables.minutes.get(&result.minute);
        if there.is_none_or(|there| there.revision <= result.revision) {
            tables.minutes.insert(result.minute, result.clone());
        }
        Ok(())
    }

    async fn hour(&self, hour: Hour) -> Result<Option<RollUp<Hour>>, TableError> {
        Ok(self.tables()?.hours.get(&hour).cloned())
    }

    async fn put_hour(&self, hour: &RollUp<Hour>) -> Result<(), TableError> {
        let mut tables = self.tables()?;
        let there = tables.hours.get(&hour.window);
        if there.is_none_or(|there| there.revision <= hour.revision) {
            tables.hours.insert(hour.window, hour.clone());
        }
        Ok(())
    }

    async fn put_day(&self, day: &RollUp<Day>) -> Result<(), TableError> {
        let mut tables = self.tables()?;
        let there = tables.days.get(&day.window);
        if there.is_none_or(|there| there.revision <= day.revision) {
            tables.days.insert(day.window, day.clone());
        }
        Ok(())
    }

    async fn alarm_states(&self) -> Result<Vec<(RuleName, Vec<u8>)>, TableError> {
        Ok(self.tables()?.alarms.clone().into_iter().collect())
    }

    async fn keep_alarm_state(&self, rule: &RuleName, state: &[u8]) -> Result<(), TableError> {
        let mut tables = self.tables()?;
        tables.alarms.insert(rule.clone(), state.to_vec());
        Ok(())
    }

    async fn forget_alarm_state(&self, rule: &RuleName) -> Result<(), TableError> {
        self.tables()?.alarms.remove(rule);
        Ok(())
    }
}

impl RuleTable for InMemoryInsights {
    async fn rules(&self) -> Result<Vec<Rule>, TableError> {
        Ok(self.tables()?.rules.values().cloned().collect())
    }

    async fn put_rule(&self, rule: &Rule, limit: usize) -> Result<bool, TableError> {
        let mut tables = self.tables()?;
        let others = tables.rules.keys().filter(|name| *name != rule.name());
        if others.count() >= limit {
            return Ok(false);
        }
        tables.rules.insert(rule.name().clone(), rule.clone());
        Ok(true)
    }

    async fn remove_rule(&self, name: &RuleName) -> Result<bool, TableError> {
        Ok(self.tables()?.rules.remove(name).is_some())
    }
}

impl InsightsTable for InMemoryInsights {
    async fn minutes(&self, from: Minute, until: Minute) -> Result<Vec<MinuteResult>, TableError> {
        let tables = self.tables()?;
        let results = tables.minutes.range(from..until.max(from));
        let bare = |(_, result): (_, &MinuteResult)| {
            let mut result = result.clone();
            result.totals.devices = Devices::new();
            result
        };
        Ok(results.map(bare).collect())
    }

    async fn hours(&self, from: Hour, until: Hour) -> Result<Vec<RollUp<Hour>>, TableError> {
        let tables = self.tables()?;
        let hours = tables.hours.range(from..until.max(from));
        Ok(hours.map(|(_, hour)| bare(hour)).collect())
    }

    async fn days(&self, from: Day, until: Day) -> Result<Vec<RollUp<Day>>, TableError> {
        let tables = self.tables()?;
        let days = tables.days.range(from..until.max(from));
        Ok(days.map(|(_, day)| bare(day)).collect())
    }

    async fn device(
        &self,
        device: &DeviceId,
        windows: &[DeviceWindow],
    ) -> Result<Vec<(DeviceWindow, DeviceKey, DeviceSpan)>, TableError> {
        let tables = self.tables()?;
        let mut found = Vec::new();
        for window in windows {
            let totals = match window {
                DeviceWindow::Minute(minute) => tables.minutes.get(minute).map(|one| &one.totals),
                DeviceWindow::Hour(hour) => tables.hours.get(hour).map(|one| &one.totals),
                DeviceWindow::Day(day) => tables.days.get(day).map(|one| &one.totals),
            };
            let devices = totals.into_iter().flat_map(|totals| &totals.devices);
            let of_device = devices.filter(|(key, _)| key.device == *device);
            found.extend(of_device.map(|(key, span)| (*window, key.clone(), span.clone())));
        }
        Ok(found)
    }
}

fn bare<W: Copy>(roll_up: &RollUp<W>) -> RollUp<W> {
    let mut roll_up = RollUp {
        window: roll_up.window,
        minutes: roll_up.minutes,
        revision: roll_up.revision,
        totals: roll_up.totals.clone(),
    };
    roll_up.totals.devices = Devices::new();
    roll_up
}
