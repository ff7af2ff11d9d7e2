//! The functions as programs: this binary is every one of them, or they are built ones.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lambda_host::FunctionSpec;

use crate::error::LocalError;

/// First argument with which this binary runs as a function.
pub const FUNCTION_ARGUMENT: &str = "__function";

/// Begins the access key id of every function.
pub const FUNCTION_CALLER: &str = "local-";

/// Where the programs of the functions are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Programs {
    /// One program that is any of the functions: `PROGRAM __function place-order`.
    One(PathBuf),
    /// A folder of built functions: `DIR/place-order/bootstrap` as `cargo lambda build` leaves
    /// them, or `DIR/place-order`.
    Folder(PathBuf),
}

impl Programs {
    /// The program of a function.
    ///
    /// # Errors
    /// [`LocalError::NotDriven`] when this binary does not know the function or the folder does
    /// not have it.
    pub fn spec(&self, function: &sam_template::Function) -> Result<FunctionSpec, LocalError> {
        let missing = |problem: String| LocalError::NotDriven {
            resource: function.logical_id.clone(),
            problem,
        };
        let binary = function.binary.as_str();
        let mut spec = match self {
            Self::One(program) => {
                if !NAMES.contains(&binary) {
                    return Err(missing(format!(
                        "runs the binary {binary}, which is not built into the local run (it has {})",
                        NAMES.join(", ")
                    )));
                }
                let mut spec = FunctionSpec::new(&function.name, program);
                spec.args = vec![FUNCTION_ARGUMENT.to_owned(), binary.to_owned()];
                spec
            }
            Self::Folder(folder) => {
                let built = [folder.join(binary).join("bootstrap"), folder.join(binary)];
                let Some(program) = built.iter().find(|path| path.is_file()) else {
                    return Err(missing(format!(
                        "has no program {} (nor {}); build it with `cargo lambda build`",
                        built[0].display(),
                        built[1].display()
                    )));
                };
                FunctionSpec::new(&function.name, program)
            }
        };
        spec.timeout = function.timeout;
        spec.memory_mb = function.memory_mb;
        spec.reserved_concurrency = function.reserved_concurrency;
        Ok(spec)
    }
}

/// The environment of a function: what the template sets, and where AWS is. The key id is the
/// name under which the endpoint meters the function.
#[must_use]
pub fn environment(
    function: &sam_template::Function,
    region: &str,
    endpoint: &str,
) -> BTreeMap<String, String> {
    let mut environment = function.environment.clone();
    for (name, value) in [
        ("AWS_REGION", region),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_ACCESS_KEY_ID", &caller(&function.name)),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_ENDPOINT_URL", endpoint),
    ] {
        environment.insert(name.to_owned(), value.to_owned());
    }
    if let Some(level) = &function.log_level {
        environment.insert("AWS_LAMBDA_LOG_LEVEL".to_owned(), level.clone());
    }
    environment
}

/// The access key id with which a function signs.
#[must_use]
pub fn caller(function: &str) -> String {
    format!("{FUNCTION_CALLER}{function}")
}

macro_rules! functions {
    ($($name:literal => $run:path),+ $(,)?) => {
        /// The functions that this binary can be.
        pub const NAMES: &[&str] = &[$($name),+];

        /// Runs as one of the functions, until the platform ends it.
        ///
        /// # Errors
        /// What the function's own `run` returns, and a name that is none of [`NAMES`].
        pub fn run(name: &str) -> Result<(), lambda_runtime::Error> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            match name {
                $($name => runtime.block_on($run()),)+
                _ => Err(format!("{name} is no function; there are {}", NAMES.join(", ")).into()),
            }
        }
    };
}

functions! {
    "place-order" => place_order::run,
    "cancel-order" => cancel_order::run,
    "restock-inventory" => restock_inventory::run,
    "publish-events" => publish_events::run,
    "record-events" => record_events::run,
    "ingest-kafka" => ingest_kafka::run,
    "mirror-events" => mirror_events::run,
    "update-inventory" => update_inventory::run,
    "process-payment" => process_payment::run,
    "payment-webhook" => payment_webhook::run,
    "resolve-payment" => resolve_payment::run,
    "notify-user" => notify_user::run,
    "project-orders" => project_orders::run,
    "query-orders" => query_orders::run,
    "rebuild-orders" => rebuild_orders::run,
    "sweep-orders" => sweep_orders::run,
    "reconcile-events" => reconcile_events::run,
    "redrive-dlq" => redrive_dlq::run,
    "erase-user" => erase_user::run,
    "ingest-telemetry" => ingest_telemetry::run,
    "analyze-orders" => analyze_orders::run,
    "close-windows" => close_windows::run,
    "query-insights" => query_insights::run,
    "set-alarm-rules" => set_alarm_rules::run,
}
