//! What the system refuses at a start, and what to do about it.
//!
//! It knows the errors of the system, and nothing about what was attempted.

use std::{error::Error, fmt, io};

use rustix::io::Errno;

/// Something that the server needs and that the system refused.
#[derive(Debug)]
pub struct StartFailure {
    /// What was attempted, as "make a poll" in "cannot make a poll".
    doing: &'static str,
    source: io::Error,
}

impl StartFailure {
    /// For `map_err`.
    pub(super) fn of(doing: &'static str) -> impl FnOnce(io::Error) -> StartFailure {
        move |source| StartFailure { doing, source }
    }
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StartFailure { doing, source } = self;
        write!(f, "cannot {doing}: {source}")?;
        match advice(source) {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl Error for StartFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// What to do about an error that a limit of the system causes, whatever was attempted.
pub fn advice(error: &io::Error) -> Option<&'static str> {
    match Errno::from_io_error(error)? {
        Errno::MFILE => Some("raise the limit of open files (ulimit -n, LimitNOFILE=)"),
        Errno::NFILE => {
            Some("the whole machine has too many files open: close some, or raise fs.file-max")
        }
        Errno::AGAIN => {
            Some("raise the limit of processes and threads (ulimit -u, TasksMax=, the container's)")
        }
        Errno::NOBUFS | Errno::NOMEM => Some("free memory, or give this machine or container more"),
        // The numbers of the system are not a closed set.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_limit_to_raise() {
        for (errno, says) in [
            (Errno::MFILE, "ulimit -n"),
            (Errno::NFILE, "fs.file-max"),
            (Errno::AGAIN, "ulimit -u"),
            (Errno::NOMEM, "memory"),
        ] {
            let source = io::Error::from_raw_os_error(errno.raw_os_error());
            let failure = StartFailure::of("start a thread")(source).to_string();
            assert!(failure.starts_with("cannot start a thread: "), "{failure}");
            assert!(failure.contains(says), "{failure}");
        }
        let other = StartFailure::of("make a poll")(io::ErrorKind::NotFound.into());
        assert_eq!(other.to_string(), "cannot make a poll: entity not found");
        assert!(other.source().is_some());
    }
}
