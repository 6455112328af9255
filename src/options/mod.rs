//! The command line of `ipseity` and its variables in the environment: text in, checked values out. It opens nothing
//! and looks nothing up, and it is told the environment and the host name.

// Long because: its tests check the text for every refused flag.

mod address;
mod environment;
mod flags;
mod given;
mod http;
mod network;
mod pid;
mod store;
mod tls;

use std::{collections::BTreeSet, ffi::OsString, fmt, path::PathBuf, time::Duration};

use log::LevelFilter;

use self::{
    address::{addresses, host_port},
    environment::FromEnvironment,
    flags::parse_flags,
    given::Given,
    network::networks,
};
pub use self::{
    flags::flags,
    store::{EtcdOptions, StateAt},
};
use ipseity_console::usage;
use ipseity_core::{
    actor::{Budgets, JoinMode},
    identity::Sequence,
    limits::{
        ADVANCE_MAX_DEFAULT, ADVANCE_RATE_DEFAULT, AFTER_BURST_DEFAULT, COUNT_LIMIT_MAX,
        COUNT_MAX_DEFAULT, PEER_BURST_DEFAULT, PEERS_MAX, PORT_DEFAULT, RESERVE_DEFAULT,
        RESERVE_MAX, RESERVE_MIN,
    },
    text::is_plain,
    words::ClusterName,
};
use ipseity_http::HostNames;
use ipseity_pids::Wanted;

use crate::{
    limits::{
        CONNECTIONS_LIMIT_MAX, CONNECTIONS_MAX_DEFAULT, FANOUT_DEFAULT, IDLE_TIMEOUT_MAX,
        JOIN_TIMEOUT_DEFAULT, JOIN_TIMEOUT_MAX, LISTENERS_MAX, PENDING_BYTES_LIMIT_MAX,
        PENDING_BYTES_LIMIT_MIN, PENDING_BYTES_MAX_DEFAULT, PENDING_BYTES_TOTAL_DEFAULT,
        PENDING_BYTES_TOTAL_MAX, PENDING_BYTES_TOTAL_MIN, SPIN_DEFAULT, SPIN_MAX, SPIN_MIN,
        STORE_RESERVE_DEFAULT, SYNC_INTERVAL_DEFAULT, SYNC_INTERVAL_MAX, SYNC_INTERVAL_MIN,
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
    /// Say what a server with these options would do, and do nothing. With each flag that was given, and its values, as
    /// people find them in their settings: `--pid 3`, or `IPSEITY_PID 3`.
    Check(Box<Options>, Vec<String>),
    /// Show how to use it.
    Help,
    /// Show the version of the program.
    Version,
}

/// What the words of a command line are read with. The caller looks it up.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The variables of the environment, each with its name and its value. Only those count whose name begins with
    /// `IPSEITY_`.
    pub variables: Vec<(OsString, OsString)>,
    /// The name of this machine, for `--pid-from-hostname`.
    pub host_name: String,
}

/// The options of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where to listen, each `host:port`, and never empty; with port 0 the system picks a free port.
    pub listen: Vec<String>,
    /// Where to speak HTTP, each `host:port`; with port 0 the system picks a free port.
    pub http: Vec<String>,
    /// How the server may be called in requests by HTTP, besides by its addresses and as localhost.
    pub http_names: HostNames,
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
    /// The server's own number in its cluster, or which one it may take.
    pub pid: Wanted,
    /// The cluster that it belongs to.
    pub cluster: ClusterName,
    /// How often peers are asked, 1 ms to an hour.
    pub sync_interval: Duration,
    /// How many of them are asked in a round, 1 to 1023.
    pub fanout: usize,
    /// Where the state is kept.
    pub state: StateAt,
    /// `--data-dir` was not given. The parent of the default directory is made too.
    pub is_default_dir: bool,
    /// The state directory must already hold a state, or etcd the cluster.
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
    /// How much time of recent demand is kept ready in the store, 100 ms to five minutes.
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
    /// How long the loop may look again before it sleeps, 1 µs to 1 ms; `None` not to do so.
    pub spin: Option<Duration>,
    /// Where the trace goes; `None` for no trace.
    pub trace: Option<TraceTarget>,
    /// Which log lines are written.
    pub log_level: LevelFilter,
    /// The variables `IPSEITY_*` that are set and that no flag is called by, in the order of their names.
    pub unknown_variables: Vec<String>,
    /// The variables that are set and do not count, because another flag says otherwise.
    pub overruled_variables: Vec<String>,
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

/// What is wrong with a command line or a variable; one line for people.
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

