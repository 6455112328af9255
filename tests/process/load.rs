//! The promises under load and against hostile clients: memory is bounded, nobody starves, and everybody who is refused
//! is told why.
//!
//! Nothing here depends on how fast the machine is. Where a test waits, it waits for something to happen, and only a
//! failure waits long.

use std::{
    fs,
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use ipseity::limits::ACCEPT_RETRY;
use ipseity_core::words::{Message, SyncMessage};
use ipseity_frames::{Receiver, encode};
use ipseity_harness::server::{Connection, PATIENCE, Server, eventually, read_some};
use ipseity_sim::goldens::error_reply;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use socket2::{Domain, Socket, Type};

/// The smallest request.
const ONE: [u8; 3] = [0, 1, 1];

/// A request that is refused: 15 bytes, answered by 46.
const NONE: [u8; 15] = [0, 13, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// What each idle connection may cost the server; 87 bytes were measured in a build for tests. The kernel's part does not count.
const IDLE_BYTES_MAX: u64 = 256;

/// How much memory a client that does not read may cost the server: the 256 KiB of `--max-pending-bytes`, in a buffer
/// that grows by doubling, and what the allocator keeps. 480 KB were measured.
const GROWTH_BYTES_MAX: u64 = 2 << 20;

fn start(flags: &[&str]) -> Server {
    let mut all = vec!["--ephemeral", "--pid", "1"];
    all.extend(flags);
    Server::start_with(&["--listen", "127.0.0.1:0"], &all)
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.socket_address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A connection for which the kernel on this side keeps little, so that the server has to hold the rest.
fn connect_narrow(server: &Server) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    socket.connect(&server.socket_address().into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Asks for one identity on a new connection. This shows that others are served.
fn assert_serves(server: &Server) {
    match server.ask(1, 0) {
        Message::IdentityReply { count: 1, .. } => {}
        other => panic!("{other:?}"),
    }
}

/// Receives the answer to a syncRequest.
fn assert_synchronizes(peer: &mut Connection) {
    match peer.try_receive_as(Receiver::Dialer) {
        Some(Message::SyncReply(_)) => {}
        other => panic!("{other:?}"),
    }
}

/// Everything up to the end of the connection. A reset is an end too: a client that goes on sending after its error may
/// get one after the error.
fn read_to_end(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match read_some(&mut stream, &mut piece) {
            Ok(0) => return bytes,
            Ok(count) => bytes.extend(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return bytes,
            Err(error) => panic!("after {bytes:02x?}: {error}"),
        }
    }
}

/// Lets this process have this many descriptors. Returns whether it may.
pub fn may_have_descriptors(wanted: u64) -> bool {
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|maximum| maximum < wanted) {
        return false;
    }
    if limit.current.is_some_and(|current| current < wanted) {
        // All tests share the limit, and none lowers it.
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        return setrlimit(Resource::Nofile, raised).is_ok();
    }
    true
}

pub fn skipped(test: &str, why: &str) {
    // This is not in the captured output of the test, because a skip must be visible even if everything passes.
    let mut out = std::io::stderr().lock();
    let _ = writeln!(out, "\nSKIPPED: {test}: {why}\n");
}

/// The process's own memory: `RssAnon`.
fn memory(server: &Server) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    words[1].parse::<u64>().unwrap() * 1024
}

/// The processor time of the process, in ticks of 10 ms.
fn ticks(server: &Server) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    // The name of the program may hold anything; it ends at the last parenthesis.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<u64> = fields
        .split(' ')
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    fields[11] + fields[12]
}

fn too_many(max: u32) -> Vec<u8> {
    let text = format!(
        "this server takes {max} connections (--max-connections) and has them: try again later or ask \
         another server"
    );
    error_reply(5, &text)
}

/// A syncRequest of pid 2.
fn sync_request() -> Message {
    Message::SyncRequest(Box::new(SyncMessage {
        pid: "2".parse().unwrap(),
        session: 2,
        ..ipseity_sim::goldens::sync_message()
    }))
}

#[test]
fn ten_thousand_idle_connections_are_cheap_and_do_not_hinder_others() {
    const IDLE: u64 = 10_000;
    if !may_have_descriptors(IDLE + 2_000) {
        let why = "the hard limit of open files (ulimit -Hn) is below 12000";
        return skipped("ten_thousand_idle_connections", why);
    }
    let server = start(&["--max-connections", "10100"]);
    // The first connection costs more than each later one.
    assert_serves(&server);
    let before = memory(&server);
    let idle: Vec<TcpStream> = (0..IDLE).map(|_| connect(&server)).collect();
    server.wait_for_status("all connections", |status| {
        u64::from(status.connections) > IDLE
    });
    let each = memory(&server).saturating_sub(before) / IDLE;
    println!("{each} bytes for each idle connection");
    assert!(each < IDLE_BYTES_MAX, "{each} bytes for each");
    // The server serves each of them; the kernel has not just accepted them. They become idle again.
    for mut stream in idle.iter().step_by(100) {
        stream.write_all(&ONE).unwrap();
        let mut reply = [0; 15];
        stream.read_exact(&mut reply).unwrap();
        assert_eq!(reply[..3], [0, 13, 2]);
    }
    assert_serves(&server);
    drop(idle);
    server.wait_for_status("they left", |status| status.connections == 1);
}

#[test]
fn connections_over_the_limit_are_refused_and_peers_still_get_in() {
    let server = start(&["--max-connections", "20"]);
    let answer = too_many(20);
    let mut holders: Vec<Connection> = (0..20).map(|_| server.connect()).collect();
    for holder in &mut holders {
        holder.send(&Message::IdentityRequest { count: 1, after: 0 });
        holder.receive();
    }
    // Some ask, some begin a frame, and some send nothing.
    let extra: Vec<TcpStream> = (0..150).map(|_| connect(&server)).collect();
    for (mut stream, number) in extra.iter().zip(0..) {
        match number % 3 {
            0 => stream.write_all(&ONE).unwrap(),
            1 => stream.write_all(&ONE[..1]).unwrap(),
            _ => {}
        }
    }
    let mut peer = server.connect();
    peer.send(&sync_request());
    assert_synchronizes(&mut peer);
    for stream in extra {
        assert_eq!(read_to_end(stream), answer);
    }
    // The earlier connections are still served, and so is the peer.
    for holder in &mut holders {
        holder.send(&Message::IdentityRequest { count: 1, after: 0 });
        assert!(matches!(holder.receive(), Message::IdentityReply { .. }));
    }
    peer.send(&sync_request());
    assert_synchronizes(&mut peer);
    drop((holders, peer));
    assert!(eventually(|| {
        let mut client = server.connect();
        client.send(&Message::IdentityRequest { count: 1, after: 0 });
        matches!(client.try_receive(), Some(Message::IdentityReply { .. }))
    }));
}

#[test]
fn a_sudden_flood_of_connections_is_refused_and_drops_no_peer() {
    let server = start(&["--max-connections", "1"]);
    let mut holder = server.connect();
    holder.send(&Message::StatusRequest);
    holder.receive();
    // These wait in the reserve, and ask at the moment when the flood comes.
    let waiting: Vec<TcpStream> = (0..40).map(|_| connect(&server)).collect();
    let status = |holder: &mut Connection| {
        holder.send(&Message::StatusRequest);
        match holder.receive() {
            Message::StatusReply(status) => status,
            other => panic!("{other:?}"),
        }
    };
    assert!(eventually(|| status(&mut holder).connections == 41));
    server.signal("STOP");
    for mut stream in &waiting {
        stream.write_all(&ONE).unwrap();
    }
    let mut peer = server.connect();
    peer.send(&sync_request());
    let flood: Vec<TcpStream> = (0..400).map(|_| connect(&server)).collect();
    for mut stream in flood.iter().step_by(2) {
        stream.write_all(&ONE).unwrap();
    }
    server.signal("CONT");
    assert_synchronizes(&mut peer);
    for stream in waiting.into_iter().chain(flood) {
        assert_eq!(read_to_end(stream), too_many(1));
    }
    assert_eq!(status(&mut holder).counters.errors, [(5, 440)]);
}

#[test]
fn a_server_with_few_descriptors_says_so_and_takes_fewer_connections() {
    let server = Server::start_with_descriptors(300, &["--ephemeral"]);
    let status = server.status();
    assert!(status.connections_max < 200, "{}", status.connections_max);
    server.wait_for_log(&format!(
        "300 file descriptors allow {} connections, not 10000: raise the hard limit (ulimit -Hn, LimitNOFILE=) to \
         10256 or lower --max-connections",
        status.connections_max
    ));
}

#[test]
fn a_server_without_descriptors_refuses_the_oldest_waiting_connections_and_goes_on() {
    // Too few even for the reserve: each new connection takes the place of the oldest one, as all come from one address.
    let server = Server::start_with_descriptors(40, &["--ephemeral"]);
    let mut first = server.connect();
    first.send(&Message::IdentityRequest { count: 1, after: 0 });
    first.receive();
    let extra: Vec<TcpStream> = (0..100).map(|_| connect(&server)).collect();
    let before = ticks(&server);
    thread::sleep(Duration::from_millis(500));
    let used = ticks(&server) - before;
    assert!(used < 25, "{used} ticks of 10 ms in half a second");
    first.send(&Message::IdentityRequest { count: 1, after: 0 });
    assert!(matches!(first.receive(), Message::IdentityReply { .. }));
    for stream in extra {
        assert_eq!(read_to_end(stream), too_many(1));
    }
    drop(first);
    assert!(eventually(|| {
        let mut client = server.connect();
        client.send(&Message::IdentityRequest { count: 1, after: 0 });
        matches!(client.try_receive(), Some(Message::IdentityReply { .. }))
    }));
}

#[test]
fn a_server_that_cannot_accept_says_so_once_and_tries_again() {
    let server = start(&[]);
    let pid = Pid::from_raw(server.pid() as i32);
    let allow = |limit| prlimit(pid, Resource::Nofile, limit).unwrap();
    // Fewer than it has open.
    let before = allow(Rlimit {
        current: Some(3),
        maximum: getrlimit(Resource::Nofile).maximum,
    });
    let mut client = server.connect();
    client.send(&Message::IdentityRequest { count: 1, after: 0 });
    server.wait_for_log("cannot accept a connection");
    // Meanwhile it tries again, without success.
    thread::sleep(3 * ACCEPT_RETRY);
    allow(before);
    assert!(matches!(client.receive(), Message::IdentityReply { .. }));
    assert_eq!(server.count_log("cannot accept a connection"), 1);
}

#[test]
fn a_client_that_never_reads_is_not_read_from_and_gets_everything_once_it_reads() {
    const REQUESTS: u64 = 150_000;
    let server = start(&[]);
    assert_serves(&server);
    let before = memory(&server);
    let mut stream = connect_narrow(&server);
    let writer = {
        let mut stream = stream.try_clone().unwrap();
        thread::spawn(move || {
            stream.write_all(&ONE.repeat(REQUESTS as usize)).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        })
    };
    // It has stopped when nothing more is answered.
    let mut last = 0;
    let stands = eventually(|| {
        thread::sleep(Duration::from_millis(50));
        let answered = server.status().counters.identity_requests;
        std::mem::replace(&mut last, answered) == answered && answered > 1000
    });
    assert!(stands);
    assert!(last < REQUESTS, "the server has taken all {last} requests");
    assert_serves(&server);
    let growth = memory(&server).saturating_sub(before);
    println!("{growth} bytes for a client that does not read");
    assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes");
    let mut newest = 0;
    let mut reply = [0; 15];
    let mut reader = BufReader::new(&mut stream);
    for _ in 0..REQUESTS {
        reader.read_exact(&mut reply).unwrap();
        let first = u64::from_be_bytes(reply[3..11].try_into().unwrap());
        assert!(first > newest, "{first} after {newest}");
        newest = first;
    }
    assert_eq!(read_some(&mut reader, &mut reply).unwrap(), 0);
    writer.join().unwrap();
}

#[test]
fn a_client_that_reads_too_slowly_does_not_make_the_server_grow() {
    const REQUESTS: usize = 300_000;
    let server = start(&[]);
    assert_serves(&server);
    let mut stream = connect_narrow(&server);
    let writer = {
        let mut stream = stream.try_clone().unwrap();
        thread::spawn(move || stream.write_all(&NONE.repeat(REQUESTS)).unwrap())
    };
    let answer = error_reply(32, "count must be 1 to 1000 (--max-count)");
    let whole = answer.len() * REQUESTS;
    let mut buffer = vec![0; 16 * 1024];
    let (mut seen, mut base) = (0, None);
    while seen < whole {
        // Slow, but it never stops: there are always more requests than the server may answer.
        thread::sleep(Duration::from_micros(100));
        let count = read_some(&mut stream, &mut buffer).unwrap();
        assert!(count > 0);
        for (offset, byte) in buffer[..count].iter().enumerate() {
            assert_eq!(*byte, answer[(seen + offset) % answer.len()]);
        }
        seen += count;
        if base.is_none() && seen > whole / 10 {
            base = Some(memory(&server));
        }
        if let Some(base) = base
            && seen % 7 == 0
        {
            let growth = memory(&server).saturating_sub(base);
            assert!(growth < GROWTH_BYTES_MAX, "{growth} bytes after {seen}");
        }
    }
    writer.join().unwrap();
}

#[test]
fn a_frame_that_stalls_or_trickles_in_gets_an_error() {
    let server = start(&[]);
    let stalled = ipseity_sim::goldens::unfinished().pop().unwrap();
    assert_eq!(stalled.name, "stalled");
    let mut at_once = connect(&server);
    at_once.write_all(&stalled.bytes).unwrap();
    // A single byte, after requests that were served.
    let mut later = connect(&server);
    later.write_all(&[ONE, ONE].concat()).unwrap();
    later.write_all(&[0]).unwrap();
    let mut two = [0; 30];
    later.read_exact(&mut two).unwrap();
    // Each byte comes in time, but the frame does not.
    let mut trickle = connect(&server);
    let trickling = {
        let mut stream = trickle.try_clone().unwrap();
        thread::spawn(move || {
            for byte in [0, 13, 1].into_iter().chain([0; 11]) {
                // It fails when the server has closed.
                if stream.write_all(&[byte]).is_err() {
                    break;
                }
                thread::sleep(Duration::from_secs(1));
            }
        })
    };
    // A client that only asks now and then is left alone.
    let mut patient = connect(&server);
    assert_eq!(read_to_end(at_once), stalled.answer());
    let answer = error_reply(4, "only 1 byte of a frame arrived within 10000 ms");
    assert_eq!(read_to_end(later), answer);
    let mut header = [0; 5];
    trickle.read_exact(&mut header).unwrap();
    assert_eq!(header[2..], [255, 0, 4]);
    let told = String::from_utf8(read_to_end(trickle)).unwrap();
    assert!(
        told.ends_with(" of a frame arrived within 10000 ms"),
        "{told}"
    );
    patient.write_all(&ONE).unwrap();
    patient.read_exact(&mut two[..15]).unwrap();
    trickling.join().unwrap();
}

#[test]
fn a_greedy_connection_does_not_starve_another() {
    let server = start(&[]);
    let mut greedy = connect(&server);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (mut stream, stop) = (greedy.try_clone().unwrap(), Arc::clone(&stop));
        thread::spawn(move || {
            let many = ONE.repeat(20_000);
            while !stop.load(Ordering::Relaxed) {
                stream.write_all(&many).unwrap();
            }
            stream.shutdown(Shutdown::Write).unwrap();
        })
    };
    let reader = thread::spawn(move || {
        let mut buffer = vec![0; 256 * 1024];
        while read_some(&mut greedy, &mut buffer).unwrap() > 0 {}
    });
    server.wait_for_status("the greedy one is at it", |status| {
        status.counters.identity_requests > 20_000
    });
    let mut other = server.connect();
    let mut firsts = Vec::new();
    for _ in 0..200 {
        other.send(&Message::IdentityRequest { count: 1, after: 0 });
        match other.receive() {
            Message::IdentityReply { first, .. } => firsts.push(first >> 10),
            reply => panic!("{reply:?}"),
        }
    }
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    reader.join().unwrap();
    // How many identities the greedy client got between two identities of the other. The machine may make any of these
    // numbers large. A server that does not share makes all of them large.
    let mut between: Vec<u64> = firsts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    between.sort_unstable();
    println!("between two: {} at the quarter", between[between.len() / 4]);
    assert!(between[between.len() / 4] < 20_000, "{between:?}");
}

