//! The results as a document, and the one thing that must hold.

use crate::contest::{Contestant, PHASES, Run, Runs, WORKERS};
use crate::{Failure, machine};
use std::fmt::Write as _;
use std::time::Duration;

const HEAD: &str = "\
# Event stores, on the same server in the same run

The same orders of four commits, stored and loaded by this repository's event store, by
[dynamo-es](https://crates.io/crates/dynamo-es) with two of its stores, and by
[castore](https://github.com/castore-dev/castore). Repeat it with `tests/bench/store/run`, which
builds all of them, runs them and writes this file.

";

const METHOD: &str = "
## What is compared

Every client is a process of its own, optimised, and talks over HTTP to one process that serves
DynamoDB's API with DynamoDB's limits and counts requests and units as AWS bills them (the endpoint
of `cargo local`). All store the same order: an event of two items says it whole, four times.

- *commit*: a command is executed as the library's documentation has it. dynamo-es loads the
  aggregate, decides and writes a transaction; castore gets the aggregate and pushes an event; here
  the command starts from what its trigger tells, and one conditional write stores the event.
- *append*: the write alone, by a caller that knows where the stream ends.
- *load*: the order's four events are read and folded (of dynamo-es's aggregates: its one row).

Each client starts, opens its connections and waits; then clock and counts begin. The clients take
turns, and another one begins each round. Rates are the median of the rounds; \"×\" is the median of
the rounds' ratios, how many times as fast as it this store was.

## What is not

Server and clients share the machine, and the server is not DynamoDB: rates say how stores compare
here, not what AWS would do. Without latency the server's work, which is on the same processor and the
same for all, takes most of a commit's time, so that what a store saves in requests or in work of its
own counts for less than it does where DynamoDB is somewhere else; with latency, workers wait for
answers as they do there, however long that takes. No table has a stream, which this store's has in
the template: to DynamoDB it adds nothing to a write's time and price, to this server a write.
castore's table has the index that it asks for. Nothing here tells of contention: each order is one
worker's.
";

/// All that was measured.
pub(crate) struct Results {
    /// Who ran; this store first.
    pub(crate) contestants: Vec<Contestant>,
    /// With answers as soon as they are there.
    pub(crate) near: Runs,
    /// With answers that take the way from a region.
    pub(crate) far: Runs,
    /// How long that takes.
    pub(crate) latency: Duration,
    /// Rounds of each half.
    pub(crate) rounds: usize,
    /// Orders of one run.
    pub(crate) orders: usize,
}

/// Writes the results.
pub(crate) fn write(results: &Results) -> Result<String, Failure> {
    let mut text = HEAD.to_owned();
    text.push_str(&machine::describe()?);
    if results
        .contestants
        .iter()
        .any(|one| one.library == "castore")
    {
        text.push_str(&machine::describe_castore()?);
    } else {
        text.push_str("- castore was left out: no node with its packages was there\n");
    }
    writeln!(
        text,
        "- {} rounds, each run of {} orders, once with answers at once and once with each answer \
         {} ms later",
        results.rounds,
        results.orders,
        results.latency.as_millis()
    )?;
    counts(&mut text, results)?;
    text.push_str("\n## Operations per second, answers at once\n");
    rates(&mut text, results, &results.near)?;
    writeln!(
        text,
        "\n## Operations per second, answers {} ms later",
        results.latency.as_millis()
    )?;
    rates(&mut text, results, &results.far)?;
    processor(&mut text, results)?;
    targets(&mut text, results)?;
    text.push_str(METHOD);
    Ok(text)
}

/// Four commits are four requests, four write units and no read unit, in each run.
pub(crate) fn check(results: &Results) -> Result<(), Failure> {
    for ((index, phase, workers), runs) in results.near.iter().chain(&results.far) {
        if results.contestants[*index].library != "ours" || *phase == "load" {
            continue;
        }
        for run in runs {
            let counted = per_four(run);
            let differs = |(counted, due): (f64, f64)| (counted - due).abs() > 1e-9;
            if counted.into_iter().zip([4.0, 4.0, 0.0]).any(differs) {
                return Err(format!(
                    "four {phase}s with {workers} workers took {counted:?} requests, write and \
                     read units, not 4, 4 and 0"
                )
                .into());
            }
        }
    }
    Ok(())
}

fn per_four(run: &Run) -> [f64; 3] {
    let four = run.operations / 4.0;
    let requests = u32::try_from(run.counted.requests).map_or(f64::INFINITY, f64::from);
    [
        requests / four,
        run.counted.write_units / four,
        run.counted.read_units / four,
    ]
}

fn counts(text: &mut String, results: &Results) -> Result<(), Failure> {
    text.push_str(
        "\n## Requests and units\n\n\
         Requests / write units / read units, with one worker.\n\n\
         | | four commits | four appends | one load |\n|---|---|---|---|\n",
    );
    for (index, contestant) in results.contestants.iter().enumerate() {
        write!(text, "| {} ({})", contestant.library, contestant.store)?;
        for phase in PHASES {
            let counted = of(&results.near, index, phase, 1).last().map(per_four);
            let [requests, writes, reads] = counted.unwrap_or_default();
            let share = if phase == "load" { 4.0 } else { 1.0 };
            write!(
                text,
                " | {} / {} / {}",
                requests / share,
                writes / share,
                reads / share
            )?;
        }
        text.push_str(" |\n");
    }
    Ok(())
}

fn rates(text: &mut String, results: &Results, runs: &Runs) -> Result<(), Failure> {
    for phase in PHASES {
        write!(text, "\n| {phase} |")?;
        for workers in WORKERS {
            write!(text, " {workers} worker{} |", plural(workers))?;
        }
        text.push_str("\n|---|---|---|---|\n");
        for (index, contestant) in results.contestants.iter().enumerate() {
            write!(text, "| {} ({})", contestant.library, contestant.store)?;
            for workers in WORKERS {
                let rates = of(runs, index, phase, workers).iter();
                let rate = median(rates.map(|run| run.rate).collect());
                write!(text, " | {rate:.0}/s")?;
                if index > 0 {
                    write!(text, ", {:.1}×", ratio(runs, index, phase, workers))?;
                }
            }
            text.push_str(" |\n");
        }
    }
    Ok(())
}

fn processor(text: &mut String, results: &Results) -> Result<(), Failure> {
    text.push_str(
        "\n## Processor time\n\n\
         Microseconds of client + server per operation, the mean of all runs, and how many times \
         that of this store the client's time is. It hardly depends on what else the machine does, \
         as rates do.\n\n\
         | | commit | append | load |\n|---|---|---|---|\n",
    );
    for (index, contestant) in results.contestants.iter().enumerate() {
        write!(text, "| {} ({})", contestant.library, contestant.store)?;
        for phase in PHASES {
            let [client, server] = micros(results, index, phase);
            write!(text, " | {client:.0} + {server:.0}")?;
            if index > 0 {
                write!(text, ", {:.1}×", client / micros(results, 0, phase)[0])?;
            }
        }
        text.push_str(" |\n");
    }
    Ok(())
}

/// Processor time per operation of client and server, over all runs of a phase.
fn micros(results: &Results, index: usize, phase: &'static str) -> [f64; 2] {
    let all = || {
        WORKERS.into_iter().flat_map(|workers| {
            let near = of(&results.near, index, phase, workers);
            near.iter().chain(of(&results.far, index, phase, workers))
        })
    };
    let operations: f64 = all().map(|run| run.operations).sum();
    let sum = |of: fn(&Run) -> f64| all().map(|run| of(run) * run.operations).sum::<f64>();
    [sum(|run| run.client_micros), sum(|run| run.server_micros)].map(|micros| micros / operations)
}

fn targets(text: &mut String, results: &Results) -> Result<(), Failure> {
    writeln!(
        text,
        "\n## Targets, of commits at 8 workers\n\n\
         | target | answers at once | answers {} ms later | by the client's processor time |\n\
         |---|---|---|---|",
        results.latency.as_millis()
    )?;
    for (index, contestant) in results.contestants.iter().enumerate() {
        let least = match contestant.library {
            "dynamo-es" => 2.0,
            "castore" => 10.0,
            _ => continue,
        };
        write!(
            text,
            "| ≥ {least}× {} ({})",
            contestant.library, contestant.store
        )?;
        let client = |index| micros(results, index, "commit")[0];
        for ratio in [
            ratio(&results.near, index, "commit", 8),
            ratio(&results.far, index, "commit", 8),
            client(index) / client(0),
        ] {
            let reached = if ratio >= least { "reached" } else { "missed" };
            write!(text, " | {ratio:.2}×, {reached}")?;
        }
        text.push_str(" |\n");
    }
    let held = if check(results).is_ok() {
        "held"
    } else {
        "missed"
    };
    writeln!(
        text,
        "| 4 requests / 4 write units / 0 read units per four | {held} | {held} | |"
    )?;
    Ok(())
}

fn of<'r>(runs: &'r Runs, index: usize, phase: &'static str, workers: usize) -> &'r [Run] {
    runs.get(&(index, phase, workers))
        .map_or(&[], Vec::as_slice)
}

/// How many times as fast as this contestant the first one was.
fn ratio(runs: &Runs, index: usize, phase: &'static str, workers: usize) -> f64 {
    let first = of(runs, 0, phase, workers);
    let other = of(runs, index, phase, workers);
    let pairs = first.iter().zip(other);
    median(
        pairs
            .map(|(first, other)| first.rate / other.rate)
            .collect(),
    )
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}
