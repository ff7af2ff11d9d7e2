//! `invoke`: one event for one function.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ids::IdempotencyKey;
use domain::money::Currency;
use domain::order::{OrderPlaced, OrderRequest};
use lambda_host::log_sink::{LogLine, LogSink};
use serde_json::{Map, Value, json};

use super::interruption::Interruption;
use super::restock::Needs;
use super::running::Running;
use super::{interrupted, options, shut_down, start, text_file};
use crate::cli::{InvokeArgs, StackArgs};
use crate::error::LocalError;
use crate::http_client::{HttpClient, path_segment};
use crate::stack::Stack;
use crate::terminal::{Output, Printer, printable};

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
    let mut interruption = Interruption::listen();
    if let Some(folder) = &args.data_dir {
        let Some(running) = interruption.or(Running::find(folder, &client)).await else {
            return Ok(interrupted());
        };
        if let Some(running) = running {
            let called = in_running(&running, args, &needs, &event, &client);
            let code = interruption.or(called).await;
            return code.unwrap_or_else(|| Ok(interrupted()));
        }
    }
    let printer = Arc::new(Printer::start(Output::Stderr));
    let lines = Arc::new(LinesOf {
        function: OnceLock::new(),
        printer: Arc::clone(&printer),
    });
    let mut options = options(shared)?;
    options.data_dir.clone_from(&args.data_dir);
    options.logs = if shared.logs {
        Arc::clone(&printer) as _
    } else {
        Arc::clone(&lines) as _
    };
    let Some(stack) = start(options, &mut interruption).await? else {
        return Ok(interrupted());
    };
    let called = in_stack(&stack, args, &needs, &event, &client, &lines);
    let code = interruption.or(called).await;
    let ended = shut_down(stack, &mut interruption).await;
    printer.finish();
    let code = code.unwrap_or_else(|| Ok(interrupted()))?;
    ended.map(|_| code)
}

/// Calls the function of a system that runs.
async fn in_running(
    running: &Running,
    args: &InvokeArgs,
    needs: &Needs,
    event: &Value,
    client: &HttpClient,
) -> Result<ExitCode, LocalError> {
    needs.restock(client, &running.api, &running.aws).await?;
    let function = path_segment(&args.function);
    let url = format!(
        "{}/2015-03-31/functions/{function}/invocations",
        running.lambda
    );
    let headers = [("x-amz-log-type", "Tail")];
    let answer = client
        .send("POST", &url, &headers, event.to_string())
        .await?;
    let log = STANDARD
        .decode(answer.header("x-amz-log-result"))
        .unwrap_or_default();
    for line in String::from_utf8_lossy(&log).lines() {
        // Whoever closed the pipe does not want to read on.
        let _ = writeln!(std::io::stderr().lock(), "{}", printable(line));
    }
    let failed = answer.status != 200 || !answer.header("x-amz-function-error").is_empty();
    Ok(print(&answer.text(), failed))
}

/// Prints the log lines of one function, once it is known which one.
struct LinesOf {
    function: OnceLock<String>,
    printer: Arc<Printer>,
}

impl LogSink for LinesOf {
    fn line(&self, line: &LogLine<'_>) {
        let wanted = self.function.get();
        if wanted.is_some_and(|wanted| wanted == line.function) {
            self.printer.line(printable(line.text));
        }
    }
}

async fn in_stack(
    stack: &Stack,
    args: &InvokeArgs,
    needs: &Needs,
    event: &Value,
    client: &HttpClient,
    lines: &LinesOf,
) -> Result<ExitCode, LocalError> {
    let function = stack.function_name(&args.function)?;
    let function = lines.function.get_or_init(|| function);
    let aws = stack.endpoint().url();
    needs.restock(client, &stack.api_url(), &aws).await?;
    Ok(match stack.invoke(function, event.to_string()).await {
        Ok(invocation) => {
            let answer = invocation.response_payload();
            let answer = String::from_utf8_lossy(&answer);
            print(&answer, !invocation.succeeded())
        }
        Err(error) => {
            let document = json!({
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
        text_file::read(path)?
    };
    serde_json::from_str(text_file::without_mark(&text)).map_err(|error| LocalError::Input {
        path: path.to_owned(),
        line: None,
        problem: format!("is not one JSON document: {error}"),
    })
}

/// What the event's items need, wherever in it they are: in a body, a detail, a data.
fn add_needs(needs: &mut Needs, value: &Value) {
    match value {
        Value::Object(fields) => {
            if let Some(order) = order_of(fields) {
                needs.add_order(&order.items, order.terms.currency);
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

/// The order that the API would make of those items; none where they are no order's.
fn order_of(fields: &Map<String, Value>) -> Option<OrderPlaced> {
    let items = fields.get("items")?;
    let currency = fields.get("currency").cloned();
    let currency = currency.unwrap_or_else(|| json!(Currency::default()));
    let request = json!({"userId": "somebody", "currency": currency, "items": items});
    // By way of the text: amounts keep their digits.
    let request: OrderRequest = serde_json::from_str(&request.to_string()).ok()?;
    let key = IdempotencyKey::parse("any").ok()?;
    request.accept(&key).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_that_are_no_orders_need_nothing() {
        let mut needs = Needs::default();
        for quantity in [json!(0), json!(9_007_199_254_740_991_u64), json!("1")] {
            let items = json!([{"sku": "tea", "quantity": quantity, "unitPrice": 1}]);
            add_needs(&mut needs, &json!({"items": items}));
        }
        assert_eq!(needs, Needs::default());
    }

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
