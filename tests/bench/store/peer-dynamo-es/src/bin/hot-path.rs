//! What dynamo-es executes for its appends: `peer-hot-path <case> <n>` stores n orders of four
//! events, without a server, for callgrind to count.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use flow::{Client as _, Failure};
use memory::Memory;
use peer_dynamo_es::DynamoEs;
use serde_json::{Value, json};

const STREAM: &str = "6f1c2d1e-7a0b-5c3d-9e8f-000000000001";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let case = args.next().ok_or("which case?")?;
    let times: u64 = args.next().ok_or("how many times?")?.parse()?;
    let (phase, store) = case.split_once('-').ok_or("which store?")?;
    let memory = Memory::default();
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url("http://localhost")
        .credentials_provider(Credentials::new("bench", "local", None, None, "local"))
        .http_client(memory.clone())
        .build();
    let dynamo_es = DynamoEs::new(&Client::from_conf(config), store)?;

    // What it will read before each of its four commits: what the ones before stored.
    memory.keep();
    dynamo_es.append(STREAM.to_owned()).await?;
    let kept = memory.kept();
    // The last write of a transaction: the event, or the aggregate where that is stored.
    let written: Vec<_> = kept
        .iter()
        .filter_map(|(_, body)| {
            Some(body["TransactItems"].as_array()?.last()?["Put"]["Item"].clone())
        })
        .collect();
    let pages = (0..written.len()).map(|before| {
        let first = if store == "aggregates" {
            before.saturating_sub(1)
        } else {
            0
        };
        page(&written[first..before])
    });
    memory.answer("Query", pages.collect());

    let before = memory.requests();
    for _ in 0..times {
        match phase {
            "commit" => dynamo_es.commit(STREAM.to_owned()).await?,
            "append" => dynamo_es.append(STREAM.to_owned()).await?,
            other => return Err(format!("there is no case {other}").into()),
        }
    }
    println!("{}", memory.requests() - before);
    Ok(())
}

fn page(items: &[Value]) -> &'static str {
    let page = json!({"Items": items, "Count": items.len(), "ScannedCount": items.len()});
    page.to_string().leak()
}
