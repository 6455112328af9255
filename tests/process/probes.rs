//! Probes by HTTP: in a crowd, with few descriptors, and while certificates are replaced.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use ipseity::limits::{RESERVE_HTTP_MAX, RESERVE_TIMEOUT, SWEEP_INTERVAL};
use ipseity_core::words::Message;
use ipseity_harness::{
    programs,
    server::{Connection, PATIENCE, Server},
};
use ipseity_sim::pki::{Leaf, Pki};
use rustls::StreamOwned;
use socket2::{Domain, Socket, Type};

use crate::{
    http::{CROWD, Http, Over, POST, get, start},
    load::{may_have_descriptors, skipped},
};

/// A connection from another address of this machine.
fn connect_from(own: u8, to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let own = SocketAddr::from((Ipv4Addr::new(127, 0, 0, own), 0));
    socket.bind(&own.into()).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.into()
}

#[test]
fn a_crowd_that_connects_all_the_time_pushes_out_no_slow_probe_and_no_operator() {
    const PAUSE: Duration = Duration::from_millis(150);
    const PROBES: usize = 8;
    if !may_have_descriptors(4096) {
        return skipped("slow probes", "the hard limit of descriptors is too low");
    }
    let server = start(&["--max-connections", "1"]);
    let http = server.http_address();
    let mut client = server.connect();
    client.send(&Message::IdentityRequest { count: 1, after: 0 });
    client.receive();
    let _held: Vec<TcpStream> = (0..CROWD).map(|_| connect_from(3, http)).collect();
    server.wait_for_log("no place for HTTP is left");
    let (is_over, came) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let _over = Over(&is_over);
        for own in [3, 4] {
            let (is_over, came) = (&is_over, &came);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let batch: Vec<TcpStream> = (0..150).map(|_| connect_from(own, http)).collect();
                    came.fetch_add(batch.len(), Ordering::Relaxed);
                }
            });
        }
        let mut done = 0;
        while done < PROBES {
            let before = (Instant::now(), came.load(Ordering::Relaxed));
            let mut probe = Http::over(connect_from(2, http));
            let mut operator = Connection::new(connect_from(2, server.socket_address()));
            thread::sleep(PAUSE);
            operator.send(&Message::StatusRequest);
            probe.stream.write_all(get("/livez").as_bytes()).unwrap();
            let is_in_time = before.0.elapsed() + SWEEP_INTERVAL < RESERVE_TIMEOUT;
            let passed = came.load(Ordering::Relaxed) - before.1;
            if !is_in_time || passed < 2 * RESERVE_HTTP_MAX {
                // The machine had other things to do.
                continue;
            }
            assert_eq!(probe.answer().unwrap().status, 200, "probe {done}");
            assert!(matches!(operator.receive(), Message::StatusReply(_)));
            done += 1;
        }
    });
}

#[test]
fn with_few_descriptors_each_probe_whose_request_has_arrived_is_answered() {
    let flags = ["--ephemeral", "--http", "127.0.0.1:0"];
    let server = Server::start_with_descriptors(32, &flags);
    for _ in 0..5 {
        server.signal("STOP");
        let mut probes: Vec<Http> = (0..100).map(|_| Http::to(server.http_address())).collect();
        for (number, probe) in probes.iter_mut().enumerate() {
            let path = ["/livez", "/readyz"][number % 2];
            probe.stream.write_all(get(path).as_bytes()).unwrap();
        }
        server.signal("CONT");
        for probe in &mut probes {
            assert_eq!(probe.answer().unwrap().status, 200);
        }
    }
    assert_eq!(server.status().counters.errors, []);
    assert_eq!(server.count_log("cannot accept"), 0);
}

#[test]
fn a_server_and_a_check_say_how_many_places_there_are_for_http_where_descriptors_are_few() {
    let flags = ["--ephemeral", "--pid", "1", "--http", "127.0.0.1:0"];
    let said = "256 file descriptors allow 1 connection and 1 by HTTP, not 10000 and 1024: raise the hard limit (ulimit \
                -Hn, LimitNOFILE=) to 11344 or lower --max-connections";
    let server = Server::start_with_descriptors(256, &flags);
    server.wait_for_log(said);
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 256 && exec \"$0\" \"$@\""])
        .arg(programs::ipseity())
        .args(["--check", "--listen", "127.0.0.1:0"])
        .args(flags)
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let line = format!("warning    {said}");
    assert!(shown.lines().any(|found| found == line), "{shown}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_connection_by_http_outlives_new_certificates_and_the_next_one_gets_them() {
    let pki = Pki::new("CA");
    let hosts = &["127.0.0.1"];
    let files = pki.files(&Leaf::peer("one", hosts), false, false);
    let [cert, key] =
        [&files.certificate, &files.key].map(|file| file.to_str().unwrap().to_owned());
    let server = start(&["--tls-cert", &cert, "--tls-key", &key, "--plain", "never"]);
    let connect = || {
        let socket = TcpStream::connect(server.http_address()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        StreamOwned::new(pki.dial("127.0.0.1", None), socket)
    };
    let ask = |stream: &mut StreamOwned<rustls::ClientConnection, TcpStream>| {
        stream.write_all(POST.as_bytes()).unwrap();
        let mut said = Vec::new();
        while !said.ends_with(b"\"]}\n") {
            let mut piece = [0; 1024];
            let bytes = stream.read(&mut piece).unwrap();
            assert!(bytes > 0, "{said:?}");
            said.extend(&piece[..bytes]);
        }
        assert!(said.starts_with(b"HTTP/1.1 200 "), "{said:?}");
        stream.conn.peer_certificates().unwrap()[0].clone()
    };
    let mut kept = connect();
    let first = ask(&mut kept);
    let (certificate, new_key) = pki.make(&Leaf::peer("two", hosts));
    fs::copy(certificate, &cert).unwrap();
    fs::copy(new_key, &key).unwrap();
    server.signal("HUP");
    server.wait_for_log("the certificates were read again");
    assert_eq!(ask(&mut kept), first);
    let mut next = connect();
    assert_ne!(ask(&mut next), first);
    assert_eq!(ask(&mut kept), first);
}
