//! TLS with real processes: openssl and Python beside our own sessions, three servers that trust only each other, and
//! certificates that are replaced under load.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use ipseity::limits::LINES_PER_PEER_MAX;
use ipseity_core::{
    identity::Pid,
    words::{ErrorCode, Message, PeerState, Status},
};
use ipseity_frames::{FrameDecoder, Receiver, encode};
use ipseity_harness::server::{Port, Server};
use ipseity_sim::{
    config::peer_says,
    pki::{Leaf, Pki, days},
};
use ipseity_tls::Role;
use rustls::{ClientConnection, StreamOwned};

/// How long a read may take. Only a failing test waits that long.
const PATIENCE: Duration = Duration::from_secs(20);

const HOSTS: &[&str] = &["127.0.0.1", "localhost"];

/// The flags of a server with this certificate. This CA is that of clients and peers, if they are asked for one.
fn flags(pki: &Pki, leaf: &Leaf, clients: bool, peers: bool) -> Vec<String> {
    let files = pki.files(leaf, clients, peers);
    let mut flags = vec![
        "--tls-cert".to_owned(),
        shown(&files.certificate),
        "--tls-key".to_owned(),
        shown(&files.key),
    ];
    for (flag, file) in [
        ("--tls-client-ca", files.client_ca),
        ("--tls-peer-ca", files.peer_ca),
    ] {
        flags.extend(file.iter().flat_map(|file| [flag.to_owned(), shown(file)]));
    }
    flags
}

