//! Why a system was not reached, and what to do about it.

use std::path::PathBuf;

use aws_adapters::environment::ConfigError;
use aws_adapters::parameter_store::LookupError;

/// What stands between an operator and a system.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// There are no keys.
    #[error(
        "there are no AWS credentials: {0}. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or \
         sign in with the AWS CLI (`aws sso login`, `aws configure`) and name its profile with \
         --profile"
    )]
    NoCredentials(String),
    /// It is not said in which region the stack is.
    #[error(
        "no region is set: give --region NAME, set AWS_REGION, or `aws configure set region NAME`"
    )]
    NoRegion,
    /// The roots of TLS cannot be used.
    #[error("{}: {}; correct or unset it", .0.variable, .0.reason)]
    Roots(ConfigError),
    /// The keys were refused.
    #[error(
        "AWS does not accept the credentials in {place} ({code}): they are wrong or have expired; \
         sign in again (`aws sso login`), or set new ones"
    )]
    BadCredentials {
        /// Where.
        place: String,
        /// AWS's code.
        code: String,
    },
    /// The keys may not read the parameter, or AWS refuses for another reason.
    #[error(
        "the stack cannot be looked up in {place}: {reason}; the operator needs \
         ssm:GetParameter on /orderflow/stacks/*"
    )]
    Refused {
        /// Where.
        place: String,
        /// What AWS says.
        reason: String,
    },
    /// Nobody answered.
    #[error("{place} does not answer: {reason}; look at --region and at the network")]
    NoAnswer {
        /// Where.
        place: String,
        /// What went wrong.
        reason: String,
    },
    /// Nothing runs there.
    #[error(
        "no system runs at {url}; start one with `cargo local`, or say which one: --data-dir DIR \
         (where it keeps its data), --aws-endpoint URL, or --stack NAME (in AWS)"
    )]
    NotRunning {
        /// The address.
        url: String,
    },
    /// Nothing runs on the folder.
    #[error("no system runs on {}; start one with `cargo local --data-dir {}`", .0.display(), .0.display())]
    NoneRuns(PathBuf),
    /// The folder is not one of a system.
    #[error("{} keeps no system; name the folder that `cargo local --data-dir` was given", .0.display())]
    NothingKept(PathBuf),
    /// There is no such stack.
    #[error(
        "there is no stack {stack} in {place}: it has no parameter {parameter}. Look at the name, \
         --region and --profile (`aws cloudformation list-stacks` has the names); a stack that was \
         deployed before it kept such a parameter needs a `sam deploy`"
    )]
    NoStack {
        /// Its name.
        stack: String,
        /// Where it was looked for.
        place: String,
        /// The parameter.
        parameter: String,
    },
    /// The parameter is not what the template writes.
    #[error(
        "parameter {parameter} is not what the template writes ({reason}); deploy the stack again"
    )]
    Unreadable {
        /// The parameter.
        parameter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It has no archive.
    #[error(
        "the stack archives nothing: its parameter Analytics is Disabled; enable it, and deploy"
    )]
    NoArchive,
    /// The stack does not have something.
    #[error(
        "the stack has no {kind} {name} (parameter {parameter}); deploy it again, from this version"
    )]
    Missing {
        /// Table, function or queues.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Where it was looked for.
        parameter: String,
    },
}

/// What AWS says of keys that it does not accept.
/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/CommonErrors.html>
const BAD_CREDENTIALS: [&str; 6] = [
    "ExpiredTokenException",
    "ExpiredToken",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "IncompleteSignature",
];

impl SystemError {
    pub(super) fn of_lookup(error: LookupError, place: &str) -> Self {
        let place = place.to_owned();
        match &error.code {
            None => Self::NoAnswer {
                place,
                reason: error.to_string(),
            },
            Some(code) if BAD_CREDENTIALS.contains(&code.as_str()) => Self::BadCredentials {
                place,
                code: code.clone(),
            },
            Some(_) => Self::Refused {
                place,
                reason: error.to_string(),
            },
        }
    }
}
