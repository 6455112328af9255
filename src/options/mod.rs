//! The command line of `ipseity`: text in, checked values out. It opens nothing and looks nothing up.

// Long because: its tests check the text for every refused flag.

mod address;
mod flags;
mod network;
mod tls;

use std::{collections::BTreeSet, fmt, path::PathBuf, time::Duration};

use getopts::Matches;
use log::LevelFilter;

use self::{address::host_port, flags::flags, network::networks};
use ipseity_console::{explain, usage};
use ipseity_core::{
    actor::{Budgets, JoinMode},
    identity::{Pid, Sequence},
    limits::{
        ADVANCE_MAX_DEFAULT, ADVANCE_RATE_DEFAULT, AFTER_BURST_DEFAULT, COUNT_LIMIT_MAX,
        COUNT_MAX_DEFAULT, PEER_BURST_DEFAULT, PEERS_MAX, PORT_DEFAULT, RESERVE_DEFAULT,
        RESERVE_MAX, RESERVE_MIN,
    },
    words::ClusterName,
};

use crate::{
    limits::{
        CONNECTIONS_LIMIT_MAX, CONNECTIONS_MAX_DEFAULT, FANOUT_DEFAULT, IDLE_TIMEOUT_MAX,
        JOIN_TIMEOUT_DEFAULT, JOIN_TIMEOUT_MAX, LISTENERS_MAX, PENDING_BYTES_LIMIT_MAX,
        PENDING_BYTES_LIMIT_MIN, PENDING_BYTES_MAX_DEFAULT, PENDING_BYTES_TOTAL_DEFAULT,
        PENDING_BYTES_TOTAL_MAX, PENDING_BYTES_TOTAL_MIN, SYNC_INTERVAL_DEFAULT, SYNC_INTERVAL_MAX,
        SYNC_INTERVAL_MIN,
    },
    secure::{Files, PlainFrom},
    trust::TrustOptions,
};

/// The directory below the working directory in which each pid has its state directory.
const DATA_DIR_DEFAULT: &str = "ipseity-data";

/// The command on a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Run a server with these options, all of them within their bounds.
    Serve(Box<Options>),
    /// Show how to use it.
    Help,
    /// Show the version of the program.
    Version,
}

/// The options of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where to listen, each `host:port`, and never empty; with port 0 the system picks a free port.
    pub listen: Vec<String>,
    /// The address that others are to show and to dial, `host:port`; `None` if they should go by the names that they
    /// were given.
    pub advertise: Option<String>,
    /// The peers to synchronize with, each `host:port`.
    pub peers: Vec<String>,
    /// Those of them that are dialed without TLS although this server offers it.
    pub plain_peers: BTreeSet<String>,
    /// The files of TLS; `None` without TLS.
    pub tls: Option<Files>,
    /// Where connections without TLS are taken from, if TLS is offered.
    pub plain: PlainFrom,
    /// Connections whose certificate is not good any more are closed.
    pub rechecks_tls: bool,
    /// The server's own number in its cluster, 0 to 1023.
    pub pid: Pid,
    /// The cluster that it belongs to.
    pub cluster: ClusterName,
    /// How often peers are asked, 1 ms to an hour.
    pub sync_interval: Duration,
    /// How many of them are asked in a round, 1 to 1023.
    pub fanout: usize,
    /// The state directory; `None` to run without a disk.
    pub data_dir: Option<PathBuf>,
    /// `--data-dir` was not given. The parent of the default directory is made too.
    pub is_default_dir: bool,
    /// The state directory must already hold a state.
    pub is_existing: bool,
    /// The state directory is accepted even if everybody may write to it.
    pub may_be_shared: bool,
    /// How many client connections there may be, 1 to 1,000,000.
    pub connections_max: usize,
    /// How many of them may come from one address, 1 to 1,000,000; `None` is no limit.
    pub per_address_max: Option<usize>,
    /// When all places are taken, the client that has been idle longest makes room.
    pub closes_idle: bool,
    /// How many identities one request may ask for, 1 to 16,777,214.
    pub count_max: u32,
    /// How far a peer or an `after` may raise the sequence in one step, 1 or more.
    pub advance_max: u64,
    /// How far clients and peers may raise the sequence in all.
    pub budgets: Budgets,
    /// How much time of recent demand is kept ready on the disk, 100 ms to five minutes.
    pub reserve: Duration,
    /// Whether a start waits for its peers.
    pub join: JoinMode,
    /// How long a start waits for its peers, 0 to an hour.
    pub join_timeout: Duration,
    /// The operator states that this pid has handed out nothing above this sequence; the server starts above it.
    pub recover_above: Option<Sequence>,
    /// The operator states that a list of members that is gone will not come back.
    pub members_lost: bool,
    /// Whom the server believes, by the address.
    pub trust: TrustOptions,
    /// Bytes of replies that may wait for one connection, 4 KiB to 1 GiB.
    pub pending_bytes_max: usize,
    /// Bytes of replies that may wait for all clients together, 1 MiB to 1 TiB.
    pub pending_bytes_total: usize,
    /// How long a client may be idle, up to 30 days; `None` for any time.
    pub idle_timeout: Option<Duration>,
    /// Where the trace goes; `None` for no trace.
    pub trace: Option<TraceTarget>,
    /// Which log lines are written.
    pub log_level: LevelFilter,
    /// Each of them is a JSON object.
    pub logs_json: bool,
}

