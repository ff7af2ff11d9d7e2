//! An operator's way into AWS: keys and region from the environment, or else from the AWS CLI,
//! which knows profiles, roles and single sign-on.

use std::process::Stdio;
use std::time::Duration;

use aws_adapters::connection::AccessKeys;
use serde::Deserialize;
use tokio::process::Command;

use super::SystemError;

/// The AWS CLI may ask for a second factor meanwhile.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where to, and with which keys.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) region: String,
    pub(super) keys: AccessKeys,
    /// What stands for AWS, if anything does.
    pub(super) endpoint: Option<String>,
}

/// What `aws configure export-credentials --format process` prints.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Exported {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

/// Keys and region: what was said, what the environment has, what the AWS CLI knows.
pub(super) async fn find(
    region: Option<&str>,
    profile: Option<&str>,
) -> Result<Access, SystemError> {
    let keys = match keys_of(variable).filter(|_| profile.is_none()) {
        Some(keys) => keys,
        None => exported(profile).await?,
    };
    let said = region.map(str::to_owned);
    let set = || variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    let region = match said.or_else(set) {
        Some(region) => region,
        None => configured_region(profile).await?,
    };
    Ok(Access {
        region,
        keys,
        endpoint: variable("AWS_ENDPOINT_URL"),
    })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn keys_of(variable: impl Fn(&str) -> Option<String>) -> Option<AccessKeys> {
    Some(AccessKeys {
        id: variable("AWS_ACCESS_KEY_ID")?,
        secret: variable("AWS_SECRET_ACCESS_KEY")?,
        session_token: variable("AWS_SESSION_TOKEN"),
    })
}

async fn exported(profile: Option<&str>) -> Result<AccessKeys, SystemError> {
    let line = ["configure", "export-credentials", "--format", "process"];
    let printed = aws(&line, profile)
        .await
        .map_err(SystemError::NoCredentials)?;
    let exported: Exported = serde_json::from_str(&printed).map_err(|error| {
        SystemError::NoCredentials(format!(
            "`aws configure export-credentials` printed something else ({error}); it needs a newer \
             AWS CLI"
        ))
    })?;
    Ok(AccessKeys {
        id: exported.access_key_id,
        secret: exported.secret_access_key,
        session_token: exported.session_token,
    })
}

async fn configured_region(profile: Option<&str>) -> Result<String, SystemError> {
    // Where it is not configured, or there is no AWS CLI, there is none.
    let printed = aws(&["configure", "get", "region"], profile).await;
    let region = printed.unwrap_or_default().trim().to_owned();
    if region.is_empty() {
        return Err(SystemError::NoRegion);
    }
    Ok(region)
}

/// What the AWS CLI prints; or why it does not.
async fn aws(arguments: &[&str], profile: Option<&str>) -> Result<String, String> {
    let mut command = Command::new("aws");
    command.args(arguments);
    if let Some(profile) = profile {
        command.args(["--profile", profile]);
    }
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                "AWS_ACCESS_KEY_ID is not set, and there is no AWS CLI".to_owned()
            }
            _ => format!("the AWS CLI cannot be run: {error}"),
        })?;
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .map_err(|_| format!("`aws {}` did not end", arguments.join(" ")))?
        .map_err(|error| format!("the AWS CLI cannot be run: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the AWS CLI says: {}", said.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_environment_need_id_and_secret_and_no_log_has_the_secret() {
        let only_id = |name: &str| (name == "AWS_ACCESS_KEY_ID").then(|| "id".to_owned());
        assert_eq!(keys_of(only_id), None);
        let all = keys_of(|name| Some(format!("value of {name}"))).unwrap();
        assert_eq!(all.secret, "value of AWS_SECRET_ACCESS_KEY");
        assert!(!format!("{all:?}").contains("AWS_SECRET_ACCESS_KEY"));
    }

    #[test]
    fn what_the_aws_cli_exports_is_read() {
        let printed = r#"{"Version": 1, "AccessKeyId": "a", "SecretAccessKey": "b",
            "SessionToken": "c", "Expiration": "2026-01-01T00:00:00+00:00"}"#;
        let exported: Exported = serde_json::from_str(printed).unwrap();
        assert_eq!(exported.access_key_id, "a");
        assert_eq!(exported.session_token.as_deref(), Some("c"));
    }
}
