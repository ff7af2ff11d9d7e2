//! Processor time by process, from `/proc`; none where there is no `/proc`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

/// What `/proc` counts in: a hundredth of a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// Processor time of this process, and of its functions by name.
#[derive(Debug, Clone, Default)]
pub struct Processor {
    own: Duration,
    functions: BTreeMap<String, Duration>,
}

/// What was taken between two moments.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    host: Duration,
    clients: Duration,
    functions: BTreeMap<String, Duration>,
}

impl Processor {
    /// What was taken until now.
    pub fn now() -> Self {
        let own = std::process::id();
        let mut functions = BTreeMap::new();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let folder = entry.path();
            let Some(stat) = Stat::read(&folder.join("stat")) else {
                continue;
            };
            if stat.parent != own {
                continue;
            }
            let taken = functions.entry(name_of(&folder)).or_default();
            *taken += stat.taken;
        }
        let own = Stat::read(Path::new("/proc/self/stat"));
        Self {
            own: own.map(|stat| stat.taken).unwrap_or_default(),
            functions,
        }
    }

    /// What was taken since, by clients so much of it.
    pub fn since(self, before: &Self, clients: Duration) -> Taken {
        let own = self.own.saturating_sub(before.own);
        let functions = self.functions.into_iter().map(|(name, now)| {
            let before = before.functions.get(&name).copied().unwrap_or_default();
            (name, now.saturating_sub(before))
        });
        Taken {
            host: own.saturating_sub(clients),
            clients,
            functions: functions.collect(),
        }
    }
}

impl Taken {
    /// In seconds.
    pub fn to_json(&self) -> Value {
        let functions: BTreeMap<_, _> = self
            .functions
            .iter()
            .map(|(name, taken)| (name, taken.as_secs_f64()))
            .collect();
        json!({"host": self.host.as_secs_f64(), "clients": self.clients.as_secs_f64(),
            "functions": functions})
    }
}

/// Processor time of this thread.
pub fn of_this_thread() -> Duration {
    let stat = Stat::read(Path::new("/proc/thread-self/stat"));
    stat.map(|stat| stat.taken).unwrap_or_default()
}

/// Name of the function that a process is: the last word of its command line, without a folder.
fn name_of(process: &Path) -> String {
    let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line).into_owned();
    let last = line.split('\0').rfind(|word| !word.is_empty());
    let last = last.unwrap_or_default();
    last.rsplit('/').next().unwrap_or_default().to_owned()
}

/// What `/proc/PID/stat` says.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    taken: Duration,
}

impl Stat {
    fn read(path: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(path).ok()?)
    }

    /// After the name in brackets: state, parent, and as 14th and 15th of all the time of the
    /// program and of the system for it (proc(5)).
    fn parse(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let ticks = |at: usize| fields.get(at)?.parse::<u32>().ok();
        Some(Self {
            parent: ticks(1)?,
            taken: TICK * (ticks(11)? + ticks(12)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_process_is_read_whatever_it_is_called() {
        let line = "7 (a) b) S 3 7 7 0 -1 4194560 9 0 0 0 25 5 0 0 20 0 1 0 9 9 9";
        let expected = Stat {
            parent: 3,
            taken: Duration::from_millis(300),
        };
        assert_eq!(Stat::parse(line), Some(expected));
    }
}