/// A place for the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceTarget {
    /// Standard error, among the log lines.
    StandardError,
    /// This file. Its present content stays.
    File(PathBuf),
}

/// What is wrong with a command line; one line for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError(String);

impl UsageError {
    /// Makes an error that was found outside of this module. `what` is one line for people.
    pub fn new(what: impl Into<String>) -> UsageError {
        UsageError(what.into())
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// Reads the arguments, without the program's name.
///
/// # Errors
/// A flag is unknown, is given twice or has an invalid value, or two flags contradict each other.
pub fn parse(arguments: &[String]) -> Result<Command, UsageError> {
    let matches = flags()
        .parse(arguments)
        .map_err(|fail| UsageError(explain(&fail)))?;
    if matches.opt_present("help") {
        return Ok(Command::Help);
    }
    if matches.opt_present("version") {
        return Ok(Command::Version);
    }
    if let Some(stray) = matches.free.first() {
        return Err(UsageError(format!(
            "{stray:?} is not a flag: every argument begins with --"
        )));
    }
    options(&matches).map(|options| Command::Serve(Box::new(options)))
}

/// The text of `--help`: whole lines of at most 100 characters.
pub fn help() -> String {
    usage(
        &flags(),
        "Usage: ipseity [FLAGS]\n\n\
         Hands out unique, increasing 64-bit identities over TCP, and keeps its counter in step with its\n\
         peers. Ask it with ipseity-cli. Stop it with SIGTERM or Ctrl-C.\n\n\
         Exit code: 0 it was stopped as asked, 1 it failed, or was stopped after a peer had objected to\n\
         it, 2 the command line is wrong.",
    )
}

fn options(matches: &Matches) -> Result<Options, UsageError> {
    let tls = tls::files(matches)?;
    let (peers, plain_peers) = peers(matches, tls.as_ref())?;
    let pid = match matches.opt_str("pid") {
        Some(text) => text
            .parse()
            .map_err(|_| bad("pid", &text, "a number from 0 to 1023"))?,
        None => match ["peer", "peer-from"]
            .into_iter()
            .find(|flag| matches.opt_present(flag))
        {
            None => Pid::MIN,
            Some(flag) => {
                return Err(UsageError(format!(
                    "--{flag} needs --pid: give every server of a cluster a number of its own, 0 to 1023"
                )));
            }
        },
    };
    let logs_json = match matches.opt_str("log-format").as_deref() {
        None | Some("text") => false,
        Some("json") => true,
        Some(text) => return Err(bad("log-format", text, "text or json")),
    };
    let trace = matches
        .opt_str("trace")
        .map(|target| match target.as_str() {
            // It cannot be opened by this name if it is a socket, as it is under systemd.
            "-" | "/dev/stderr" => TraceTarget::StandardError,
            file => TraceTarget::File(PathBuf::from(file)),
        });
    if logs_json && trace == Some(TraceTarget::StandardError) {
        return Err(UsageError(
            "--log-format json leaves no place for a trace on standard error: give --trace a file"
                .to_owned(),
        ));
    }
    let cluster = match matches.opt_str("cluster") {
        Some(text) => text
            .parse()
            .map_err(|error| UsageError(format!("--cluster: {error}")))?,
        None => ClusterName::default(),
    };
    Ok(Options {
        listen: listen(matches)?,
        advertise: advertise(matches)?,
        peers,
        plain_peers,
        plain: tls::plain(matches)?,
        rechecks_tls: matches.opt_present("tls-recheck"),
        tls,
        pid,
        cluster,
        sync_interval: duration(
            matches,
            "sync-interval",
            SYNC_INTERVAL_MIN,
            SYNC_INTERVAL_MAX,
        )?
        .unwrap_or(SYNC_INTERVAL_DEFAULT),
        fanout: fanout(matches)?,
        data_dir: data_dir(matches, pid)?,
        is_default_dir: !matches.opt_present("data-dir"),
        is_existing: matches.opt_present("existing"),
        may_be_shared: matches.opt_present("allow-shared-dir"),
        connections_max: number(matches, "max-connections", 1, CONNECTIONS_LIMIT_MAX as u64)?
            .map_or(CONNECTIONS_MAX_DEFAULT, |number| number as usize),
        per_address_max: number(
            matches,
            "max-connections-per-address",
            1,
            CONNECTIONS_LIMIT_MAX as u64,
        )?
        .map(|number| number as usize),
        closes_idle: match matches.opt_str("when-full").as_deref() {
            None | Some("refuse") => false,
            Some("close-idle") => true,
            Some(text) => return Err(bad("when-full", text, "refuse or close-idle")),
        },
        count_max: number(matches, "max-count", 1, u64::from(COUNT_LIMIT_MAX))?
            .map_or(COUNT_MAX_DEFAULT, |number| number as u32),
        advance_max: number(matches, "max-advance", 1, u64::MAX)?.unwrap_or(ADVANCE_MAX_DEFAULT),
        budgets: Budgets {
            after_burst: number(matches, "after-burst", 0, u64::MAX)?
                .unwrap_or(AFTER_BURST_DEFAULT),
            peer_burst: number(matches, "peer-burst", 0, u64::MAX)?.unwrap_or(PEER_BURST_DEFAULT),
            rate_per_second: number(matches, "advance-rate", 0, u64::MAX)?
                .unwrap_or(ADVANCE_RATE_DEFAULT),
        },
        reserve: duration(matches, "reserve", RESERVE_MIN, RESERVE_MAX)?.unwrap_or(RESERVE_DEFAULT),
        join: join(matches)?,
        join_timeout: duration(matches, "join-timeout", Duration::ZERO, JOIN_TIMEOUT_MAX)?
            .unwrap_or(JOIN_TIMEOUT_DEFAULT),
        recover_above: number(matches, "recover-above", 1, Sequence::MAX.get() - 1)?
            .and_then(Sequence::new),
        members_lost: matches.opt_present("members-lost"),
        trust: TrustOptions {
            loopback: match matches.opt_str("trust-loopback").as_deref() {
                None | Some("yes") => true,
                Some("no") => false,
                Some(text) => return Err(bad("trust-loopback", text, "yes or no")),
            },
            operators: networks(matches, "trust")?,
            peers: networks(matches, "peer-from")?,
        },
        pending_bytes_max: number(
            matches,
            "max-pending-bytes",
            PENDING_BYTES_LIMIT_MIN as u64,
            PENDING_BYTES_LIMIT_MAX as u64,
        )?
        .map_or(PENDING_BYTES_MAX_DEFAULT, |number| number as usize),
        pending_bytes_total: number(
            matches,
            "max-pending-bytes-total",
            PENDING_BYTES_TOTAL_MIN as u64,
            PENDING_BYTES_TOTAL_MAX as u64,
        )?
        .map_or(PENDING_BYTES_TOTAL_DEFAULT, |number| number as usize),
        idle_timeout: duration(matches, "idle-timeout", Duration::ZERO, IDLE_TIMEOUT_MAX)?
            .filter(|timeout| !timeout.is_zero()),
        trace,
        log_level: match matches.opt_str("log-level").as_deref() {
            None | Some("info") => LevelFilter::Info,
            Some("error") => LevelFilter::Error,
            Some("warn") => LevelFilter::Warn,
            Some("debug") => LevelFilter::Debug,
            Some(text) => return Err(bad("log-level", text, "error, warn, info or debug")),
        },
        logs_json,
    })
}

fn listen(matches: &Matches) -> Result<Vec<String>, UsageError> {
    let texts = matches.opt_strs("listen");
    if texts.is_empty() {
        return Ok(vec![format!("127.0.0.1:{PORT_DEFAULT}")]);
    }
    if texts.len() > LISTENERS_MAX {
        return Err(UsageError(format!(
            "--listen is given {} times: a server can listen on at most {LISTENERS_MAX} addresses",
            texts.len()
        )));
    }
    let mut listen = Vec::new();
    for text in &texts {
        let address = host_port("listen", text)?.to_string();
        if listen.contains(&address) {
            return Err(UsageError(format!(
                "--listen {address} is given more than once"
            )));
        }
        listen.push(address);
    }
    Ok(listen)
}

/// Others dial this address, so it has to be one that they can dial.
fn advertise(matches: &Matches) -> Result<Option<String>, UsageError> {
    let Some(text) = matches.opt_str("advertise") else {
        return Ok(None);
    };
    let address = host_port("advertise", &text)?;
    if !address.is_dialable() {
        return Err(bad(
            "advertise",
            &text,
            "an address that other servers can dial: not port 0, 0.0.0.0 or [::], and at most 261 bytes",
        ));
    }
    Ok(Some(address.to_string()))
}

/// The peers, and those of them that are dialed without TLS.
fn peers(
    matches: &Matches,
    tls: Option<&Files>,
) -> Result<(Vec<String>, BTreeSet<String>), UsageError> {
    let mut seen = BTreeSet::new();
    let mut peers = Vec::new();
    let mut plain = BTreeSet::new();
    for text in matches.opt_strs("peer") {
        let (is_plain, address) = tls::scheme(&text, tls)?;
        let peer = host_port("peer", address)?;
        if peer.port() == Some(0) {
            return Err(bad(
                "peer",
                &text,
                "a port that a server listens on, 1 to 65535",
            ));
        }
        let peer = peer.to_string();
        if !seen.insert(peer.clone()) {
            return Err(UsageError(format!("--peer {peer} is given more than once")));
        }
        if is_plain {
            plain.insert(peer.clone());
        }
        peers.push(peer);
    }
    if peers.len() > PEERS_MAX {
        return Err(UsageError(format!(
            "--peer is given {} times: a server can have at most {PEERS_MAX} peers",
            peers.len()
        )));
    }
    Ok((peers, plain))
}

fn fanout(matches: &Matches) -> Result<usize, UsageError> {
    match matches.opt_str("fanout") {
        None => Ok(FANOUT_DEFAULT),
        Some(text) if text == "all" => Ok(PEERS_MAX),
        Some(text) => ipseity_console::number(&text, 1..=PEERS_MAX as u64)
            .map(|fanout| fanout as usize)
            .map_err(|expected| bad("fanout", &text, format_args!("{expected}, or all"))),
    }
}

fn data_dir(matches: &Matches, pid: Pid) -> Result<Option<PathBuf>, UsageError> {
    for flag in ["existing", "allow-shared-dir", "members-lost"] {
        if matches.opt_present("ephemeral") && matches.opt_present(flag) {
            return Err(UsageError(format!(
                "--{flag} and --ephemeral contradict each other: without a disk there is no state directory"
            )));
        }
    }
    match (
        matches.opt_str("data-dir"),
        matches.opt_present("ephemeral"),
    ) {
        (Some(_), true) => Err(UsageError(
            "--data-dir and --ephemeral contradict each other: one keeps the state on the disk, the other \
             keeps nothing"
                .to_owned(),
        )),
        (Some(text), false) if text.is_empty() => {
            Err(bad("data-dir", &text, "the path of a directory"))
        }
        (Some(text), false) => Ok(Some(PathBuf::from(text))),
        (None, true) => Ok(None),
        (None, false) => Ok(Some(PathBuf::from(DATA_DIR_DEFAULT).join(pid.to_string()))),
    }
}

fn number(matches: &Matches, flag: &str, least: u64, most: u64) -> Result<Option<u64>, UsageError> {
    let number = |text: String| {
        ipseity_console::number(&text, least..=most).map_err(|expected| bad(flag, &text, expected))
    };
    matches.opt_str(flag).map(number).transpose()
}

fn duration(
    matches: &Matches,
    flag: &str,
    least: Duration,
    most: Duration,
) -> Result<Option<Duration>, UsageError> {
    let duration = |text: String| {
        ipseity_console::duration(&text, least..=most)
            .map_err(|expected| bad(flag, &text, expected))
    };
    matches.opt_str(flag).map(duration).transpose()
}

fn join(matches: &getopts::Matches) -> Result<JoinMode, UsageError> {
    let cluster_size = number(matches, "cluster-size", 2, PEERS_MAX as u64 + 1)?;
    match (matches.opt_str("join").as_deref(), cluster_size) {
        (Some("majority"), Some(_)) if !matches.opt_present("peer") => Err(UsageError(
            "--join=majority needs --peer: without a peer that it can ask, a start could never be accepted".to_owned(),
        )),
        (Some("majority"), Some(size)) => Ok(JoinMode::Majority {
            cluster_size: size as usize,
        }),
        (Some("majority"), None) => Err(UsageError(
            "--join=majority needs --cluster-size: the number of servers in the cluster, this one included, and the \
             same on all of them"
                .to_owned(),
        )),
        (_, Some(_)) => Err(UsageError(
            "--cluster-size counts only with --join=majority".to_owned(),
        )),
        (None | Some("prefer"), None) => Ok(JoinMode::Prefer),
        (Some("require"), None) => Ok(JoinMode::Require),
        (Some(text), None) => Err(bad("join", text, "prefer, require or majority")),
    }
}

fn bad(flag: &str, text: &str, expected: impl fmt::Display) -> UsageError {
    UsageError(format!("--{flag} {text:?}: expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(line: &str) -> Result<Command, UsageError> {
        parse(
            &line
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    }

    fn served(line: &str) -> Options {
        match parse_words(line) {
            Ok(Command::Serve(options)) => *options,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn refused(line: &str) -> String {
        parse_words(line).expect_err(line).to_string()
    }

    #[test]
    fn without_flags_it_is_one_durable_server_on_the_default_port() {
        let options = served("");
        assert_eq!(options.listen, ["127.0.0.1:3264"]);
        assert_eq!(options.advertise, None);
        assert_eq!(options.pid, Pid::MIN);
        assert_eq!(options.cluster.as_str(), "ipseity");
        assert_eq!(options.sync_interval, Duration::from_secs(1));
        assert_eq!(options.fanout, 32);
        assert_eq!(options.trust, TrustOptions::default());
        assert_eq!(options.data_dir, Some(PathBuf::from("ipseity-data/0")));
        assert_eq!(options.count_max, 1_000);
        assert_eq!(options.advance_max, 1 << 40);
        assert_eq!(options.reserve, Duration::from_secs(1));
        assert_eq!(options.idle_timeout, None);
        assert_eq!(
            (options.per_address_max, options.closes_idle),
            (None, false)
        );
        assert_eq!(options.trace, None);
        assert!(options.is_default_dir);
        assert!(!options.is_existing && !options.may_be_shared && !options.members_lost);
        assert_eq!(options.log_level, LevelFilter::Info);
        assert!(!options.logs_json);
    }

    #[test]
    fn every_flag_is_read() {
        let options = served(
            "--listen [::1]:0 --listen ids.example:3264 --advertise ids.example:4000 --peer a:1 --peer 10.0.0.2:3264 --pid 7 --cluster blue --sync-interval 250ms \
             --data-dir /var/lib/ipseity --max-connections 5 --max-count 6 --max-advance 7 \
             --max-pending-bytes 65536 --idle-timeout 5m --trace - --log-level debug --fanout 3",
        );
        assert_eq!(options.listen, ["[::1]:0", "ids.example:3264"]);
        assert_eq!(options.advertise.as_deref(), Some("ids.example:4000"));
        assert_eq!(options.peers, ["a:1", "10.0.0.2:3264"]);
        assert_eq!(options.pid.get(), 7);
        assert_eq!(options.cluster.as_str(), "blue");
        assert_eq!(options.sync_interval, Duration::from_millis(250));
        assert_eq!(options.data_dir, Some(PathBuf::from("/var/lib/ipseity")));
        assert_eq!(
            (
                options.connections_max,
                options.count_max,
                options.advance_max
            ),
            (5, 6, 7)
        );
        let guarded = served(
            "--join require --join-timeout 0 --recover-above 5 --trust 10.0.0.5 --trust ::ffff:10.0.0.6 \
             --trust fd00::/8 --pid 3 --peer-from 10.1.0.0/16 --peer-from 10.2.0.1 --trust-loopback no --after-burst 1 --peer-burst 2 --advance-rate 3 --reserve 1m",
        );
        let bounded = served("--max-connections-per-address 8 --when-full close-idle");
        assert_eq!(
            (bounded.per_address_max, bounded.closes_idle),
            (Some(8), true)
        );
        assert!(!served("--when-full refuse").closes_idle);
        assert_eq!(guarded.reserve, Duration::from_secs(60));
        assert_eq!(
            (guarded.join, guarded.join_timeout),
            (JoinMode::Require, Duration::ZERO)
        );
        assert_eq!(guarded.recover_above, Sequence::new(5));
        assert_eq!(
            guarded.trust,
            TrustOptions {
                loopback: false,
                operators: ["10.0.0.5/32", "10.0.0.6/32", "fd00::/8"]
                    .map(|network| network.parse().unwrap())
                    .to_vec(),
                peers: ["10.1.0.0/16", "10.2.0.1/32"]
                    .map(|network| network.parse().unwrap())
                    .to_vec(),
            }
        );
        assert!(served("--trust-loopback yes").trust.loopback);
        let budgets = Budgets {
            after_burst: 1,
            peer_burst: 2,
            rate_per_second: 3,
        };
        assert_eq!(guarded.budgets, budgets);
        assert_eq!(options.pending_bytes_max, 65_536);
        assert_eq!(options.idle_timeout, Some(Duration::from_secs(300)));
        assert_eq!(options.trace, Some(TraceTarget::StandardError));
        assert_eq!(options.log_level, LevelFilter::Debug);
        assert!(!served("--log-format text").logs_json);
        assert!(served("--log-format json --trace a.trace").logs_json);
        assert_eq!(options.fanout, 3);
        assert_eq!(served("--fanout all").fanout, 1023);
        assert_eq!(served("--ephemeral").data_dir, None);
        let strict = served("--existing --data-dir x");
        assert!(strict.is_existing && !strict.is_default_dir && !strict.may_be_shared);
        assert!(served("--allow-shared-dir").may_be_shared);
        assert!(served("--members-lost").members_lost);
        assert_eq!(
            served("--pid 9").data_dir,
            Some(PathBuf::from("ipseity-data/9"))
        );
        assert_eq!(
            served("--sync-interval 20").sync_interval,
            Duration::from_millis(20)
        );
        let file = TraceTarget::File(PathBuf::from("run.trace"));
        assert_eq!(served("--trace run.trace").trace, Some(file));
    }

    #[test]
    fn an_error_is_one_line_that_names_the_flag() {
        for (line, says) in [
            ("--nonsense", "there is no flag \"--nonsense\""),
            ("-x", "there is no flag \"-x\""),
            ("--a\u{1b}[2J", "there is no flag \"--a\\u{1b}[2J\""),
            ("stray", "\"stray\" is not a flag"),
            ("--pid 1 --pid 2", "--pid is given more than once"),
            ("--pid", "--pid needs a value"),
            ("--ephemeral=1", "--ephemeral takes no value"),
            (
                "--pid 1024",
                "--pid \"1024\": expected a number from 0 to 1023",
            ),
            ("--pid -1", "--pid"),
            ("--peer a:1", "--peer needs --pid"),
            ("--peer-from 10.0.0.1", "--peer-from needs --pid"),
            (
                "--peer a:1 --peer a:1 --pid 1",
                "--peer a:1 is given more than once",
            ),
            ("--peer a --pid 1", "--peer \"a\": expected HOST:PORT"),
            ("--peer a:0 --pid 1", "--peer \"a:0\": expected a port"),
            ("--peer a:00 --pid 1", "--peer \"a:00\": expected a port"),
            (
                "--peer a:1 --peer a:01 --pid 1",
                "--peer a:1 is given more than once",
            ),
            (
                "--peer ::1:5 --pid 1",
                "--peer \"::1:5\": expected HOST:PORT",
            ),
            ("--listen 3264", "--listen \"3264\": expected HOST:PORT"),
            ("--listen a:65536", "--listen"),
            (
                "--listen a:1 --listen a:1",
                "--listen a:1 is given more than once",
            ),
            ("--advertise a", "--advertise \"a\": expected HOST:PORT"),
            (
                "--advertise a:0",
                "expected an address that other servers can dial",
            ),
            (
                "--advertise [::]:1",
                "expected an address that other servers can dial",
            ),
            ("--listen a:+1", "--listen"),
            (
                "--listen a\u{1b}b:1",
                "--listen \"a\\u{1b}b:1\": expected HOST:PORT",
            ),
            ("--listen [::1:5", "--listen"),
            ("--cluster=", "--cluster: a cluster name has 1 to 255 bytes"),
            (
                "--sync-interval 0",
                "--sync-interval \"0\": expected a duration from 1ms to 1h",
            ),
            (
                "--sync-interval soon",
                "--sync-interval \"soon\": expected a duration",
            ),
            (
                "--fanout 0",
                "--fanout \"0\": expected a number from 1 to 1023, or all",
            ),
            ("--fanout 1024", "--fanout"),
            ("--fanout +1", "--fanout"),
            ("--data-dir=", "--data-dir \"\": expected the path"),
            ("--data-dir x --ephemeral", "contradict each other"),
            ("--existing --ephemeral", "contradict each other"),
            ("--allow-shared-dir --ephemeral", "contradict each other"),
            ("--members-lost --ephemeral", "contradict each other"),
            (
                "--max-connections 0",
                "--max-connections \"0\": expected a number from 1 to 1000000",
            ),
            (
                "--max-count 16777215",
                "--max-count \"16777215\": expected a number from 1 to 16777214",
            ),
            (
                "--max-advance +1",
                "--max-advance \"+1\": expected a number",
            ),
            ("--max-pending-bytes 1", "--max-pending-bytes"),
            (
                "--reserve 99ms",
                "--reserve \"99ms\": expected a duration from 100ms to 5m",
            ),
            ("--reserve 301s", "--reserve"),
            (
                "--trust-loopback maybe",
                "--trust-loopback \"maybe\": expected yes or no",
            ),
            (
                "--trust localhost",
                "--trust \"localhost\": expected an IP address or a network",
            ),
            (
                "--pid 1 --peer https://a:1",
                "--peer \"https://a:1\": expected HOST:PORT, with tls:// or plain:// before it or nothing",
            ),
            (
                "--pid 1 --peer TLS://a:1",
                "--peer \"TLS://a:1\": expected HOST:PORT, with tls:// or plain:// before it or nothing",
            ),
            (
                "--pid 1 --peer-from 10.0.0.0/33",
                "--peer-from \"10.0.0.0/33\": expected an IP address or a network",
            ),
            (
                "--pid 1 --peer-from 10.1.2.3/8",
                "--peer-from \"10.1.2.3/8\": expected zeros behind the prefix, as in 10.0.0.0/8",
            ),
            (
                "--log-level loud",
                "--log-level \"loud\": expected error, warn, info or debug",
            ),
            (
                "--log-format xml",
                "--log-format \"xml\": expected text or json",
            ),
            (
                "--log-format json --trace -",
                "--log-format json leaves no place for a trace on standard error",
            ),
        ] {
            let said = refused(line);
            assert!(said.contains(says), "{line}: {said}");
            assert_eq!(said.lines().count(), 1, "{line}");
        }
    }

    #[test]
    fn the_bounds_are_accepted_and_values_beyond_them_are_refused() {
        for (flag, least, most) in [
            ("pid", 0_u64, 1023),
            ("fanout", 1, 1023),
            ("max-connections", 1, 1_000_000),
            ("max-count", 1, 16_777_214),
            ("max-advance", 1, u64::MAX),
            ("recover-above", 1, Sequence::MAX.get() - 1),
        ] {
            served(&format!("--{flag} {least}"));
            served(&format!("--{flag} {most}"));
            let beyond = [least.checked_sub(1), most.checked_add(1)];
            for number in beyond.into_iter().flatten() {
                refused(&format!("--{flag} {number}"));
            }
        }
    }

    #[test]
    fn help_and_version_come_before_everything_else() {
        assert_eq!(parse_words("--help --pid 1"), Ok(Command::Help));
        assert_eq!(parse_words("-V stray"), Ok(Command::Version));
        for flag in [
            "--listen",
            "--peer",
            "--pid",
            "--max-advance",
            "--trace",
            "--ephemeral",
        ] {
            assert!(help().contains(flag), "{flag}");
        }
    }

    #[test]
    fn the_help_fits_a_terminal_and_shows_the_defaults() {
        let help = help();
        let widest = help.lines().map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|columns| columns <= 100), "{help}");
        let text: Vec<&str> = help.split_whitespace().collect();
        let text = text.join(" ");
        for (flag, default) in [
            ("--listen HOST:PORT", "127.0.0.1:3264"),
            ("--sync-interval DURATION", "1s"),
            ("--max-advance N", "1099511627776"),
            ("--join prefer|require", "prefer"),
            ("--join-timeout DURATION", "12s"),
        ] {
            let (_, behind) = text.split_once(flag).expect(flag);
            let (_, behind) = behind.split_once("(default ").expect(flag);
            assert!(behind.starts_with(&format!("{default})")), "{flag}: {help}");
        }
    }
}
