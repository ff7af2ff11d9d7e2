//! SSM Parameter Store: the parameters that the host sets, and those that are
//! put. The host sets its own again at every start, so only those that were
//! put are kept in the data directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::now_seconds;
use crate::files::replace_private;
use crate::{ApiError, EndpointError};

/// Members of `PutParameter` that are served, and those that change nothing
/// about what is read later.
const TAKEN: [&str; 7] = [
    "Description",
    "KeyId",
    "Name",
    "Overwrite",
    "Tags",
    "Type",
    "Value",
];

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Parameter {
    value: String,
    secure: bool,
    version: u64,
    modified: i64,
    /// Set by `PutParameter`, so that no start may set it back.
    #[serde(skip, default = "kept_ones_were_put")]
    put: bool,
}

fn kept_ones_were_put() -> bool {
    true
}

#[derive(Debug, Default)]
pub(crate) struct Parameters {
    by_name: Mutex<BTreeMap<String, Parameter>>,
    region: String,
    account: String,
    /// Where parameters are kept; none for an ephemeral endpoint.
    file: Option<PathBuf>,
}

impl Parameters {
    /// Opens the store, with what was put into it before.
    pub(crate) fn open(
        directory: Option<&Path>,
        region: &str,
        account: &str,
    ) -> Result<Self, EndpointError> {
        let file = directory.map(|directory| directory.join("parameters.json"));
        let kept = match file.as_ref().filter(|file| file.exists()) {
            Some(file) => read(file)?,
            None => BTreeMap::new(),
        };
        Ok(Self {
            by_name: Mutex::new(kept),
            region: region.to_owned(),
            account: account.to_owned(),
            file,
        })
    }

    /// Gives a parameter its initial value. One that was put stays as it is.
    pub(crate) fn set(&self, name: &str, value: &str, secure: bool) {
        let mut parameters = self.parameters();
        let old = parameters.get(name);
        if old.is_some_and(|old| old.put) {
            return;
        }
        let parameter = Parameter {
            value: value.to_owned(),
            secure,
            version: next_version(old),
            modified: now_seconds(),
            put: false,
        };
        parameters.insert(name.to_owned(), parameter);
    }

