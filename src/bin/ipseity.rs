//! `ipseity`: the server.
//!
//! It reads the command line and the environment, opens what the server needs in the right order, and turns the end of
//! the run into an exit code: 0 for a clean stop, 1 for a failure or if a peer has objected to this server, 2 for a wrong
//! command line or variable. With `--check` it only reads, and says what a start would do.

use std::{
    ffi::OsString,
    fmt::Display,
    io::{self, Write as _},
    net::SocketAddr,
    path::{self, Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use ipseity_console::{complain, outlive_file_size_limit, version};
use ipseity_core::{
    actor::{ActorConfig, Objected, Remembered},
    identity::Sequence,
};

use ipseity::{
    check::{Found, Report, State},
    codec::Codec,
    limits::{
        ADDRESSES_PER_NAME_MAX, DIALED_MAX, HTTP_CONNECTIONS_MAX, LISTENERS_MAX, OWNERS_MAX,
        PEER_SILENCE_MIN, READ_BYTES_MAX,
    },
    listeners::Listener,
    opening::{self, NOBODY_IS_SERVED, Opened, load_members, store_options},
    options::{self, Command, Options, StateAt, Surroundings, TraceTarget, UsageError},
    os::{
        self, Bound, Clock, Descriptors, ListenError, Os, Others, Places, StartSignals,
        TooFewDescriptors, TraceOut, TracePlace,
    },
    peers::to_ask,
    pid_store,
    secure::{PlainFrom, Settings},
    server::{Exit, Server, ServerConfig, TlsConfig, at_least},
    store::{Note, prospect},
    trace::Trace,
    transport::TransportLimits,
};
use log::{debug, error, info, warn};

fn main() -> ExitCode {
    let surroundings = Surroundings {
        variables: std::env::vars_os().collect(),
        host_name: os::host_name(),
    };
    let parse = |arguments: Vec<String>| options::parse(&arguments, &surroundings);
    let outcome = match arguments().and_then(parse) {
        Ok(Command::Help) => show(&options::help()),
        Ok(Command::Version) => show(&format!("{}\n", version("ipseity"))),
        Ok(Command::Serve(options)) => return serve(&options),
        Ok(Command::Check(options, given)) => return check(&options, &given),
        Err(error) => {
            complain(
                "ipseity",
                format!("{error} (ipseity --help shows all flags)"),
            );
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain("ipseity", error);
            ExitCode::FAILURE
        }
    }
}

/// The arguments after the program's name. One that is not UTF-8 is refused: a guess could name another directory
/// than the one that was meant.
fn arguments() -> Result<Vec<String>, UsageError> {
    let word = |word: OsString| {
        word.into_string().map_err(|word| {
            UsageError::new(format!("{word:?} is not UTF-8: every argument must be"))
        })
    };
    std::env::args_os().skip(1).map(word).collect()
}

/// Writes to standard output. A closed pipe is not an error: its reader has seen enough.
fn show(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(failed("write to standard output", error))
        }
        _ => Ok(()),
    }
}