fn shown(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn start(port: Port, flags: &[String], more: &[&str]) -> Server {
    let all: Vec<&str> = flags
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect();
    Server::start_on(port, &all)
}

fn server(flags: &[String], more: &[&str]) -> Server {
    start(Port::reserve(), flags, more)
}

/// A client with a TLS session.
struct Sealed {
    stream: StreamOwned<ClientConnection, TcpStream>,
    decoder: FrameDecoder,
}

impl Sealed {
    fn connect(server: &Server, pki: &Pki, leaf: Option<&Leaf>) -> Sealed {
        let socket = TcpStream::connect(server.socket_address()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Sealed {
            stream: StreamOwned::new(pki.dial("127.0.0.1", leaf), socket),
            decoder: FrameDecoder::new(),
        }
    }

    fn ask(&mut self, message: &Message) -> Result<Message, String> {
        let mut bytes = Vec::new();
        encode(message, &mut bytes);
        self.stream
            .write_all(&bytes)
            .map_err(|error| error.to_string())?;
        self.receive()
    }

    fn receive(&mut self) -> Result<Message, String> {
        loop {
            let next = self.decoder.next(Receiver::Client);
            if let Some(message) = next.map_err(|error| error.to_string())? {
                return Ok(message);
            }
            match self.stream.read(self.decoder.space()) {
                Ok(0) => return Err("the end".to_owned()),
                Ok(bytes) => self.decoder.filled(bytes),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn next(&mut self) -> Result<u64, String> {
        match self.ask(&Message::IdentityRequest { count: 1, after: 0 })? {
            Message::IdentityReply { first, .. } => Ok(first),
            other => Err(format!("{other:?}")),
        }
    }

    fn status(&mut self) -> Status {
        match self.ask(&Message::StatusRequest) {
            Ok(Message::StatusReply(status)) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// The common name of the server's certificate.
    fn server_name(&self) -> String {
        let certificates = self.stream.conn.peer_certificates().unwrap();
        ipseity_tls::Facts::of(&certificates[0]).unwrap().name()
    }
}

fn app() -> Leaf {
    Leaf::client("app", Some(Role::Client))
}

/// What `openssl s_client` says when it connects with these arguments, and sends nothing.
fn s_client(server: &Server, pki: &Pki, more: &[&str]) -> String {
    let output = Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            &server.address(),
            "-CAfile",
            &shown(&pki.ca()),
        ])
        .args(["-verify_return_error", "-verify_ip", "127.0.0.1"])
        .args(more)
        .stdin(Stdio::null())
        .output()
        .expect("install openssl");
    let all = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn openssl_sees_only_modern_suites_no_compression_and_no_renegotiation() {
    let pki = Pki::new("CA");
    let server = server(&flags(&pki, &Leaf::peer("one", HOSTS), false, false), &[]);
    for (arguments, version) in [(&["-tls1_3"][..], "TLSv1.3"), (&["-tls1_2"], "TLSv1.2")] {
        let said = s_client(&server, &pki, arguments);
        assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
        assert!(said.contains(&format!("New, {version}")), "{said}");
        assert!(said.contains("Compression: NONE"), "{said}");
        assert!(!said.contains("Early data was accepted"), "{said}");
    }
    // Suites without forward secrecy or authenticated encryption, and older versions.
    for arguments in [
        &["-tls1_2", "-cipher", "AES128-SHA"][..],
        &["-tls1_2", "-cipher", "AES128-GCM-SHA256"],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"],
        &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
    ] {
        let said = s_client(&server, &pki, arguments);
        assert!(said.contains("Cipher is (NONE)"), "{arguments:?}: {said}");
    }
    // Python's client asks, and says that it is done.
    let script = format!(
        "import socket, ssl\n\
         context = ssl.create_default_context(cafile={:?})\n\
         s = context.wrap_socket(socket.create_connection(('127.0.0.1', {})), server_hostname='localhost')\n\
         s.settimeout(20)\n\
         s.sendall(b'\\0\\1\\1' * 2)\n\
         got = b''\n\
         while len(got) < 30: got += s.recv(100)\n\
         s.unwrap()\n\
         print(got.hex())\n",
        shown(&pki.ca()),
        server.socket_address().port()
    );
    let output = Command::new("python3")
        .args(["-c", &script])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let first = "000d02000000000000040000000001";
    assert_eq!(said.trim().len(), 60, "{output:?}");
    assert!(said.starts_with(&first[..10]), "{said}");
    // openssl asks for a renegotiation when it reads an R at the beginning of a line.
    let mut child = Command::new("openssl")
        .args(["s_client", "-tls1_2", "-connect", &server.address()])
        .args(["-CAfile", &shown(&pki.ca())])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.as_mut().unwrap().write_all(b"R\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("RENEGOTIATING"), "{said}");
    assert!(
        said.contains("no renegotiation") || said.contains("alert"),
        "{said}"
    );
}

/// Three servers that name each other, and trust only certificates of this CA.
fn cluster(pki: &Pki) -> Vec<Server> {
    let ports: Vec<Port> = (0..3).map(|_| Port::reserve()).collect();
    let addresses: Vec<String> = ports
        .iter()
        .map(|port| port.address().to_string())
        .collect();
    let start_one = |(index, port): (usize, Port)| {
        let names = ["one", "two", "three"];
        let flags = flags(pki, &Leaf::peer(names[index], HOSTS), true, true);
        let pid = index.to_string();
        let mut more = vec!["--pid", &pid, "--plain", "never", "--sync-interval", "50ms"];
        for (other, address) in addresses.iter().enumerate() {
            if other != index {
                more.extend(["--peer", address]);
            }
        }
        start(port, &flags, &more)
    };
    ports.into_iter().enumerate().map(start_one).collect()
}

/// Waits until a server shows what is wanted.
#[track_caller]
fn wait_for(server: &Server, pki: &Pki, fits: impl Fn(&Status) -> bool) {
    let fits_now = || fits(&Sealed::connect(server, pki, Some(&app())).status());
    assert!(ipseity_harness::server::eventually(fits_now));
}

#[test]
fn three_servers_synchronize_over_tls_and_survive_each_other() {
    let pki = Pki::new("CA");
    let mut servers = cluster(&pki);
    for server in &servers {
        wait_for(server, &pki, |status| {
            let up =
                |peer: &&ipseity_core::words::PeerStatus| peer.state == PeerState::Up && peer.tls;
            status.peers.iter().filter(up).count() == 2
        });
    }
    let mut all = Vec::new();
    for server in &servers {
        let mut client = Sealed::connect(server, &pki, Some(&app()));
        all.extend((0..100).map(|_| client.next().unwrap()));
    }
    let highest = all.iter().max().unwrap() >> 10;
    for server in &servers {
        wait_for(server, &pki, |status| status.sequence >= highest);
    }
    servers[0].kill();
    let mut client = Sealed::connect(&servers[1], &pki, Some(&app()));
    all.extend((0..100).map(|_| client.next().unwrap()));
    servers[0].restart();
    wait_for(&servers[0], &pki, |status| status.standing.hands_out());
    let mut client = Sealed::connect(&servers[0], &pki, Some(&app()));
    all.extend((0..100).map(|_| client.next().unwrap()));
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
    for server in &mut servers {
        assert_eq!(server.stop(), 0, "{}", server.log());
    }
}

#[test]
fn who_is_not_let_in_is_told_why_and_so_is_the_log() {
    let pki = Pki::new("the CA");
    let mut flags = flags(&pki, &Leaf::peer("one", HOSTS), true, true);
    flags.extend(["--plain".to_owned(), "any".to_owned()]);
    let expired = Leaf {
        valid: (days(-10), days(-2)),
        ..Leaf::client("old", Some(Role::Client))
    };
    let early = Leaf {
        valid: (days(2), days(10)),
        ..Leaf::client("early", Some(Role::Client))
    };
    let not_for_clients = Leaf {
        for_clients: false,
        for_servers: true,
        ..Leaf::client("a server's", Some(Role::Client))
    };
    // Each with a server of its own, because a line of this kind is logged once a minute for an address.
    for (leaf, client_says, log_says) in [
        (
            &expired,
            "CertificateExpired",
            "its certificate (old, signed by the CA) expired at ",
        ),
        (
            &early,
            "",
            "its certificate (early, signed by the CA) is not valid before ",
        ),
        (
            &not_for_clients,
            "",
            "its certificate (a server's, signed by the CA) is not made for clients",
        ),
    ] {
        let server = server(&flags, &[]);
        let mut client = Sealed::connect(&server, &pki, Some(leaf));
        let error = client.next().unwrap_err();
        assert!(error.contains("received fatal alert"), "{error}");
        assert!(error.contains(client_says), "{error}");
        server.wait_for_log(log_says);
    }
    let server = server(&flags, &[]);
    let mut client = Sealed::connect(&server, &pki, Some(&Leaf::client("no role", None)));
    match client.receive() {
        Ok(Message::ErrorReply(error)) => {
            assert_eq!(error.code, ErrorCode::CertificateRefused.get());
            assert!(error.message.contains("names no role"), "{error:?}");
        }
        other => panic!("{other:?}"),
    }
    server.wait_for_log("the certificate (no role) names no role");
    // A client is no peer, whatever address it comes from.
    let mut client = Sealed::connect(&server, &pki, Some(&app()));
    let sync = Message::SyncRequest(Box::new(peer_says(Pid::new(7).unwrap())));
    match client.ask(&sync) {
        Ok(Message::ErrorReply(error)) => assert_eq!(error.code, ErrorCode::NotAPeer.get()),
        other => panic!("{other:?}"),
    }
    // Without TLS, from this machine, everything is as ever.
    assert!(matches!(server.ask(1, 0), Message::IdentityReply { .. }));
}

#[test]
fn certificates_are_replaced_under_load_and_no_connection_is_dropped() {
    let pki = Pki::new("CA");
    let folder = pki.directory();
    let flags = flags(&pki, &Leaf::peer("one", HOSTS), true, false);
    let server = server(&flags, &[]);
    let ends = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let mut client = Sealed::connect(&server, &pki, Some(&app()));
            let ends = Arc::clone(&ends);
            thread::spawn(move || {
                let mut last = 0;
                while !ends.load(Ordering::Relaxed) {
                    let next = client.next().unwrap();
                    assert!(next > last);
                    last = next;
                }
                assert!(last > 0);
            })
        })
        .collect();
    for (round, name) in ["two", "three", "four"].into_iter().enumerate() {
        let (certificate, key) = pki.make(&Leaf::peer(name, HOSTS));
        fs::copy(certificate, folder.join("one.pem")).unwrap();
        fs::copy(key, folder.join("one.key")).unwrap();
        server.signal("HUP");
        server.wait_for_logs("the certificates were read again", round + 1);
        let mut client = Sealed::connect(&server, &pki, Some(&app()));
        client.next().unwrap();
        assert_eq!(client.server_name(), name);
    }
    // What cannot be read changes nothing.
    fs::write(folder.join("one.pem"), "nonsense").unwrap();
    server.signal("HUP");
    server.wait_for_log("the certificates were NOT read again, and the old ones stay: --tls-cert ");
    let mut client = Sealed::connect(&server, &pki, Some(&app()));
    client.next().unwrap();
    assert_eq!(client.server_name(), "four");
    ends.store(true, Ordering::Relaxed);
    for client in load {
        client.join().unwrap();
    }
}

/// Whoever tries again and again must see whether the last try was good.
#[test]
fn each_failed_reload_is_told_however_many_came_before() {
    let pki = Pki::new("CA");
    let leaf = Leaf::peer("one", HOSTS);
    let server = server(&flags(&pki, &leaf, false, false), &["--plain", "any"]);
    let file = pki.directory().join("one.pem");
    let good = fs::read(&file).unwrap();
    for round in 1..=LINES_PER_PEER_MAX as usize {
        server.signal("HUP");
        server.wait_for_logs("the certificates were read again", round);
    }
    for (round, text) in ["", "nonsense"].into_iter().enumerate() {
        fs::write(&file, text).unwrap();
        server.signal("HUP");
        server.wait_for_logs("the certificates were NOT read again", round + 1);
    }
    fs::write(&file, good).unwrap();
    server.signal("HUP");
    let readings = LINES_PER_PEER_MAX as usize + 1;
    server.wait_for_logs("the certificates were read again", readings);
}

/// A server that had a good certificate must not be out of reach because of a bad one.
#[test]
fn a_certificate_that_is_not_good_now_does_not_take_the_place_of_a_good_one() {
    let pki = Pki::new("CA");
    let folder = pki.directory();
    let server = server(&flags(&pki, &Leaf::peer("one", HOSTS), false, false), &[]);
    for (round, valid) in [(days(-30), days(-1)), (days(1), days(30))]
        .into_iter()
        .enumerate()
    {
        let leaf = Leaf {
            valid,
            ..Leaf::peer("two", HOSTS)
        };
        let (certificate, key) = pki.make(&leaf);
        fs::copy(certificate, folder.join("one.pem")).unwrap();
        fs::copy(key, folder.join("one.key")).unwrap();
        server.signal("HUP");
        server.wait_for_logs("is good only from", round + 1);
        let mut client = Sealed::connect(&server, &pki, None);
        client.next().unwrap();
        assert_eq!(client.server_name(), "one");
    }
}

#[test]
fn a_certificate_that_is_not_good_yet_is_told() {
    let pki = Pki::new("CA");
    let leaf = Leaf {
        valid: (days(1), days(30)),
        ..Leaf::peer("one", HOSTS)
    };
    let server = server(&flags(&pki, &leaf, false, false), &[]);
    server.wait_for_log("(one) is NOT VALID before ");
}

/// Nobody listens there, so there was no handshake that could have failed.
#[test]
fn a_dial_that_reaches_nobody_is_no_failed_handshake() {
    let pki = Pki::new("CA");
    let nobody = Port::reserve();
    let peer = nobody.address().to_string();
    let flags = flags(&pki, &Leaf::peer("one", HOSTS), true, true);
    let server = server(&flags, &["--peer", &peer, "--pid", "1", "--plain", "any"]);
    server.wait_for_log("is down: cannot connect");
    assert_eq!(server.status().tls.handshakes_failed, 0);
}

#[test]
fn a_ca_that_was_removed_ends_with_the_reload() {
    let (old, new) = (Pki::new("old CA"), Pki::new("new CA"));
    for rechecks in [false, true] {
        let server_leaf = Leaf::peer("one", HOSTS);
        let mut flags = flags(&old, &server_leaf, true, false);
        let ca = old.directory().join("clients.pem");
        fs::write(&ca, old.ca_pem()).unwrap();
        let place = flags
            .iter()
            .position(|flag| flag == "--tls-client-ca")
            .unwrap();
        flags[place + 1] = shown(&ca);
        let more: &[&str] = if rechecks { &["--tls-recheck"] } else { &[] };
        let server = server(&flags, more);
        let mut before = Sealed::connect(&server, &old, Some(&app()));
        before.next().unwrap();
        // Both are trusted while certificates are replaced.
        fs::write(&ca, new.ca_pem() + &old.ca_pem()).unwrap();
        server.signal("HUP");
        server.wait_for_logs("the certificates were read again", 1);
        before.next().unwrap();
        fs::write(&ca, new.ca_pem()).unwrap();
        server.signal("HUP");
        server.wait_for_logs("the certificates were read again", 2);
        assert_eq!(before.next().is_ok(), !rechecks, "an open connection");
        let mut late = Sealed::connect(&server, &old, Some(&app()));
        assert!(late.next().is_err(), "a new one");
        if rechecks {
            server.wait_for_log("connections closed by --tls-recheck: 1");
        }
    }
}

/// Its certificate was accepted by the old CA, and its handshake is over only after that was removed.
#[test]
fn a_handshake_that_a_reload_has_overtaken_is_judged_by_the_new_files() {
    let (old, new) = (Pki::new("old CA"), Pki::new("new CA"));
    let mut flags = flags(&old, &Leaf::peer("one", HOSTS), true, false);
    let ca = old.directory().join("clients.pem");
    let place = flags.iter().position(|flag| flag == "--tls-client-ca");
    flags[place.unwrap() + 1] = shown(&ca);
    for is_removed in [false, true] {
        fs::write(&ca, old.ca_pem()).unwrap();
        let server = server(&flags, &[]);
        let mut stream = TcpStream::connect(server.socket_address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut tls = old.dial("127.0.0.1", Some(&app()));
        while tls.wants_write() {
            tls.write_tls(&mut stream).unwrap();
        }
        // All that the server says before it has seen the certificate of the client.
        while !tls.wants_write() {
            tls.read_tls(&mut stream).unwrap();
            tls.process_new_packets().unwrap();
        }
        if is_removed {
            fs::write(&ca, new.ca_pem()).unwrap();
        }
        server.signal("HUP");
        server.wait_for_log("the certificates were read again");
        let mut client = Sealed {
            stream: StreamOwned::new(tls, stream),
            decoder: FrameDecoder::new(),
        };
        assert_eq!(client.next().is_err(), is_removed);
    }
}

#[test]
fn plain_connections_are_refused_where_they_are_not_taken() {
    let pki = Pki::new("CA");
    let flags = flags(&pki, &Leaf::peer("one", HOSTS), false, false);
    for (plain, taken) in [("never", false), ("loopback", true), ("any", true)] {
        let server = server(&flags, &["--plain", plain]);
        match (server.ask(1, 0), taken) {
            (Message::IdentityReply { .. }, true) => {}
            (Message::ErrorReply(error), false) => {
                assert_eq!(error.code, ErrorCode::TlsRequired.get());
            }
            (other, _) => panic!("--plain {plain}: {other:?}"),
        }
        Sealed::connect(&server, &pki, None).next().unwrap();
    }
    // And TLS where there is none: openssl says that it is another protocol.
    let server = Server::start(&[]);
    let said = s_client(&server, &pki, &[]);
    assert!(said.contains("wrong version number"), "{said}");
}

#[test]
fn a_certificate_that_is_about_to_expire_is_told_at_each_start() {
    let pki = Pki::new("CA");
    for (left, says) in [
        (29, "WARN  the certificate of this server in "),
        (5, "expires in 5 days, at "),
        (-1, "ERROR the certificate of this server in "),
    ] {
        let leaf = Leaf {
            // Half a day more, so that it does not matter how long the test takes.
            valid: (days(-30), days(left) + Duration::from_secs(12 * 3600)),
            ..Leaf::peer("one", HOSTS)
        };
        let server = server(&flags(&pki, &leaf, false, false), &["--plain", "any"]);
        server.wait_for_log(says);
        server.wait_for_log("replace the file, and send SIGHUP");
        let days_left = server.status().tls.certificates[0].expires_in_s / 86_400;
        assert!(days_left <= left.max(0) as u64);
    }
}

#[test]
fn files_that_do_not_fit_refuse_the_start_with_the_flag_and_what_to_do() {
    let pki = Pki::new("CA");
    let try_start = |flags: &[String]| {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let mut all = vec!["--data-dir", state.to_str().unwrap()];
        all.extend(flags.iter().map(String::as_str));
        let log = Server::try_start(&["--listen", "127.0.0.1:0"], &all)
            .err()
            .unwrap();
        assert!(!state.exists(), "and nothing was made");
        log
    };
    let good = Leaf::peer("one", HOSTS);
    let mut other_key = flags(&pki, &good, false, false);
    other_key[3] = shown(&pki.make(&Leaf::peer("two", HOSTS)).1);
    let mut no_file = flags(&pki, &good, false, false);
    no_file[1] = "/nowhere.pem".to_owned();
    let no_role = Leaf {
        name: "no role".to_owned(),
        roles: Vec::new(),
        ..good.clone()
    };
    let no_client = Leaf {
        name: "no client".to_owned(),
        for_clients: false,
        ..good.clone()
    };
    let no_server = Leaf {
        name: "no server".to_owned(),
        for_servers: false,
        ..good
    };
    for (flags, says) in [
        (other_key, "is not the private key of the certificate in"),
        (no_file, "--tls-cert /nowhere.pem: cannot be read"),
        (
            flags(&pki, &no_role, true, true),
            "have a CA in common, so certificates must name their roles",
        ),
        (
            flags(&pki, &no_client, false, true),
            "its extended key usage lacks clientAuth",
        ),
        (
            flags(&pki, &no_server, false, false),
            "its extended key usage lacks serverAuth",
        ),
    ] {
        let log = try_start(&flags);
        assert!(log.contains(says), "{says}: {log}");
    }
}

#[test]
fn a_server_that_strangers_can_reach_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let state = ["--data-dir", state.to_str().unwrap()];
    let server = Server::start_with(&["--listen", "0.0.0.0:0"], &state);
    server.wait_for_log("can be reached from other machines, and there is no TLS");
    drop(server);
    let pki = Pki::new("CA");
    let flags = flags(&pki, &Leaf::peer("one", HOSTS), false, false);
    let mut all = state.to_vec();
    all.extend(flags.iter().map(String::as_str));
    let server = Server::start_with(&["--listen", "0.0.0.0:0"], &all);
    server.wait_for_log("TLS with the certificate of one until ");
    assert_eq!(server.count_log("there is no TLS"), 0);
}

#[test]
fn a_session_is_resumed_only_where_no_certificates_are_asked_for() {
    let pki = Pki::new("CA");
    let (certificate, key) = pki.make(&app());
    let sessions = pki.directory().join("session");
    for asks in [false, true] {
        let flags = flags(&pki, &Leaf::peer("one", HOSTS), asks, false);
        let server = server(&flags, &[]);
        for version in ["-tls1_3", "-tls1_2"] {
            // It stays for a moment, because tickets come behind the handshake.
            let connect = |flag: &str| {
                let command = format!(
                    "sleep 0.5 | openssl s_client {version} -connect {} -CAfile {} -cert {} -key {} {flag} {}",
                    server.address(),
                    shown(&pki.ca()),
                    shown(&certificate),
                    shown(&key),
                    shown(&sessions),
                );
                let output = Command::new("sh").args(["-c", &command]).output().unwrap();
                String::from_utf8_lossy(&output.stdout).into_owned()
            };
            let first = connect("-sess_out");
            assert!(first.contains("\nNew, TLSv1."), "{first}");
            let resumed = sessions.exists() && connect("-sess_in").contains("\nReused, TLSv1.");
            assert_eq!(resumed, !asks, "{version}");
            let _ = fs::remove_file(&sessions);
        }
    }
}
