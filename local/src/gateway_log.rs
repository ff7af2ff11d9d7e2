//! What the simulated payment gateway did, read from its log: the other half of what was stored.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use invariants::GatewayMove;
use lambda_host::log_sink::{LogLine, LogSink};
use serde_json::Value;

use crate::history::History;

/// Lines come through a pipe: the last ones can be behind the answer by so much.
const BEHIND: Duration = Duration::from_millis(50);

/// Passes all lines on, and keeps what the gateway says that it did.
pub(crate) struct GatewayLog {
    next: Arc<dyn LogSink>,
    /// The functions with the gateway; none where there is nothing to read.
    functions: BTreeSet<String>,
    history: Arc<History>,
}

impl GatewayLog {
    /// The gateway's lines go into the history if it is the simulated one and logs them.
    pub(crate) fn new(
        next: Arc<dyn LogSink>,
        stack: &sam_template::Stack,
        history: Arc<History>,
    ) -> Self {
        let all = stack.functions.iter();
        let functions = all.filter(|one| history.keeps() && tells(one));
        Self {
            next,
            functions: functions.map(|one| one.name.clone()).collect(),
            history,
        }
    }

    /// What the gateway did so far, once no more lines come; none where that is not known.
    pub(crate) async fn moves(&self) -> Option<Vec<GatewayMove>> {
        if self.functions.is_empty() {
            return None;
        }
        loop {
            let before = self.history.gateway_moves().len();
            tokio::time::sleep(BEHIND).await;
            let moves = self.history.gateway_moves();
            if moves.len() == before {
                return Some(moves);
            }
        }
    }
}

impl LogSink for GatewayLog {
    fn line(&self, line: &LogLine<'_>) {
        if self.functions.contains(line.function)
            && let Some(one) = read(line.text)
        {
            self.history.gateway(one);
        }
        self.next.line(line);
    }
}

/// Whether the function has the simulated gateway, and logs at a level that has its lines.
fn tells(function: &sam_template::Function) -> bool {
    let set = |name: &str| function.environment.get(name).map(String::as_str);
    let level = function.log_level.as_deref().unwrap_or("INFO");
    set("PAYMENT_GATEWAY") == Some("simulated") && matches!(level, "TRACE" | "DEBUG" | "INFO")
}

fn read(line: &str) -> Option<GatewayMove> {
    if !line.contains("payment_id") {
        return None;
    }
    let line: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| line[name].as_str().map(str::to_owned);
    match line["message"].as_str()? {
        "charged" => Some(GatewayMove::Charged {
            order: text("order_id")?,
            key: text("charge_key")?,
            payment: text("payment_id")?,
        }),
        "refunded" => Some(GatewayMove::Refunded {
            key: text("refund_key")?,
            payment: text("payment_id")?,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_host::log_sink::{LogStream, SilentLog};

    fn log(level: &str) -> GatewayLog {
        let yaml = format!(
            "Resources:
  Pay:
    Type: AWS::Serverless::Function
    Metadata: {{BuildMethod: rust-cargolambda, BuildProperties: {{Binary: process-payment}}}}
    Properties:
      FunctionName: shop-process-payment
      Runtime: provided.al2023
      Handler: bootstrap
      CodeUri: .
      LoggingConfig: {{LogFormat: JSON, ApplicationLogLevel: {level}}}
      Environment: {{Variables: {{PAYMENT_GATEWAY: simulated}}}}
"
        );
        let stack = sam_template::Stack::from_yaml(&yaml, &sam_template::Context::default());
        let history = Arc::new(History::in_memory(true));
        GatewayLog::new(Arc::new(SilentLog), &stack.unwrap(), history)
    }

    #[tokio::test(start_paused = true)]
    async fn charges_and_refunds_are_read_from_the_lines_of_the_functions_with_the_gateway_only() {
        let log = log("INFO");
        let charged = r#"{"level":"INFO","message":"charged","order_id":"1","charge_key":"charge-1","payment_id":"sim_charge-1"}"#;
        let refunded =
            r#"{"message":"refunded","refund_key":"refund-1","payment_id":"sim_charge-1"}"#;
        for (function, text) in [
            ("shop-process-payment", charged),
            ("shop-process-payment", refunded),
            ("shop-process-payment", r#"{"message":"payment settled"}"#),
            ("shop-process-payment", "payment_id of no JSON"),
            ("notify-user", charged),
        ] {
            log.line(&LogLine {
                function,
                process: 1,
                request_id: None,
                stream: LogStream::Stdout,
                text,
            });
        }
        let payment = "sim_charge-1".to_owned();
        let expected = [
            GatewayMove::Charged {
                order: "1".to_owned(),
                key: "charge-1".to_owned(),
                payment: payment.clone(),
            },
            GatewayMove::Refunded {
                key: "refund-1".to_owned(),
                payment,
            },
        ];
        assert_eq!(log.moves().await.unwrap(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_gateway_that_logs_nothing_is_not_judged() {
        assert_eq!(log("ERROR").moves().await, None);
    }
}
