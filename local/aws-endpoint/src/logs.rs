//! `CloudWatch` Logs: lines that the host puts into log groups, and `FilterLogEvents`. The lines
//! are in a file, one JSON object each, so that they take no memory and survive a crash of the
//! process; a page is read from it. Nothing is ever removed, whatever the retention.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{ApiError, EndpointError};

/// Most events of a page, and most bytes of their messages.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html>
const MAX_EVENTS: usize = 10_000;
const MAX_BYTES: usize = 1024 * 1024;
/// Members of `FilterLogEvents` that are served.
const TAKEN: [&str; 6] = [
    "endTime",
    "filterPattern",
    "limit",
    "logGroupName",
    "nextToken",
    "startTime",
];

/// A line, as the file has it.
#[derive(Serialize, Deserialize)]
struct Line {
    group: String,
    stream: String,
    at: i64,
    message: String,
}

#[derive(Debug)]
pub(crate) struct Logs {
    path: PathBuf,
    file: Mutex<File>,
    groups: Mutex<BTreeSet<String>>,
}

/// What is asked for.
struct Query {
    group: String,
    /// A field, and the text that it must have, or any.
    field: Option<(String, Option<String>)>,
    from: i64,
    until: i64,
    limit: usize,
    /// Where in the file the page starts.
    offset: u64,
}

impl Logs {
    /// Opens the lines of a data directory.
    pub(crate) fn open(directory: &Path) -> Result<Self, EndpointError> {
        let path = directory.join("logs.jsonl");
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let mut file = file.map_err(|error| EndpointError::Storage {
            path: path.clone(),
            what: error.to_string(),
        })?;
        // What a crash cut off must not run into the next line; an empty line is passed over.
        let _ = file.write_all(b"\n");
        Ok(Self {
            path,
            file: Mutex::new(file),
            groups: Mutex::default(),
        })
    }

    pub(crate) fn create_group(&self, name: &str) {
        self.groups().insert(name.to_owned());
    }

    /// Adds a line to a group.
    pub(crate) fn put(&self, group: &str, stream: &str, at: i64, message: &str) {
        let line = Line {
            group: group.to_owned(),
            stream: stream.to_owned(),
            at,
            message: message.to_owned(),
        };
        if let Ok(mut text) = serde_json::to_vec(&line) {
            text.push(b'\n');
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            // A disk that is full loses the line; as on AWS, nobody waits for a log.
            let _ = file.write_all(&text);
        }
    }

    fn groups(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn call(&self, operation: &str, request: &Value) -> Result<Value, ApiError> {
        if operation != "FilterLogEvents" {
            return Err(ApiError::unknown_operation("logs", operation));
        }
        let query = Query::parse(request)?;
        if !self.groups().contains(&query.group) {
            return Err(ApiError::new(
                "ResourceNotFoundException",
                "The specified log group does not exist.",
            ));
        }
        self.page(&query)
            .map_err(|error| ApiError::internal(error.to_string()))
    }

    fn page(&self, query: &Query) -> std::io::Result<Value> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(query.offset))?;
        let mut lines = BufReader::new(file);
        let (mut offset, mut bytes, mut events) = (query.offset, 0, Vec::new());
        let mut text = Vec::new();
        loop {
            text.clear();
            let read = lines.read_until(b'\n', &mut text)?;
            // The last line may still be on its way.
            if read == 0 || text.last() != Some(&b'\n') {
                return Ok(json!({"events": events, "searchedLogStreams": []}));
            }
            let start = offset;
            offset += read as u64;
            let Some(line) = serde_json::from_slice(&text)
                .ok()
                .filter(|line| query.wants(line))
            else {
                continue;
            };
            bytes += line.message.len();
            events.push(json!({
                "eventId": format!("{start:056}"),
                "logStreamName": line.stream,
                "timestamp": line.at,
                "ingestionTime": line.at,
                "message": line.message,
            }));
            if events.len() == query.limit || bytes >= MAX_BYTES {
                return Ok(json!({"events": events, "searchedLogStreams": [],
                    "nextToken": offset.to_string()}));
            }
        }
    }
}

