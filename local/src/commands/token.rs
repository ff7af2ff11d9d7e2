//! `token`: an access token for the API of a system that runs.

use std::process::ExitCode;

use domain::access::Scope;

use super::interruption::Interruption;
use super::running::Running;
use super::{SystemError, interrupted, say};
use crate::cli::TokenArgs;
use crate::error::LocalError;
use crate::guard;
use crate::http_client::HttpClient;
use crate::issuer::ask::{self, OPERATOR, TokenError, Wanted};

/// Prints a token.
///
/// # Errors
/// [`LocalError::System`], when no system runs there; [`LocalError::Token`], when it takes the
/// tokens of another issuer.
pub async fn run(args: &TokenArgs) -> Result<ExitCode, LocalError> {
    let client = HttpClient::new();
    let mut interruption = Interruption::listen();
    let asked = interruption.or(asked(args, &client)).await;
    let Some(token) = asked else {
        return Ok(interrupted());
    };
    say(&token?);
    Ok(ExitCode::SUCCESS)
}

async fn asked(args: &TokenArgs, client: &HttpClient) -> Result<String, LocalError> {
    let aws = match &args.data_dir {
        None => args.aws_endpoint.trim_end_matches('/').to_owned(),
        Some(folder) => match Running::find(folder, client).await {
            Some(running) => running.aws,
            None => return Err(SystemError::NoneRuns(folder.clone()).into()),
        },
    };
    given(client, &aws, &wanted(args)).await
}

/// A token of the system with this AWS endpoint, which is on this machine.
///
/// # Errors
/// [`LocalError::RealAws`]; [`LocalError::System`], when no system runs there;
/// [`LocalError::Token`], when it takes the tokens of another issuer.
pub(super) async fn given(
    client: &HttpClient,
    aws: &str,
    wanted: &Wanted,
) -> Result<String, LocalError> {
    guard::on_this_machine("--aws-endpoint", aws)?;
    match ask::token(client, aws, wanted).await {
        Err(TokenError::NoAnswer(_)) => Err(SystemError::NotRunning {
            url: aws.to_owned(),
        }
        .into()),
        token => Ok(token?),
    }
}

fn wanted(args: &TokenArgs) -> Wanted {
    let names = |scopes: &[Scope]| -> Vec<String> {
        let scopes = scopes.iter().map(|scope| scope.as_str().to_owned());
        scopes.collect()
    };
    let customer = [Scope::OrdersRead, Scope::OrdersWrite];
    let mut scopes: Vec<_> = match &args.scope {
        Some(scopes) => scopes.clone(),
        None if args.operator => Vec::new(),
        None => names(&customer),
    };
    if args.operator {
        scopes.extend(Wanted::operator().scopes);
    }
    Wanted {
        subject: args.sub.clone().unwrap_or_else(|| OPERATOR.to_owned()),
        scopes,
        audience: args.aud.clone(),
        seconds: args.expires_in,
    }
}
