//! What is stored, read back whole from the tables: events, stock and rows.

use aws_adapters::connection::Connection;
use aws_adapters::dynamodb_stock::sku_of_key;
use aws_adapters::table_items::Pages;
use aws_endpoint::{ApiError, Endpoint};
use invariants::StoreView;
use serde_json::{Map, Number, Value, json};

use crate::error::LocalError;
use crate::http_client::HttpClient;

/// The tables that hold everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// Table of the event store.
    pub event_store: String,
    /// Table of the stock.
    pub stock: String,
    /// Blue table of the orders' rows, which also says which of the two is live.
    pub orders: String,
    /// Green table of the orders' rows.
    pub orders_green: String,
}

impl Tables {
    /// The tables of a template, by their logical ids `EventStore`, `Stock`, `Orders` and
    /// `OrdersGreen`; where it has none of that id, the id itself.
    #[must_use]
    pub fn of(template: &sam_template::Stack) -> Self {
        let named = |id: &str| {
            let table = template.tables.iter().find(|table| table.logical_id == id);
            table.map_or_else(|| id.to_owned(), |table| table.name.clone())
        };
        Self {
            event_store: named("EventStore"),
            stock: named("Stock"),
            orders: named("Orders"),
            orders_green: named("OrdersGreen"),
        }
    }
}

/// Where the tables are.
#[derive(Clone, Copy)]
pub enum Store<'a> {
    /// In this process.
    Endpoint(&'a Endpoint),
    /// Behind a URL.
    Url(&'a HttpClient, &'a str),
    /// In AWS, or what stands for it.
    Connection(&'a Connection),
}

impl Store<'_> {
    /// All items of a table, as plain JSON.
    ///
    /// # Errors
    /// [`LocalError::Store`] and [`LocalError::Table`] for what AWS would refuse,
    /// [`LocalError::Http`] for no answer.
    pub async fn scan(&self, table: &str) -> Result<Vec<Value>, LocalError> {
        match self {
            Self::Endpoint(endpoint) => {
                let page = async |request| Ok(endpoint.call("dynamodb", "Scan", request).await?);
                pages(table, page).await
            }
            Self::Url(client, url) => {
                pages(table, async |request| page(client, url, &request).await).await
            }
            Self::Connection(connection) => {
                Ok(Pages::of(connection.dynamodb(), table).all().await?)
            }
        }
    }
}

async fn pages(
    table: &str,
    page: impl AsyncFn(Value) -> Result<Value, LocalError>,
) -> Result<Vec<Value>, LocalError> {
    let mut items = Vec::new();
    let mut start = Value::Null;
    loop {
        let mut request = json!({"TableName": table, "ConsistentRead": true});
        if !start.is_null() {
            request["ExclusiveStartKey"] = start;
        }
        let mut answer = page(request).await?;
        if let Some(page) = answer["Items"].as_array_mut() {
            items.extend(page.iter().map(plain_item));
        }
        start = answer["LastEvaluatedKey"].take();
        if start.is_null() {
            return Ok(items);
        }
    }
}

async fn page(client: &HttpClient, url: &str, request: &Value) -> Result<Value, LocalError> {
    let answer = client.aws(url, "DynamoDB_20120810.Scan", request).await?;
    if answer.status == 200 {
        return Ok(answer.json());
    }
    let error = answer.json();
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    Err(LocalError::Store(ApiError {
        status: answer.status,
        code: text("__type"),
        message: text("message"),
        details: None,
    }))
}

/// Reads everything that is stored.
///
/// # Errors
/// As [`Store::scan`].
pub async fn read(store: Store<'_>, tables: &Tables) -> Result<StoreView, LocalError> {
    let mut view = StoreView::default();
    for item in store.scan(&tables.event_store).await? {
        view.add_event(item);
    }
    for item in store.scan(&tables.stock).await? {
        // A hot SKU has several items; what cannot be read is less than nothing.
        let sku = sku_of_key(item["sku"].as_str().unwrap_or_default()).to_owned();
        let available = item["available"].as_i64().unwrap_or(i64::MIN);
        let all = view.stock.entry(sku).or_default();
        *all = all.saturating_add(available);
    }
    for item in live_rows(store, tables).await? {
        let order = item["orderId"].as_str().unwrap_or_default().to_owned();
        view.rows.insert(order, item);
    }
    view.sort();
    Ok(view)
}

/// Key of the item among the blue rows that says which rows are live; no order has it.
pub(crate) const SWITCH_KEY: &str = " switch";

/// The rows that are live now.
async fn live_rows(store: Store<'_>, tables: &Tables) -> Result<Vec<Value>, LocalError> {
    let (switch, blue): (Vec<_>, Vec<_>) = store
        .scan(&tables.orders)
        .await?
        .into_iter()
        .partition(|item| item["orderId"] == SWITCH_KEY);
    if switch.first().is_some_and(green_is_live) {
        store.scan(&tables.orders_green).await
    } else {
        Ok(blue)
    }
}

/// Whether the switch says that the green rows are live.
pub(crate) fn green_is_live(switch: &Value) -> bool {
    let now = jiff::Timestamp::now().as_millisecond();
    let announced = switch["stage"] == "switching";
    let over = announced && switch["at"].as_i64().is_some_and(|at| now >= at);
    (switch["table"] == "green") != over
}

/// An item of a table as plain JSON.
#[must_use]
pub fn plain_item(item: &Value) -> Value {
    let fields = item.as_object();
    let fields: Map<String, Value> = fields
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), plain(value)))
        .collect();
    Value::Object(fields)
}

/// An attribute (`{"S": "text"}`) as plain JSON; sets and binary values as they are written.
fn plain(attribute: &Value) -> Value {
    let Some((kind, value)) = attribute.as_object().and_then(|one| one.iter().next()) else {
        return Value::Null;
    };
    match (kind.as_str(), value) {
        ("N", Value::String(number)) => number
            .parse::<Number>()
            .map_or_else(|_| Value::String(number.clone()), Value::Number),
        ("NULL", _) => Value::Null,
        ("L", Value::Array(values)) => values.iter().map(plain).collect(),
        ("M", value @ Value::Object(_)) => plain_item(value),
        (_, value) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_become_plain_json_to_the_digit() {
        let item = json!({"s": {"S": "x"}, "n": {"N": "150.75"}, "b": {"BOOL": true},
            "z": {"NULL": true}, "l": {"L": [{"N": "1"}]}, "m": {"M": {"a": {"S": "b"}}}});
        let expected = json!({"b": true, "l": [1], "m": {"a": "b"}, "s": "x", "z": null,
            "n": "150.75".parse::<Number>().unwrap()});
        assert_eq!(plain_item(&item), expected);
    }
}
