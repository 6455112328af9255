//! What the system says of processes and allows them: the processor time that they have used, and how many
//! files they may open.

use std::{fs, time::Duration};

use rustix::{
    param::clock_ticks_per_second,
    process::{Resource, Rlimit, getrlimit, setrlimit},
    time::{ClockId, clock_gettime},
};

/// The processor time of this program.
pub fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// The processor time of the process with this id, of all its threads, as the system counts it: mostly in
/// hundredths of a second.
pub fn cpu_of(process: u32) -> Result<Duration, String> {
    let path = format!("/proc/{process}/stat");
    let text = fs::read_to_string(&path)
        .map_err(|error| format!("--pid {process}: cannot read {path}: {error}"))?;
    let ticks = ticks(&text).ok_or_else(|| format!("--pid {process}: {path} has another form"))?;
    Ok(Duration::from_secs_f64(
        ticks as f64 / clock_ticks_per_second() as f64,
    ))
}

/// File descriptors that are not connections.
const DESCRIPTORS_OTHER: u64 = 32;

/// Raises the soft limit of open files to what so many connections need.
pub fn raise_descriptors(connections: usize) -> Result<(), String> {
    let needed = connections as u64 + DESCRIPTORS_OTHER;
    let limit = getrlimit(Resource::Nofile);
    // `None` is no limit.
    if limit.current.is_none_or(|soft| soft >= needed) {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(needed),
        maximum: limit.maximum,
    };
    match limit.maximum {
        Some(hard) if hard < needed => Err(format!(
            "{connections} connections need {needed} file descriptors, and the limit is {hard} \
             (ulimit -Hn raises it)"
        )),
        _ => setrlimit(Resource::Nofile, raised)
            .map_err(|error| format!("cannot raise the limit of open files to {needed}: {error}")),
    }
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
    fn one_that_is_not_there_is_named() {
        assert!(cpu_of(std::process::id()).is_ok());
        let error = cpu_of(u32::MAX).unwrap_err();
        assert!(
            error.starts_with("--pid 4294967295: cannot read "),
            "{error}"
        );
    }
}
