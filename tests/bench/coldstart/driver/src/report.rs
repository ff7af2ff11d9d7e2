//! The tables, as Markdown, and what misses its target.

use crate::median;
use crate::process::{CALLS, Run, Start};
use std::time::Duration;

/// What the functions are held against, and its program: the least, the usual as it is mostly built,
/// and the usual as these functions are built.
pub const PEERS: [(&str, &str); 3] = [
    ("hello", "hello"),
    ("sdk-defaults", "cargo-lambda/sdk-defaults"),
    ("sdk-defaults, this profile", "sdk-defaults"),
];
/// Instructions until the first event is asked for.
const INSTRUCTIONS: u64 = 1_600_000;
/// Bytes of a zipped function.
const ZIP: usize = 3_000_000;
/// Memory when the first event is asked for, in bytes.
const RSS: u64 = 9 * 1024 * 1024;
/// Start, of that of a function that does nothing.
const OF_HELLO: f64 = 1.3;
/// Start, of that of a function with the SDK's defaults.
const OF_DEFAULTS: f64 = 0.45;
/// Processor time of a first invocation that makes one request over TLS.
const FIRST_REQUEST: Duration = Duration::from_micros(1500);

/// What of a function does not change from run to run.
#[derive(Debug, Clone, Copy)]
pub struct Static {
    /// Size of the program.
    pub program: usize,
    /// Size of the program, deflated.
    pub zip: usize,
    /// Crates that it is linked from, its own included.
    pub crates: usize,
    /// Whether aws-lc is among them.
    pub aws_lc: bool,
    /// Until the first event is asked for, and of the first call.
    pub instructions: Option<(u64, Option<u64>)>,
}

/// All about a function.
#[derive(Debug)]
pub struct Measured {
    name: String,
    counted: Static,
    /// Its starts.
    pub starts: Vec<Start>,
    /// Its runs with calls.
    pub runs: Vec<Run>,
    /// Its runs with less than a processor from the first event on.
    pub throttled: Vec<Run>,
    /// Connections to AWS in the last run.
    pub connections: u32,
    /// Requests to AWS in the last run.
    pub requests: u32,
}

impl Measured {
    /// Nothing measured yet.
    #[must_use]
    pub fn new(name: String, counted: Static) -> Self {
        Self {
            name,
            counted,
            starts: Vec::new(),
            runs: Vec::new(),
            throttled: Vec::new(),
            connections: 0,
            requests: 0,
        }
    }

    fn time(&self, of: impl Fn(&Run) -> Duration) -> Duration {
        median(&self.runs, of).unwrap_or_default()
    }

    fn start(&self, of: impl Fn(&Start) -> Duration) -> Duration {
        median(&self.starts, of).unwrap_or_default()
    }

    /// How long its start takes, of that of another one: the middle one of the runs' ratios, because
    /// runs of the same turn had the same machine.
    fn start_of(&self, other: &Self) -> f64 {
        let turns = self.starts.iter().zip(&other.starts);
        let mut ratios: Vec<_> = turns
            .map(|(own, other)| own.time.as_secs_f64() / other.time.as_secs_f64())
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied().unwrap_or_default()
    }
}

fn ms(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1000.0)
}

fn millions(count: u64) -> String {
    format!("{:.2}", mega(count))
}

#[allow(clippy::cast_precision_loss, reason = "for two decimals")]
fn mega(count: u64) -> f64 {
    count as f64 / 1e6
}

#[allow(clippy::cast_precision_loss, reason = "for one decimal")]
fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1024.0 / 1024.0)
}

/// Prints the tables and what misses its target; false when a count does.
#[must_use]
pub fn print(all: &[Measured], memory_mb: u32) -> bool {
    let [hello, defaults, same_profile, ..] = all else {
        return true;
    };
    print_starts(all, [hello, defaults, same_profile]);
    print_requests(all, memory_mb);
    let counts = over(all, |one| counts_over(&one.counted));
    let times = over(all, |one| times_over(one, hello, defaults));
    println!();
    for (what, missed) in [("counts", &counts), ("times and memory", &times)] {
        if missed.is_empty() {
            println!("All {what} are within their targets.");
        }
        for line in missed {
            println!("Missed ({what}): {line}");
        }
    }
    counts.is_empty()
}

