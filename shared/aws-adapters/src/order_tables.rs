//! The two tables of order rows, blue and green, of which one is live: a rebuild folds all events
//! into the other one, switches, and empties what was live before.
//!
//! Which one is live is one item in the blue table, [`Switch`]. Readers keep it in mind for
//! [`MEMORY`], so a switch is announced longer than that before it happens, with its time: then
//! all of them change over at the same moment.

use crate::dynamodb_event_store::describe;
use crate::dynamodb_item::Item;
use crate::dynamodb_order_summaries::{DynamoDbOrderSummaries, SummaryError};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use std::future::Future;
use std::sync::{Mutex, PoisonError};

/// So long may a function go by what it has read about the tables.
pub const MEMORY: SignedDuration = SignedDuration::from_secs(2);

/// Key of the switch among the rows: no order has it, for no id begins with white space.
pub const SWITCH_KEY: &str = " switch";

/// One of the two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first one, live until the first rebuild.
    Blue,
    /// The other one.
    Green,
}

impl Side {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
        }
    }

    /// Reads what [`Side::as_str`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Blue, Self::Green]
            .into_iter()
            .find(|side| side.as_str() == text)
    }
}

/// Something for each of the two tables.
#[derive(Debug, Clone, Default)]
pub struct Sides<T> {
    /// For the blue one.
    pub blue: T,
    /// For the green one.
    pub green: T,
}

impl<T> Sides<T> {
    /// What it is for one of them.
    pub fn of(&self, side: Side) -> &T {
        match side {
            Side::Blue => &self.blue,
            Side::Green => &self.green,
        }
    }
}

impl Sides<DynamoDbOrderSummaries> {
    /// The rows in two tables.
    #[must_use]
    pub fn new(client: &Client, blue: impl Into<String>, green: impl Into<String>) -> Self {
        Self {
            blue: DynamoDbOrderSummaries::new(client.clone(), blue),
            green: DynamoDbOrderSummaries::new(client.clone(), green),
        }
    }
}

/// Where a rebuild stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// There is none.
    Idle,
    /// It fills the table that is not live.
    Building,
    /// The other table will be live, or is, from this time on.
    Switching(Timestamp),
    /// Since this time, the table that is not live is one to be emptied.
    Dropping(Timestamp),
}

/// Which table is live, and what a rebuild is about to change about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch {
    /// The live table; with [`Stage::Switching`], the one that was live until then.
    pub table: Side,
    /// Which rebuild it is, from 1; 0 before the first one.
    pub generation: u64,
    /// Where that stands.
    pub stage: Stage,
    /// Until when a call of the rebuild is at work, if one is.
    pub busy_until: Option<Timestamp>,
    /// Number of changes; each is conditional on the one before.
    pub revision: u64,
}

impl Switch {
    /// Before the first rebuild.
    pub const START: Self = Self {
        table: Side::Blue,
        generation: 0,
        stage: Stage::Idle,
        busy_until: None,
        revision: 0,
    };

    /// The table to read at a time.
    #[must_use]
    pub fn live(&self, now: Timestamp) -> Side {
        match self.stage {
            Stage::Switching(at) if now >= at => self.table.other(),
            _ => self.table,
        }
    }
}

/// The item that says which table is live.
#[derive(Debug, Clone)]
pub struct DynamoDbSwitch {
    client: Client,
    table: String,
}

impl DynamoDbSwitch {
    /// The item in `table`, which is the blue one.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// What it says; as cheaply as can be, or up to date.
    ///
    /// # Errors
    /// [`SummaryError`].
    pub async fn read(&self, up_to_date: bool) -> Result<Switch, SummaryError> {
        let request = self
            .client
            .get_item()
            .table_name(&self.table)
            .consistent_read(up_to_date)
            .key("orderId", text(SWITCH_KEY));
        let answer = Box::pin(request.send())
            .await
            .map_err(|error| SummaryError::Unavailable(describe(&error)))?;
        match answer.item() {
            None => Ok(Switch::START),
            Some(item) => read(item).ok_or_else(|| SummaryError::Corrupt {
                order_id: SWITCH_KEY.to_owned(),
                reason: "it is no switch".to_owned(),
            }),
        }
    }

    /// Changes it, if it still is at the revision before; whether it was.
    ///
    /// # Errors
    /// [`SummaryError`].
    pub async fn write(&self, switch: &Switch) -> Result<bool, SummaryError> {
        let before = switch.revision.saturating_sub(1);
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(written(switch)))
            .expression_attribute_names("#revision", "revision")
            .expression_attribute_values(":before", number(before))
            .condition_expression(if before == 0 {
                "attribute_not_exists(orderId) OR #revision = :before"
            } else {
                "#revision = :before"
            });
        match Box::pin(request.send()).await {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(SummaryError::Unavailable(describe(&error))),
            },
        }
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn time(time: Timestamp) -> AttributeValue {
    AttributeValue::N(time.as_millisecond().to_string())
}

