//! The system that an operator's command works on: a `cargo local` that runs, the one that is
//! kept in a folder, or a stack in AWS. All are spoken to in the same way: by AWS's clients, with
//! the names that the stack keeps of itself in a parameter.

mod access;
mod error;
mod resources;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use aws_adapters::connection::{AccessKeys, Connection};
use aws_adapters::dynamodb_dead_letters::DynamoDbDeadLetters;
use aws_adapters::function_calls::FunctionCalls;
use aws_adapters::parameter_store;
use aws_endpoint::Endpoint;

use super::interruption::Interruption;
use super::running::Running;
use super::{options, shut_down, start};
use crate::cli::{StackArgs, SystemArgs};
use crate::error::LocalError;
use crate::guard;
use crate::http_client::HttpClient;
use crate::stack::{self, REGION, Stack};
use crate::store_view::Tables;
pub use error::SystemError;
use resources::Resources;

/// Name of the stack that the local run is.
const LOCAL_STACK: &str = "local";
/// The caller by which a local system counts what operators do.
const LOCAL_CALLER: &str = "local-operator";
/// Longest that a function of Lambda runs, and a little more.
const LONGEST_CALL: Duration = Duration::from_secs(15 * 60 + 10);

/// What a command needs of a system that does not run yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// To read its tables. Nothing is run.
    Tables,
    /// To call its functions, too.
    Functions,
}

/// What was started for one command, over a folder.
enum Own {
    Tables(Endpoint),
    Everything(Box<Stack>),
}

/// A system, reached.
pub(super) struct System {
    connection: Connection,
    resources: Resources,
    own: Option<Own>,
}

impl System {
    /// Finds the system that was asked for; none when that is interrupted.
    ///
    /// # Errors
    /// [`LocalError`] says where it was looked for, and what to do.
    pub(super) async fn reach(
        shared: &StackArgs,
        args: &SystemArgs,
        needs: Needs,
        interruption: &mut Interruption,
    ) -> Result<Option<Self>, LocalError> {
        if let Some(stack) = &args.stack {
            let found = in_aws(stack, args);
            return interruption.or(found).await.transpose();
        }
        let Some(folder) = &args.data_dir else {
            let url = args.aws_endpoint.clone();
            guard::on_this_machine("--aws-endpoint", &url)?;
            return interruption.or(at(&url, None)).await.transpose();
        };
        let client = HttpClient::new();
        match interruption.or(Running::find(folder, &client)).await {
            None => Ok(None),
            Some(Some(running)) => interruption.or(at(&running.aws, None)).await.transpose(),
            Some(None) => kept(shared, folder, needs, interruption).await,
        }
    }

    /// The way to its tables.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The tables of events, stock and rows.
    pub(super) fn tables(&self) -> Result<Tables, SystemError> {
        let table = |id| self.resources.table(id).map(str::to_owned);
        Ok(Tables {
            event_store: table("EventStore")?,
            stock: table("Stock")?,
            orders: table("Orders")?,
            orders_green: table("OrdersGreen")?,
        })
    }

    /// Its dead letters.
    pub(super) fn dead_letters(&self) -> Result<DynamoDbDeadLetters, SystemError> {
        let table = self.resources.table("DeadLetters")?;
        Ok(DynamoDbDeadLetters::new(self.connection.dynamodb(), table))
    }

    /// URLs of its dead-letter queues, by consumer.
    pub(super) fn queues(&self) -> Result<&BTreeMap<String, String>, SystemError> {
        self.resources.queues()
    }

    /// The bucket of the archive.
    pub(super) fn archive(&self) -> Result<&str, SystemError> {
        self.resources.archive()
    }

    /// The name of the function with this program.
    pub(super) fn function(&self, program: &str) -> Result<&str, SystemError> {
        self.resources.function(program)
    }

    /// The way to its functions.
    pub(super) fn calls(&self) -> FunctionCalls {
        FunctionCalls::new(self.connection.lambda(LONGEST_CALL))
    }

    /// Ends what was started for the command.
    pub(super) async fn leave(self, interruption: &mut Interruption) -> Result<(), LocalError> {
        match self.own {
            None => Ok(()),
            Some(Own::Tables(endpoint)) => Ok(endpoint.shutdown().await?),
            Some(Own::Everything(stack)) => shut_down(*stack, interruption).await.map(|_| ()),
        }
    }
}

async fn in_aws(stack: &str, args: &SystemArgs) -> Result<System, LocalError> {
    let region = args.region.as_deref();
    let access = access::find(region, args.profile.as_deref()).await?;
    let endpoint = access.endpoint.as_deref();
    let connection = Connection::of_operator(&access.region, access.keys, endpoint)
        .map_err(SystemError::Roots)?;
    let place = match endpoint {
        None => format!("region {}", access.region),
        Some(url) => format!("{url} (AWS_ENDPOINT_URL)"),
    };
    Ok(find(connection, stack, &place, None).await?)
}

/// The local system whose AWS endpoint this is.
async fn at(url: &str, own: Option<Own>) -> Result<System, LocalError> {
    let keys = AccessKeys {
        id: LOCAL_CALLER.to_owned(),
        secret: LOCAL_CALLER.to_owned(),
        session_token: None,
    };
    let connection =
        Connection::of_operator(REGION, keys, Some(url)).map_err(SystemError::Roots)?;
    match find(connection, LOCAL_STACK, url, own).await {
        Err(SystemError::NoAnswer { .. }) => Err(SystemError::NotRunning {
            url: url.to_owned(),
        }
        .into()),
        other => Ok(other?),
    }
}

/// The system that is kept in a folder, on which nothing runs.
async fn kept(
    shared: &StackArgs,
    folder: &Path,
    needs: Needs,
    interruption: &mut Interruption,
) -> Result<Option<System>, LocalError> {
    if !folder.join("aws").is_dir() {
        return Err(SystemError::NothingKept(folder.to_owned()).into());
    }
    let mut options = options(shared)?;
    options.data_dir = Some(folder.to_owned());
    let own = match needs {
        Needs::Tables => Own::Tables(stack::tables_only(&options).await?),
        Needs::Functions => match start(options, interruption).await? {
            Some(stack) => Own::Everything(Box::new(stack)),
            None => return Ok(None),
        },
    };
    let url = match &own {
        Own::Tables(endpoint) => endpoint.url(),
        Own::Everything(stack) => stack.endpoint().url(),
    };
    interruption.or(at(&url, Some(own))).await.transpose()
}

async fn find(
    connection: Connection,
    stack: &str,
    place: &str,
    own: Option<Own>,
) -> Result<System, SystemError> {
    let parameter = format!("/orderflow/stacks/{stack}");
    let value = parameter_store::find(&connection.ssm(), &parameter)
        .await
        .map_err(|error| SystemError::of_lookup(error, place))?
        .ok_or_else(|| SystemError::NoStack {
            stack: stack.to_owned(),
            place: place.to_owned(),
            parameter: parameter.clone(),
        })?;
    Ok(System {
        resources: Resources::parse(&value, &parameter)?,
        connection,
        own,
    })
}
