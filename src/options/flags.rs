//! The flags: a table with an entry for each, in the order of `--help`. The code that reads a value checks it, not
//! this table.

use std::{fmt::Display, time::Duration};

use getopts::Matches;

use super::{DATA_DIR_DEFAULT, UsageError};
use ipseity_console::{
    Flags,
    Takes::{self, Nothing, Value, Values},
    explain,
};
use ipseity_core::{
    identity::Pid,
    limits::{
        ADVANCE_MAX_DEFAULT, ADVANCE_RATE_DEFAULT, AFTER_BURST_DEFAULT, COUNT_MAX_DEFAULT,
        PEER_BURST_DEFAULT, PORT_DEFAULT, RESERVE_DEFAULT,
    },
    words::ClusterName,
};

use crate::limits::{
    CONNECTIONS_MAX_DEFAULT, FANOUT_DEFAULT, JOIN_TIMEOUT_DEFAULT, LEASE_DEFAULT,
    PENDING_BYTES_MAX_DEFAULT, PENDING_BYTES_TOTAL_DEFAULT, STORE_RESERVE_DEFAULT,
    SYNC_INTERVAL_DEFAULT,
};

/// One flag, as `--help` shows it.
pub(super) struct Flag {
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    help: &'static str,
    /// The value that it has when it is not given, for the help.
    default: Option<String>,
}

/// All flags, for the parser, the help, the man page and the completions.
pub fn flags() -> Flags {
    let mut flags = Flags::new();
    for flag in table() {
        let help = match flag.default {
            Some(default) => format!("{} (default {default})", flag.help),
            None => flag.help.to_owned(),
        };
        flags
            .add("", flag.name, &help, flag.takes)
            .variable(variable(flag.name));
    }
    // None of these has a variable: one that is left over in the environment would keep every server from starting. And
    // others call the version of an image `IPSEITY_VERSION`.
    flags
        .optflag("", "check", "read the flags, variables, files and certificates, say what a server would do with them, and end; \
                               nothing is changed, and no port is opened")
        .optflag("h", "help", "show this text")
        .optflag("V", "version", "show the version");
    flags
}

/// Reads words as flags, and no values yet.
pub(super) fn parse_flags(words: &[String]) -> Result<Matches, UsageError> {
    flags()
        .options()
        .parse(words)
        .map_err(|fail| UsageError::new(explain(&fail)))
}

/// The name of the variable that stands for a flag: `IPSEITY_MAX_COUNT` for `max-count`.
pub(super) fn variable(flag: &str) -> String {
    format!("IPSEITY_{}", flag.to_uppercase().replace('-', "_"))
}

