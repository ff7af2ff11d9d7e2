//! `telemetry`: readings of devices, from a file or made up, to a system that runs.

mod simulated;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::interruption::Interruption;
use super::running::Running;
use super::{SystemError, interrupted, say, text_file, token};
use crate::cli::TelemetryArgs;
use crate::error::LocalError;
use crate::guard;
use crate::http_client::HttpClient;
use crate::issuer::ask::Wanted;
use simulated::Devices;

/// Most readings of a request, as the API says.
const BATCH: usize = 500;
/// A batch that is not taken is sent again so often.
const ATTEMPTS: u32 = 20;
/// Wait before it is sent again.
const WAIT: Duration = Duration::from_millis(250);
/// How far apart made up readings are.
const EVERY: Duration = Duration::from_secs(1);

/// Sends readings.
///
/// # Errors
/// [`LocalError::File`] or [`LocalError::Input`] for a file that cannot be read;
/// [`LocalError::System`], when no system runs there; [`LocalError::Refused`] names what it does
/// not take.
pub async fn run(args: &TelemetryArgs) -> Result<ExitCode, LocalError> {
    let mut interruption = Interruption::listen();
    let sender = Sender::to(args).await?;
    let sent = match &args.file {
        Some(file) => interruption.or(sender.file(file)).await,
        None => interruption.or(sender.simulated(args)).await,
    };
    match sent {
        Some(Ok(readings)) => {
            say(&format!("{readings} readings are taken."));
            Ok(ExitCode::SUCCESS)
        }
        Some(Err(error)) => Err(error),
        None if args.simulate => Ok(ExitCode::SUCCESS),
        None => Ok(interrupted()),
    }
}

/// A system that takes readings.
struct Sender {
    client: HttpClient,
    api: String,
    bearer: String,
}

impl Sender {
    async fn to(args: &TelemetryArgs) -> Result<Self, LocalError> {
        let client = HttpClient::new();
        let (api, aws) = match &args.data_dir {
            None => (args.api.clone(), args.aws_endpoint.clone()),
            Some(folder) => match Running::find(folder, &client).await {
                Some(running) => (running.api, running.aws),
                None => return Err(SystemError::NoneRuns(folder.clone()).into()),
            },
        };
        guard::on_this_machine("--api", &api)?;
        let aws = aws.trim_end_matches('/');
        let token = token::given(&client, aws, &Wanted::operator()).await?;
        Ok(Self {
            client,
            api: api.trim_end_matches('/').to_owned(),
            bearer: format!("Bearer {token}"),
        })
    }

    /// Sends the readings of a file; how many.
    async fn file(&self, path: &Path) -> Result<usize, LocalError> {
        let text = text_file::read(path)?;
        let lines = text.lines().zip(1..);
        let mut readings = Vec::new();
        for (line, number) in lines.filter(|(line, _)| !line.trim().is_empty()) {
            let reading: Value = serde_json::from_str(line).map_err(|error| LocalError::Input {
                path: path.to_owned(),
                line: Some(number),
                problem: format!("must be JSON: {error}"),
            })?;
            readings.push((number, reading));
        }
        for batch in readings.chunks(BATCH) {
            let first = batch.first().map_or(0, |(number, _)| *number);
            let batch: Vec<_> = batch.iter().map(|(_, reading)| reading).collect();
            let what = format!("the readings from line {first} on");
            self.send(&json!(batch), &what).await?;
        }
        Ok(readings.len())
    }

    /// Makes readings up, each second; how many.
    async fn simulated(&self, args: &TelemetryArgs) -> Result<usize, LocalError> {
        let mut devices = Devices::new(args.devices, args.seed);
        let mut ticks = tokio::time::interval(EVERY);
        let mut sent = 0;
        let mut second = 0;
        while args.seconds.is_none_or(|seconds| second < seconds) {
            ticks.tick().await;
            let readings = devices.read(Timestamp::now());
            for batch in readings.chunks(BATCH) {
                self.send(&json!(batch), "readings that were made up")
                    .await?;
            }
            sent += readings.len();
            second += 1;
            if second % 10 == 0 {
                say(&format!("{sent} readings are taken, after {second} s"));
            }
        }
        Ok(sent)
    }

    async fn send(&self, readings: &Value, what: &str) -> Result<(), LocalError> {
        let url = format!("{}/telemetry", self.api);
        let body = json!({ "readings": readings }).to_string();
        let headers = [
            ("content-type", "application/json"),
            ("authorization", self.bearer.as_str()),
        ];
        let mut attempts = 0;
        loop {
            attempts += 1;
            let answer = self
                .client
                .send("POST", &url, &headers, body.clone())
                .await?;
            match answer.status {
                202 => return Ok(()),
                // What was taken counts once.
                429 | 503 if attempts < ATTEMPTS => tokio::time::sleep(WAIT).await,
                status => {
                    return Err(LocalError::Refused {
                        request: format!("POST /telemetry with {what}"),
                        answer: format!("{status} {}", answer.text()),
                    });
                }
            }
        }
    }
}
