//! `invoke`: one event for one function.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lambda_host::log_sink::{LogLine, LogSink};
use serde_json::Value;

use super::restock::Needs;
use super::running::Running;
use super::{GRACE, options};
use crate::cli::{InvokeArgs, StackArgs};
use crate::error::LocalError;
use crate::http_client::{HttpClient, path_segment};
use crate::stack::Stack;
use crate::terminal::{Output, Printer};

/// Calls the function and prints its answer, or the error document of its failure.
///
/// # Errors
/// [`LocalError::UnknownFunction`] lists the names; [`LocalError::Input`] for a file that is not
/// one JSON document; what keeps the system from starting.
pub async fn run(shared: &StackArgs, args: &InvokeArgs) -> Result<ExitCode, LocalError> {
    let event = read(&args.file)?;
    let client = HttpClient::new();
    let mut needs = Needs::default();
    if args.with_stock {
        add_needs(&mut needs, &event);
    }
    if let Some(running) = args.data_dir.as_deref().and_then(Running::find) {
        let url = format!(
            "{}/2015-03-31/functions/{}/invocations",
            running.lambda,
            path_segment(&args.function)
        );
        let answers = client.send("GET", &running.lambda, &[], "").await.is_ok();
        if answers {
            needs.restock(&client, &running.api).await?;
            let headers = [("x-amz-log-type", "Tail")];
            let answer = client
                .send("POST", &url, &headers, event.to_string())
                .await?;
            let log = STANDARD
                .decode(answer.header("x-amz-log-result"))
                .unwrap_or_default();
            eprint!("{}", String::from_utf8_lossy(&log));
            let failed = answer.status != 200 || !answer.header("x-amz-function-error").is_empty();
            return Ok(print(&answer.text(), failed));
        }
    }
    let printer = Arc::new(Printer::start(Output::Stderr));
    let mut options = options(shared)?;
    options.data_dir.clone_from(&args.data_dir);
    options.logs = if shared.logs {
        Arc::clone(&printer) as _
    } else {
        Arc::new(LinesOf {
            function: args.function.clone(),
            printer: Arc::clone(&printer),
        })
    };
    let stack = Stack::start(options).await?;
    let code = in_stack(&stack, args, &needs, &event, &client).await;
    stack.shutdown(GRACE).await?;
    printer.finish();
    code
}

/// Prints the log lines of one function.
struct LinesOf {
    function: String,
    printer: Arc<Printer>,
}

impl LogSink for LinesOf {
    fn line(&self, line: &LogLine<'_>) {
        if line.function == self.function {
            self.printer.line(line.text.to_owned());
        }
    }
}

async fn in_stack(
    stack: &Stack,
    args: &InvokeArgs,
    needs: &Needs,
    event: &Value,
    client: &HttpClient,
) -> Result<ExitCode, LocalError> {
    let function = stack.function_name(&args.function)?;
    needs.restock(client, &stack.api_url()).await?;
    Ok(match stack.invoke(&function, event.to_string()).await {
        Ok(invocation) => {
            let answer = invocation.response_payload();
            let answer = String::from_utf8_lossy(&answer);
            print(&answer, !invocation.succeeded())
        }
        Err(error) => {
            let document = serde_json::json!({
                "errorType": error.code(),
                "errorMessage": error.to_string(),
            });
            print(&document.to_string(), true)
        }
    })
}

fn print(answer: &str, failed: bool) -> ExitCode {
    // Whoever closed the pipe does not want the answer.
    let _ = writeln!(std::io::stdout().lock(), "{answer}");
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn read(path: &Path) -> Result<Value, LocalError> {
    let text = if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| LocalError::file("standard input", error))?;
        text
    } else {
        std::fs::read_to_string(path).map_err(|error| LocalError::file(path, error))?
    };
    serde_json::from_str(&text).map_err(|error| LocalError::Input {
        path: path.to_owned(),
        line: None,
        problem: format!("is not one JSON document: {error}"),
    })
}

/// What the event's items need, wherever in it they are: in a body, a detail, a data.
fn add_needs(needs: &mut Needs, value: &Value) {
    match value {
        Value::Object(fields) => {
            if fields.get("items").is_some_and(Value::is_array) {
                needs.add_order(value);
            }
            for value in fields.values() {
                add_needs(needs, value);
            }
        }
        Value::Array(values) => {
            for value in values {
                add_needs(needs, value);
            }
        }
        Value::String(text) if text.trim_start().starts_with('{') => {
            if let Ok(inner) = serde_json::from_str(text) {
                add_needs(needs, &inner);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn items_are_found_in_a_body_and_in_a_detail() {
        let order = json!({"currency": "USD",
            "items": [{"sku": "tea", "quantity": 2, "unitPrice": 1}]});
        for event in [
            json!({"body": order.to_string()}),
            json!({"detail": {"data": order}}),
        ] {
            let mut needs = Needs::default();
            add_needs(&mut needs, &event);
            let found: Vec<_> = needs
                .iter()
                .map(|(sku, need)| (sku.as_str(), need.pieces))
                .collect();
            assert_eq!(found, [("tea", 2)]);
        }
    }
}
