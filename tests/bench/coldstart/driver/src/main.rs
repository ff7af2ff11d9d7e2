//! What a cold start takes: each function, a function that does nothing, and one with the SDK's
//! defaults, in turns, under a Runtime API and an AWS of our own on loopback. Called by `run`.

mod aws;
mod http;
mod process;
mod quota;
mod report;
mod runtime_api;

use aws::Aws;
use process::Subject;
use quota::Quota;
use report::{Measured, Static};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Memory of a function in the template, which is what it has of a processor, too.
const MEMORY_MB: u32 = 256;
/// The machine's own trusted roots, which the SDK's defaults read.
const NATIVE_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// These ask the AWS on loopback, which answers each request with nothing, until their time is over.
const NOT_CALLED: [&str; 4] = [
    "close-windows",
    "project-orders",
    "rebuild-orders",
    "reconcile-events",
];
const USAGE: &str = "coldstart-driver --root DIR --programs DIR --peers DIR --work DIR --runs N [--valgrind PROGRAM] FUNCTION...";

/// What is asked for.
struct Told {
    root: PathBuf,
    programs: PathBuf,
    peers: PathBuf,
    work: PathBuf,
    runs: usize,
    valgrind: Option<PathBuf>,
    functions: Vec<String>,
}

impl Told {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = BTreeMap::new();
        let mut functions = Vec::new();
        while let Some(argument) = arguments.next() {
            match argument.strip_prefix("--") {
                Some(name) => drop(options.insert(name.to_owned(), arguments.next()?)),
                None => functions.push(argument),
            }
        }
        let path = |name: &str| options.get(name).map(PathBuf::from);
        Some(Self {
            root: path("root")?,
            programs: path("programs")?,
            peers: path("peers")?,
            work: path("work")?,
            runs: options.get("runs")?.parse().ok()?,
            valgrind: path("valgrind"),
            functions,
        })
    }
}

fn main() -> ExitCode {
    let Some(told) = Told::parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match measure(&told) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Measures and prints; false when a count is over its target.
fn measure(told: &Told) -> Result<bool, Box<dyn Error>> {
    let aws = Aws::start()?;
    let subjects = subjects(told, &aws)?;
    let quota = Quota::of_memory(MEMORY_MB)
        .inspect_err(|error| eprintln!("no control group, so nothing at {MEMORY_MB} MB: {error}"))
        .ok();
    let mut measured = Vec::new();
    for subject in &subjects {
        measured.push(Measured::new(subject.name.clone(), count(told, subject)?));
    }
    for run in 0..told.runs {
        if std::io::stderr().is_terminal() {
            eprint!("\rturn {} of {} ", run + 1, told.runs);
        }
        for (subject, measured) in subjects.iter().zip(&mut measured) {
            measured.starts.push(subject.start()?);
            if subject.event.is_none() {
                continue;
            }
            let _ = aws.counted();
            measured.runs.push(subject.run(None)?);
            (measured.connections, measured.requests) = aws.counted();
            if let Some(quota) = &quota {
                measured.throttled.push(subject.run(Some(quota))?);
            }
        }
    }
    Ok(report::print(&measured, MEMORY_MB))
}

/// The peers, then the functions.
fn subjects(told: &Told, aws: &Aws) -> Result<Vec<Subject>, Box<dyn Error>> {
    let amazon = std::fs::read_to_string(told.root.join("shared/aws-adapters/roots/amazon.pem"))?;
    let bundle = told.work.join("bundle.pem");
    std::fs::write(&bundle, amazon + &aws.root)?;
    let native = told.work.join("native.pem");
    let roots = std::fs::read_to_string(NATIVE_ROOTS).inspect_err(|error| {
        eprintln!("the SDK's defaults find no roots but ours: {NATIVE_ROOTS}: {error}");
    });
    std::fs::write(&native, roots.unwrap_or_default() + &aws.root)?;

    let mut environment = BTreeMap::new();
    for line in std::fs::read_to_string(told.root.join("local/watch.env"))?.lines() {
        if let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            environment.insert(name.to_owned(), value.to_owned());
        }
    }
    let text = |path: &Path| path.display().to_string();
    for (name, value) in [
        ("AWS_ENDPOINT_URL", aws.url.clone()),
        // What the SDK's defaults read wherever they run.
        ("SSL_CERT_FILE", text(&native)),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", MEMORY_MB.to_string()),
    ] {
        environment.insert(name.to_owned(), value);
    }
    let trust = BTreeMap::from([("AWS_CA_BUNDLE".to_owned(), text(&bundle))]);
    let subject = |name: &str, program: PathBuf, event: &str| -> Result<Subject, Box<dyn Error>> {
        let mut environment = environment.clone();
        environment.insert("AWS_LAMBDA_FUNCTION_NAME".to_owned(), name.to_owned());
        let queue = format!("{}/000000000000/{name}-dlq", aws.url);
        environment.insert("DEAD_LETTER_QUEUE_URL".to_owned(), queue);
        let event = told.root.join("events").join(format!("{event}.json"));
        let event =
            std::fs::read(&event).map_err(|error| format!("{}: {error}", event.display()))?;
        let event = without_contact(&event)?;
        Ok(Subject {
            name: name.to_owned(),
            program,
            environment,
            trust: trust.clone(),
            event: (!NOT_CALLED.contains(&name)).then_some(event),
        })
    };
    let mut subjects = Vec::new();
    for (peer, program) in report::PEERS {
        subjects.push(subject(peer, told.peers.join(program), "place-order")?);
    }
    for name in &told.functions {
        subjects.push(subject(name, told.programs.join(name), name)?);
    }
    Ok(subjects)
}

