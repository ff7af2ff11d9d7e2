//! The server alone, for a client that drives it: prints its URL, then obeys a line at a time.
//!
//! - `table <CreateTable request>` creates a table;
//! - `reset` counts from zero, and forgets what tables' streams have so far;
//! - `meter` answers with what was counted.
//!
//! Each is answered with one line. It ends with its input.

use aws_endpoint::{Endpoint, Options};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Who reads the streams of tables, and lets them go.
const READER: &str = "bench";

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let endpoint = Endpoint::start(Options::default()).await?;
    println!("{}", endpoint.url());
    let mut streams = Vec::new();
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        match line.split_once(' ') {
            Some(("table", request)) => {
                let request: Value = serde_json::from_str(request)?;
                endpoint.create_table(&request).await?;
                let name = request["TableName"].as_str().unwrap_or_default();
                if endpoint.stream(name).is_some() {
                    endpoint.set_checkpoint(name, READER, 0)?;
                    streams.push(name.to_owned());
                }
                println!("ok");
            }
            None if line == "reset" => {
                endpoint.reset_meter();
                for name in &streams {
                    let last = endpoint.stream(name).map(|stream| stream.last_sequence());
                    endpoint.set_checkpoint(name, READER, last.unwrap_or_default())?;
                }
                println!("ok");
            }
            None if line == "meter" => {
                let counted = endpoint.meter().total(|_| true);
                println!(
                    "{}",
                    json!({
                        "requests": counted.requests,
                        "readUnits": counted.read_units,
                        "writeUnits": counted.write_units,
                    })
                );
            }
            _ => return Err(format!("there is no order {line}").into()),
        }
    }
    endpoint.shutdown().await?;
    Ok(())
}
