//! A small aggregate for the tests of this crate and for the contract: a jar of sweets that can be filled and
//! sealed.

use crate::decider::{Decider, Event};
use crate::snapshot::Snapshotable;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Debug, Clone, PartialEq)]
pub enum Jar {
    Missing,
    Open { sweets: u64 },
    Sealed { sweets: u64 },
}

#[derive(Debug, Clone, PartialEq)]
pub enum JarCommand {
    PutIn(u64),
    Seal,
}

#[derive(Debug, Clone, PartialEq)]
pub enum JarEvent {
    SweetsPutIn(u64),
    Sealed,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum JarRejection {
    #[error("there is no such jar")]
    Missing,
    #[error("the jar is sealed")]
    Sealed,
}

#[derive(Deserialize)]
struct Sweets {
    sweets: u64,
}

impl Event for JarEvent {
    fn event_type(&self) -> &'static str {
        match self {
            Self::SweetsPutIn(_) => "SweetsPutIn",
            Self::Sealed => "JarSealed",
        }
    }

    fn to_data(&self) -> Result<Value, serde_json::Error> {
        Ok(match self {
            Self::SweetsPutIn(sweets) => json!({"sweets": sweets}),
            Self::Sealed => json!({}),
        })
    }

    fn from_data(event_type: &str, data: &Value) -> Result<Option<Self>, serde_json::Error> {
        let sweets = || Sweets::deserialize(data).map(|data| data.sweets);
        Ok(Some(match event_type {
            "SweetsPutIn" => Self::SweetsPutIn(sweets()?),
            "JarSealed" => Self::Sealed,
            _ => return Ok(None),
        }))
    }
}

impl Decider for Jar {
    type State = Self;
    type Command = JarCommand;
    type Event = JarEvent;
    type Rejection = JarRejection;

    fn initial() -> Self {
        Self::Missing
    }

    fn decide(command: &JarCommand, state: &Self) -> Result<Vec<JarEvent>, JarRejection> {
        match (command, state) {
            (JarCommand::PutIn(sweets), Self::Missing | Self::Open { .. }) => {
                Ok(vec![JarEvent::SweetsPutIn(*sweets)])
            }
            (JarCommand::Seal, Self::Open { .. }) => Ok(vec![JarEvent::Sealed]),
            (JarCommand::Seal, Self::Sealed { .. }) => Ok(vec![]),
            (JarCommand::PutIn(_), Self::Sealed { .. }) => Err(JarRejection::Sealed),
            (JarCommand::Seal, Self::Missing) => Err(JarRejection::Missing),
        }
    }

    fn evolve(state: Self, event: &JarEvent, _: Timestamp) -> Self {
        let sweets = match state {
            Self::Missing => 0,
            Self::Open { sweets } | Self::Sealed { sweets } => sweets,
        };
        match event {
            JarEvent::SweetsPutIn(more) => Self::Open {
                sweets: sweets.saturating_add(*more),
            },
            JarEvent::Sealed => Self::Sealed { sweets },
        }
    }
}

impl Snapshotable for Jar {
    const FOLD: u32 = 1;

    fn to_snapshot(state: &Self) -> Result<Value, serde_json::Error> {
        Ok(match state {
            Self::Missing => Value::Null,
            Self::Open { sweets } => json!({"sweets": sweets, "sealed": false}),
            Self::Sealed { sweets } => json!({"sweets": sweets, "sealed": true}),
        })
    }

    fn from_snapshot(kept: Value) -> Result<Self, serde_json::Error> {
        let jar: Option<KeptJar> = serde_json::from_value(kept)?;
        Ok(match jar {
            None => Self::Missing,
            Some(KeptJar { sweets, sealed }) if sealed => Self::Sealed { sweets },
            Some(KeptJar { sweets, .. }) => Self::Open { sweets },
        })
    }
}

#[derive(Deserialize)]
struct KeptJar {
    sweets: u64,
    sealed: bool,
}
