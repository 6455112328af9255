//! What the system says of processes and allows them: the processor time that they have used, and how many
//! files they may open.

use std::{fs, io, time::Duration};

use ipseity_console::raise_open_files;

/// The processor time of this program; `None` if the system does not tell it.
pub fn own_cpu() -> Option<Duration> {
    used("self").ok()
}

/// The processor time of the process with this id, of all its threads.
pub fn cpu_of(process: u32) -> Result<Duration, String> {
    used(&process.to_string())
        .map_err(|error| format!("--process {process}: cannot read its processor time: {error}"))
}

/// What the threads that run now have used, in nanoseconds. A kernel without that counts in ticks.
fn used(process: &str) -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        match fs::read_to_string(thread?.path().join("schedstat")) {
            Ok(text) => sum += Duration::from_nanos(nanoseconds(&text)?),
            Err(_) => return used_in_ticks(process),
        }
    }
    Ok(sum)
}

fn used_in_ticks(process: &str) -> io::Result<Duration> {
    /// Linux shows ticks of a hundredth of a second, whatever it counts in itself.
    const TICK: Duration = Duration::from_millis(10);
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let ticks = ticks(&text).ok_or(io::ErrorKind::InvalidData)?;
    Ok(TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX)))
}

/// The time that a thread has run: the first of three numbers.
fn nanoseconds(schedstat: &str) -> io::Result<u64> {
    let first = schedstat.split_whitespace().next();
    let number = first.and_then(|text| text.parse().ok());
    number.ok_or(io::ErrorKind::InvalidData.into())
}

/// File descriptors that are not connections.
const DESCRIPTORS_OTHER: u64 = 32;

/// Raises the soft limit of open files to what this many connections need.
pub fn raise_descriptors(connections: usize) -> Result<(), String> {
    let needed = connections as u64 + DESCRIPTORS_OTHER;
    let limit = raise_open_files(needed);
    if limit < needed {
        return Err(format!(
            "{connections} connections need {needed} file descriptors, and the limit is {limit} \
             (ulimit -Hn raises it)"
        ));
    }
    Ok(())
}

/// User and system time together.
fn ticks(stat: &str) -> Option<u64> {
    // The name, in brackets, may hold anything. Behind it stands the third field; the two are the fourteenth
    // and the fifteenth.
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_stand_behind_a_name_that_may_hold_anything() {
        let stat = "7 (a) 1 (b) S 1 7 7 0 -1 4194560 99 0 0 0 250 31 0 0 20 0 1 0 100 1 2";
        assert_eq!(ticks(stat), Some(281));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn a_process_that_does_not_exist_is_named() {
        let used = own_cpu().unwrap();
        // Where the system counts in ticks, it may be less than one.
        assert!(!used.is_zero() || !fs::exists("/proc/self/schedstat").unwrap());
        assert!(cpu_of(std::process::id()).is_ok());
        assert!(used_in_ticks("self").is_ok());
        assert_eq!(nanoseconds("17 2 3\n").ok(), Some(17));
        assert!(nanoseconds("").is_err());
        let error = cpu_of(u32::MAX).unwrap_err();
        assert!(error.starts_with("--process 4294967295: cannot read "));
    }
}
