//! The results as a document.

use crate::measure::{Length, Measured, OverStreams, median};
use crate::rebuild::Rebuild;
use crate::stock_of_events::EVENTS;
use flow::Failure;
use jiff::Timestamp;
use std::fmt::Write as _;

const HEAD: &str = "\
# What growth does to the store

Appends and loads while the number of streams and their lengths grow, and rebuilds of the projection
while the number of events does. Repeat it with `tests/bench/store/growth`, which takes some
minutes and writes this file.

";

const METHOD: &str = "
## How

The server is the endpoint of `cargo local` in a process of its own: DynamoDB's API, its limits and
its units over SQLite. Stores are filled with `BatchWriteItem`, which has no condition; the items are
those that the store itself writes, with their hashes. What is measured then goes through the store,
one operation at a time. Each round measures every size once, so that a busy moment of the machine
meets all of them; \"×\" is the median of the rounds' ratios to the first size.

The rebuild is that of `rebuild-orders`: its feed scans the table in four segments, and every order is
one conditional write of its row. It is timed until history is folded; what follows waits for readers
and clocks, however large the store is.

Requests and units are what DynamoDB would bill. Times are this server's: SQLite's tree is deeper for
a larger table, DynamoDB's partitions are not.
";

pub(crate) fn write(
    streams: &OverStreams,
    lengths: &[Length],
    rebuilds: &[Rebuild],
) -> Result<String, Failure> {
    let mut text = HEAD.to_owned();
    machine(&mut text)?;
    over_streams(&mut text, streams)?;
    over_lengths(&mut text, lengths)?;
    over_events(&mut text, rebuilds)?;
    text.push_str(METHOD);
    Ok(text)
}

fn machine(text: &mut String) -> Result<(), Failure> {
    let model = flow::processor();
    let cores = std::thread::available_parallelism()?;
    let date = Timestamp::now().to_string();
    let day = date.get(..10).unwrap_or(&date);
    writeln!(
        text,
        "- {day}, {model}, {cores} cores that server and client share, `opt-level = 3`, no LTO"
    )?;
    Ok(())
}

fn over_streams(text: &mut String, over: &OverStreams) -> Result<(), Failure> {
    text.push_str(
        "\n## Number of streams\n\n\
         Ten events a stream; requests / write units / read units, and time.\n\n\
         | streams | events | append | time | load | time |\n|---|---|---|---|---|---|\n",
    );
    let Some(first) = over.stores.first() else {
        return Ok(());
    };
    for store in &over.stores {
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            store.streams,
            EVENTS * store.streams,
            each(&store.append),
            time(&store.append, &first.append),
            each(&store.load),
            time(&store.load, &first.load),
        )?;
    }
    if let Some(last) = over.stores.last() {
        writeln!(
            text,
            "\nFilling the largest took {} s.",
            last.filled_in.as_secs()
        )?;
    }
    Ok(())
}

fn over_lengths(text: &mut String, lengths: &[Length]) -> Result<(), Failure> {
    text.push_str(
        "\n## Events of a stream\n\n\
         A load with snapshots reads the last one and the events after it: 50 to 55 here, as halfway \
         between two of them (one is due every 100 events, so the short streams have none).\n\n\
         | events | append | time | load with snapshots | time | load of the whole stream | time |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let Some(first) = lengths.first() else {
        return Ok(());
    };
    for length in lengths {
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            length.events,
            each(&length.append),
            time(&length.append, &first.append),
            each(&length.load),
            time(&length.load, &first.load),
            each(&length.whole),
            time(&length.whole, &first.whole),
        )?;
    }
    Ok(())
}

fn over_events(text: &mut String, rebuilds: &[Rebuild]) -> Result<(), Failure> {
    text.push_str(
        "\n## Rebuild of the projection\n\n\
         | events | rows written | seconds | events per second | read units per 1000 events | write units per row |\n\
         |---|---|---|---|---|---|\n",
    );
    for rebuild in rebuilds {
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let (events, rows) = (rebuild.events as f64, rebuild.rows as f64);
        let seconds = rebuild.took.as_secs_f64();
        writeln!(
            text,
            "| {} | {} | {seconds:.1} | {:.0} | {:.1} | {:.2} |",
            rebuild.events,
            rebuild.rows,
            events / seconds,
            rebuild.counted.read_units * 1000.0 / events,
            rebuild.counted.write_units / rows,
        )?;
    }
    Ok(())
}

fn each(measured: &Measured) -> String {
    let [requests, writes, reads] = measured.each();
    let short = |number: f64| {
        let text = format!("{number:.1}");
        text.strip_suffix(".0").unwrap_or(&text).to_owned()
    };
    format!("{} / {} / {}", short(requests), short(writes), short(reads))
}

fn time(measured: &Measured, first: &Measured) -> String {
    let micros = median(measured.micros.clone());
    format!("{:.1} ms, {:.2}×", micros / 1000.0, measured.times(first))
}
