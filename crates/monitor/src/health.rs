//! The answers to health checks: small checks with names, one a line, and a verdict in the last line.

use ipseity_core::words::{Standing, StorageStatus, StoreKind, StoreState, StoreStatus};

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
pub fn ready(standing: Standing, store: &StoreStatus, storage: &StorageStatus) -> Health {
    let joined = match standing {
        Standing::Joining => Err(
            "it still asks its peers whether it may use its pid; `ipseity-cli status` shows the state of each, and those that are not up have to come back"
                .to_owned(),
        ),
        Standing::Conflict | Standing::Stale => Ok("skipped: a peer objects"),
        _ => Ok("ok"),
    };
    let kept = match standing {
        Standing::StorageFailed => {
            Err("a write has failed: the server is about to exit, and its log says why".to_owned())
        }
        Standing::WaitingForDisk => Err(what_waits(store, storage)),
        _ if store.kind == StoreKind::None => Ok("ok: nothing is written (--ephemeral)"),
        _ => Ok("ok"),
    };
    let stands = match standing {
        // Said by the check of the store or of the join.
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
    let store = match store.kind {
        StoreKind::None | StoreKind::Directory => "disk",
        StoreKind::Etcd => "etcd",
    };
    let checks = [("standing", stands), (store, kept), ("joined", joined)];
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

/// What requests for identities wait for, and where to look.
fn what_waits(store: &StoreStatus, storage: &StorageStatus) -> String {
    let write = storage.current_write_us / 1_000_000;
    let confirmed = format!(
        "it confirmed {} s ago for the last time that this server has its pid",
        store.confirmed_us / 1_000_000
    );
    let why = match (store.kind, store.state) {
        (StoreKind::None | StoreKind::Directory, _) => {
            return format!(
                "waiting for a write that began {write} s ago; look at the disk of --data-dir"
            );
        }
        (StoreKind::Etcd, StoreState::InDoubt) => {
            format!("{confirmed}, so requests wait until it confirms that again")
        }
        // Whether it does not confirm the pid, or does not take a write.
        (StoreKind::Etcd, StoreState::Away) => {
            format!(
                "requests have waited too long for it, and are refused with storeUnavailable until it answers; {confirmed}"
            )
        }
        (StoreKind::Etcd, StoreState::Ready) => {
            format!("waiting for a write to it that began {write} s ago")
        }
    };
    format!(
        "{why}; see whether etcd runs, has a leader and has space, and whether this server reaches it"
    )
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

    fn store(kind: StoreKind, state: StoreState) -> StoreStatus {
        StoreStatus {
            kind,
            state,
            confirmed_us: 61_700_000,
            ..StoreStatus::default()
        }
    }

    /// The answer of a server whose state is in a directory.
    fn with_disk(standing: Standing) -> Health {
        let directory = store(StoreKind::Directory, StoreState::Ready);
        ready(standing, &directory, &DISK)
    }

    #[test]
    fn it_is_ready_where_identities_are_handed_out_and_nowhere_else() {
        for standing in Standing::ALL {
            for kind in StoreKind::ALL {
                let health = ready(standing, &store(kind, StoreState::Ready), &DISK);
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
    }

    #[test]
    fn each_check_is_a_line_with_its_reason() {
        assert_eq!(
            with_disk(Standing::Serving).text,
            "standing ok\ndisk ok\njoined ok\nready\n"
        );
        assert_eq!(
            with_disk(Standing::WaitingForDisk).text,
            "standing ok\ndisk failed: waiting for a write that began 4 s ago; look at the disk of --data-dir\n\
             joined ok\nnot ready\n"
        );
        // Whether it has joined does not matter any more, and may not be so.
        let text = with_disk(Standing::Stale).text;
        assert!(
            text.contains("\njoined skipped: a peer objects\n"),
            "{text}"
        );
        let ephemeral = store(StoreKind::None, StoreState::Ready);
        assert_eq!(
            ready(Standing::Serving, &ephemeral, &StorageStatus::default()).text,
            "standing ok\ndisk ok: nothing is written (--ephemeral)\njoined ok\nready\n"
        );
    }

    #[test]
    fn a_server_in_etcd_says_what_etcd_owes_it_and_speaks_of_no_disk() {
        let says = |standing, state| ready(standing, &store(StoreKind::Etcd, state), &DISK).text;
        assert_eq!(
            says(Standing::Serving, StoreState::Ready),
            "standing ok\netcd ok\njoined ok\nready\n"
        );
        for (state, why) in [
            (
                StoreState::InDoubt,
                "it confirmed 61 s ago for the last time that this server has its pid, so requests wait until it \
                 confirms that again",
            ),
            (
                StoreState::Away,
                "requests have waited too long for it, and are refused with storeUnavailable until it answers; it \
                 confirmed 61 s ago for the last time that this server has its pid",
            ),
            (
                StoreState::Ready,
                "waiting for a write to it that began 4 s ago",
            ),
        ] {
            assert_eq!(
                says(Standing::WaitingForDisk, state),
                format!(
                    "standing ok\netcd failed: {why}; see whether etcd runs, has a leader and has space, and whether \
                     this server reaches it\njoined ok\nnot ready\n"
                )
            );
        }
        let failed = says(Standing::StorageFailed, StoreState::Ready);
        assert!(
            failed.contains("\netcd failed: a write has failed"),
            "{failed}"
        );
    }

    #[test]
    fn what_answers_is_alive() {
        let health = live();
        assert_eq!((health.ok, &*health.text), (true, "loop ok\nlive\n"));
    }
}
