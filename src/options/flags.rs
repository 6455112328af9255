//! The flags: a table with an entry for each, in the order of `--help`. What their values may be is judged
//! by those who read them.

use std::{fmt::Display, time::Duration};

use super::DATA_DIR_DEFAULT;
use ipseity_core::{
    identity::Pid,
    limits::{
        ADVANCE_MAX_DEFAULT, ADVANCE_RATE_DEFAULT, AFTER_BURST_DEFAULT, COUNT_MAX_DEFAULT,
        PEER_BURST_DEFAULT, PORT_DEFAULT,
    },
    words::ClusterName,
};

use crate::limits::{
    CONNECTIONS_MAX_DEFAULT, FANOUT_DEFAULT, JOIN_TIMEOUT_DEFAULT, PENDING_BYTES_MAX_DEFAULT,
    SYNC_INTERVAL_DEFAULT,
};

/// One flag.
struct Flag {
    name: &'static str,
    takes: Takes,
    help: &'static str,
    /// What it is when it is not given, for the help.
    default: Option<String>,
}

/// What follows a flag.
enum Takes {
    /// Nothing.
    Nothing,
    /// A value, which the help shows as this word.
    Value(&'static str),
    /// The same, and the flag may be given many times.
    Values(&'static str),
}

use Takes::{Nothing, Value, Values};

/// The flags as getopts wants them.
pub(super) fn flags() -> getopts::Options {
    let mut flags = getopts::Options::new();
    for flag in table() {
        let help = match flag.default {
            Some(default) => format!("{} (default {default})", flag.help),
            None => flag.help.to_owned(),
        };
        match flag.takes {
            Nothing => flags.optflag("", flag.name, &help),
            Value(hint) => flags.optopt("", flag.name, &help, hint),
            Values(hint) => flags.optmulti("", flag.name, &help, hint),
        };
    }
    // The only ones that have a letter too.
    flags
        .optflag("h", "help", "show this text")
        .optflag("V", "version", "show the version");
    flags
}

fn table() -> Vec<Flag> {
    vec![
        Flag {
            name: "listen",
            takes: Value("HOST:PORT"),
            help: "where to listen; port 0 takes a free one",
            default: shown(format_args!("127.0.0.1:{PORT_DEFAULT}")),
        },
        Flag {
            name: "peer",
            takes: Values("HOST:PORT"),
            help: "a server to synchronize with; may be given many times",
            default: None,
        },
        Flag {
            name: "pid",
            takes: Value("N"),
            help: "this server's own number in the cluster, 0 to 1023; required with --peer",
            default: shown(Pid::MIN),
        },
        Flag {
            name: "cluster",
            takes: Value("NAME"),
            help: "the cluster's name; servers of another are refused",
            default: shown(ClusterName::default()),
        },
        Flag {
            name: "sync-interval",
            takes: Value("DURATION"),
            help: "how often peers are asked: 250ms, 2s; a bare number is milliseconds",
            default: time(SYNC_INTERVAL_DEFAULT),
        },
        Flag {
            name: "fanout",
            takes: Value("N|all"),
            help: "how many peers, drawn by lot, are asked each time",
            default: shown(FANOUT_DEFAULT),
        },
        Flag {
            name: "data-dir",
            takes: Value("DIR"),
            help: "the state directory; made on the first start",
            default: shown(format_args!("{DATA_DIR_DEFAULT}/PID")),
        },
        Flag {
            name: "existing",
            takes: Nothing,
            help: "refuse to start where there is no state to go on from",
            default: None,
        },
        Flag {
            name: "allow-shared-dir",
            takes: Nothing,
            help: "take a state directory to which everybody may write",
            default: None,
        },
        Flag {
            name: "ephemeral",
            takes: Nothing,
            help: "run without a disk: after a restart the same identities come again",
            default: None,
        },
        Flag {
            name: "max-connections",
            takes: Value("N"),
            help: "client connections",
            default: shown(CONNECTIONS_MAX_DEFAULT),
        },
        Flag {
            name: "max-count",
            takes: Value("N"),
            help: "identities in one request",
            default: shown(COUNT_MAX_DEFAULT),
        },
        Flag {
            name: "max-advance",
            takes: Value("N"),
            help: "how far a peer or a client's `after` may raise the sequence at once",
            default: shown(ADVANCE_MAX_DEFAULT),
        },
        Flag {
            name: "after-burst",
            takes: Value("N"),
            help: "how much clients' `after` may raise the sequence before --advance-rate counts",
            default: shown(AFTER_BURST_DEFAULT),
        },
        Flag {
            name: "peer-burst",
            takes: Value("N"),
            help: "the same for peers",
            default: shown(PEER_BURST_DEFAULT),
        },
        Flag {
            name: "advance-rate",
            takes: Value("N"),
            help: "how much of both bursts fills in again in each second",
            default: shown(ADVANCE_RATE_DEFAULT),
        },
        Flag {
            name: "join",
            takes: Value("prefer|require"),
            help: "prefer: a first start asks its peers before it hands out identities; \
                   require: every start does, and one must answer",
            default: shown("prefer"),
        },
        Flag {
            name: "join-timeout",
            takes: Value("DURATION"),
            help: "how long a start waits for its peers",
            default: time(JOIN_TIMEOUT_DEFAULT),
        },
        Flag {
            name: "recover-above",
            takes: Value("SEQUENCE"),
            help: "an operator's word that a lost or rolled-back state handed out nothing above \
                   this sequence; the start is above it",
            default: None,
        },
        Flag {
            name: "trust",
            takes: Values("IP"),
            help: "an address, beside loopback, from which operators may run members --forget \
                   and advance; may be given many times",
            default: None,
        },
        Flag {
            name: "max-pending-bytes",
            takes: Value("N"),
            help: "bytes of replies that may wait for a client that does not read",
            default: shown(PENDING_BYTES_MAX_DEFAULT),
        },
        Flag {
            name: "idle-timeout",
            takes: Value("DURATION"),
            help: "close clients that are idle for so long; 0 for never",
            default: shown(0),
        },
        Flag {
            name: "trace",
            takes: Value("FILE"),
            help: "write a line for every event and every effect; - for standard error",
            default: None,
        },
        Flag {
            name: "log-level",
            takes: Value("LEVEL"),
            help: "error, warn, info or debug",
            default: shown("info"),
        },
    ]
}

fn shown(default: impl Display) -> Option<String> {
    Some(default.to_string())
}

fn time(default: Duration) -> Option<String> {
    shown(humantime::format_duration(default))
}