#[test]
fn many_greedy_connections_starve_neither_each_other_nor_a_modest_one() {
    const GREEDY: usize = 50;
    let mut server = start(&[]);
    let stop = Arc::new(AtomicBool::new(false));
    let mut greedy = Vec::new();
    for _ in 0..GREEDY {
        let stream = connect(&server);
        stream.set_nonblocking(true).unwrap();
        greedy.push(stream);
    }
    let working = {
        let stop = Arc::clone(&stop);
        thread::spawn(move || {
            let many = ONE.repeat(20_000);
            let mut buffer = vec![0; 256 * 1024];
            let mut sent = vec![0; GREEDY];
            let mut replies = vec![0; GREEDY];
            let mut joined = 0;
            while !stop.load(Ordering::Relaxed) {
                // They join one after the other, so that their turns are not at the same time.
                joined = GREEDY.min(joined + 1);
                for (place, stream) in greedy[..joined].iter_mut().enumerate() {
                    // Where the last write was cut off, the next one goes on.
                    while let Ok(count) = stream.write(&many[sent[place] % 3..]) {
                        sent[place] += count;
                    }
                    while let Ok(count @ 1..) = stream.read(&mut buffer) {
                        replies[place] += count / 15;
                    }
                }
            }
            replies
        })
    };
    server.wait_for_status("the greedy ones are at it", |status| {
        status.counters.identity_requests > 200_000
    });
    let mut modest = server.connect();
    let mut firsts = Vec::new();
    for _ in 0..30 {
        modest.send(&Message::IdentityRequest { count: 1, after: 0 });
        match modest.receive() {
            Message::IdentityReply { first, .. } => firsts.push(first >> 10),
            reply => panic!("{reply:?}"),
        }
    }
    // The server still notices that it has to stop.
    assert_eq!(server.stop(), 0);
    let log = server.log();
    assert!(
        !log.contains("do not read"),
        "they read as fast as they can: {log}"
    );
    stop.store(true, Ordering::Relaxed);
    let replies: Vec<usize> = working.join().unwrap();
    let mut between: Vec<u64> = firsts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    between.sort_unstable();
    println!("{replies:?}, {between:?}");
    // One turn for everybody is 50 times 1024.
    assert!(between[between.len() / 4] < 200_000, "{between:?}");
    let (least, most) = (replies.iter().min().unwrap(), replies.iter().max().unwrap());
    assert!(least * 20 > *most, "{replies:?}");
}

