//! What can go wrong between the endpoint and its host.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::ApiError;

/// Why the endpoint cannot do what its host asks for.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Only loopback is served: the endpoint knows no authentication.
    #[error("{0} is not a loopback address; use 127.0.0.1 or [::1]")]
    NotLoopback(SocketAddr),
    /// The address is taken or not ours.
    #[error("cannot listen on {addr}: {source}; choose another port, or 0 for any free one")]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Another endpoint runs on the same folder.
    #[error("{} is in use by another process; stop that one or choose another folder", .0.display())]
    DataDirInUse(PathBuf),
    /// A file cannot be read or written.
    #[error("{}: {what}", .path.display())]
    Storage {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A table is kept with another definition.
    #[error(
        "table {table} is kept in {} with other {members} than it is to have now: another version \
         of the template wrote it. Nothing was changed. Go on with that version, or begin anew: \
         with another data directory, or after moving this one away as a whole",
        .directory.display()
    )]
    TableChanged {
        /// The table.
        table: String,
        /// Members of the definition that differ.
        members: String,
        /// The data directory, empty for none.
        directory: PathBuf,
    },
    /// The resource does not exist.
    #[error("there is no {0}; create it first")]
    NotFound(String),
    /// A definition is refused as AWS would refuse it.
    #[error(transparent)]
    Refused(#[from] ApiError),
}