/// All flags that have a variable: all but `--check`, `--help` and `--version`.
pub(super) fn table() -> Vec<Flag> {
    vec![
        Flag {
            name: "listen",
            takes: Values("HOST:PORT"),
            help: "the address to listen on, or a name for all its addresses; port 0 picks a free port; may be \
                   repeated",
            default: shown(format_args!("127.0.0.1:{PORT_DEFAULT}")),
        },
        Flag {
            name: "http",
            takes: Values("HOST:PORT"),
            help: "the address on which to speak HTTP: metrics, health, status, a page for people, and identities for \
                   programs that have no other client; port 0 picks a free port; may be repeated",
            default: shown("no HTTP"),
        },
        Flag {
            name: "http-name",
            takes: Values("NAME"),
            help: "a name by which the server may be called in requests by HTTP, besides its addresses and localhost, \
                   such as id1.example; may be repeated",
            default: None,
        },
        Flag {
            name: "advertise",
            takes: Value("HOST:PORT"),
            help: "the address at which other servers and people reach this one; the other servers are told it",
            default: None,
        },
        Flag {
            name: "peer",
            takes: Values("HOST:PORT"),
            help: "another server to synchronize with, or a name that leads to several; with TLS it is dialed by TLS, \
                   unless plain:// stands before it; may be repeated",
            default: None,
        },
        Flag {
            name: "peer-from",
            takes: Values("CIDR"),
            help: "an address or a network from which other servers may synchronize, besides this machine itself and \
                   the addresses of --peer; may be repeated",
            default: None,
        },
        Flag {
            name: "pid",
            takes: Value("N|auto"),
            help: "this server's own number in its cluster, 0 to 1023; required with --peer and --peer-from, or \
                   --pid-from-hostname in its place; auto, with --store only, takes one that is free",
            default: shown(Pid::MIN),
        },
        Flag {
            name: "pid-range",
            takes: Value("A-B"),
            help: "the lowest and the highest pid that --pid auto may take",
            default: shown(format_args!("{}-{}", Pid::MIN, Pid::MAX)),
        },
        Flag {
            name: "pid-from-hostname",
            takes: Nothing,
            help: "the pid is the number at the end of the host name, as a StatefulSet of Kubernetes gives it: 3 on \
                   ipseity-3",
            default: None,
        },
        Flag {
            name: "pid-base",
            takes: Value("N"),
            help: "what is added to the number that --pid-from-hostname finds",
            default: shown(0),
        },
        Flag {
            name: "cluster",
            takes: Value("NAME"),
            help: "the name of the cluster; servers of other clusters are refused",
            default: shown(ClusterName::default()),
        },
        Flag {
            name: "sync-interval",
            takes: Value("DURATION"),
            help: "how often to ask the peers, such as 250ms or 2s; a bare number means milliseconds",
            default: time(SYNC_INTERVAL_DEFAULT),
        },
        Flag {
            name: "fanout",
            takes: Value("N|all"),
            help: "how many peers to ask each time, chosen at random",
            default: shown(FANOUT_DEFAULT),
        },
        Flag {
            name: "data-dir",
            takes: Value("DIR"),
            help: "the directory for the state of this server; made on the first start",
            default: shown(format_args!("{DATA_DIR_DEFAULT}/PID")),
        },
        Flag {
            name: "store",
            takes: Value("URL"),
            help: "keep the state in etcd, in place of a directory: etcd://HOST:2379[,HOST...][/PREFIX], or etcds:// for \
                   TLS; needs --pid, and --advertise if --listen is not an address that others can dial",
            default: None,
        },
        Flag {
            name: "etcd-ca",
            takes: Value("FILE"),
            help: "the CAs that have signed the certificate of etcd (PEM)",
            default: None,
        },
        Flag {
            name: "etcd-cert",
            takes: Value("FILE"),
            help: "the certificate that is shown to etcd (PEM)",
            default: None,
        },
        Flag {
            name: "etcd-key",
            takes: Value("FILE"),
            help: "the private key of that certificate (PEM)",
            default: None,
        },
        Flag {
            name: "etcd-user",
            takes: Value("FILE"),
            help: "a file whose one line is USER:PASSWORD, for an etcd that asks for them",
            default: None,
        },
        Flag {
            name: "lease",
            takes: Value("DURATION"),
            help: "how long a pid stays taken in etcd by a server that gives no sign of life; a restart after a crash \
                   waits for it",
            default: time(LEASE_DEFAULT),
        },
        Flag {
            name: "on-doubt",
            takes: Value("wait|serve"),
            help: "what a server does when etcd has not confirmed its lease in time. wait: requests wait, so nothing is \
                   handed out out of order after another server has taken the pid; serve: it goes on with its reserve",
            default: shown("wait"),
        },
        Flag {
            name: "existing",
            takes: Nothing,
            help: "refuse to start if the state directory holds no state yet, or etcd nothing of the cluster",
            default: None,
        },
        Flag {
            name: "allow-shared-dir",
            takes: Nothing,
            help: "accept a state directory to which everybody may write",
            default: None,
        },
        Flag {
            name: "ephemeral",
            takes: Nothing,
            help: "keep nothing on the disk: after a restart the same identities are handed out again",
            default: None,
        },
        Flag {
            name: "max-connections",
            takes: Value("N"),
            help: "how many clients may be connected at once",
            default: shown(CONNECTIONS_MAX_DEFAULT),
        },
        Flag {
            name: "max-connections-per-address",
            takes: Value("N"),
            help: "how many of them may come from one address (of IPv6: from one /64 network); this machine itself, \
                   --trust, --peer and --peer-from are exempt",
            default: shown("no limit"),
        },
        Flag {
            name: "when-full",
            takes: Value("refuse|close-idle"),
            help: "refuse: refuse new clients while --max-connections are connected; close-idle: close the one that \
                   has been idle longest instead",
            default: shown("refuse"),
        },
        Flag {
            name: "max-count",
            takes: Value("N"),
            help: "how many identities one request may ask for",
            default: shown(COUNT_MAX_DEFAULT),
        },
        Flag {
            name: "max-advance",
            takes: Value("N"),
            help: "how far a peer, or the `after` of a client, may raise the sequence at once",
            default: shown(ADVANCE_MAX_DEFAULT),
        },
        Flag {
            name: "after-burst",
            takes: Value("N"),
            help: "how far clients may raise the sequence with `after`, in all, before --advance-rate \
                   limits them",
            default: shown(AFTER_BURST_DEFAULT),
        },
        Flag {
            name: "peer-burst",
            takes: Value("N"),
            help: "how far peers may raise the sequence, in all, before --advance-rate limits them",
            default: shown(PEER_BURST_DEFAULT),
        },
        Flag {
            name: "advance-rate",
            takes: Value("N"),
            help: "how much of both bursts together is refilled each second",
            default: shown(ADVANCE_RATE_DEFAULT),
        },
        Flag {
            name: "reserve",
            takes: Value("DURATION"),
            help: "how long a write to the store may take before clients have to wait for it, at the load of the \
                   last seconds; a crash skips what is kept ready for this",
            default: shown(format_args!(
                "{}; with --store {}",
                humantime::format_duration(RESERVE_DEFAULT),
                humantime::format_duration(STORE_RESERVE_DEFAULT)
            )),
        },
        Flag {
            name: "join",
            takes: Value("prefer|require|majority"),
            help: "a start asks its peers whether it may use its pid. prefer: it goes on without those that do not \
                   answer; require: one must accept it; majority: more than half of the other servers must",
            default: shown("prefer"),
        },
        Flag {
            name: "cluster-size",
            takes: Value("N"),
            help: "how many servers the cluster has, this one included, 2 to 1024; --join=majority needs it and at least one --peer",
            default: None,
        },
        Flag {
            name: "join-timeout",
            takes: Value("DURATION"),
            help: "how long a start waits for its peers; 0: it waits for none",
            default: time(JOIN_TIMEOUT_DEFAULT),
        },
        Flag {
            name: "recover-above",
            takes: Value("SEQUENCE"),
            help: "start above this sequence, after the state was lost or rolled back; with it you promise \
                   that this pid has handed out nothing above it",
            default: None,
        },
        Flag {
            name: "members-lost",
            takes: Nothing,
            help: "the list of members that was lost from the state directory will not come back; needed for one \
                   start only",
            default: None,
        },
        Flag {
            name: "trust",
            takes: Values("CIDR"),
            help: "an address or a network, besides this machine itself, from which `members --forget` and \
                   `advance` are accepted; may be repeated",
            default: None,
        },
        Flag {
            name: "trust-loopback",
            takes: Value("yes|no"),
            help: "whether connections from this machine itself are trusted like --trust and --peer-from; no, if \
                   others use this machine or a proxy on it leads here",
            default: shown("yes"),
        },
        Flag {
            name: "tls-cert",
            takes: Value("FILE"),
            help: "offer TLS, with this certificate (PEM; the server's own first, then those between it and the CA); SIGHUP \
                   reads this and the next three files again",
            default: None,
        },
        Flag {
            name: "tls-key",
            takes: Value("FILE"),
            help: "the private key of the certificate (PEM)",
            default: None,
        },
        Flag {
            name: "tls-client-ca",
            takes: Value("FILE"),
            help: "clients must show a certificate that one of these CAs has signed (PEM)",
            default: None,
        },
        Flag {
            name: "tls-peer-ca",
            takes: Value("FILE"),
            help: "the CAs that have signed the certificates of the other servers (PEM); needed for --peer with TLS",
            default: None,
        },
        Flag {
            name: "plain",
            takes: Value("never|loopback|any"),
            help: "where connections without TLS are taken from, if TLS is offered",
            default: shown("loopback"),
        },
        Flag {
            name: "tls-recheck",
            takes: Nothing,
            help: "close connections whose certificate is not good any more, at SIGHUP and within ten minutes after it has \
                   expired",
            default: None,
        },
        Flag {
            name: "max-pending-bytes",
            takes: Value("N"),
            help: "how many bytes of replies may wait for a client that does not read them",
            default: shown(PENDING_BYTES_MAX_DEFAULT),
        },
        Flag {
            name: "max-pending-bytes-total",
            takes: Value("N"),
            help: "how many bytes of memory may hold replies that wait for clients, and records of TLS that are \
                   not complete; beyond it, clients are cut off, first those that have read nothing for longest, then those with the most waiting bytes",
            default: shown(PENDING_BYTES_TOTAL_DEFAULT),
        },
        Flag {
            name: "idle-timeout",
            takes: Value("DURATION"),
            help: "close a client that has been idle for this long; 0 means never",
            default: shown(0),
        },
        Flag {
            name: "spin",
            takes: Value("auto|off|DURATION"),
            help: "how long to look for the next request before the server sleeps: clients on other CPUs get \
                   their answers sooner, and it takes CPU time; it is done only while it mostly meets a request, and never \
                   with one CPU; auto is 50us",
            default: shown("auto"),
        },
        Flag {
            name: "trace",
            takes: Value("FILE"),
            help: "write a line to this file for every event and every effect; - means standard error",
            default: None,
        },
        Flag {
            name: "log-level",
            takes: Value("error|warn|info|debug"),
            help: "the lowest level to log",
            default: shown("info"),
        },
        Flag {
            name: "log-format",
            takes: Value("text|json"),
            help: "how log lines look; with json each is one JSON object, which names its kind of event",
            default: shown("text"),
        },
    ]
}

fn shown(default: impl Display) -> Option<String> {
    Some(default.to_string())
}

fn time(default: Duration) -> Option<String> {
    shown(humantime::format_duration(default))
}