/// Says what a server with these options would do. It reads what a start reads, and changes nothing.
fn check(options: &Options, given: &[String]) -> ExitCode {
    let directory = options.state.directory().map(PathBuf::as_path);
    let tls = options.tls.as_ref().map(Settings::read).transpose();
    let can_dial = !matches!(&tls, Ok(Some(settings)) if !settings.dials());
    let found = Found {
        addresses: os::listen_addresses("--listen", &options.listen).map_err(cannot_listen),
        http: os::listen_addresses("--http", &options.http).map_err(cannot_listen),
        descriptors: raise_limit(options)
            .map(|descriptors| descriptors.shortage())
            .map_err(|error| error.to_string()),
        trace: match &options.trace {
            Some(target) => find_trace(target, directory).map(drop),
            None => Ok(()),
        },
        state: directory
            .map(|directory| look_at_state(options, directory, can_dial))
            .transpose(),
        in_etcd: options
            .state
            .etcd()
            .map(|etcd| {
                let address = options.listen.first().map_or("", String::as_str);
                opening::pid_store_options(options, etcd, &with_a_port(address))
                    .and_then(|options| pid_store::prospect(&options))
            })
            .transpose(),
        tls,
    };
    let report = Report::new(options, given, &found);
    let mut text = report.lines.join("\n");
    text += match report.faults.is_empty() {
        true => "\nno fault was found\n",
        false => "\n",
    };
    let shown = show(&text);
    for fault in report.faults.iter().chain(shown.as_ref().err()) {
        complain("ipseity", fault);
    }
    match report.faults.is_empty() && shown.is_ok() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn look_at_state(options: &Options, directory: &Path, can_dial: bool) -> Result<State, String> {
    let remembered = load_members(directory)?;
    // Nothing with this session is ever written.
    let prospect =
        prospect(&store_options(options, directory, 1)).map_err(|error| error.to_string())?;
    Ok(State {
        directory: full_path(directory),
        remembered: remembered.len(),
        asked: asked(options, &remembered, can_dial).len(),
        objection: prospect
            .started
            .objected
            .map(|objected| objection_kept(objected, options.recover_above)),
        prospect,
    })
}

/// The address with any port in the place of 0: which one the start gets is not known, and it does not matter.
fn with_a_port(address: &str) -> String {
    match address.strip_suffix(":0") {
        Some(host) => format!("{host}:1"),
        None => address.to_owned(),
    }
}

/// Runs a server until it is stopped. From its first log line on, the server never waits for the reader of the log,
/// and the end of the process waits only for a moment.
fn serve(options: &Options) -> ExitCode {
    if let Err(error) = os::init_log(options.log_level, options.logs_json) {
        complain(
            "ipseity",
            failed("start the thread that writes the log", error),
        );
        return ExitCode::FAILURE;
    }
    if !options.unknown_variables.is_empty() {
        debug!(
            event = "variablesIgnored";
            "ignored these variables of the environment, because no flag has such a name: {}",
            options.unknown_variables.join(" ")
        );
    }
    if !options.overruled_variables.is_empty() {
        debug!(
            event = "variablesOverruled";
            "ignored these variables of the environment, because --store says where the state is: {}",
            options.overruled_variables.join(" ")
        );
    }
    let mut trace = None;
    let outcome = run(options, &mut trace);
    if let Err(error) = &outcome {
        os::say(error);
    }
    os::finish_lines(trace.as_ref());
    match outcome {
        Ok(Exit::Clean) => ExitCode::SUCCESS,
        Ok(Exit::Objected | Exit::Refused | Exit::Forced | Exit::StorageFailed | Exit::Fenced)
        | Err(_) => ExitCode::FAILURE,
    }
}

/// Opens everything and runs the server. An error is one line for people. The caller finishes what is left in `trace`.
fn run(options: &Options, trace: &mut Option<TraceOut>) -> Result<Exit, String> {
    let signals = StartSignals::handle()
        .and_then(|signals| outlive_file_size_limit().map(|()| signals))
        .map_err(|error| failed("handle signals", error))?;
    let trace_to = options
        .trace
        .as_ref()
        .map(|target| find_trace(target, options.state.directory().map(PathBuf::as_path)))
        .transpose()?;
    let descriptors = raise_limit(options).map_err(|error| error.to_string())?;
    if let Some(shortage) = descriptors.shortage() {
        warn!(event = "descriptorsFew"; "{shortage}");
    }
    let clock = Clock::begin();
    // Listening comes first: if the address is taken, the start changes nothing in the state directory.
    let mut bound =
        Bound::all("--listen", &options.listen, LISTENERS_MAX).map_err(cannot_listen)?;
    let mut listeners = vec![Listener::PLAIN; bound.len()];
    let http_room = LISTENERS_MAX - bound.len();
    bound.extend(Bound::all("--http", &options.http, http_room).map_err(cannot_listen)?);
    listeners.resize(bound.len(), Listener::HTTP);
    let addresses = Addresses::of(&bound, &listeners)
        .map_err(|error| failed("find out on which address the server listens", error))?;
    let tls = match &options.tls {
        Some(files) => {
            let read = os::tell_if_late("reading the files of TLS", NOBODY_IS_SERVED, || {
                Settings::read(files)
            })?;
            Some(Arc::new(read))
        }
        None => None,
    };
    let mut opened = opening::open(options, &addresses.frames[0], clock)?;
    // Opened only once the address and the state directory are this server's: before that, the file may be the trace
    // of another server.
    *trace = trace_to.map(open_trace).transpose()?;
    let keeper = std::mem::take(&mut opened.keeper);
    let edge = Os::new(
        bound,
        keeper,
        signals,
        trace.clone(),
        options.tls.clone(),
        clock,
    )
    .map_err(|error| error.to_string())?;
    let config = config(options, &opened, descriptors, listeners, tls);
    announce(options, &opened, &addresses, config.tls.as_ref());
    let started = &opened.started;
    warn_of_strangers(options, &addresses);
    for Note { event, text } in &started.notes {
        warn!(event = event; "{text}");
    }
    if let Some(objected) = started.objected {
        let text = objection_kept(objected, options.recover_above);
        error!(event = "objectedBefore"; "{text}");
    } else if let Some(above) = options.recover_above {
        info!(
            event = "recovered";
            "--recover-above {above} was accepted: this server hands out only identities above sequence {}, and \
             objections about an older state up to sequence {} do not count any more",
            started.sequence, started.recovered
        );
    }
    if options.join.needed() > 0 && !config.actor.joins {
        warn!(
            event = "joinAsksNobody";
            "--join=require asks nobody, because no --peer is named{}: this server hands out identities at once; name \
             its peers with --peer",
            if options.state.etcd().is_some() { " and no other server is in etcd" } else { "" }
        );
    }
    let trace = trace.clone().map(|out| Trace::new(Box::new(out)));
    Server::new(edge, config, trace)
        .run()
        .map_err(|error| failed("wait for events", error))
}

/// The line that is logged at each start until an operator has decided. A word of `--recover-above` that was high enough
/// would have ended the objection.
fn objection_kept(objected: Objected, recover_above: Option<Sequence>) -> String {
    let standing = objected.standing();
    let too_low = recover_above.map_or(String::new(), |above| {
        format!("--recover-above {above} IS TOO LOW: ")
    });
    format!(
        "NOT HANDING OUT IDENTITIES ({standing}): {too_low}a peer has objected to this state directory in an earlier \
         run, and only an operator can resolve that: start with an unused --pid and a new --data-dir; or with \
         --recover-above SEQUENCE, {}not lower than anything that a server with this pid may have handed out \
         (ipseity-cli members, asked of the other servers, shows which of them objects)",
        at_least(objected.sequence)
    )
}

fn cannot_listen(error: ListenError) -> String {
    match os::advice(&error.error) {
        // The cause is not the address.
        Some(advice) => format!("cannot open a socket to listen: {}; {advice}", error.error),
        None => {
            let flag = error.flag;
            let advice = match error.error.kind() {
                io::ErrorKind::AddrInUse => {
                    format!("is another server running there? choose another address with {flag}")
                }
                io::ErrorKind::PermissionDenied => format!(
                    "ports below 1024 are for privileged users; choose another port with {flag}"
                ),
                _ => format!("choose an address of this machine with {flag}"),
            };
            format!("{error}; {advice}")
        }
    }
}

/// Where the server listens, with the real ports.
struct Addresses {
    frames: Vec<String>,
    http: Vec<String>,
}

impl Addresses {
    fn of(bound: &[Bound], listeners: &[Listener]) -> io::Result<Addresses> {
        let (mut frames, mut http) = (Vec::new(), Vec::new());
        for (bound, listener) in bound.iter().zip(listeners) {
            match listener.codec {
                Codec::Frames(_) => frames.push(bound.address()?.to_string()),
                Codec::Http(_) => http.push(bound.address()?.to_string()),
            }
        }
        Ok(Addresses { frames, http })
    }
}

fn raise_limit(options: &Options) -> Result<Descriptors, TooFewDescriptors> {
    let http = match options.http.is_empty() {
        true => 0,
        false => HTTP_CONNECTIONS_MAX,
    };
    let wanted = Places {
        connections: options.connections_max,
        http,
    };
    let others = Others {
        peers: addresses_max(&options.peers),
        owners: options.state.etcd().map_or(0, |_| OWNERS_MAX),
    };
    os::raise_limit(wanted, others)
}

/// To how many addresses there may be connections: one for each peer that is given as an address, and several for each
/// name.
fn addresses_max(peers: &[String]) -> usize {
    let addresses = |peer: &String| match peer.parse::<SocketAddr>() {
        Ok(_) => 1,
        Err(_) => ADDRESSES_PER_NAME_MAX,
    };
    peers.iter().map(addresses).sum::<usize>().min(DIALED_MAX)
}

/// Where the trace goes; a file with the path that was given for it.
enum TraceTo<'a> {
    StandardError,
    File(&'a Path, TracePlace),
}

fn find_trace<'a>(
    target: &'a TraceTarget,
    state_directory: Option<&Path>,
) -> Result<TraceTo<'a>, String> {
    match target {
        TraceTarget::StandardError => Ok(TraceTo::StandardError),
        TraceTarget::File(path) => TracePlace::find(path, state_directory)
            .map(|place| TraceTo::File(path, place))
            .map_err(|error| cannot_trace(path, &error)),
    }
}

