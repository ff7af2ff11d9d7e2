//! Why the local run cannot start or go on, and what to do about it.

use std::path::PathBuf;

use aws_endpoint::{ApiError, EndpointError};
use lambda_host::HostError;
use sam_template::TemplateError;

/// What went wrong. Every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// No template was named, and there is none here or above.
    #[error("there is no template.yaml in {} or above it; say where it is with --template FILE", .0.display())]
    TemplateNotFound(PathBuf),
    /// A file or folder cannot be used.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The template is not valid, or says something that is not known here.
    #[error("{}: {source}", .path.display())]
    Template {
        /// The template.
        path: PathBuf,
        /// What is wrong, with its place.
        source: Box<TemplateError>,
    },
    /// The template says something that is known, but that the local run does not do.
    #[error(
        "`{resource}` {problem}; nothing is skipped silently, so put it behind a Condition that \
         is false locally, or teach the local run to do it"
    )]
    NotDriven {
        /// The resource, function or rule.
        resource: String,
        /// What it asks for.
        problem: String,
    },
    /// The environment points to AWS itself.
    #[error(
        "{variable} is {value}, which is not on this machine; the local run never talks to AWS: \
         unset {variable}, or point it to 127.0.0.1 (operator's commands go there by --stack NAME)"
    )]
    RealAws {
        /// The environment variable or option.
        variable: String,
        /// Its value.
        value: String,
    },
    /// A port is taken.
    #[error(
        "port {port} for {what} cannot be used ({source}); stop what listens there (is another \
         `cargo local` running?), or choose another with {option} N, or any free one with \
         {option} 0"
    )]
    Port {
        /// Who wanted it.
        what: &'static str,
        /// The port.
        port: u16,
        /// The option that chooses it.
        option: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The AWS endpoint cannot start or refuses a resource.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The functions cannot be hosted.
    #[error(transparent)]
    Host(#[from] HostError),
    /// There is no such function.
    #[error("there is no function {name}; the template has {known}")]
    UnknownFunction {
        /// As asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// The system did not come to rest.
    #[error("the system did not come to rest within {seconds} s: {state}")]
    NotQuiet {
        /// The deadline.
        seconds: u64,
        /// What was still going on.
        state: String,
    },
    /// What is stored cannot be read back.
    #[error("the store cannot be read: {0}")]
    Store(#[from] ApiError),
    /// A file of orders, samples or stock is not what it must be.
    #[error("{}{}: {problem}", .path.display(), .line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Input {
        /// The file.
        path: PathBuf,
        /// The line, 1-based, where there are lines.
        line: Option<usize>,
        /// What is wrong, and what it must be.
        problem: String,
    },
    /// A request of the local run to the running system was refused.
    #[error("{request} was refused: {answer}")]
    Refused {
        /// What was asked for.
        request: String,
        /// Status and body.
        answer: String,
    },
    /// A table of a stack cannot be read.
    #[error("{0}; the operator needs dynamodb:Scan and dynamodb:Query on it")]
    Table(#[from] aws_adapters::table_items::TableError),
    /// A function of a stack was not called.
    #[error(transparent)]
    Call(#[from] aws_adapters::function_calls::CallError),
    /// A Kafka topic cannot be read.
    #[error(transparent)]
    Kafka(#[from] crate::commands::KafkaError),
    /// The system that a command is for cannot be reached.
    #[error(transparent)]
    System(#[from] crate::commands::SystemError),
    /// The archive cannot be read.
    #[error(transparent)]
    Archive(#[from] crate::commands::ArchiveError),
    /// Nothing was done about dead letters.
    #[error(transparent)]
    Dlq(#[from] crate::commands::DlqError),
    /// The system that was started as a process of its own did not start, or ended.
    #[error("the system that was started for this does not run: {0}")]
    Server(String),
    /// A folder has something in it.
    #[error("{} is not empty; name a new or an empty folder, for what happened before is not known", .0.display())]
    NotEmpty(PathBuf),
    /// The local issuer of tokens has no key.
    #[error(transparent)]
    Key(#[from] crate::issuer::KeyError),
    /// There is no token for a request of the local run to the running system.
    #[error(transparent)]
    Token(#[from] crate::issuer::ask::TokenError),
    /// An HTTP request of the local run to itself failed.
    #[error("{0}")]
    Http(#[from] crate::http_client::HttpError),
}

impl LocalError {
    /// A file that cannot be used.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::File {
            path: path.into(),
            source,
        }
    }
}