#[test]
fn pipelined_requests_are_answered_in_few_writes() {
    const TEST: &str = "pipelined_requests_are_answered_in_few_writes";
    let server = start(&[]);
    let calls = tempfile::NamedTempFile::new().unwrap();
    let strace = Command::new("strace")
        .args(["-f", "-e", "trace=write,writev,sendto,sendmsg", "-o"])
        .arg(calls.path())
        .args(["-p", &server.pid().to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut strace) = strace else {
        return skipped(TEST, "there is no strace");
    };
    let mut told = BufReader::new(strace.stderr.take().unwrap()).lines();
    match told.next() {
        Some(Ok(line)) if line.contains("attached") => {}
        other => {
            strace.wait().unwrap();
            return skipped(TEST, &format!("strace may not attach here: {other:?}"));
        }
    }
    let mut stream = connect(&server);
    stream.write_all(&ONE.repeat(1000)).unwrap();
    let mut replies = vec![0; 15 * 1000];
    stream.read_exact(&mut replies).unwrap();
    // Its end lets go of the server.
    let pid = strace.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status().unwrap();
    strace.wait().unwrap();
    let calls = fs::read_to_string(calls.path()).unwrap();
    let writes: Vec<&str> = calls
        .lines()
        .filter(|line| line.contains(r#""\0\r\2\0"#))
        .collect();
    assert!((1..=4).contains(&writes.len()), "{calls}");
    assert_serves(&server);
}

#[test]
fn clients_that_vanish_at_any_point_leave_nothing_behind() {
    let server = start(&["--max-connections", "50"]);
    let mut sync = Vec::new();
    encode(&sync_request(), &mut sync);
    let pieces: [&[u8]; 8] = [
        b"",
        &[0],
        &ONE,
        &ONE.repeat(5000),
        &[0, 13, 1, 0],
        &[0, 1, 7],
        &[0, 1, 5],
        &sync,
    ];
    for round in 0..60 {
        let streams: Vec<TcpStream> = pieces.iter().map(|_| connect(&server)).collect();
        for (mut stream, piece) in streams.iter().zip(pieces) {
            // Nobody reads, so closing resets most of them. Some writes already meet a closed connection.
            let _ = stream.write_all(piece);
            if round % 3 == 0 {
                let _ = stream.shutdown(Shutdown::Write);
            }
        }
        if round % 2 == 0 {
            thread::sleep(Duration::from_millis(2));
        }
    }
    // For a moment the server may still be full of them.
    let gone = eventually(|| {
        let mut client = server.connect();
        client.send(&Message::StatusRequest);
        match client.try_receive() {
            Some(Message::StatusReply(status)) => {
                status.connections == 1 && status.peers_total == 0
            }
            _ => false,
        }
    });
    assert!(gone, "{:#?}", server.status());
    assert_serves(&server);
    let before = ticks(&server);
    thread::sleep(Duration::from_millis(300));
    let used = ticks(&server) - before;
    assert!(used < 15, "{used} ticks of 10 ms, with nothing to do");
}

#[test]
fn a_busy_client_that_becomes_idle_is_closed_too() {
    // Long enough that this process is not taken for idle when a busy machine lets it wait.
    let server = start(&["--idle-timeout", "3s"]);
    let mut stream = connect(&server);
    let writer = {
        let mut stream = stream.try_clone().unwrap();
        // So many requests that the server looks for idle connections in the middle of them.
        thread::spawn(move || {
            let many = ONE.repeat(10_000);
            for _ in 0..60 {
                stream.write_all(&many).unwrap();
            }
        })
    };
    let mut replies = vec![0; 60 * 10_000 * 15];
    stream.read_exact(&mut replies).unwrap();
    writer.join().unwrap();
    assert_eq!(
        read_some(&mut stream, &mut replies).unwrap(),
        0,
        "it was closed"
    );
}

#[test]
fn a_peer_is_not_closed_as_an_idle_client() {
    let named = start(&[]);
    let address = named.address();
    let server = Server::start_with(
        &["--listen", "127.0.0.1:0"],
        &[
            "--ephemeral",
            "--pid",
            "2",
            "--peer",
            &address,
            "--sync-interval",
            "1h",
            "--idle-timeout",
            "300ms",
        ],
    );
    server.wait_for_log("is up: pid 1");
    // This connection is younger than the one to the peer. When it has been idle for too long, so has the other.
    let mut idle = connect(&server);
    assert_eq!(read_some(&mut idle, &mut [0]).unwrap(), 0);
    assert!(!server.log().contains("is down"), "{}", server.log());
}

#[test]
fn a_peer_that_was_full_is_dialed_again_soon() {
    // After other refusals a server waits half a minute, because an operator has to act. A full peer may have room sooner.
    let full = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = full.local_addr().unwrap();
    let peer = address.to_string();
    let server = Server::start_with(
        &["--listen", "127.0.0.1:0"],
        &["--ephemeral", "--pid", "2", "--peer", &peer],
    );
    let (again, came) = std::sync::mpsc::channel();
    let accepting = thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = full.accept().unwrap();
            stream.write_all(&too_many(7)).unwrap();
            again.send(()).unwrap();
            // Read to the end, so that the reply is not lost to a reset.
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    came.recv_timeout(PATIENCE).unwrap();
    let soon = Duration::from_secs(15);
    assert!(came.recv_timeout(soon).is_ok(), "{}", server.log());
    drop(server);
    accepting.join().unwrap();
}