fn open_trace(to: TraceTo<'_>) -> Result<TraceOut, String> {
    match to {
        TraceTo::StandardError => {
            TraceOut::standard_error().map_err(|error| failed("write a trace", error))
        }
        TraceTo::File(path, place) => {
            TraceOut::file(place).map_err(|error| cannot_trace(path, &error))
        }
    }
}

fn cannot_trace(path: &Path, error: &io::Error) -> String {
    format!(
        "cannot write the trace file {}: {error}; choose another file with --trace",
        path.display()
    )
}

/// The addresses that are remembered of peers and that a start asks, besides those of `--peer`. Without CAs for peers,
/// nobody can be dialed by TLS.
fn asked(options: &Options, remembered: &[Remembered], can_dial: bool) -> Vec<String> {
    let addresses = remembered
        .iter()
        .filter_map(|known| known.address.as_deref())
        .filter(|_| can_dial);
    to_ask(
        &options.peers,
        options.advertise.as_deref().unwrap_or_default(),
        addresses,
    )
}

fn config(
    options: &Options,
    opened: &Opened,
    descriptors: Descriptors,
    listeners: Vec<Listener>,
    tls: Option<Arc<Settings>>,
) -> ServerConfig {
    let can_dial = tls.as_ref().is_none_or(|tls| tls.dials());
    let asked = asked(options, &opened.remembered, can_dial);
    let owners = match can_dial {
        true => opened.owners.clone(),
        false => Vec::new(),
    };
    let started = &opened.started;
    ServerConfig {
        actor: ActorConfig {
            cluster: options.cluster.clone(),
            pid: opened.pid,
            incarnation: started.incarnation,
            boot: started.boot,
            session: opened.session,
            sequence: started.sequence,
            ceiling: started.ceiling,
            count_max: options.count_max,
            advance_max: options.advance_max,
            budgets: options.budgets,
            first_start: started.first_start,
            reserve: options.reserve,
            recovered: started.recovered,
            objected: started.objected,
            joins: !options.peers.is_empty() || !asked.is_empty() || !owners.is_empty(),
            remembered: opened.remembered.clone(),
            join_mode: options.join,
            lives: started.lives.clone(),
            votes: options.state.directory().is_some() && !started.members_lost,
            fences: options.state.etcd().is_some(),
            lease: opened.lease,
            patience: opened.patience,
            advertise: options.advertise.clone().unwrap_or_default(),
            fanout: options.fanout,
            peer_silence: PEER_SILENCE_MIN.max(3 * options.sync_interval),
        },
        limits: TransportLimits {
            connections_max: descriptors.places.connections,
            http_max: descriptors.places.http,
            per_address_max: options.per_address_max,
            closes_idle: options.closes_idle,
            read_bytes_max: READ_BYTES_MAX,
            pending_bytes_max: options.pending_bytes_max,
            pending_bytes_total: options.pending_bytes_total,
            idle_timeout: options.idle_timeout,
            trust: options.trust.clone(),
            plain: options.plain,
            hosts: options.http_names.clone(),
        },
        listeners,
        peers: options.peers.clone(),
        remembered: asked,
        owners,
        sync_interval: options.sync_interval,
        join_timeout: options.join_timeout,
        skipped: started.skipped,
        spin: options.spin,
        cpus: os::usable_cpus(),
        tls: tls.map(|settings| TlsConfig {
            settings,
            rechecks: options.rechecks_tls,
            plain_peers: options.plain_peers.clone(),
        }),
    }
}

