//! Nothing here ever reaches AWS: the developer's environment is looked at first.

use std::ffi::OsString;

use crate::error::LocalError;

/// Refuses an environment that points AWS clients anywhere but to this machine. What else it has
/// (profiles, keys) is never read and never handed to a function.
///
/// # Errors
/// [`LocalError::RealAws`] names the variable.
pub fn refuse_real_aws(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), LocalError> {
    for (variable, value) in environment {
        // What is no text cannot be the name; a value that is none is no address of this machine.
        let (variable, value) = (variable.to_string_lossy(), value.to_string_lossy());
        let names_an_endpoint =
            variable == "AWS_ENDPOINT_URL" || variable.starts_with("AWS_ENDPOINT_URL_");
        if names_an_endpoint && !value.is_empty() && !is_loopback(&value) {
            return Err(LocalError::RealAws {
                variable: variable.into_owned(),
                value: value.into_owned(),
            });
        }
    }
    Ok(())
}

/// Refuses what an option names that is not on this machine.
///
/// # Errors
/// [`LocalError::RealAws`] names the option.
pub(crate) fn on_this_machine(option: &str, url: &str) -> Result<(), LocalError> {
    if is_loopback(url) {
        return Ok(());
    }
    Err(LocalError::RealAws {
        variable: option.to_owned(),
        value: url.to_owned(),
    })
}

/// Whether a URL's host is this machine.
#[must_use]
pub fn is_loopback(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    // `user@host` is how a URL hides where it goes.
    if authority.contains('@') {
        return false;
    }
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => authority.split(':').next().unwrap_or(authority),
    };
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variable: &str, value: &str) -> Vec<(OsString, OsString)> {
        vec![(variable.into(), value.into())]
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_utf_8_in_the_environment_is_looked_at_like_the_rest() {
        use std::os::unix::ffi::OsStringExt as _;
        let odd = || OsString::from_vec(vec![b'a', 0xff]);
        assert!(refuse_real_aws([(odd(), odd())]).is_ok());
        assert!(refuse_real_aws([("AWS_ENDPOINT_URL".into(), odd())]).is_err());
    }

    #[test]
    fn an_endpoint_on_this_machine_is_accepted() {
        for url in [
            "http://127.0.0.1:4566",
            "http://localhost:8000/path",
            "http://[::1]:4566",
            "127.8.0.1",
        ] {
            assert!(is_loopback(url), "{url}");
            assert!(refuse_real_aws(environment("AWS_ENDPOINT_URL", url)).is_ok());
        }
        assert!(refuse_real_aws(environment("AWS_PROFILE", "production")).is_ok());
    }

    #[test]
    fn an_endpoint_elsewhere_is_refused_with_its_variable() {
        for url in [
            "https://dynamodb.us-east-1.amazonaws.com",
            "http://10.0.0.7:4566",
            "http://localhost.evil.example",
            "http://127.0.0.1@evil.example",
        ] {
            let refused = refuse_real_aws(environment("AWS_ENDPOINT_URL_DYNAMODB", url));
            let message = refused.unwrap_err().to_string();
            assert!(message.contains("AWS_ENDPOINT_URL_DYNAMODB"), "{message}");
        }
    }
}
