//! Hostile clients of every kind attack a server at once, beside honest ones. No identity is repeated, every honest
//! request is answered, memory and log stay within their bounds, and SIGTERM ends the server in time.
//!
//! The log and the trace of the server are stuck, too: nobody reads them at first. The ordinary run takes some
//! seconds. The long one takes two minutes, or as many seconds as `IPSEITY_SOAK_SECONDS` says:
//!
//! ```text
//! cargo test --test process soak -- --ignored --nocapture
//! ```

use std::{
    collections::VecDeque,
    env, fs,
    io::{self, PipeReader, Read as _, Write as _, pipe},
    net::{Shutdown, SocketAddr, TcpStream},
    process::Stdio,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use ipseity::limits::{
    LINE_KINDS, LINES_PER_KIND_MAX, LINES_SPAN, LOG_BYTES_MAX, STOP_MAX, TRACE_BYTES_MAX,
};
use ipseity_core::{
    identity::{Pid, Sequence},
    limits::ADVANCE_MAX_DEFAULT,
    words::{Message, Objection, PeerState, Status, SyncMessage, Told, WIRE_VERSION},
};
use ipseity_frames::encode;
use ipseity_harness::{
    clients::{Between, EndOfLoad, Load, carry_between, stay_with_one},
    server::{Connection, Port, Server, eventually},
    unheard::{Unheard, fill},
};
use ipseity_sim::{
    checker::report::RunReport,
    goldens::{malformed, sync_message},
};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use socket2::{Domain, SockRef, Socket, Type};
use tempfile::TempDir;

/// The places of the server that is attacked: few, so that they are soon taken.
const PLACES: usize = 200;

/// Replies that may wait there, over all connections.
const PENDING_BYTES_TOTAL: usize = 4 << 20;

/// How much more memory the process may use than at its start. This is for the replies that wait, in buffers that grow
/// by doubling; for the lines of the log and of the trace, twice, because the thread that writes holds as many; and for
/// everything else.
const GROWTH_BYTES_MAX: u64 =
    2 * (PENDING_BYTES_TOTAL + LOG_BYTES_MAX + TRACE_BYTES_MAX) as u64 + (8 << 20);

/// Lines that the server writes about itself and about its only named peer.
const OWN_LINES_MAX: u64 = 60;

/// The longest of them have a text of a peer in them.
const LINE_BYTES_MAX: u64 = 400;

/// How much longer than five seconds a stop may take here, because machines are shared.
const STOP_SLACK: Duration = Duration::from_secs(10);

/// Answers that honest clients must have had in each second: fewer, and the run has shown nothing.
const ANSWERS_PER_SECOND_MIN: u64 = 20;

/// The smallest request.
const ONE: [u8; 3] = [0, 1, 1];

/// A request that is refused: 15 bytes, answered by 46.
const NONE: [u8; 15] = [0, 13, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Requests with large answers: for the members, and for the status.
const LOOKS: [&[u8]; 2] = [&[0, 3, 9, 0, 0], &[0, 1, 5]];

/// The data that hostile clients share.
struct Trouble {
    server: SocketAddr,
    is_over: AtomicBool,
}

/// A kind of hostile client: its name, what it does until the trouble is over, and where it counts what it has done.
type Hostile = (&'static str, fn(&Trouble, &AtomicU64, Rng));

const HOSTILE: [Hostile; 10] = [
    ("does not read", do_not_read),
    ("asks for what is large", ask_for_much),
    ("sends malformed frames", send_malformed),
    ("says that it is a peer", pretend_to_be_peers),
    ("names what is refused", name_what_is_refused),
    ("takes blocks as fast as it can", take_blocks),
    ("closes its side", close_one_side),
    ("resets", reset),
    ("connects and goes", connect_and_go),
    ("takes all places", take_all_places),
];

impl Trouble {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    /// A connection, unless the server takes none.
    fn connect(&self) -> Option<TcpStream> {
        let patience = Duration::from_secs(1);
        let found = TcpStream::connect_timeout(&self.server, patience).ok();
        if found.is_none() {
            pause(10);
        }
        found.inspect(|stream| {
            stream.set_read_timeout(Some(patience)).unwrap();
            stream.set_write_timeout(Some(patience)).unwrap();
        })
    }

    /// A connection for which the kernel on this side keeps little.
    fn connect_narrow(&self) -> Option<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4 * 1024).unwrap();
        socket.connect(&self.server.into()).ok()?;
        Some(socket.into())
    }
}

/// Ends the trouble, also when something panics, because somebody waits for the threads.
struct EndOfTrouble<'a>(&'a Trouble);

