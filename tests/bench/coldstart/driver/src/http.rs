//! The server's side of HTTP/1.1, as much as clients with bodies of a known length need.

use std::io::{self, BufRead, BufReader, Read, Write};

/// A request, with what of its headers is asked for here.
#[derive(Debug)]
pub struct Request {
    /// The path, with its query.
    pub path: String,
    /// `X-Amz-Target`, without the service before the dot.
    pub operation: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// What is answered.
#[derive(Debug)]
pub struct Response {
    /// Such as `200 OK`.
    pub status: &'static str,
    /// Headers beside the length.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Answers the requests of one connection, one after the other, until it ends.
///
/// # Errors
/// When the connection breaks, or what comes is no HTTP.
pub fn serve<S: Read + Write>(
    stream: S,
    mut answer: impl FnMut(Request) -> Option<Response>,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream)? {
        let Some(response) = answer(request) else {
            return Ok(());
        };
        let mut bytes = Vec::new();
        write!(bytes, "HTTP/1.1 {}\r\n", response.status)?;
        for (name, value) in &response.headers {
            write!(bytes, "{name}: {value}\r\n")?;
        }
        write!(bytes, "content-length: {}\r\n\r\n", response.body.len())?;
        bytes.extend(response.body);
        stream.get_mut().write_all(&bytes)?;
        stream.get_mut().flush()?;
    }
    Ok(())
}

fn read<S: Read>(stream: &mut BufReader<S>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let Some(path) = words.nth(1) else {
        return Err(io::Error::other(format!("no request line: {line:?}")));
    };
    let mut request = Request {
        path: path.to_owned(),
        operation: None,
        body: Vec::new(),
    };
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().map_err(io::Error::other)?,
            "x-amz-target" => request.operation = value.rsplit('.').next().map(str::to_owned),
            "transfer-encoding" => return Err(io::Error::other("a body of unknown length")),
            _ => {}
        }
    }
    request.body = vec![0; length];
    stream.read_exact(&mut request.body)?;
    Ok(Some(request))
}
