//! The Lambda Runtime API of one process, which says what the process asks for, and when.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use crate::http::{self, Response};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// How long a process may take to say something.
const PATIENCE: Duration = Duration::from_mins(1);
/// The time of an invocation, as the template gives it.
const TIMEOUT: Duration = Duration::from_secs(15);

/// What a process said.
#[derive(Debug)]
pub enum Said {
    /// It is ready for an event, which is sent here.
    Next(Sender<Vec<u8>>),
    /// It answered; true when the answer is no error.
    Answered(bool),
    /// It did not get ready.
    InitFailed(String),
}

/// The Runtime API, on loopback.
#[derive(Debug)]
pub struct RuntimeApi {
    /// Where it listens.
    pub address: SocketAddr,
    said: Receiver<(Instant, Said)>,
}

impl RuntimeApi {
    /// Listens.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (sender, said) = channel();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let said = sender.clone();
                let _ = stream.set_nodelay(true);
                // A connection ends when its process does.
                thread::spawn(move || http::serve(stream, |request| answer(&said, &request)));
            }
        });
        Ok(Self { address, said })
    }

    /// What is said next.
    ///
    /// # Errors
    /// When nothing is, for too long.
    pub fn next(&self) -> io::Result<(Instant, Said)> {
        self.said
            .recv_timeout(PATIENCE)
            .map_err(|_| io::Error::other("the process says nothing"))
    }
}

fn answer(said: &Sender<(Instant, Said)>, request: &http::Request) -> Option<Response> {
    let now = Instant::now();
    if request.path.ends_with("/invocation/next") {
        let (sender, event) = channel();
        said.send((now, Said::Next(sender))).ok()?;
        // No event: the process is at its end.
        let event = event.recv().ok()?;
        return Some(invocation(event));
    }
    let what = if request.path.ends_with("/init/error") {
        Said::InitFailed(String::from_utf8_lossy(&request.body).into_owned())
    } else {
        Said::Answered(request.path.ends_with("/response"))
    };
    said.send((now, what)).ok()?;
    Some(Response {
        status: "202 Accepted",
        headers: Vec::new(),
        body: Vec::new(),
    })
}

fn invocation(event: Vec<u8>) -> Response {
    let deadline = SystemTime::now() + TIMEOUT;
    let deadline = deadline.duration_since(SystemTime::UNIX_EPOCH);
    let deadline = deadline.unwrap_or_default().as_millis().to_string();
    let arn = "arn:aws:lambda:us-east-1:123456789012:function:bench";
    Response {
        status: "200 OK",
        headers: vec![
            ("content-type", "application/json".to_owned()),
            ("lambda-runtime-aws-request-id", "bench".to_owned()),
            ("lambda-runtime-deadline-ms", deadline),
            ("lambda-runtime-invoked-function-arn", arn.to_owned()),
        ],
        body: event,
    }
}
