//! The log groups of the template that a function reads: what functions write goes there, too.
//! (Everything that is logged is printed, and in the data directory, anyway.)

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use aws_endpoint::Endpoint;
use jiff::Timestamp;
use lambda_host::log_sink::{LogLine, LogSink};

/// Passes all lines on, and puts those of functions whose log group is read into it.
pub(crate) struct LogGroups {
    next: Arc<dyn LogSink>,
    endpoint: Weak<Endpoint>,
    /// By function.
    groups: BTreeMap<String, String>,
}

impl LogGroups {
    /// Creates the groups that a function is told of in its environment; nobody else can read
    /// one here.
    pub(crate) fn new(
        next: Arc<dyn LogSink>,
        endpoint: &Arc<Endpoint>,
        stack: &sam_template::Stack,
    ) -> Self {
        let functions = stack.functions.iter();
        let groups: BTreeMap<_, _> = functions
            .filter_map(|one| Some((one.name.clone(), one.log_group.clone()?)))
            .filter(|(_, group)| is_read(stack, group))
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

fn is_read(stack: &sam_template::Stack, group: &String) -> bool {
    let mut functions = stack.functions.iter();
    functions.any(|one| one.environment.values().any(|value| value == group))
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
