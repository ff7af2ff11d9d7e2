//! The server, as a process that obeys (see the driver's `bench-server`).

use flow::Failure;
use serde::Deserialize;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What was counted.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counted {
    pub(crate) requests: u32,
    pub(crate) read_units: f64,
    pub(crate) write_units: f64,
}

/// A running server; it ends with this.
pub(crate) struct Server {
    pub(crate) url: String,
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Server {
    pub(crate) fn start(program: &Path) -> Result<Self, Failure> {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take();
        let answers = child.stdout.take().ok_or("the server says nothing")?;
        let mut server = Self {
            url: String::new(),
            child,
            orders,
            answers: BufReader::new(answers),
        };
        server.url = server.answer()?;
        Ok(server)
    }

    pub(crate) fn table(&mut self, request: &Value) -> Result<(), Failure> {
        self.ask(&format!("table {request}")).map(drop)
    }

    pub(crate) fn reset(&mut self) -> Result<(), Failure> {
        self.ask("reset").map(drop)
    }

    pub(crate) fn counted(&mut self) -> Result<Counted, Failure> {
        Ok(serde_json::from_str(&self.ask("meter")?)?)
    }

    fn ask(&mut self, order: &str) -> Result<String, Failure> {
        let orders = self.orders.as_mut().ok_or("the server has ended")?;
        writeln!(orders, "{order}")?;
        self.answer()
    }

    fn answer(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line.is_empty() {
            return Err("the server has ended".into());
        }
        Ok(line.trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends with its input.
        self.orders = None;
        let _ = self.child.wait();
    }
}