fn written(switch: &Switch) -> Item {
    let (stage, at) = match switch.stage {
        Stage::Idle => ("idle", None),
        Stage::Building => ("building", None),
        Stage::Switching(at) => ("switching", Some(at)),
        Stage::Dropping(since) => ("dropping", Some(since)),
    };
    let mut item = Item::from([
        ("orderId".to_owned(), text(SWITCH_KEY)),
        ("table".to_owned(), text(switch.table.as_str())),
        ("generation".to_owned(), number(switch.generation)),
        ("stage".to_owned(), text(stage)),
        ("revision".to_owned(), number(switch.revision)),
    ]);
    item.extend(at.map(|at| ("at".to_owned(), time(at))));
    item.extend(
        switch
            .busy_until
            .map(|until| ("busyUntil".to_owned(), time(until))),
    );
    item
}

fn read(item: &Item) -> Option<Switch> {
    let text = |name: &str| item.get(name)?.as_s().ok().map(String::as_str);
    let number = |name: &str| item.get(name)?.as_n().ok()?.parse::<u64>().ok();
    let time = |name: &str| {
        let milliseconds = item.get(name)?.as_n().ok()?.parse().ok()?;
        Timestamp::from_millisecond(milliseconds).ok()
    };
    Some(Switch {
        table: Side::parse(text("table")?)?,
        generation: number("generation")?,
        stage: match text("stage")? {
            "idle" => Stage::Idle,
            "building" => Stage::Building,
            "switching" => Stage::Switching(time("at")?),
            "dropping" => Stage::Dropping(time("at")?),
            _ => return None,
        },
        busy_until: time("busyUntil"),
        revision: number("revision")?,
    })
}

/// What a function instance has read, for [`MEMORY`].
#[derive(Debug)]
pub struct Remembered<T>(Mutex<Option<(Timestamp, T)>>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Remembered<T> {
    /// What was read less than [`MEMORY`] ago, or is read now.
    ///
    /// # Errors
    /// Why it could not be read.
    pub async fn get<E>(
        &self,
        now: Timestamp,
        read: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let known = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        // Of a clock that was set back, nothing is known.
        if let Some((at, known)) = known
            && (SignedDuration::ZERO..MEMORY).contains(&now.duration_since(at))
        {
            return Ok(known);
        }
        let fresh = read.await?;
        // As old as the question, not as the answer.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, fresh.clone()));
        Ok(fresh)
    }
}

/// The rows that are live, for a reader.
#[derive(Debug)]
pub struct LiveOrderSummaries {
    tables: Sides<DynamoDbOrderSummaries>,
    switch: DynamoDbSwitch,
    remembered: Remembered<Switch>,
}

impl LiveOrderSummaries {
    /// The live one of two tables.
    #[must_use]
    pub fn new(client: Client, blue: &str, green: &str) -> Self {
        Self {
            tables: Sides::new(&client, blue, green),
            switch: DynamoDbSwitch::new(client, blue),
            remembered: Remembered::default(),
        }
    }

    /// The rows to read at a time. What is read of one page must be read through one answer.
    ///
    /// # Errors
    /// [`SummaryError`].
    pub async fn at(&self, now: Timestamp) -> Result<&DynamoDbOrderSummaries, SummaryError> {
        let switch = self.remembered.get(now, self.switch.read(false)).await?;
        Ok(self.tables.of(switch.live(now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_switch_is_read_as_it_was_written_and_changes_over_at_its_time() {
        let switching = Switch {
            table: Side::Green,
            generation: 2,
            stage: Stage::Switching(at(7)),
            busy_until: Some(at(9)),
            revision: 12,
        };
        assert_eq!(read(&written(&switching)), Some(switching));
        assert_eq!(read(&written(&Switch::START)), Some(Switch::START));
        assert_eq!(switching.live(at(6)), Side::Green);
        assert_eq!(switching.live(at(7)), Side::Blue);
        assert!(domain::ids::OrderId::parse(SWITCH_KEY).is_err());
    }

    #[tokio::test]
    async fn what_was_read_is_known_for_a_while_and_not_longer() {
        let remembered = Remembered::default();
        let ask = async |second: i64, answer: u8| {
            let read = async { Ok::<_, ()>(answer) };
            remembered.get(at(second), read).await.unwrap()
        };
        assert_eq!(ask(10, 1).await, 1);
        assert_eq!(ask(11, 2).await, 1);
        assert_eq!(ask(12, 3).await, 3);
        assert_eq!(ask(11, 4).await, 4, "the clock was set back");
    }
}