impl Drop for EndOfTrouble<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

/// Leaves the others some time, because all share the processors. How much does not matter.
fn pause(ms: u64) {
    thread::sleep(Duration::from_millis(ms));
}

/// A connection on which one request is written again and again, and never waited for.
struct Asking {
    stream: TcpStream,
    /// The request, repeated many times, and the length of one.
    requests: Vec<u8>,
    length: usize,
    sent: usize,
}

impl Asking {
    fn new(stream: TcpStream, request: &[u8]) -> Asking {
        stream.set_nonblocking(true).unwrap();
        Asking {
            stream,
            requests: request.repeat(1000),
            length: request.len(),
            sent: 0,
        }
    }

    /// Writes as much as the kernel takes at once. Returns whether the connection still exists.
    fn ask(&mut self) -> bool {
        loop {
            // Where the last write was cut off, this one goes on.
            let rest = &self.requests[self.sent % self.length..];
            match self.stream.write(rest) {
                Ok(length) => self.sent += length,
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
    }
}

/// Reads what is there and throws it away. Returns whether the connection still exists.
fn throw_away(mut stream: &TcpStream) -> bool {
    let mut buffer = [0; 64 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}

// Hostile clients. When something fails for one of them, it tries again.

fn do_not_read(trouble: &Trouble, done: &AtomicU64, mut rng: Rng) {
    let mut deaf: Vec<Asking> = Vec::new();
    while trouble.goes_on() {
        while deaf.len() < 40
            && let Some(stream) = trouble.connect_narrow()
        {
            let request = if rng.bool() { &NONE[..] } else { LOOKS[0] };
            deaf.push(Asking::new(stream, request));
        }
        deaf.retain_mut(Asking::ask);
        done.fetch_add(deaf.len() as u64, Ordering::Relaxed);
        pause(20);
    }
}

fn ask_for_much(trouble: &Trouble, done: &AtomicU64, mut rng: Rng) {
    let mut greedy: Vec<Asking> = Vec::new();
    while trouble.goes_on() {
        while greedy.len() < 40
            && let Some(stream) = trouble.connect()
        {
            greedy.push(Asking::new(stream, LOOKS[rng.usize(..2)]));
        }
        greedy.retain_mut(|one| one.ask() && throw_away(&one.stream));
        done.fetch_add(greedy.len() as u64, Ordering::Relaxed);
        pause(20);
    }
}

fn send_malformed(trouble: &Trouble, done: &AtomicU64, mut rng: Rng) {
    let malformed = malformed();
    while trouble.goes_on() {
        let Some(mut stream) = trouble.connect() else {
            continue;
        };
        let frame = &malformed[rng.usize(..malformed.len())];
        if stream.write_all(&[&ONE, &frame.bytes[..]].concat()).is_ok() {
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            done.fetch_add(u64::from(!answer.is_empty()), Ordering::Relaxed);
        }
        pause(1);
    }
}

/// Some messages have a pid that no server has, with another session each time. Others have another cluster or version,
/// or a sequence beyond the last.
fn pretend_to_be_peers(trouble: &Trouble, done: &AtomicU64, mut rng: Rng) {
    while trouble.goes_on() {
        let Some(mut stream) = trouble.connect() else {
            continue;
        };
        let mut bytes = Vec::new();
        for _ in 0..50 {
            let pid = Pid::new(rng.u16(100..1000)).unwrap();
            let mut message = SyncMessage {
                version: WIRE_VERSION,
                told: Told::default(),
                pid,
                incarnation: u128::from(rng.u8(..)),
                boot: rng.u64(1..100),
                session: rng.u64(..),
                sequence: 0,
                ..sync_message()
            };
            match rng.u32(..4) {
                0 => message.version += 1,
                1 => message.sequence = Sequence::MAX.get() + 1,
                2 => message.cluster = "another".parse().unwrap(),
                _ => message.cluster = "ipseity".parse().unwrap(),
            }
            encode(&Message::SyncRequest(Box::new(message)), &mut bytes);
            let objection = Objection {
                pid,
                session: rng.u64(..),
                code: 66,
                sequence: rng.u64(..1000),
                message: "you are somebody else".to_owned(),
            };
            encode(&Message::Objection(Box::new(objection)), &mut bytes);
        }
        if stream.write_all(&bytes).is_ok() {
            let mut answer = [0; 4096];
            let is_answered = stream.read(&mut answer).is_ok_and(|length| length > 0);
            done.fetch_add(u64::from(is_answered), Ordering::Relaxed);
        }
        pause(2);
    }
}

/// An `after` that is too far ahead: a refusal is a line of the log.
fn name_what_is_refused(trouble: &Trouble, done: &AtomicU64, _: Rng) {
    let mut bytes = Vec::new();
    let request = Message::IdentityRequest {
        count: 1,
        after: (2 * ADVANCE_MAX_DEFAULT) << 10,
    };
    for _ in 0..100 {
        encode(&request, &mut bytes);
    }
    while trouble.goes_on() {
        let Some(mut stream) = trouble.connect() else {
            continue;
        };
        if stream.write_all(&bytes).is_ok() && stream.shutdown(Shutdown::Write).is_ok() {
            let mut answers = Vec::new();
            let _ = stream.read_to_end(&mut answers);
            done.fetch_add(u64::from(!answers.is_empty()), Ordering::Relaxed);
        }
        pause(2);
    }
}

fn take_blocks(trouble: &Trouble, done: &AtomicU64, _: Rng) {
    let mut request = Vec::new();
    let (count, after) = (1000, 0);
    encode(&Message::IdentityRequest { count, after }, &mut request);
    while trouble.goes_on() {
        let Some(stream) = trouble.connect() else {
            continue;
        };
        let mut greedy = Asking::new(stream, &request);
        while trouble.goes_on() && greedy.ask() && throw_away(&greedy.stream) {
            done.fetch_add(1, Ordering::Relaxed);
            pause(5);
        }
    }
}

/// They ask and shut their sending side, some of them in the middle of a frame. Then they stay and do not read.
fn close_one_side(trouble: &Trouble, done: &AtomicU64, mut rng: Rng) {
    let mut held = VecDeque::new();
    while trouble.goes_on() {
        let Some(mut stream) = trouble.connect() else {
            continue;
        };
        let cut = rng.usize(1..=3);
        let bytes = [&ONE.repeat(rng.usize(..300)), &ONE[..cut]].concat();
        if stream.write_all(&bytes).is_ok() && stream.shutdown(Shutdown::Write).is_ok() {
            done.fetch_add(1, Ordering::Relaxed);
        }
        held.push_back(stream);
        if held.len() > 20 {
            held.pop_front();
        }
        pause(2);
    }
}

fn reset(trouble: &Trouble, done: &AtomicU64, mut rng: Rng) {
    while trouble.goes_on() {
        let Some(mut stream) = trouble.connect() else {
            continue;
        };
        let is_sent = stream.write_all(&ONE.repeat(rng.usize(..500))).is_ok();
        if rng.bool() {
            pause(1);
        }
        // With this option, closing the socket resets the connection.
        SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        done.fetch_add(u64::from(is_sent), Ordering::Relaxed);
        drop(stream);
        pause(1);
    }
}

fn connect_and_go(trouble: &Trouble, done: &AtomicU64, _: Rng) {
    while trouble.goes_on() {
        let streams: Vec<TcpStream> = (0..20).map_while(|_| trouble.connect()).collect();
        done.fetch_add(streams.len() as u64, Ordering::Relaxed);
        drop(streams);
        pause(10);
    }
}

/// In waves, so that the others come in between. Half of them never send a byte, and half send one now and then.
fn take_all_places(trouble: &Trouble, done: &AtomicU64, _: Rng) {
    while trouble.goes_on() {
        let mut held: Vec<(TcpStream, usize)> = Vec::new();
        for _ in 0..20 {
            while held.len() < 2 * PLACES
                && let Some(stream) = trouble.connect()
            {
                stream.set_nonblocking(true).unwrap();
                held.push((stream, 0));
            }
            held.retain(|(stream, _)| throw_away(stream));
            for (stream, sent) in held.iter_mut().step_by(2) {
                let byte = NONE[*sent % NONE.len()];
                *sent += usize::from(stream.write_all(&[byte]).is_ok());
            }
            done.fetch_add(held.len() as u64, Ordering::Relaxed);
            pause(20);
        }
        drop(held);
        pause(50);
    }
}

// The run.

#[test]
fn hostile_clients_of_all_kinds_at_once_hurt_nobody() {
    run(Duration::from_millis(2500));
}

#[test]
#[ignore = "takes two minutes: cargo test --test process soak -- --ignored --nocapture"]
fn hostile_clients_of_all_kinds_hurt_nobody_for_minutes() {
    let seconds = number("IPSEITY_SOAK_SECONDS").unwrap_or(120);
    run(Duration::from_secs(seconds));
}

/// More than the honest client can come to in an hour.
const AFTER_BURST: &str = "1099511627776";

fn number(variable: &str) -> Option<u64> {
    Some(env::var(variable).ok()?.parse().unwrap())
}

/// What was measured on the server while it was attacked.
#[derive(Debug, Default)]
struct Seen {
    /// The most memory that it used, minus the memory at its start.
    growth: u64,
    statuses: u64,
    /// How often all places were taken.
    full: u64,
}

fn run(time: Duration) {
    let seed = number("IPSEITY_SEED").unwrap_or_else(|| fastrand::u64(..));
    // Shown when the test fails.
    println!("IPSEITY_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let home = TempDir::new().unwrap();
    let trace = home.path().join("trace");
    mknodat(CWD, &trace, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    // Held open and never read.
    let _stands_still = fs::File::options()
        .read(true)
        .write(true)
        .open(&trace)
        .unwrap();
    let (log, writer) = pipe().unwrap();
    fill(&writer);
    let port = Port::reserve();
    let peer = port.address().to_string();
    let mut server = Unheard::start(
        writer,
        &[
            "--pid",
            "1",
            "--peer",
            &peer,
            "--sync-interval",
            "20ms",
            "--max-connections",
            &PLACES.to_string(),
            "--max-pending-bytes-total",
            &PENDING_BYTES_TOTAL.to_string(),
            "--trace",
            trace.to_str().unwrap(),
        ],
    );
    let begun = Instant::now();
    let named = server.address().to_string();
    // Those who take blocks raise the first server faster than any `--advance-rate` that is usual. The honest client that
    // comes from there to the other one is ahead of it until the next round, and must not be refused for that.
    let flags = [
        "--pid",
        "2",
        "--peer",
        &named,
        "--sync-interval",
        "20ms",
        "--after-burst",
        AFTER_BURST,
    ];
    let mut other = Server::start_on(port, &flags);
    let addresses = [server.address(), other.socket_address()];
    let load = Load::over(Between::SoundNetwork);
    let trouble = Trouble {
        server: server.address(),
        is_over: AtomicBool::new(false),
    };
    let done: [AtomicU64; HOSTILE.len()] = Default::default();
    let before = memory(&server);
    // If the test fails before this thread is stopped, nobody waits for it.
    let reading = thread::spawn(move || read_slowly(log, time / 2));
    let (seen, code, waited) = thread::scope(|scope| {
        let (end_of_load, end_of_trouble) = (EndOfLoad(&load), EndOfTrouble(&trouble));
        let (load, trouble, addresses) = (&load, &trouble, &addresses);
        let mut honest = Vec::new();
        for client in 1..=4 {
            let rng = rng.fork();
            honest.push(scope.spawn(move || match client {
                1..=3 => stay_with_one(load, client, 1, addresses[0], rng),
                _ => carry_between(load, client, addresses, rng),
            }));
        }
        let mut operator = server.connect();
        // They have their places before the others come.
        let are_in = eventually(|| {
            let status = status(&mut operator);
            let asked = status.counters.identity_requests;
            asked > 50
                && status.connections >= 5
                && status.peers.iter().any(|peer| peer.state == PeerState::Up)
        });
        assert!(are_in, "the honest clients came in");
        for ((_, attack), done) in HOSTILE.iter().zip(&done) {
            let rng = rng.fork();
            scope.spawn(move || attack(trouble, done, rng));
        }
        let seen = watch(&server, &mut operator, before, time);
        drop(end_of_load);
        for client in honest {
            client.join().unwrap();
        }
        // The hostile clients go on while the server stops.
        let (code, waited) = server.stop("TERM");
        drop(end_of_trouble);
        (seen, code, waited)
    });
    let log = reading.join().unwrap();
    let minutes = begun.elapsed().as_secs() / LINES_SPAN.as_secs() + 2;
    let text = log.trim_start_matches('\n');
    let shown = format!("{seen:?}, stopped after {waited:?}\n{text}");
    println!("{shown}");
    for ((name, _), done) in HOSTILE.iter().zip(&done) {
        let done = done.load(Ordering::Relaxed);
        println!("{name}: {done}");
        assert!(done > 0, "nobody {name}");
    }
    assert!(seen.full > 0, "the places were never taken: {shown}");
    assert!(seen.growth <= GROWTH_BYTES_MAX, "{shown}");
    // One more line of a kind says what was left out, and one more minute may have begun.
    let lines_max =
        LINE_KINDS as u64 * (u64::from(LINES_PER_KIND_MAX) + 1) * minutes + OWN_LINES_MAX;
    let lines = text.lines().count() as u64;
    assert!(lines <= lines_max, "{lines} lines: {shown}");
    assert!(text.len() as u64 <= lines_max * LINE_BYTES_MAX, "{shown}");
    assert!(!text.contains("log lines are missing here"), "{shown}");
    assert_eq!(code, 0, "{shown}");
    assert!(waited < STOP_MAX + STOP_SLACK, "{shown}");
    let (history, tally) = load.results();
    let report = RunReport::on(&history, tally);
    println!("{report}");
    assert!(report.is_valid(), "{report}");
    assert_eq!((tally.refused, tally.unanswered), (0, 0), "{report}");
    assert!(
        tally.acknowledged >= ANSWERS_PER_SECOND_MIN * time.as_secs(),
        "{report}"
    );
    // The next start goes on above everything, and the named peer has logged no error.
    server.restart(Stdio::null(), &["--pid", "1"]);
    assert!(server.next() > report.range.unwrap().1 >> 10);
    assert!(!other.log().contains(" ERROR "), "{}", other.log());
    assert_eq!(other.stop(), 0);
}

fn status(operator: &mut Connection) -> Status {
    operator.send(&Message::StatusRequest);
    match operator.receive() {
        Message::StatusReply(status) => *status,
        other => panic!("asked for the status: {other:?}"),
    }
}

/// The memory of the process that is its own: `RssAnon`.
fn memory(server: &Unheard) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    words[1].parse::<u64>().unwrap() * 1024
}

/// Watches the server for this long, as an operator would.
fn watch(server: &Unheard, operator: &mut Connection, before: u64, time: Duration) -> Seen {
    let begun = Instant::now();
    let mut seen = Seen::default();
    while begun.elapsed() < time {
        let status = status(operator);
        seen.statuses += 1;
        seen.full += u64::from(status.connections as usize >= PLACES);
        seen.growth = seen.growth.max(memory(server).saturating_sub(before));
        pause(10);
    }
    seen
}

/// Reads a log that nobody has read for this time, and then slowly.
fn read_slowly(mut log: PipeReader, unread: Duration) -> String {
    thread::sleep(unread);
    let mut bytes = Vec::new();
    let mut buffer = [0; 2048];
    while let Ok(length @ 1..) = log.read(&mut buffer) {
        bytes.extend(&buffer[..length]);
        pause(1);
    }
    String::from_utf8(bytes).unwrap()
}