    fn parameters(&self) -> MutexGuard<'_, BTreeMap<String, Parameter>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn call(&self, operation: &str, request: &Value) -> Result<Value, ApiError> {
        let decrypt = request["WithDecryption"] == json!(true);
        match operation {
            "PutParameter" => self.put(request),
            "GetParameter" => {
                let name = request["Name"].as_str().unwrap_or_default();
                let parameter = self.describe(name, decrypt).ok_or_else(|| {
                    ApiError::new("ParameterNotFound", format!("Parameter {name} not found."))
                })?;
                Ok(json!({"Parameter": parameter}))
            }
            "GetParameters" => self.several(request, decrypt),
            _ => Err(ApiError::unknown_operation("ssm", operation)),
        }
    }

    fn several(&self, request: &Value, decrypt: bool) -> Result<Value, ApiError> {
        let names = request["Names"].as_array();
        let names: Vec<&str> = names
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if names.is_empty() || names.len() > 10 {
            return Err(ApiError::validation(
                "1 validation error detected: Value at 'names' failed to satisfy constraint: \
                 Member must have length between 1 and 10",
            ));
        }
        let (mut found, mut invalid) = (Vec::new(), Vec::new());
        for name in names {
            match self.describe(name, decrypt) {
                Some(parameter) => found.push(parameter),
                None => invalid.push(name),
            }
        }
        Ok(json!({"Parameters": found, "InvalidParameters": invalid}))
    }

    /// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html>
    fn put(&self, request: &Value) -> Result<Value, ApiError> {
        refuse_ignored(request)?;
        let text = |field: &str| request[field].as_str().filter(|text| !text.is_empty());
        let (Some(name), Some(value)) = (text("Name"), text("Value")) else {
            return Err(ApiError::validation(
                "PutParameter needs a Name and a Value, neither empty",
            ));
        };
        let mut parameters = self.parameters();
        let old = parameters.get(name);
        if old.is_some() && request["Overwrite"] != json!(true) {
            return Err(ApiError::new(
                "ParameterAlreadyExists",
                "The parameter already exists. To overwrite this value, set the overwrite option \
                 in the request to true.",
            ));
        }
        let parameter = Parameter {
            value: value.to_owned(),
            secure: is_secure(text("Type"), old)?,
            version: next_version(old),
            modified: now_seconds(),
            put: true,
        };
        let version = parameter.version;
        let mut changed = parameters.clone();
        changed.insert(name.to_owned(), parameter);
        self.keep(&changed)?;
        *parameters = changed;
        Ok(json!({"Version": version, "Tier": "Standard"}))
    }

    /// Writes what was put to disk.
    fn keep(&self, parameters: &BTreeMap<String, Parameter>) -> Result<(), ApiError> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let put: BTreeMap<&String, &Parameter> = parameters
            .iter()
            .filter(|(_, parameter)| parameter.put)
            .collect();
        replace_private(file, &json!(put).to_string().into_bytes())
            .map_err(|error| ApiError::internal(error.to_string()))
    }

    fn describe(&self, name: &str, decrypt: bool) -> Option<Value> {
        // An ARN drops the slash of a name that begins with one.
        let (plain, from_arn) = match name.rsplit_once(":parameter/") {
            Some((_, plain)) => (plain, true),
            None => (name, false),
        };
        let parameters = self.parameters();
        let with_slash = format!("/{plain}");
        let (name, parameter) = parameters
            .get_key_value(plain)
            .or_else(|| parameters.get_key_value(&with_slash).filter(|_| from_arn))?;
        // What an encrypted value looks like to who forgot to ask for the plain one.
        let value = if parameter.secure && !decrypt {
            "AQICAHencryptedByTheLocalEndpoint"
        } else {
            &parameter.value
        };
        Some(json!({
            "Name": name,
            "Type": if parameter.secure { "SecureString" } else { "String" },
            "Value": value,
            "Version": parameter.version,
            "LastModifiedDate": parameter.modified,
            "DataType": "text",
            "ARN": format!(
                "arn:aws:ssm:{}:{}:parameter/{}",
                self.region,
                self.account,
                name.trim_start_matches('/')
            ),
        }))
    }
}

fn read(file: &Path) -> Result<BTreeMap<String, Parameter>, EndpointError> {
    let failed = |what: String| EndpointError::Storage {
        path: file.to_owned(),
        what,
    };
    let text = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))
}

fn next_version(old: Option<&Parameter>) -> u64 {
    old.map_or(1, |old| old.version + 1)
}

/// The type asked for, or else the one that the parameter has.
fn is_secure(asked: Option<&str>, old: Option<&Parameter>) -> Result<bool, ApiError> {
    match (asked, old) {
        (Some("String"), _) => Ok(false),
        (Some("SecureString"), _) => Ok(true),
        (None, Some(old)) => Ok(old.secure),
        (None, None) => Err(ApiError::validation(
            "A parameter type is required when you create a parameter.",
        )),
        (Some(other), _) => Err(ApiError::new(
            "UnsupportedParameterType",
            format!("The local endpoint keeps String and SecureString, not {other}."),
        )),
    }
}

/// Refuses members that would have an effect on AWS and have none here.
fn refuse_ignored(request: &Value) -> Result<(), ApiError> {
    let given = request.as_object().into_iter().flatten();
    for (member, value) in given.filter(|(_, value)| !value.is_null()) {
        let supported = match member.as_str() {
            "DataType" => value == "text",
            "Tier" => value == "Standard",
            other => TAKEN.contains(&other),
        };
        if !supported {
            return Err(ApiError::unsupported(format!("{member} of PutParameter")));
        }
    }
    Ok(())
}