/// Reads the arguments, without the program's name, and the variables of the environment. A flag wins over its own
/// variable.
///
/// # Errors
/// A flag is unknown, is given twice or has an invalid value, or two flags contradict each other. The text names the
/// variable where the value came from there.
pub fn parse(arguments: &[String], surroundings: &Surroundings) -> Result<Command, UsageError> {
    let matches = parse_flags(arguments)?;
    // These come before the environment is read: whoever has a wrong variable needs the help.
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
    let from_environment =
        FromEnvironment::read(&surroundings.variables, |flag| matches.opt_present(flag))?;
    // They come first, because everything behind `--` is not a flag.
    let all = [&from_environment.arguments, arguments].concat();
    let given = Given::new(parse_flags(&all)?, from_environment.flags);
    let mut options = options(&given, &surroundings.host_name)?;
    options.unknown_variables = from_environment.unknown;
    options.overruled_variables = from_environment.overruled;
    let options = Box::new(options);
    Ok(match given.is_given("check") {
        true => Command::Check(options, given.all()),
        false => Command::Serve(options),
    })
}

/// The text of `--help`: whole lines of at most 100 characters.
pub fn help() -> String {
    usage(
        &flags(),
        "Usage: ipseity [FLAGS]\n\n\
         Hands out unique, increasing 64-bit identities over TCP, and keeps its counter in step with its\n\
         peers. Ask it with ipseity-cli. Stop it with SIGTERM or Ctrl-C.\n\n\
         The environment can set each flag too, by the variable in brackets. A flag wins over its variable,\n\
         and an empty variable counts as not set. Commas separate what a flag may repeat. For a flag\n\
         without a value the variable is true or false (or 1 or 0, or yes or no).\n\n\
         Exit code: 0 it was stopped as asked, or --check found nothing wrong; 1 it failed, or was stopped\n\
         after a peer had objected to it, or --check found a fault; 2 the command line or a variable is\n\
         wrong.",
    )
}

fn options(given: &Given, host_name: &str) -> Result<Options, UsageError> {
    let tls = tls::files(given)?;
    let (peers, plain_peers) = peers(given, tls.as_ref())?;
    let pid = pid::choice(given, host_name)?;
    let logs_json = match given.value("log-format").as_deref() {
        None | Some("text") => false,
        Some("json") => true,
        Some(text) => return Err(given.bad("log-format", text, "text or json")),
    };
    let trace = given.value("trace").map(|target| match target.as_str() {
        // It cannot be opened by this name if it is a socket, as it is under systemd.
        "-" | "/dev/stderr" => TraceTarget::StandardError,
        file => TraceTarget::File(PathBuf::from(file)),
    });
    if logs_json && trace == Some(TraceTarget::StandardError) {
        return Err(UsageError(format!(
            "{} leaves no place for a trace on standard error: give {} a file, or have the log as text",
            given.name("log-format"),
            given.name("trace"),
        )));
    }
    let cluster = match given.value("cluster") {
        // The wire refuses control characters. A name that looks like another one is a trap too.
        Some(text) if text.chars().any(|c| !is_plain(c) && !c.is_control()) => {
            return Err(given.bad(
                "cluster",
                &text,
                "a name without marks that end a line or change the direction of a text",
            ));
        }
        Some(text) => text
            .parse()
            .map_err(|error| UsageError(format!("{}: {error}", given.name("cluster"))))?,
        None => ClusterName::default(),
    };
    let listen = listen(given)?;
    let advertise = advertise(given)?;
    let state = store::state(given, pid, &listen, advertise.as_deref())?;
    let reserve = match state {
        StateAt::Etcd(_) => STORE_RESERVE_DEFAULT,
        StateAt::Directory(_) | StateAt::Nowhere => RESERVE_DEFAULT,
    };
    Ok(Options {
        http: http::http(given, &listen)?,
        http_names: http::names(given)?,
        listen,
        advertise,
        peers,
        plain_peers,
        plain: tls::plain(given)?,
        rechecks_tls: given.is_given("tls-recheck"),
        tls,
        pid,
        cluster,
        sync_interval: duration(given, "sync-interval", SYNC_INTERVAL_MIN, SYNC_INTERVAL_MAX)?
            .unwrap_or(SYNC_INTERVAL_DEFAULT),
        fanout: fanout(given)?,
        state,
        is_default_dir: !given.is_given("data-dir"),
        is_existing: given.is_given("existing"),
        may_be_shared: given.is_given("allow-shared-dir"),
        connections_max: number(given, "max-connections", 1, CONNECTIONS_LIMIT_MAX as u64)?
            .map_or(CONNECTIONS_MAX_DEFAULT, |number| number as usize),
        per_address_max: number(
            given,
            "max-connections-per-address",
            1,
            CONNECTIONS_LIMIT_MAX as u64,
        )?
        .map(|number| number as usize),
        closes_idle: match given.value("when-full").as_deref() {
            None | Some("refuse") => false,
            Some("close-idle") => true,
            Some(text) => return Err(given.bad("when-full", text, "refuse or close-idle")),
        },
        count_max: number(given, "max-count", 1, u64::from(COUNT_LIMIT_MAX))?
            .map_or(COUNT_MAX_DEFAULT, |number| number as u32),
        advance_max: number(given, "max-advance", 1, u64::MAX)?.unwrap_or(ADVANCE_MAX_DEFAULT),
        budgets: Budgets {
            after_burst: number(given, "after-burst", 0, u64::MAX)?.unwrap_or(AFTER_BURST_DEFAULT),
            peer_burst: number(given, "peer-burst", 0, u64::MAX)?.unwrap_or(PEER_BURST_DEFAULT),
            rate_per_second: number(given, "advance-rate", 0, u64::MAX)?
                .unwrap_or(ADVANCE_RATE_DEFAULT),
        },
        reserve: duration(given, "reserve", RESERVE_MIN, RESERVE_MAX)?.unwrap_or(reserve),
        join: join(given)?,
        join_timeout: duration(given, "join-timeout", Duration::ZERO, JOIN_TIMEOUT_MAX)?
            .unwrap_or(JOIN_TIMEOUT_DEFAULT),
        recover_above: number(given, "recover-above", 1, Sequence::MAX.get() - 1)?
            .and_then(Sequence::new),
        members_lost: given.is_given("members-lost"),
        trust: TrustOptions {
            loopback: match given.value("trust-loopback").as_deref() {
                None | Some("yes") => true,
                Some("no") => false,
                Some(text) => return Err(given.bad("trust-loopback", text, "yes or no")),
            },
            operators: networks(given, "trust")?,
            peers: networks(given, "peer-from")?,
        },
        pending_bytes_max: number(
            given,
            "max-pending-bytes",
            PENDING_BYTES_LIMIT_MIN as u64,
            PENDING_BYTES_LIMIT_MAX as u64,
        )?
        .map_or(PENDING_BYTES_MAX_DEFAULT, |number| number as usize),
        pending_bytes_total: number(
            given,
            "max-pending-bytes-total",
            PENDING_BYTES_TOTAL_MIN as u64,
            PENDING_BYTES_TOTAL_MAX as u64,
        )?
        .map_or(PENDING_BYTES_TOTAL_DEFAULT, |number| number as usize),
        idle_timeout: duration(given, "idle-timeout", Duration::ZERO, IDLE_TIMEOUT_MAX)?
            .filter(|timeout| !timeout.is_zero()),
        spin: spin(given)?,
        trace,
        log_level: match given.value("log-level").as_deref() {
            None | Some("info") => LevelFilter::Info,
            Some("error") => LevelFilter::Error,
            Some("warn") => LevelFilter::Warn,
            Some("debug") => LevelFilter::Debug,
            Some(text) => return Err(given.bad("log-level", text, "error, warn, info or debug")),
        },
        unknown_variables: Vec::new(),
        overruled_variables: Vec::new(),
        logs_json,
    })
}