fn print_starts(all: &[Measured], [hello, defaults, same_profile]: [&Measured; 3]) {
    println!(
        "| function | start ms | × hello | × SDK defaults | × SDK defaults, this profile | CPU ms | M instructions | RSS MiB | program MB | zip MB | crates |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for one in all {
        let counted = &one.counted;
        println!(
            "| {} | {} | {:.2} | {:.2} | {:.2} | {} | {} | {} | {} | {} | {} |",
            one.name,
            ms(one.start(|start| start.time)),
            one.start_of(hello),
            one.start_of(defaults),
            one.start_of(same_profile),
            ms(one.start(|start| start.cpu)),
            counted
                .instructions
                .map_or("–".to_owned(), |(start, _)| millions(start)),
            mib(median(&one.starts, |start| start.rss).unwrap_or_default()),
            millions(counted.program as u64),
            millions(counted.zip as u64),
            counted.crates,
        );
    }
}

fn print_requests(all: &[Measured], memory_mb: u32) {
    println!();
    println!(
        "| function | answer | requests a call | connections | first CPU ms | first ms | first ms at {memory_mb} MB | M instructions | warm CPU ms | warm ms | warm ms at {memory_mb} MB | RSS MiB |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for one in all.iter().filter(|one| !one.runs.is_empty()) {
        let instructions = one.counted.instructions.and_then(|(_, called)| called);
        let throttled =
            |of: fn(&Run) -> Duration| median(&one.throttled, of).map_or("–".to_owned(), ms);
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            one.name,
            if one.runs.iter().all(|run| run.answered) {
                "ok"
            } else {
                "error"
            },
            one.requests / CALLS,
            one.connections,
            ms(one.time(|run| run.first_cpu)),
            ms(one.time(|run| run.first)),
            throttled(|run| run.first),
            instructions.map_or("–".to_owned(), millions),
            ms(one.time(|run| run.warm_cpu)),
            ms(one.time(|run| run.warm)),
            throttled(|run| run.warm),
            mib(median(&one.runs, |run| run.rss).unwrap_or_default()),
        );
    }
}

fn over(all: &[Measured], of: impl Fn(&Measured) -> Vec<String>) -> Vec<String> {
    let ours = all.iter().skip(PEERS.len());
    ours.flat_map(|one| {
        of(one)
            .into_iter()
            .map(|what| format!("{}: {what}", one.name))
    })
    .collect()
}

fn counts_over(counted: &Static) -> Vec<String> {
    let mut over = Vec::new();
    if let Some((start, _)) = counted
        .instructions
        .filter(|(start, _)| *start > INSTRUCTIONS)
    {
        over.push(format!(
            "{} M instructions to the first event, at most {}",
            millions(start),
            millions(INSTRUCTIONS)
        ));
    }
    if counted.zip > ZIP {
        over.push(format!(
            "{} MB zipped, at most {}",
            millions(counted.zip as u64),
            millions(ZIP as u64)
        ));
    }
    if counted.aws_lc {
        over.push("aws-lc is among its crates".to_owned());
    }
    over
}

fn times_over(one: &Measured, hello: &Measured, defaults: &Measured) -> Vec<String> {
    let mut over = Vec::new();
    for (peer, most) in [(hello, OF_HELLO), (defaults, OF_DEFAULTS)] {
        let ratio = one.start_of(peer);
        if ratio > most {
            over.push(format!(
                "starts in {ratio:.2} × {}, at most {most}",
                peer.name
            ));
        }
    }
    let rss = median(&one.starts, |start| start.rss).unwrap_or_default();
    if rss > RSS {
        over.push(format!("{} MiB, at most {}", mib(rss), mib(RSS)));
    }
    let first = one.time(|run| run.first_cpu);
    if one.name == "place-order" && first > FIRST_REQUEST {
        over.push(format!(
            "{} ms of CPU for its first request, at most {}",
            ms(first),
            ms(FIRST_REQUEST)
        ));
    }
    over
}
