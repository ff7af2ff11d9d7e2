//! A SAM or CloudFormation template as a typed plan of what to run locally.
//!
//! [`Stack::from_yaml`] resolves every intrinsic function and reads every resource; a type or
//! property that is neither acted on nor listed as without local effect is an error that names
//! it. The crate does no I/O. In reading order:
//!
//! - [`stack`]: the whole template; [`error`]: what can be wrong with it.
//! - [`function`], [`table`], [`queue`], [`api`], [`stored`]: resources; [`data_stream`],
//!   [`delivery_stream`], [`places`]: where events go that are analysed and archived.
//! - [`watching`]: alarms and dashboards.
//! - [`rule`], [`mapping`], [`schedule`], [`route`]: what makes functions run; [`auth`]: who may.
//! - [`policy`], [`role`]: what functions and services may do.
//! - [`pattern`]: EventBridge's event patterns; [`input`]: what a target gets.
//!
//! ```
//! use sam_template::{Context, Stack};
//!
//! let yaml = "
//! Resources:
//!   Orders:
//!     Type: AWS::SQS::Queue
//! Outputs:
//!   Url: {Value: !Ref Orders}
//! ";
//! let stack = Stack::from_yaml(yaml, &Context::default())?;
//! assert_eq!(stack.outputs["Url"], "http://127.0.0.1:4566/000000000000/local-Orders");
//! # Ok::<(), sam_template::TemplateError>(())
//! ```

use std::collections::BTreeMap;

pub mod api;
pub mod auth;
pub mod data_stream;
pub mod delivery_stream;
pub mod error;
mod event;
pub mod function;
mod globals;
mod inert;
pub mod input;
mod intrinsic;
pub mod mapping;
mod node;
mod parameter;
pub mod pattern;
mod physical;
pub mod places;
pub mod policy;
mod properties;
pub mod queue;
pub mod role;
pub mod route;
pub mod rule;
pub mod schedule;
pub mod stack;
pub mod stored;
pub mod table;
pub mod watching;

pub use api::{HttpApi, Throttle};
pub use auth::{ApiAuth, Authorization, IdentitySource, JwtAuthorizer, RouteAuth};
pub use data_stream::KinesisStream;
pub use delivery_stream::DeliveryStream;
pub use error::{Place, TemplateError};
pub use function::Function;
pub use input::{JsonPath, TargetInput};
pub use mapping::{Mapping, MappingSource, StartingPosition};
pub use pattern::{EventPattern, PatternError};
pub use physical::ExplicitName;
pub use places::{Bucket, Topic};
pub use policy::Statement;
pub use queue::{Queue, Redrive};
pub use role::Role;
pub use route::{Route, RouteMatch};
pub use rule::{Bus, RetryPolicy, Rule, RuleTarget, Target};
pub use schedule::{Cadence, Schedule, ScheduleError, ScheduledBy};
pub use stack::{Key, Stack};
pub use stored::StoredParameter;
pub use table::Table;
pub use watching::{Alarm, Dashboard, WatchedMetric};

/// What the template's pseudo parameters and parameters stand for in a local run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// `AWS::Region`.
    pub region: String,
    /// `AWS::AccountId`, twelve digits.
    pub account_id: String,
    /// `AWS::StackName`.
    pub stack_name: String,
    /// The local AWS endpoint, such as `http://127.0.0.1:4566`; its authority is in queue URLs.
    pub aws_endpoint: String,
    /// Values for template parameters, before their defaults.
    pub parameters: BTreeMap<String, String>,
    /// Fixed values: `Id` for what `Ref` gives, `Id.Attribute` for `Fn::GetAtt` (such as
    /// `OrdersApi.ApiEndpoint`), `ssm:<name>` for a parameter of an SSM type, `parameter:<name>`
    /// for a parameter that has no default and is given no value.
    pub local: BTreeMap<String, String>,
}

impl Context {
    /// Host and port of the AWS endpoint.
    pub(crate) fn authority(&self) -> &str {
        let endpoint = self.aws_endpoint.as_str();
        let rest = endpoint
            .split_once("://")
            .map_or(endpoint, |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }
}

impl Default for Context {
    /// Region `us-east-1`, account `000000000000`, stack `local`, endpoint 127.0.0.1:4566.
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            account_id: "000000000000".to_owned(),
            stack_name: "local".to_owned(),
            aws_endpoint: "http://127.0.0.1:4566".to_owned(),
            parameters: BTreeMap::new(),
            local: BTreeMap::new(),
        }
    }
}