fn listen(given: &Given) -> Result<Vec<String>, UsageError> {
    let texts = given.values("listen");
    if texts.is_empty() {
        return Ok(vec![format!("127.0.0.1:{PORT_DEFAULT}")]);
    }
    if texts.len() > LISTENERS_MAX {
        return Err(UsageError(format!(
            "{} names {} addresses: a server can listen on at most {LISTENERS_MAX}",
            given.name("listen"),
            texts.len()
        )));
    }
    addresses(given, "listen")
}

/// Others dial this address, so it has to be one that they can dial.
fn advertise(given: &Given) -> Result<Option<String>, UsageError> {
    let Some(text) = given.value("advertise") else {
        return Ok(None);
    };
    let address = host_port(given, "advertise", &text)?;
    if !address.is_dialable() {
        return Err(given.bad(
            "advertise",
            &text,
            "an address that other servers can dial: not port 0, 0.0.0.0 or [::], and at most 261 bytes",
        ));
    }
    Ok(Some(address.to_string()))
}

/// The peers, and those of them that are dialed without TLS.
fn peers(
    given: &Given,
    tls: Option<&Files>,
) -> Result<(Vec<String>, BTreeSet<String>), UsageError> {
    let mut seen = BTreeSet::new();
    let mut peers = Vec::new();
    let mut plain = BTreeSet::new();
    for text in given.values("peer") {
        let (is_plain, address) = tls::scheme(given, &text, tls)?;
        let peer = host_port(given, "peer", address)?;
        if peer.port() == Some(0) {
            return Err(given.bad("peer", &text, "a port that a server listens on, 1 to 65535"));
        }
        let peer = peer.to_string();
        if !seen.insert(peer.clone()) {
            return Err(UsageError(format!(
                "{} {peer} is given more than once",
                given.name("peer")
            )));
        }
        if is_plain {
            plain.insert(peer.clone());
        }
        peers.push(peer);
    }
    if peers.len() > PEERS_MAX {
        return Err(UsageError(format!(
            "{} names {} peers: a server can have at most {PEERS_MAX}",
            given.name("peer"),
            peers.len()
        )));
    }
    Ok((peers, plain))
}

