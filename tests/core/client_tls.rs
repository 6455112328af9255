//! The Rust client by TLS: certificates on both sides, deadlines and ends of streams, and every way in which a handshake
//! fails. What is said in each case is part of the test: it is what people have to go by.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use ipseity_client::{Client, ClientError, ClientOptions, Dialer, FailureCause, Rounds};
use ipseity_core::{
    identity::Sequence,
    words::{ErrorCode, Message},
};
use ipseity_frames::encode;
use ipseity_harness::{
    fake::{Fake, Step},
    pki::{Life, Pki},
};

/// Only tests in which somebody stays silent wait for so long.
const SOON: Duration = Duration::from_secs(2);

const HOST: &str = "127.0.0.1";

/// A CA that has signed certificates for the servers and the clients of these tests.
fn pki() -> Pki {
    let pki = Pki::new("Example CA");
    pki.issue("one", &[HOST], Life::Now);
    pki.issue("alice", &["alice"], Life::Now);
    pki
}

fn client(server: &Fake, dialer: Dialer) -> Client {
    Client::with_options([server.address()], ClientOptions::one_round())
        .unwrap()
        .tls(dialer)
}

/// Why the only server of a client gave no answer.
fn cause(result: Result<impl Sized, ClientError>) -> FailureCause {
    match result.map(|_| ()).unwrap_err() {
        ClientError::Unavailable(mut failures) => failures.remove(0).cause,
        other => panic!("expected that no server answered: {other}"),
    }
}

fn has(result: Result<impl Sized, ClientError>, expected: &str) {
    match cause(result) {
        FailureCause::Tls(text) => assert!(text.contains(expected), "{expected:?} in: {text}"),
        other => panic!("{expected:?}: {other}"),
    }
}

#[test]
fn all_calls_work_by_tls_and_one_connection_serves_all() {
    let pki = pki();
    let server = Fake::tls(pki.server("one", false), 1, []);
    server.set_members([2, 3, 5]);
    let mut client = client(&server, pki.dialer(None));
    assert_eq!(server.accepted(), 0);
    assert_eq!(client.next().unwrap().get(), 1025);
    assert_eq!(client.block(1000).unwrap().count(), 1000);
    assert_eq!(client.status().unwrap().sequence, 1001);
    assert_eq!(client.members().unwrap().len(), 3);
    assert!(client.ping().unwrap() > Duration::ZERO);
    assert_eq!(
        client.advance(Sequence::new(5000).unwrap()).unwrap().get(),
        5000
    );
    // More than fits into one record of TLS, in both directions.
    let blocks = client.pipeline(1024, std::iter::repeat_n(10, 20_000));
    assert_eq!(
        blocks.map(|block| block.unwrap().count()).sum::<u32>(),
        200_000
    );
    assert_eq!(server.accepted(), 1);
}

#[test]
fn a_server_is_known_by_the_name_or_the_address_that_it_is_called_by() {
    let pki = pki();
    pki.issue("named", &["localhost"], Life::Now);
    let server = Fake::tls(pki.server("named", false), 1, []);
    let by_name = server.address().replace(HOST, "localhost");
    let client_by_name = Client::with_options([by_name], ClientOptions::one_round())
        .unwrap()
        .tls(pki.dialer(None));
    client_by_name.next().unwrap();
    has(
        client(&server, pki.dialer(None)).next(),
        "is not for 127.0.0.1: it is for localhost",
    );
    let server = Fake::tls(pki.server("one", false), 1, []);
    let by_name = server.address().replace(HOST, "localhost");
    let client = Client::with_options([by_name], ClientOptions::one_round())
        .unwrap()
        .tls(pki.dialer(None));
    has(client.next(), "is not for localhost: it is for 127.0.0.1");
}

#[test]
fn the_cluster_is_asked_for_by_tls_too() {
    let pki = pki();
    let server = Fake::tls(pki.server("one", false), 1, []);
    let other = client(&server, pki.dialer(None)).cluster("other".parse().unwrap());
    let refused = other.next().unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::ForeignCluster));
}