/// Logs one line that says who this server is.
fn announce(options: &Options, opened: &Opened, addresses: &Addresses, tls: Option<&TlsConfig>) {
    let started = &opened.started;
    let mut peers = if options.peers.is_empty() {
        "none".to_owned()
    } else {
        options.peers.join(" ")
    };
    for network in &options.trust.peers {
        peers += &format!(" (and any from {network})");
    }
    let advertised = match &options.advertise {
        Some(advertise) => format!(" (others reach it at {advertise})"),
        None => String::new(),
    };
    let round = match options.peers.len() > options.fanout {
        true => format!(" ({} asked in each round, at random)", options.fanout),
        false => String::new(),
    };
    let state = match &options.state {
        StateAt::Directory(directory) => format!(
            "data directory {} (boot {}, sequence {})",
            full_path(directory).display(),
            started.boot,
            started.sequence
        ),
        StateAt::Etcd(etcd) => format!(
            "state in {} (boot {}, sequence {})",
            etcd.target, started.boot, started.sequence
        ),
        StateAt::Nowhere => "EPHEMERAL: nothing is kept on a disk, and after a restart the same identities come again"
            .to_owned(),
    };
    let address = addresses.frames.join(" and ");
    let http = match addresses.http.is_empty() {
        true => String::new(),
        false => format!(" and for HTTP on {}", addresses.http.join(" and ")),
    };
    let tls = match tls.map(|tls| tls.settings.own()) {
        Some(own) => format!(
            ", TLS with the certificate of {} until {}, {}",
            own.name(),
            own.until(),
            match options.plain {
                PlainFrom::Nowhere => "nothing without TLS",
                PlainFrom::Loopback => "without TLS only from this machine",
                PlainFrom::Anywhere => "and without TLS from anywhere",
            }
        ),
        None => String::new(),
    };
    let text = format_args!(
        "ipseity {} listens on {address}{http}{advertised}: pid {} of cluster {:?}, peers {peers}{round}{tls}, {state}",
        env!("CARGO_PKG_VERSION"),
        opened.pid,
        options.cluster.as_str(),
    );
    os::announce(&address, opened.pid.get(), text);
}

/// If the full path cannot be found out, the path as it was given is shown.
fn full_path(directory: &Path) -> PathBuf {
    path::absolute(directory).unwrap_or_else(|_| directory.to_path_buf())
}

/// Says what strangers can do who reach a server that offers no TLS.
fn warn_of_strangers(options: &Options, addresses: &Addresses) {
    let is_beyond = |address: &&String| {
        let address: Result<SocketAddr, _> = address.parse();
        address.is_ok_and(|address| !address.ip().to_canonical().is_loopback())
    };
    if options.tls.is_none()
        && let Some(address) = addresses
            .frames
            .iter()
            .chain(&addresses.http)
            .find(is_beyond)
    {
        warn!(
            event = "reachableWithoutTls", address:% = address;
            "{address} can be reached from other machines, and there is no TLS: whoever reaches it can take identities \
             and see the status, and whoever is on the way can read and change everything; give --tls-cert and \
             --tls-key, or let only machines that you trust reach this port"
        );
    }
}

fn failed(what: &str, error: impl Display) -> String {
    format!("cannot {what}: {error}")
}