impl Query {
    fn parse(request: &Value) -> Result<Self, ApiError> {
        let invalid = |message: String| ApiError::new("InvalidParameterException", message);
        let given = request.as_object().into_iter().flatten();
        for (member, _) in given.filter(|(_, value)| !value.is_null()) {
            if !TAKEN.contains(&member.as_str()) {
                return Err(ApiError::unsupported(format!(
                    "{member} of FilterLogEvents"
                )));
            }
        }
        let limit = request["limit"].as_u64();
        if limit.is_some_and(|limit| !(1..=10_000).contains(&limit)) {
            return Err(invalid("limit must be from 1 to 10000".to_owned()));
        }
        let field =
            match request["filterPattern"].as_str().map(str::trim) {
                None | Some("") => None,
                Some(pattern) => Some(condition(pattern).ok_or_else(|| {
                    ApiError::unsupported(format!("the filter pattern {pattern}"))
                })?),
            };
        let offset = match request["nextToken"].as_str() {
            None => 0,
            Some(token) => token
                .parse()
                .map_err(|_| invalid("The specified nextToken is invalid.".to_owned()))?,
        };
        Ok(Self {
            group: request["logGroupName"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            field,
            from: request["startTime"].as_i64().unwrap_or(i64::MIN),
            until: request["endTime"].as_i64().unwrap_or(i64::MAX),
            limit: limit.map_or(MAX_EVENTS, |limit| {
                usize::try_from(limit).unwrap_or(MAX_EVENTS)
            }),
            offset,
        })
    }

    fn wants(&self, line: &Line) -> bool {
        let matches = |(name, wanted): &(String, Option<String>)| {
            let message = serde_json::from_str::<Value>(&line.message).unwrap_or_default();
            let text = message[name.as_str()].as_str();
            text.is_some_and(|text| wanted.as_deref().is_none_or(|wanted| wanted == text))
        };
        line.group == self.group
            && (self.from..=self.until).contains(&line.at)
            && self.field.as_ref().is_none_or(matches)
    }
}

/// The field and the value of `{ $.field = "value" }`, where `*` is any; none for another pattern.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html>
fn condition(pattern: &str) -> Option<(String, Option<String>)> {
    let inner = pattern.strip_prefix('{')?.strip_suffix('}')?;
    let (field, value) = inner.split_once('=')?;
    let name = field.trim().strip_prefix("$.")?;
    let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
    let plain = |text: &str| {
        text.chars()
            .all(|one| one.is_ascii_alphanumeric() || one == '_')
    };
    let wanted = (value != "*").then(|| value.to_owned());
    let known = wanted
        .as_ref()
        .is_none_or(|text| !text.contains(['"', '*', '\\']));
    (plain(name) && !name.is_empty() && known).then(|| (name.to_owned(), wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(answer: &Value) -> Vec<&str> {
        let events = answer["events"].as_array().unwrap();
        events
            .iter()
            .map(|event| event["message"].as_str().unwrap())
            .collect()
    }

    fn filter(logs: &Logs, request: Value) -> Result<Value, ApiError> {
        logs.call("FilterLogEvents", &request)
    }

    #[test]
    fn lines_are_filtered_by_group_time_and_field_and_come_in_pages_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let line = |number| format!(r#"{{"message":"published","n":{number}}}"#);
        let logs = Logs::open(folder.path()).unwrap();
        for number in 0..5 {
            logs.put("a", "s", number, &line(number));
            logs.put("a", "s", number, r#"{"message":"not published"}"#);
            logs.put("b", "s", number, &line(number));
        }
        logs.put("a", "s", 2, "no JSON");
        drop(logs);
        // A crash in the middle of a line.
        let path = folder.path().join("logs.jsonl");
        let cut = OpenOptions::new().append(true).open(path);
        cut.unwrap().write_all(br#"{"group":"a","#).unwrap();

        let logs = Logs::open(folder.path()).unwrap();
        logs.create_group("a");
        logs.put("a", "s", 9, &line(9));
        let pattern = r#"{ $.message = "published" }"#;
        let mut request = json!({"logGroupName": "a", "filterPattern": pattern,
            "startTime": 1, "endTime": 9, "limit": 3});
        let first = filter(&logs, request.clone()).unwrap();
        assert_eq!(messages(&first), [line(1), line(2), line(3)]);
        request["nextToken"] = first["nextToken"].clone();
        let second = filter(&logs, request).unwrap();
        assert_eq!(messages(&second), [line(4), line(9)]);
        assert_eq!(second["nextToken"], Value::Null);
        let any = json!({"logGroupName": "a", "filterPattern": r#"{ $.message = "*" }"#});
        assert_eq!(
            messages(&filter(&logs, any).unwrap()).len(),
            11,
            "all that have it"
        );
        let all = filter(&logs, json!({"logGroupName": "a"})).unwrap();
        assert_eq!(messages(&all).len(), 12);
    }

    #[test]
    fn what_is_not_served_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::open(folder.path()).unwrap();
        logs.create_group("a");
        for (request, code) in [
            (json!({"logGroupName": "b"}), "ResourceNotFoundException"),
            (
                json!({"logGroupName": "a", "limit": 0}),
                "InvalidParameterException",
            ),
            (
                json!({"logGroupName": "a", "nextToken": "x"}),
                "InvalidParameterException",
            ),
        ] {
            assert_eq!(filter(&logs, request).unwrap_err().code, code);
        }
        for request in [
            json!({"logGroupName": "a", "filterPattern": "published"}),
            json!({"logGroupName": "a", "filterPattern": r#"{ $.a = "b*" }"#}),
            json!({"logGroupName": "a", "logStreamNames": ["s"]}),
        ] {
            assert!(filter(&logs, request.clone()).is_err(), "{request}");
        }
    }
}
