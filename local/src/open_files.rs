//! How many files and sockets this process may have open: many connections at a time need more
//! than the usual limit.

/// Raises the limit to the highest that may be had without privileges. Where that is refused, the
/// limit stays: it is enough unless very much goes on at a time.
pub fn allow_all() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let highest = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        let _ = setrlimit(Resource::Nofile, highest);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::process::{Resource, getrlimit};

    #[test]
    fn as_many_files_may_be_open_as_the_hard_limit_allows() {
        super::allow_all();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
