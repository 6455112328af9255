//! The limit of open files of this process (`ulimit -n`).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit towards `needed`, as far as the hard limit goes, and returns what it is now:
/// [`u64::MAX`] if there is none. It is never lowered.
pub fn raise_open_files(needed: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // `None` means that there is no limit.
    let soft = limit.current.unwrap_or(u64::MAX);
    let wanted = needed.min(limit.maximum.unwrap_or(u64::MAX)).max(soft);
    let raised = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum,
    };
    if soft < wanted && setrlimit(Resource::Nofile, raised).is_ok() {
        wanted
    } else {
        soft
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_raised_as_far_as_it_may_be_and_never_lowered() {
        let before = raise_open_files(0);
        assert_eq!(raise_open_files(1), before);
        let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        assert!(before <= hard);
        let a_little_more = before.saturating_add(1).min(hard);
        assert_eq!(raise_open_files(a_little_more), a_little_more);
        // Never beyond the hard limit.
        assert!(raise_open_files(u64::MAX) <= hard);
    }
}