/// The sample event; an order without its contact, so that placing it is one request, as it is with
/// the peer.
fn without_contact(event: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut event: serde_json::Value = serde_json::from_slice(event)?;
    if let Some(text) = event["body"]
        .as_str()
        .filter(|text| text.contains("contact"))
    {
        let mut body: serde_json::Value = serde_json::from_str(text)?;
        if let Some(body) = body.as_object_mut() {
            body.remove("contact");
        }
        event["body"] = body.to_string().into();
    }
    Ok(serde_json::to_vec(&event)?)
}

/// What does not depend on how fast the machine is.
fn count(told: &Told, subject: &Subject) -> Result<Static, Box<dyn Error>> {
    let program = std::fs::read(&subject.program)
        .map_err(|error| format!("{}: {error}", subject.program.display()))?;
    let mut deflated =
        flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut deflated, &program)?;
    let crates = crates(told, &subject.name)?;
    let instructions = match &told.valgrind {
        Some(valgrind) => Some(subject.instructions(valgrind)?),
        None => None,
    };
    Ok(Static {
        program: program.len(),
        zip: deflated.finish()?.len(),
        aws_lc: crates.iter().any(|name| name.starts_with("aws-lc")),
        crates: crates.len(),
        instructions,
    })
}

/// The crates that a program is linked from.
fn crates(told: &Told, package: &str) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let peer = report::PEERS.iter().find(|(name, _)| *name == package);
    let (package, manifest) = match peer {
        Some((_, program)) => (
            program.rsplit('/').next().unwrap_or(program),
            told.root.join("tests/bench/coldstart/Cargo.toml"),
        ),
        None => (package, told.root.join("Cargo.toml")),
    };
    let tree = Command::new("cargo")
        .args([
            "tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}",
        ])
        .args(["--package", package, "--manifest-path"])
        .arg(manifest)
        .output()?;
    if !tree.status.success() {
        return Err(String::from_utf8_lossy(&tree.stderr).into_owned().into());
    }
    let lines = String::from_utf8(tree.stdout)?;
    let names = lines
        .lines()
        .map(|line| line.split(" (").next().unwrap_or(line));
    Ok(names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect())
}

/// The middle one of what the runs came to.
pub(crate) fn median<R, T: Ord + Copy>(runs: &[R], of: impl Fn(&R) -> T) -> Option<T> {
    let mut values: Vec<_> = runs.iter().map(of).collect();
    values.sort();
    values.get(values.len() / 2).copied()
}