fn fanout(given: &Given) -> Result<usize, UsageError> {
    match given.value("fanout") {
        None => Ok(FANOUT_DEFAULT),
        Some(text) if text == "all" => Ok(PEERS_MAX),
        Some(text) => ipseity_console::number(&text, 1..=PEERS_MAX as u64)
            .map(|fanout| fanout as usize)
            .map_err(|expected| given.bad("fanout", &text, format_args!("{expected}, or all"))),
    }
}

fn number(given: &Given, flag: &str, least: u64, most: u64) -> Result<Option<u64>, UsageError> {
    let number = |text: String| {
        ipseity_console::number(&text, least..=most)
            .map_err(|expected| given.bad(flag, &text, expected))
    };
    given.value(flag).map(number).transpose()
}

fn duration(
    given: &Given,
    flag: &str,
    least: Duration,
    most: Duration,
) -> Result<Option<Duration>, UsageError> {
    let duration = |text: String| {
        ipseity_console::duration(&text, least..=most)
            .map_err(|expected| given.bad(flag, &text, expected))
    };
    given.value(flag).map(duration).transpose()
}

fn spin(given: &Given) -> Result<Option<Duration>, UsageError> {
    match given.value("spin").as_deref() {
        None | Some("auto") => Ok(Some(SPIN_DEFAULT)),
        Some("off") => Ok(None),
        Some(text) => ipseity_console::duration(text, SPIN_MIN..=SPIN_MAX)
            .map(Some)
            .map_err(|expected| {
                given.bad("spin", text, format_args!("{expected}, or auto or off"))
            }),
    }
}

fn join(given: &Given) -> Result<JoinMode, UsageError> {
    let cluster_size = number(given, "cluster-size", 2, PEERS_MAX as u64 + 1)?;
    match (given.value("join").as_deref(), cluster_size) {
        // Servers with a store in etcd would be asked, but have no vote.
        (Some("majority"), Some(_)) if !given.is_given("peer") => Err(UsageError(format!(
            "{}=majority needs --peer: without a peer that it can ask and that has a state directory, a start could never \
             be accepted",
            given.name("join")
        ))),
        (Some("majority"), Some(size)) => Ok(JoinMode::Majority {
            cluster_size: size as usize,
        }),
        (Some("majority"), None) => Err(UsageError(format!(
            "{}=majority needs --cluster-size: the number of servers in the cluster, this one included, and the \
             same on all of them",
            given.name("join")
        ))),
        (_, Some(_)) => Err(UsageError(format!(
            "{} counts only with --join=majority",
            given.name("cluster-size")
        ))),
        (None | Some("prefer"), None) => Ok(JoinMode::Prefer),
        (Some("require"), None) => Ok(JoinMode::Require),
        (Some(text), None) => Err(given.bad("join", text, "prefer, require or majority")),
    }
}

#[cfg(test)]
mod tests {
    use ipseity_core::identity::Pid;

    use super::*;
    use crate::limits::HOST_NAMES_MAX;

    fn parse_words(line: &str) -> Result<Command, UsageError> {
        parse_with(line, &[])
    }

