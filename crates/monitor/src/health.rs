//! The answers to health checks: small checks with names, one a line, and a verdict in the last line.

use ipseity_core::words::{Standing, StorageStatus};

/// The answer to a health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether all is well.
    pub ok: bool,
    /// One line for each check, and the verdict. It ends with a line end.
    pub text: String,
}

/// Whether the process should go on living: it should, if it answers. Nothing else is asked. A restart brings back no peer,
/// resolves no objection, and repairs no disk.
pub fn live() -> Health {
    Health {
        ok: true,
        text: "loop ok\nlive\n".to_owned(),
    }
}

/// Whether the server can hand out identities now. Peers that are absent are no reason against it.
pub fn ready(standing: Standing, storage: &StorageStatus) -> Health {
    let joined = match standing {
        Standing::Joining => Err(
            "it still asks its peers whether it may use its pid; `ipseity-cli status` shows the state of each, and those that are not up have to come back"
                .to_owned(),
        ),
        Standing::Conflict | Standing::Stale => Ok("skipped: a peer objects"),
        _ => Ok("ok"),
    };
    let disk = match standing {
        Standing::StorageFailed => {
            Err("a write has failed: the server is about to exit, and its log says why".to_owned())
        }
        Standing::WaitingForDisk => Err(format!(
            "waiting for a write that began {} s ago",
            storage.current_write_us / 1_000_000
        )),
        _ if !storage.durable => Ok("ok: nothing is written (--ephemeral)"),
        _ => Ok("ok"),
    };
    let stands = match standing {
        // Said by the check of the disk or of the join.
        Standing::Serving
        | Standing::Joining
        | Standing::StorageFailed
        | Standing::WaitingForDisk => Ok("ok"),
        Standing::Stopping => Err("the server is stopping".to_owned()),
        Standing::Conflict => Err("pid conflict: another live server has its pid".to_owned()),
        Standing::Stale => {
            Err("stale state: a peer remembers more of its pid than its own disk does".to_owned())
        }
        Standing::Exhausted => Err("exhausted: all sequences are used up, for good".to_owned()),
    };
    let checks = [("standing", stands), ("disk", disk), ("joined", joined)];
    let ok = checks.iter().all(|(_, result)| result.is_ok());
    debug_assert_eq!(ok, standing.hands_out());
    let mut text = String::new();
    for (name, result) in checks {
        text += &match result {
            Ok(result) => format!("{name} {result}\n"),
            Err(reason) => format!("{name} failed: {reason}\n"),
        };
    }
    text += match ok {
        true => "ready\n",
        false => "not ready\n",
    };
    Health { ok, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: StorageStatus = StorageStatus {
        durable: true,
        ceiling: 0,
        skipped: 0,
        writes: 1,
        longest_write_us: 0,
        current_write_us: 4_900_000,
    };

    #[test]
    fn it_is_ready_where_identities_are_handed_out_and_nowhere_else() {
        for standing in Standing::ALL {
            let health = ready(standing, &DISK);
            assert_eq!(health.ok, standing.hands_out(), "{standing}");
            let verdict = match health.ok {
                true => (true, "ready"),
                false => (false, "not ready"),
            };
            let lines: Vec<&str> = health.text.lines().collect();
            assert_eq!((health.ok, lines[3]), verdict);
            let failed = lines.iter().filter(|line| line.contains(" failed: "));
            assert_eq!(failed.count(), usize::from(!health.ok), "one reason each");
        }
    }

    #[test]
    fn each_check_is_a_line_with_its_reason() {
        assert_eq!(
            ready(Standing::Serving, &DISK).text,
            "standing ok\ndisk ok\njoined ok\nready\n"
        );
        assert_eq!(
            ready(Standing::WaitingForDisk, &DISK).text,
            "standing ok\ndisk failed: waiting for a write that began 4 s ago\njoined ok\nnot ready\n"
        );
        // Whether it has joined does not matter any more, and may not be so.
        let text = ready(Standing::Stale, &DISK).text;
        assert!(
            text.contains("\njoined skipped: a peer objects\n"),
            "{text}"
        );
        let ephemeral = StorageStatus::default();
        assert_eq!(
            ready(Standing::Serving, &ephemeral).text,
            "standing ok\ndisk ok: nothing is written (--ephemeral)\njoined ok\nready\n"
        );
    }

    #[test]
    fn what_answers_is_alive() {
        let health = live();
        assert_eq!((health.ok, &*health.text), (true, "loop ok\nlive\n"));
    }
}
