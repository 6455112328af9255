//! The pid: given as a number, taken from the name of the machine, or one that is free in the store.

use ipseity_core::identity::Pid;
use ipseity_pids::Wanted;

use super::{UsageError, given::Given};

/// The pid of this server, or which one it may take.
pub(super) fn choice(given: &Given, host_name: &str) -> Result<Wanted, UsageError> {
    let is_free = given.value("pid").as_deref() == Some("auto");
    match (is_free, range(given)?) {
        (false, None) => pid(given, host_name).map(Wanted::Pid),
        (false, Some(_)) => Err(UsageError::new(format!(
            "{} counts only with --pid auto",
            given.name("pid-range")
        ))),
        (true, _) if given.is_given("pid-from-hostname") => Err(contradiction(given)),
        (true, range) => {
            let (first, last) = range.unwrap_or((Pid::MIN, Pid::MAX));
            Ok(Wanted::Auto { first, last })
        }
    }
}

/// The lowest and the highest pid that may be taken, if that is said.
fn range(given: &Given) -> Result<Option<(Pid, Pid)>, UsageError> {
    let Some(text) = given.value("pid-range") else {
        return Ok(None);
    };
    let range = text.split_once('-').and_then(|(first, last)| {
        let (first, last): (Pid, Pid) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then_some((first, last))
    });
    range.map(Some).ok_or_else(|| {
        let expected = format!(
            "two numbers from 0 to {}, the lower one first, as in 100-199",
            Pid::MAX
        );
        given.bad("pid-range", &text, expected)
    })
}

fn contradiction(given: &Given) -> UsageError {
    UsageError::new(format!(
        "{} and {} contradict each other: one says the pid, the other takes it from the host name",
        given.name("pid"),
        given.name("pid-from-hostname")
    ))
}

/// The pid of this server, if it is given or follows from something.
fn pid(given: &Given, host_name: &str) -> Result<Pid, UsageError> {
    if given.is_given("pid-from-hostname") {
        return from_host_name(given, host_name);
    }
    if given.is_given("pid-base") {
        return Err(UsageError::new(format!(
            "{} counts only with --pid-from-hostname",
            given.name("pid-base")
        )));
    }
    if let Some(text) = given.value("pid") {
        return text.parse().map_err(|_| {
            given.bad(
                "pid",
                &text,
                format_args!(
                    "a number from 0 to {}, or auto with a store in etcd",
                    Pid::MAX
                ),
            )
        });
    }
    match ["peer", "peer-from"]
        .iter()
        .find(|flag| given.is_given(flag))
    {
        None => Ok(Pid::MIN),
        Some(flag) => Err(UsageError::new(format!(
            "{} needs --pid: give every server of a cluster a number of its own, 0 to {}",
            given.name(flag),
            Pid::MAX
        ))),
    }
}

fn from_host_name(given: &Given, host_name: &str) -> Result<Pid, UsageError> {
    let name = given.name("pid-from-hostname");
    if given.is_given("pid") {
        return Err(contradiction(given));
    }
    let base = match given.value("pid-base") {
        Some(text) => ipseity_console::number(&text, 0..=u64::from(u16::from(Pid::MAX)))
            .map_err(|expected| given.bad("pid-base", &text, expected))?,
        None => 0,
    };
    let Some(ordinal) = ordinal(host_name) else {
        return Err(UsageError::new(format!(
            "{name}: the host name {host_name:?} does not end in a dash and a number, as in ipseity-3; give --pid \
             instead"
        )));
    };
    // A number of too many digits is beyond the greatest pid too.
    let pid = ordinal.parse().ok().and_then(|ordinal: u16| {
        let pid = u16::try_from(base + u64::from(ordinal)).ok()?;
        Pid::new(pid)
    });
    pid.ok_or_else(|| {
        UsageError::new(format!(
            "{name}: the host name {host_name:?} and the base {base} make a pid beyond {}, the greatest one",
            Pid::MAX
        ))
    })
}

/// The digits at the end of a host name, `3` in `ipseity-3`. If it is a full name, with dots, its first part counts: a
/// pod may be told to have such a name.
fn ordinal(host_name: &str) -> Option<&str> {
    let (first, _) = host_name.split_once('.').unwrap_or((host_name, ""));
    let (front, digits) = first.rsplit_once('-')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (!front.is_empty() && is_number).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::super::{Command, Surroundings, parse};

    /// The pid, or what is said instead.
    fn pid_on(host_name: &str, line: &str) -> Result<u64, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let surroundings = Surroundings {
            variables: Vec::new(),
            host_name: host_name.to_owned(),
        };
        match parse(&words, &surroundings) {
            Ok(Command::Serve(options)) => Ok(options.pid.to_string().parse().unwrap()),
            Ok(other) => panic!("{line}: {other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_number_at_the_end_of_the_host_name_is_the_pid() {
        for (host_name, line, pid) in [
            ("ipseity-0", "", 0),
            ("ipseity-3", "", 3),
            ("ids-of-team-7-12", "", 12),
            ("ipseity-3.ipseity.default.svc.cluster.local", "", 3),
            ("ipseity-3", "--pid-base 100", 103),
            ("ipseity-23", "--pid-base 1000", 1023),
            ("ipseity-1023", "--pid-base 0", 1023),
            ("ipseity-3", "--peer a:1 --peer-from 10.0.0.0/8", 3),
        ] {
            let line = format!("--pid-from-hostname {line}");
            assert_eq!(pid_on(host_name, &line), Ok(pid), "{host_name} {line}");
        }
        // Without the flag the host name does not count.
        assert_eq!(pid_on("ipseity-3", ""), Ok(0));
    }

    #[test]
    fn a_host_name_that_gives_no_pid_is_refused() {
        for host_name in [
            "",
            "ipseity",
            "ipseity3",
            "3",
            "-3",
            "ipseity-",
            "ipseity-x3",
            "ipseity-+3",
            "ipseity.a-3",
        ] {
            let said = pid_on(host_name, "--pid-from-hostname").unwrap_err();
            let expected = format!(
                "--pid-from-hostname: the host name {host_name:?} does not end in a dash and a number, as in \
                 ipseity-3; give --pid instead"
            );
            assert_eq!(said, expected);
        }
        for (host_name, base) in [
            ("a-1024", 0),
            ("a-24", 1000),
            ("a-1", 1023),
            ("a-65536", 0),
            ("a-99999999999999999999", 1),
        ] {
            let line = format!("--pid-from-hostname --pid-base {base}");
            let said = pid_on(host_name, &line).unwrap_err();
            let expected = format!(
                "--pid-from-hostname: the host name {host_name:?} and the base {base} make a pid beyond 1023, the \
                 greatest one"
            );
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn one_way_to_say_the_pid_is_enough() {
        for (line, says) in [
            (
                "--pid-from-hostname --pid 3",
                "--pid and --pid-from-hostname contradict each other: one says the pid, the other takes it from the \
                 host name",
            ),
            (
                "--pid-base 3",
                "--pid-base counts only with --pid-from-hostname",
            ),
            (
                "--pid-base 3 --pid 3",
                "--pid-base counts only with --pid-from-hostname",
            ),
            (
                "--pid-from-hostname --pid-base 1024",
                "--pid-base \"1024\": expected a number from 0 to 1023",
            ),
        ] {
            assert_eq!(pid_on("ipseity-3", line), Err(says.to_owned()), "{line}");
        }
    }
}