    /// Reads the words, with these variables, on a machine that is called `ipseity-3`.
    fn parse_with(line: &str, variables: &[(&str, &str)]) -> Result<Command, UsageError> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let surroundings = Surroundings {
            variables: variables
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            host_name: "ipseity-3".to_owned(),
        };
        parse(&words, &surroundings)
    }

    fn served_with(line: &str, variables: &[(&str, &str)]) -> Options {
        match parse_with(line, variables) {
            Ok(Command::Serve(options)) => *options,
            other => panic!("{line} {variables:?}: {other:?}"),
        }
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
        assert_eq!(options.pid, Wanted::Pid(Pid::MIN));
        assert_eq!(options.cluster.as_str(), "ipseity");
        assert_eq!(options.sync_interval, Duration::from_secs(1));
        assert_eq!(options.fanout, 32);
        assert_eq!(options.trust, TrustOptions::default());
        assert_eq!(options.state, StateAt::Directory("ipseity-data/0".into()));
        assert_eq!(options.count_max, 1_000);
        assert_eq!(options.advance_max, 1 << 40);
        assert_eq!(options.reserve, Duration::from_secs(1));
        assert_eq!(options.idle_timeout, None);
        assert_eq!(options.spin, Some(SPIN_DEFAULT));
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
        assert_eq!(options.pid, Wanted::Pid(Pid::new(7).unwrap()));
        assert_eq!(options.cluster.as_str(), "blue");
        assert_eq!(options.sync_interval, Duration::from_millis(250));
        assert_eq!(options.state, StateAt::Directory("/var/lib/ipseity".into()));
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
        assert_eq!(served("--spin auto").spin, Some(SPIN_DEFAULT));
        assert_eq!(served("--spin off").spin, None);
        assert_eq!(served("--spin 20us").spin, Some(Duration::from_micros(20)));
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
        assert_eq!(served("--ephemeral").state, StateAt::Nowhere);
        let strict = served("--existing --data-dir x");
        assert!(strict.is_existing && !strict.is_default_dir && !strict.may_be_shared);
        assert!(served("--allow-shared-dir").may_be_shared);
        assert!(served("--members-lost").members_lost);
        assert_eq!(
            served("--pid 9").state,
            StateAt::Directory("ipseity-data/9".into())
        );
        assert_eq!(
            served("--sync-interval 20").sync_interval,
            Duration::from_millis(20)
        );
        let file = TraceTarget::File(PathBuf::from("run.trace"));
        assert_eq!(served("--trace run.trace").trace, Some(file));
    }

    #[test]
    fn a_host_that_can_have_no_address_is_refused() {
        let long = format!("{}:1", ["a".repeat(63).as_str(); 50].join("."));
        let text = refused(&format!("--pid 1 --peer {long}"));
        assert_eq!(
            text,
            "--peer has a host with 3199 bytes: the name of a host has at most 255"
        );
        for host in [
            "id1.example.",
            "a_b-c.example",
            "münchen",
            "10.0.0.1",
            "[fe80::1%eth0]",
        ] {
            served(&format!("--pid 1 --peer {host}:1"));
        }
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
                "--pid \"1024\": expected a number from 0 to 1023, or auto with a store in etcd",
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
                "--cluster a\u{202e}b",
                "--cluster \"a\\u{202e}b\": expected a name without",
            ),
            (
                "--peer a\"b:1 --pid 1",
                "--peer \"a\\\"b:1\": expected a host that can have an address",
            ),
            (
                "--peer a..b:1 --pid 1",
                "--peer \"a..b:1\": expected a host",
            ),
            ("--listen a,b:1", "--listen"),
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
            (
                "--spin 2ms",
                "--spin \"2ms\": expected a duration from 1us to 1ms, such as 250ms or 2s, or auto or off",
            ),
            ("--spin 0", "--spin"),
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
                "--log-format leaves no place for a trace on standard error",
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
    fn http_has_addresses_of_its_own_and_names_of_hosts() {
        assert_eq!(served("").http, [""; 0]);
        let options = served("--http a:1 --http [::1]:0 --http-name one.example --http-name two");
        assert_eq!(options.http, ["a:1", "[::1]:0"]);
        let mut names = HostNames::default();
        for name in ["one.example", "two"] {
            names.add(name).unwrap();
        }
        assert_eq!(options.http_names, names);
        // Each gets a free port of its own.
        served("--listen 127.0.0.1:0 --http 127.0.0.1:0");
        for (line, says) in [
            ("--http a", "--http \"a\": expected HOST:PORT"),
            (
                "--http a:1 --http a:1",
                "--http a:1 is given more than once",
            ),
            (
                "--listen a:1 --http a:1",
                "--http a:1 is the address of --listen too: HTTP needs a port of its own",
            ),
            (
                "--http-name a",
                "--http-name needs --http: without it there is no HTTP",
            ),
            (
                "--http a",
                "--http \"a\": expected HOST:PORT, such as 127.0.0.1:3265",
            ),
            (
                "--http a:1 --http-name ..",
                "--http-name \"..\" is not the name of a host",
            ),
            (
                "--http a:1 --http-name http://b",
                "--http-name \"http://b\" is not the name of a host",
            ),
        ] {
            let error = refused(line);
            assert!(error.starts_with(says), "{line}: {error}");
        }
        let many = |flag: &str, value: &str, count: usize| {
            let one = |number| format!("--{flag} {value}{number} ");
            (1..=count).map(one).collect::<String>()
        };
        served(&many("http", "a:", LISTENERS_MAX - 1));
        refused(&many("http", "a:", LISTENERS_MAX));
        let names = |count| format!("--http h:1 {}", many("http-name", "a", count));
        served(&names(HOST_NAMES_MAX));
        refused(&names(HOST_NAMES_MAX + 1));
    }

    #[test]
    fn each_flag_may_come_from_the_environment() {
        // The variable, its value, and the flags for which it stands.
        let all = [
            ("IPSEITY_LISTEN", "a:1,b:2", "--listen a:1 --listen b:2"),
            ("IPSEITY_HTTP", "a:1,b:2", "--http a:1 --http b:2"),
            (
                "IPSEITY_HTTP_NAME",
                "a.b,c",
                "--http-name a.b --http-name c",
            ),
            ("IPSEITY_ADVERTISE", "a:1", "--advertise a:1"),
            ("IPSEITY_PEER", "a:1,b:2", "--peer a:1 --peer b:2"),
            (
                "IPSEITY_PEER_FROM",
                "10.0.0.0/8,fd00::/8",
                "--peer-from 10.0.0.0/8 --peer-from fd00::/8",
            ),
            ("IPSEITY_PID", "9", "--pid 9"),
            ("IPSEITY_PID_FROM_HOSTNAME", "true", "--pid-from-hostname"),
            ("IPSEITY_PID_BASE", "5", "--pid-base 5"),
            ("IPSEITY_PID_RANGE", "3-9", "--pid-range 3-9"),
            ("IPSEITY_STORE", "etcd://a,b/x", "--store etcd://a,b/x"),
            ("IPSEITY_ETCD_CA", "a.pem", "--etcd-ca a.pem"),
            ("IPSEITY_ETCD_CERT", "c.pem", "--etcd-cert c.pem"),
            ("IPSEITY_ETCD_KEY", "c.key", "--etcd-key c.key"),
            ("IPSEITY_ETCD_USER", "l", "--etcd-user l"),
            ("IPSEITY_LEASE", "9s", "--lease 9s"),
            ("IPSEITY_ON_DOUBT", "serve", "--on-doubt serve"),
            ("IPSEITY_CLUSTER", "blue", "--cluster blue"),
            ("IPSEITY_SYNC_INTERVAL", "2s", "--sync-interval 2s"),
            ("IPSEITY_FANOUT", "all", "--fanout all"),
            ("IPSEITY_DATA_DIR", "/x,y", "--data-dir /x,y"),
            ("IPSEITY_EXISTING", "yes", "--existing"),
            ("IPSEITY_ALLOW_SHARED_DIR", "1", "--allow-shared-dir"),
            ("IPSEITY_EPHEMERAL", "true", "--ephemeral"),
            ("IPSEITY_MAX_CONNECTIONS", "7", "--max-connections 7"),
            (
                "IPSEITY_MAX_CONNECTIONS_PER_ADDRESS",
                "6",
                "--max-connections-per-address 6",
            ),
            ("IPSEITY_WHEN_FULL", "close-idle", "--when-full close-idle"),
            ("IPSEITY_MAX_COUNT", "5", "--max-count 5"),
            ("IPSEITY_MAX_ADVANCE", "4", "--max-advance 4"),
            ("IPSEITY_AFTER_BURST", "3", "--after-burst 3"),
            ("IPSEITY_PEER_BURST", "2", "--peer-burst 2"),
            ("IPSEITY_ADVANCE_RATE", "1", "--advance-rate 1"),
            ("IPSEITY_RESERVE", "2s", "--reserve 2s"),
            ("IPSEITY_JOIN", "require", "--join require"),
            ("IPSEITY_CLUSTER_SIZE", "5", "--cluster-size 5"),
            ("IPSEITY_JOIN_TIMEOUT", "3s", "--join-timeout 3s"),
            ("IPSEITY_RECOVER_ABOVE", "9", "--recover-above 9"),
            ("IPSEITY_MEMBERS_LOST", "1", "--members-lost"),
            (
                "IPSEITY_TRUST",
                "10.0.0.1,10.0.0.2",
                "--trust 10.0.0.1 --trust 10.0.0.2",
            ),
            ("IPSEITY_TRUST_LOOPBACK", "no", "--trust-loopback no"),
            ("IPSEITY_TLS_CERT", "c.pem", "--tls-cert c.pem"),
            ("IPSEITY_TLS_KEY", "c.key", "--tls-key c.key"),
            ("IPSEITY_TLS_CLIENT_CA", "a.pem", "--tls-client-ca a.pem"),
            ("IPSEITY_TLS_PEER_CA", "b.pem", "--tls-peer-ca b.pem"),
            ("IPSEITY_PLAIN", "any", "--plain any"),
            ("IPSEITY_TLS_RECHECK", "yes", "--tls-recheck"),
            (
                "IPSEITY_MAX_PENDING_BYTES",
                "65536",
                "--max-pending-bytes 65536",
            ),
            (
                "IPSEITY_MAX_PENDING_BYTES_TOTAL",
                "1048576",
                "--max-pending-bytes-total 1048576",
            ),
            ("IPSEITY_IDLE_TIMEOUT", "1m", "--idle-timeout 1m"),
            ("IPSEITY_SPIN", "20us", "--spin 20us"),
            ("IPSEITY_TRACE", "a=b", "--trace a=b"),
            ("IPSEITY_LOG_LEVEL", "debug", "--log-level debug"),
            ("IPSEITY_LOG_FORMAT", "json", "--log-format json"),
        ];
        // All but --help and --version have one.
        assert_eq!(all.len(), flags::table().len());
        for (variable, value, line) in all {
            assert!(help().contains(&format!("[{variable}]")), "{variable}");
            // What some flags need.
            let others = match variable {
                "IPSEITY_PEER" | "IPSEITY_PEER_FROM" => "--pid 1",
                "IPSEITY_PID_BASE" => "--pid-from-hostname",
                "IPSEITY_STORE" => "--pid 1",
                "IPSEITY_PID_RANGE" => "--pid auto --store etcd://a",
                "IPSEITY_ETCD_CA" => "--pid 1 --store etcds://a",
                "IPSEITY_ETCD_CERT" => "--pid 1 --store etcds://a --etcd-ca a --etcd-key k",
                "IPSEITY_ETCD_KEY" => "--pid 1 --store etcds://a --etcd-ca a --etcd-cert c",
                "IPSEITY_ETCD_USER" | "IPSEITY_LEASE" | "IPSEITY_ON_DOUBT" => {
                    "--pid 1 --store etcd://a"
                }
                "IPSEITY_HTTP_NAME" => "--http h:1",
                "IPSEITY_CLUSTER_SIZE" => "--pid 1 --peer a:1 --join majority",
                "IPSEITY_TLS_CERT" => "--tls-key k",
                "IPSEITY_TLS_KEY" => "--tls-cert c",
                _ if variable.starts_with("IPSEITY_TLS") => "--tls-cert c --tls-key k",
                "IPSEITY_PLAIN" => "--tls-cert c --tls-key k",
                _ => "",
            };
            let expected = served(&format!("{others} {line}"));
            assert_eq!(
                served_with(others, &[(variable, value)]),
                expected,
                "{variable}"
            );
            // Else the two would be equal without the variable too.
            assert_ne!(
                parse_words(others),
                parse_words(&format!("{others} {line}"))
            );
        }
    }

    #[test]
    fn a_flag_wins_over_its_variable() {
        let variables = [
            ("IPSEITY_PID", "what?"),
            ("IPSEITY_LISTEN", "a:1,b:2"),
            ("IPSEITY_EPHEMERAL", "maybe"),
            ("IPSEITY_CLUSTER", "blue"),
        ];
        let options = served_with("--pid 3 --listen c:3 --ephemeral", &variables);
        assert_eq!(options.pid, Wanted::Pid(Pid::new(3).unwrap()));
        assert_eq!(options.listen, ["c:3"]);
        assert_eq!(options.state, StateAt::Nowhere);
        assert_eq!(options.cluster.as_str(), "blue");
        // Also if the flags end with the two dashes.
        let options = served_with("--pid 3 --ephemeral --", &variables);
        assert_eq!(
            (options.pid, options.listen.len()),
            (Wanted::Pid(Pid::new(3).unwrap()), 2)
        );
        // The variable of another flag is not overruled.
        let said = parse_with("--ephemeral", &[("IPSEITY_DATA_DIR", "x")]).unwrap_err();
        assert!(
            said.to_string()
                .starts_with("IPSEITY_DATA_DIR and --ephemeral contradict each other: "),
            "{said}"
        );
    }

    #[test]
    fn an_empty_variable_is_not_set_and_an_unknown_one_is_noted() {
        let variables = [
            ("IPSEITY_SERVICE_HOST", "10.0.0.1"),
            ("IPSEITY_PORT", "tcp://10.0.0.1:3264"),
            ("IPSEITY_VERSION", "1"),
            ("IPSEITY_PID", ""),
            ("IPSEITY_PEER", ""),
            ("IPSEITY_NONSENSE", ""),
            ("HOME", "/"),
        ];
        let mut options = served_with("", &variables);
        assert_eq!(
            options.unknown_variables,
            ["IPSEITY_PORT", "IPSEITY_SERVICE_HOST", "IPSEITY_VERSION"]
        );
        options.unknown_variables.clear();
        assert_eq!(options, served(""));
    }

    #[test]
    fn an_error_names_the_variable_that_the_value_came_from() {
        for (line, variables, says) in [
            (
                "",
                &[("IPSEITY_PID", "1024")][..],
                "IPSEITY_PID \"1024\": expected a number from 0 to 1023, or auto",
            ),
            (
                "",
                &[("IPSEITY_PEER", "a:1")],
                "IPSEITY_PEER needs --pid: give every",
            ),
            (
                "--pid 1",
                &[("IPSEITY_PEER", "a:1,")],
                "IPSEITY_PEER \"\": expected HOST:PORT",
            ),
            (
                "--pid 1",
                &[("IPSEITY_PEER", "a:1, a:1")],
                "IPSEITY_PEER a:1 is given more than once",
            ),
            (
                "--pid 1",
                &[("IPSEITY_PEER", "tls://a:1")],
                "IPSEITY_PEER tls://a:1 needs TLS",
            ),
            (
                "--pid 1 --tls-cert c --tls-key k",
                &[("IPSEITY_PEER", "a:1")],
                "IPSEITY_PEER a:1 would be dialed by TLS",
            ),
            (
                "",
                &[("IPSEITY_LISTEN", "a:1,a:1")],
                "IPSEITY_LISTEN a:1 is given more than once",
            ),
            (
                "",
                &[("IPSEITY_ADVERTISE", "a:0")],
                "IPSEITY_ADVERTISE \"a:0\": expected an address",
            ),
            (
                "",
                &[("IPSEITY_CLUSTER", "a\nb")],
                "IPSEITY_CLUSTER: a cluster name",
            ),
            (
                "",
                &[("IPSEITY_FANOUT", "0")],
                "IPSEITY_FANOUT \"0\": expected a number",
            ),
            (
                "",
                &[("IPSEITY_RESERVE", "1")],
                "IPSEITY_RESERVE \"1\": expected a duration",
            ),
            (
                "",
                &[("IPSEITY_EXISTING", "1"), ("IPSEITY_EPHEMERAL", "1")],
                "IPSEITY_EXISTING and IPSEITY_EPHEMERAL contradict each other",
            ),
            (
                "--pid 1",
                &[("IPSEITY_PID_FROM_HOSTNAME", "true")],
                "--pid and IPSEITY_PID_FROM_HOSTNAME contradict each other",
            ),
            (
                "--pid-from-hostname",
                &[("IPSEITY_PID_BASE", "1023")],
                "--pid-from-hostname: the host name \"ipseity-3\" and the base 1023 make",
            ),
            (
                "--pid-from-hostname",
                &[("IPSEITY_PID_BASE", "x")],
                "IPSEITY_PID_BASE \"x\": expected a number",
            ),
            (
                "",
                &[("IPSEITY_TLS_CERT", "c.pem")],
                "IPSEITY_TLS_CERT needs --tls-key",
            ),
            (
                "",
                &[("IPSEITY_TLS_KEY", "c.key")],
                "IPSEITY_TLS_KEY needs --tls-cert",
            ),
            ("", &[("IPSEITY_PLAIN", "any")], "IPSEITY_PLAIN needs TLS"),
            (
                "",
                &[("IPSEITY_TRUST", "10.0.0.1,localhost")],
                "IPSEITY_TRUST \"localhost\": expected an IP address",
            ),
            (
                "",
                &[("IPSEITY_TRUST_LOOPBACK", "maybe")],
                "IPSEITY_TRUST_LOOPBACK \"maybe\": expected yes or no",
            ),
            (
                "--pid 1 --peer a:1",
                &[("IPSEITY_JOIN", "majority")],
                "IPSEITY_JOIN=majority needs --cluster-size",
            ),
            (
                "--cluster-size 3",
                &[("IPSEITY_JOIN", "majority")],
                "IPSEITY_JOIN=majority needs --peer",
            ),
            (
                "",
                &[("IPSEITY_CLUSTER_SIZE", "3")],
                "IPSEITY_CLUSTER_SIZE counts only with",
            ),
            (
                "--log-level loud",
                &[("IPSEITY_LOG_LEVEL", "loud")],
                "--log-level \"loud\": expected",
            ),
        ] {
            let said = parse_with(line, variables).unwrap_err().to_string();
            assert!(said.starts_with(says), "{line} {variables:?}: {said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
        for (variable, count, says) in [
            (
                "IPSEITY_LISTEN",
                33,
                "IPSEITY_LISTEN names 33 addresses: a server",
            ),
            (
                "IPSEITY_PEER",
                1024,
                "IPSEITY_PEER names 1024 peers: a server",
            ),
        ] {
            let addresses: Vec<String> = (1..=count).map(|port| format!("a:{port}")).collect();
            let variables = [(variable, &*addresses.join(","))];
            let said = parse_with("--pid 1", &variables).unwrap_err().to_string();
            assert!(said.starts_with(says), "{said}");
        }
        // The help is for those who have such a variable.
        assert_eq!(
            parse_with("--help", &[("IPSEITY_EPHEMERAL", "maybe")]),
            Ok(Command::Help)
        );
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

    #[test]
    fn the_image_needs_no_emptied_variable_for_a_store() {
        let image = [
            ("IPSEITY_LISTEN", "127.0.0.1:3264"),
            ("IPSEITY_DATA_DIR", "/data/state"),
        ];
        let by_variable = [&image[..], &[("IPSEITY_STORE", "etcd://a")]].concat();
        for (line, variables) in [
            ("--pid auto", &by_variable[..]),
            ("--pid auto --store etcd://a", &image),
        ] {
            let options = served_with(line, variables);
            assert!(options.state.etcd().is_some());
            assert_eq!(options.overruled_variables, ["IPSEITY_DATA_DIR"]);
        }
        let options = served_with("--pid 7", &image);
        assert!(options.state.directory().is_some());
        assert!(options.overruled_variables.is_empty());
        // Where both were meant, they contradict each other.
        let said = parse_with("--pid 7 --data-dir x", &by_variable).unwrap_err();
        assert!(said.to_string().contains("contradict"), "{said}");
    }
}
