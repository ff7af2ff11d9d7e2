//! The log groups of the template: what functions write goes there, too.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use aws_endpoint::Endpoint;
use jiff::Timestamp;
use lambda_host::log_sink::{LogLine, LogSink};

/// Passes all lines on, and puts those of functions that have a log group of the template into it.
pub(crate) struct LogGroups {
    next: Arc<dyn LogSink>,
    endpoint: Weak<Endpoint>,
    /// By function.
    groups: BTreeMap<String, String>,
}

impl LogGroups {
    /// Creates the groups. (The groups that Lambda makes by itself are not served.)
    pub(crate) fn new(
        next: Arc<dyn LogSink>,
        endpoint: &Arc<Endpoint>,
        stack: &sam_template::Stack,
    ) -> Self {
        let functions = stack.functions.iter();
        let groups: BTreeMap<_, _> = functions
            .filter_map(|one| Some((one.name.clone(), one.log_group.clone()?)))
            .collect();
        for group in groups.values() {
            endpoint.create_log_group(group);
        }
        Self {
            next,
            endpoint: Arc::downgrade(endpoint),
            groups,
        }
    }
}

impl LogSink for LogGroups {
    fn line(&self, line: &LogLine<'_>) {
        if let Some(group) = self.groups.get(line.function)
            && let Some(endpoint) = self.endpoint.upgrade()
        {
            let stream = line.process.to_string();
            let now = Timestamp::now().as_millisecond();
            endpoint.put_log_line(group, &stream, now, line.text);
        }
        self.next.line(line);
    }
}