#[test]
fn a_client_shows_its_certificate_where_one_is_wanted() {
    let pki = pki();
    let server = Fake::tls(pki.server("one", true), 1, []);
    let alice = client(&server, pki.dialer(Some("alice")));
    assert_eq!(alice.next().unwrap().get(), 1025);
    has(
        client(&server, pki.dialer(None)).next(),
        "it wants a certificate, and none was given: --tls-cert, --tls-key",
    );
    // Nobody was served without one.
    assert_eq!(server.requests().len(), 1);
    pki.issue("late", &["late"], Life::Expired);
    has(
        client(&server, pki.dialer(Some("late"))).next(),
        "it says that our certificate (late, signed by Example CA) has expired",
    );
    let strangers = Pki::new("Strangers' CA");
    strangers.issue("eve", &["eve"], Life::Now);
    std::fs::copy(strangers.path("eve.pem"), pki.path("eve.pem")).unwrap();
    std::fs::copy(strangers.path("eve.key"), pki.path("eve.key")).unwrap();
    has(
        client(&server, pki.dialer(Some("eve"))).next(),
        "it does not know the CA that signed our certificate (eve, signed by Strangers' CA)",
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_server_whose_certificate_is_not_good_gets_no_request() {
    let pki = pki();
    let strangers = Pki::new("Strangers' CA");
    strangers.issue("one", &[HOST], Life::Now);
    pki.issue("other", &["other.example", "10.0.0.1"], Life::Now);
    pki.issue("old", &[HOST], Life::Expired);
    pki.issue("early", &[HOST], Life::NotYet);
    for (config, says) in [
        (
            strangers.server("one", false),
            "its certificate (one, signed by Strangers' CA) is not signed by any CA of ",
        ),
        (
            pki.server("other", false),
            "its certificate (other, signed by Example CA) is not for 127.0.0.1: it is for other.example, 10.0.0.1",
        ),
        (
            pki.server("old", false),
            "its certificate (old, signed by Example CA) expired at 2021-01-01 00:00 UTC",
        ),
        (
            pki.server("early", false),
            "its certificate (early, signed by Example CA) is not valid before 2049-01-01 00:00 UTC",
        ),
    ] {
        let server = Fake::tls(config, 1, []);
        has(client(&server, pki.dialer(None)).next(), says);
        assert_eq!(server.requests(), []);
    }
}

#[test]
fn the_next_server_is_asked_when_there_is_no_tls_with_one() {
    let pki = pki();
    let strangers = Pki::new("Strangers' CA");
    strangers.issue("one", &[HOST], Life::Now);
    let servers = [
        Fake::tls(strangers.server("one", false), 7, []),
        Fake::tls(pki.server("one", false), 1, []),
    ];
    let addresses = servers.iter().map(Fake::address);
    let client = Client::with_options(addresses, ClientOptions::one_round())
        .unwrap()
        .tls(pki.dialer(None));
    assert_eq!(client.next().unwrap().pid().get(), 1);
}

#[test]
fn a_server_without_a_ca_to_believe_is_not_even_dialed() {
    let pki = pki();
    let server = Fake::tls(pki.server("one", false), 1, []);
    let client = Client::with_options([server.address()], ClientOptions::one_round()).unwrap();
    has(client.next(), "no CA is given");
    assert_eq!(server.accepted(), 0);
}

#[test]
fn plain_and_tls_that_meet_say_which_is_which() {
    let pki = pki();
    // A frame that Ipseity answers a handshake with: the length is not that of its kind.
    let answers = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = answers.local_addr().unwrap();
    let refuses = std::thread::spawn(move || {
        let (mut stream, _) = answers.accept().unwrap();
        let mut hello = [0; 3];
        stream.read_exact(&mut hello).unwrap();
        assert_eq!(hello[0], 0x16);
        let reply = ipseity_core::words::ErrorReply::new(ErrorCode::BadLength, "no such length");
        let mut bytes = Vec::new();
        encode(&Message::ErrorReply(Box::new(reply)), &mut bytes);
        stream.write_all(&bytes).unwrap();
        // Until the client has gone, so that nothing is lost.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let client =
        Client::with_options([format!("tls://{address}")], ClientOptions::one_round()).unwrap();
    has(
        client.tls(pki.dialer(None)).next(),
        "it does not speak TLS: for a plain connection leave tls:// away",
    );
    refuses.join().unwrap();

    let server = Fake::tls(pki.server("one", false), 1, []);
    let client = Client::with_options([server.place()], ClientOptions::one_round()).unwrap();
    has(
        client.next(),
        "it speaks TLS there: write tls:// before its address",
    );
}

#[test]
fn a_silent_server_has_the_time_of_connecting_for_its_handshake() {
    let pki = pki();
    // The kernel accepts for it, and nobody ever answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tls://{}", silent.local_addr().unwrap());
    let options = ClientOptions {
        connect_timeout: SOON,
        // If this one counted, the test would run for an hour.
        reply_timeout: Duration::from_secs(3600),
        ..ClientOptions::one_round()
    };
    let client = Client::with_options([address], options).unwrap();
    match cause(client.tls(pki.dialer(None)).next()) {
        FailureCause::HandshakeTimeout(limit) => assert_eq!(limit, SOON),
        other => panic!("{other}"),
    }
    // And one that closes at once.
    let closes = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tls://{}", closes.local_addr().unwrap());
    let closing = std::thread::spawn(move || drop(closes.accept().unwrap()));
    let client = Client::with_options([address], ClientOptions::one_round()).unwrap();
    has(
        client.tls(pki.dialer(None)).next(),
        "closed the connection in the middle of the TLS handshake",
    );
    closing.join().unwrap();
}

#[test]
fn a_handshake_that_comes_in_drops_has_no_more_time() {
    let pki = pki();
    let slow = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tls://{}", slow.local_addr().unwrap());
    let drips = std::thread::spawn(move || {
        let (mut stream, _) = slow.accept().unwrap();
        // A record of 16 KiB, a byte at a time, until the client has had enough.
        stream.write_all(&[0x16, 0x03, 0x03, 0x40, 0x00]).unwrap();
        while stream.write_all(&[2]).is_ok() {
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let options = ClientOptions {
        connect_timeout: Duration::from_millis(500),
        reply_timeout: Duration::from_secs(3600),
        ..ClientOptions::one_round()
    };
    let client = Client::with_options([address], options).unwrap();
    match cause(client.tls(pki.dialer(None)).next()) {
        FailureCause::HandshakeTimeout(limit) => assert_eq!(limit, options.connect_timeout),
        other => panic!("{other}"),
    }
    drips.join().unwrap();
}

#[test]
fn a_reply_has_its_time_by_tls_too() {
    let pki = pki();
    let server = Fake::tls(pki.server("one", false), 1, [Step::Silence]);
    let options = ClientOptions {
        reply_timeout: SOON,
        ..ClientOptions::one_round()
    };
    let client = Client::with_options([server.address()], options).unwrap();
    match cause(client.tls(pki.dialer(None)).next()) {
        FailureCause::Timeout(limit) => assert_eq!(limit, SOON),
        other => panic!("{other}"),
    }
}

#[test]
fn the_end_of_a_connection_is_an_error_in_a_reply_and_none_at_rest() {
    let pki = pki();
    let reply = identity_reply(5121);
    let half = reply[..7].to_vec();
    // With the farewell of TLS and without it.
    for farewell in [true, false] {
        let step = match farewell {
            true => Step::Last(half.clone()),
            false => Step::Bytes(half.clone()),
        };
        let server = Fake::tls(pki.server("one", false), 1, [Step::Serve, step]);
        let options = ClientOptions {
            rounds: Rounds::UntilTime,
            ..ClientOptions::one_round()
        };
        let client = Client::with_options([server.address()], options).unwrap();
        let client = client.tls(pki.dialer(None));
        client.next().unwrap();
        let hangs_up = std::thread::scope(|scope| {
            let call = scope.spawn(|| client.next().map(|_| ()));
            if !farewell {
                while server.requests().len() < 2 {
                    std::thread::yield_now();
                }
                server.hang_up();
            }
            call.join().unwrap()
        });
        // The server has failed in the middle of a reply. It is the only one, so the client asks it again.
        hangs_up.unwrap();
        assert_eq!((server.accepted(), server.requests().len()), (2, 3));
    }
    let server = Fake::tls(pki.server("one", false), 1, [Step::Last(half)]);
    match cause(client(&server, pki.dialer(None)).next()) {
        FailureCause::Closed { bytes } => assert_eq!(bytes, 7),
        other => panic!("{other}"),
    }
    // At rest the client notices with the next call, and nobody is told.
    let server = Fake::tls(pki.server("one", false), 1, [Step::ServeAndClose]);
    let client = client(&server, pki.dialer(None));
    assert_eq!(client.next().unwrap().get(), 1025);
    assert_eq!(client.next().unwrap().get(), 2049);
    server.hang_up();
    assert_eq!(client.next().unwrap().get(), 3073);
    assert_eq!(server.accepted(), 3);
}

#[test]
fn a_client_says_farewell() {
    let pki = pki();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tls://{}", listener.local_addr().unwrap());
    let config = pki.server("one", false);
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let connection = rustls::ServerConnection::new(config).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, stream);
        let mut request = [0; 3];
        stream.read_exact(&mut request).unwrap();
        stream.write_all(&identity_reply(1025)).unwrap();
        // rustls makes an error of an end without close_notify.
        stream.read_to_end(&mut Vec::new()).unwrap()
    });
    let client = Client::with_options([address], ClientOptions::one_round())
        .unwrap()
        .tls(pki.dialer(None));
    client.next().unwrap();
    drop(client);
    assert_eq!(server.join().unwrap(), 0);
}

/// `openssl s_server` on a free port. It answers the first request with identity 1025.
struct Openssl {
    child: Child,
    // It writes there as long as it runs.
    _output: BufReader<ChildStdout>,
    address: String,
}

impl Openssl {
    fn new(pki: &Pki, arguments: &[&str]) -> Openssl {
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0"])
            .args(["-cert", &pki.file("one.pem"), "-key", &pki.file("one.key")])
            .args(["-CAfile", &pki.file("ca.pem"), "-verify_return_error"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // What it reads, it sends to its client.
        let input = child.stdin.as_mut().unwrap();
        input.write_all(&identity_reply(1025)).unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "openssl ended");
            if let Some(address) = line.trim().strip_prefix("ACCEPT ") {
                break format!("tls://{address}");
            }
        };
        Openssl {
            child,
            _output: output,
            address,
        }
    }
}

impl Drop for Openssl {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn identity_reply(first: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&Message::IdentityReply { first, count: 1 }, &mut bytes);
    bytes
}

#[test]
fn openssl_agrees_on_what_is_good_and_what_is_wrong() {
    let pki = pki();
    let asks = ["-Verify", "1"];
    for version in ["-tls1_2", "-tls1_3"] {
        for (arguments, own) in [
            (&[][..], None),
            (&[], Some("alice")),
            (&asks, Some("alice")),
        ] {
            let server = Openssl::new(&pki, &[&[version], arguments].concat());
            let client =
                Client::with_options([&server.address], ClientOptions::one_round()).unwrap();
            let client = client.tls(pki.dialer(own));
            assert_eq!(client.next().unwrap().get(), 1025, "{version} {own:?}");
        }
        let server = Openssl::new(&pki, &[&[version], &asks[..]].concat());
        let client = Client::with_options([&server.address], ClientOptions::one_round()).unwrap();
        has(client.tls(pki.dialer(None)).next(), "--tls-cert, --tls-key");
    }
    for old in [
        // No forward secrecy, and no authenticated encryption.
        &["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"][..],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"],
    ] {
        let server = Openssl::new(&pki, old);
        let client = Client::with_options([&server.address], ClientOptions::one_round()).unwrap();
        has(
            client.tls(pki.dialer(None)).next(),
            "it has no cipher suite or signature in common with this side",
        );
    }
    let server = Openssl::new(&pki, &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]);
    let client = Client::with_options([&server.address], ClientOptions::one_round()).unwrap();
    has(
        client.tls(pki.dialer(None)).next(),
        "it speaks neither TLS 1.2 nor TLS 1.3",
    );
}
