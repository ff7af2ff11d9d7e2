//! SSM Parameter Store: the parameters that the host sets, and those that are put.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use serde_json::{Value, json};

use crate::ApiError;
use crate::clock::now_seconds;

#[derive(Debug, Clone)]
struct Parameter {
    value: String,
    secure: bool,
    version: u64,
    modified: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Parameters {
    by_name: RwLock<BTreeMap<String, Parameter>>,
    region: String,
    account: String,
}

impl Parameters {
    pub(crate) fn new(region: &str, account: &str) -> Self {
        Self {
            by_name: RwLock::default(),
            region: region.to_owned(),
            account: account.to_owned(),
        }
    }

    pub(crate) fn set(&self, name: &str, value: &str, secure: bool) {
        let mut parameters = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        let version = parameters.get(name).map_or(1, |old| old.version + 1);
        parameters.insert(
            name.to_owned(),
            Parameter {
                value: value.to_owned(),
                secure,
                version,
                modified: now_seconds(),
            },
        );
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
            "GetParameters" => {
                let names = request["Names"].as_array();
                let names: Vec<&str> = names
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                if names.is_empty() || names.len() > 10 {
                    return Err(ApiError::validation(
                        "1 validation error detected: Value at 'names' failed to satisfy \
                         constraint: Member must have length between 1 and 10",
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
            _ => Err(ApiError::unknown_operation("ssm", operation)),
        }
    }

    /// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html>
    fn put(&self, request: &Value) -> Result<Value, ApiError> {
        let text = |field: &str| request[field].as_str().filter(|text| !text.is_empty());
        let (Some(name), Some(value)) = (text("Name"), text("Value")) else {
            return Err(ApiError::validation(
                "PutParameter needs a Name and a Value, neither empty",
            ));
        };
        let secure = match text("Type").unwrap_or("String") {
            "String" => false,
            "SecureString" => true,
            other => {
                return Err(ApiError::new(
                    "UnsupportedParameterType",
                    format!("The local endpoint keeps String and SecureString, not {other}."),
                ));
            }
        };
        if self.describe(name, false).is_some() && request["Overwrite"] != json!(true) {
            return Err(ApiError::new(
                "ParameterAlreadyExists",
                "The parameter already exists. To overwrite this value, set the overwrite option \
                 in the request to true.",
            ));
        }
        self.set(name, value, secure);
        let version = self
            .describe(name, false)
            .map(|parameter| parameter["Version"].clone());
        Ok(json!({"Version": version, "Tier": "Standard"}))
    }

    fn describe(&self, name: &str, decrypt: bool) -> Option<Value> {
        // An ARN drops the slash of a name that begins with one.
        let (plain, from_arn) = match name.rsplit_once(":parameter/") {
            Some((_, plain)) => (plain, true),
            None => (name, false),
        };
        let parameters = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
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
