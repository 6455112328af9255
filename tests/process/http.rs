//! HTTP with real processes: curl and raw sockets, beside clients with frames, strangers, TLS and crashes.

use std::{
    collections::BTreeSet,
    io::{self, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use ipseity::limits::HTTP_CONNECTIONS_MAX;
use ipseity_core::words::Message;
use ipseity_harness::{
    programs,
    server::{PATIENCE, Port, Server, read_some},
};
use ipseity_sim::pki::{Leaf, Pki};
use serde_json::Value;

use crate::load::{may_have_descriptors, skipped};

/// More connections than there are places for HTTP.
pub const CROWD: usize = HTTP_CONNECTIONS_MAX + 76;

pub const POST: &str =
    "POST /identities HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\r\n";

pub fn start(flags: &[&str]) -> Server {
    start_as("1", flags)
}

fn start_as(pid: &str, flags: &[&str]) -> Server {
    let own = ["--ephemeral", "--pid", pid, "--http", "127.0.0.1:0"];
    let all = [&own, flags].concat();
    Server::start_with(&["--listen", "127.0.0.1:0"], &all)
}

/// A connection by HTTP.
pub struct Http {
    pub stream: TcpStream,
    read: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Http {
    pub fn to(address: SocketAddr) -> Http {
        Http::over(TcpStream::connect(address).unwrap())
    }

    pub fn over(stream: TcpStream) -> Http {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let read = Vec::new();
        Http { stream, read }
    }

    pub fn ask(&mut self, request: &str) -> Answer {
        self.stream.write_all(request.as_bytes()).unwrap();
        self.answer().unwrap()
    }

    pub fn answer(&mut self) -> io::Result<Answer> {
        self.answer_with(true)
    }

    /// The next answer. That to HEAD has no body, whatever its length says.
    fn answer_with(&mut self, body: bool) -> io::Result<Answer> {
        let end = loop {
            let end = self.read.windows(4).position(|four| four == b"\r\n\r\n");
            match end {
                Some(end) => break end + 4,
                None => self.more()?,
            }
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let bytes = match body {
            true => length.unwrap().parse().unwrap(),
            false => 0,
        };
        while self.read.len() < bytes {
            self.more()?;
        }
        let body = String::from_utf8(self.read.drain(..bytes).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Ok(Answer { status, head, body })
    }

    fn more(&mut self) -> io::Result<()> {
        let mut piece = [0; 4096];
        match read_some(&mut self.stream, &mut piece)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            bytes => {
                self.read.extend(&piece[..bytes]);
                Ok(())
            }
        }
    }

    /// The server has closed it, and nothing came before the end.
    fn is_over(&mut self) -> bool {
        let ended = self.more().is_err_and(|error| {
            let kind = error.kind();
            kind == io::ErrorKind::UnexpectedEof || kind == io::ErrorKind::ConnectionReset
        });
        ended && self.read.is_empty()
    }
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

fn ask(server: &Server, request: &str) -> Answer {
    Http::to(server.http_address()).ask(request)
}

fn identities(answer: &Answer) -> Vec<u64> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let json: Value = serde_json::from_str(&answer.body).unwrap();
    let all = json["identities"].as_array().unwrap().iter();
    all.map(|one| one.as_str().unwrap().parse().unwrap())
        .collect()
}

/// What curl prints, and its exit code.
fn curl(arguments: &[&str]) -> (String, i32) {
    let seconds = PATIENCE.as_secs().to_string();
    let output = Command::new("curl")
        .args(["-s", "--max-time", &seconds])
        .args(arguments)
        .output()
        .expect(".ci/setup installs curl");
    let text = String::from_utf8(output.stdout).unwrap();
    (text, output.status.code().unwrap())
}

#[test]
fn curl_gets_every_path() {
    let server = start(&[]);
    for (path, kind, begins) in [
        ("/status", "application/json", "{\"version\":"),
        ("/metrics", "text/plain; version=0.0.4", "# HELP ipseity_"),
        ("/livez", "text/plain", ""),
        ("/readyz", "text/plain", ""),
        ("/", "text/html", "<!doctype html>"),
    ] {
        let url = format!("http://{}{path}", server.http_address());
        let (said, code) = curl(&["-w", "\n%{http_code} %{content_type}", &url]);
        let (body, facts) = said.rsplit_once('\n').unwrap();
        assert_eq!(code, 0);
        assert!(facts.starts_with(&format!("200 {kind}")), "{path}: {facts}");
        let start: String = body.chars().take(begins.len()).collect();
        assert!(start.eq_ignore_ascii_case(begins), "{path}: {start}");
    }
    let url = format!("http://{}/identities?count=2", server.http_address());
    let json = "Content-Type: application/json";
    let (said, _) = curl(&["-X", "POST", "-H", json, &url]);
    assert_eq!(said.trim(), r#"{"identities":["1025","2049"]}"#);
}

/// The names in a JSON, with the values of those that do not move.
fn shape(json: &Value, path: &str, out: &mut BTreeSet<String>) {
    let moving = ["uptime_ms", "connections", "remaining", "sequence"];
    match json {
        // It names only those that there were.
        Value::Object(_) if path == ".vitals.events" => _ = out.insert(path.to_owned()),
        Value::Object(fields) => {
            for (name, value) in fields {
                match moving.contains(&name.as_str()) {
                    true => _ = out.insert(format!("{path}.{name}")),
                    false => shape(value, &format!("{path}.{name}"), out),
                }
            }
        }
        value if path.starts_with(".counters") || path.starts_with(".vitals") => {
            out.insert(path.to_owned());
            assert!(!value.is_null(), "{path}");
        }
        value => _ = out.insert(format!("{path} = {value}")),
    }
}

#[test]
fn the_status_is_that_of_the_cli() {
    let server = start(&[]);
    let output = Command::new(programs::ipseity_cli())
        .args(["status", "--json", "--server", &server.address()])
        .output()
        .unwrap();
    let mut by_cli: Value = serde_json::from_slice(&output.stdout).unwrap();
    let named = by_cli.as_object_mut().unwrap().remove("server");
    assert_eq!(named.unwrap(), *server.address());
    let by_http = serde_json::from_str(&ask(&server, &get("/status")).body).unwrap();
    let [cli, http] = [by_cli, by_http].map(|json| {
        let mut all = BTreeSet::new();
        shape(&json, "", &mut all);
        all
    });
    assert!(cli.len() > 30);
    assert_eq!(cli, http);
}

#[test]
fn identities_by_http_and_by_frames_are_unique_and_increase() {
    const EACH: usize = 200;
    let server = start(&[]);
    let taken: Vec<Vec<u64>> = thread::scope(|scope| {
        let by_http = || {
            let mut http = Http::to(server.http_address());
            (0..EACH)
                .flat_map(|_| identities(&http.ask(POST)))
                .collect::<Vec<u64>>()
        };
        let by_frames = || {
            let mut connection = server.connect();
            let next = |_| {
                connection.send(&Message::IdentityRequest { count: 1, after: 0 });
                match connection.receive() {
                    Message::IdentityReply { first, count: 1 } => first,
                    other => panic!("{other:?}"),
                }
            };
            (0..EACH).map(next).collect()
        };
        let threads: Vec<_> = (0..4)
            .flat_map(|_| [scope.spawn(by_http), scope.spawn(by_frames)])
            .collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    });
    assert!(taken.iter().all(|one| one.is_sorted_by(|a, b| a < b)));
    let all: BTreeSet<u64> = taken.iter().flatten().copied().collect();
    assert_eq!(all.len(), 8 * EACH);
}

#[test]
fn after_is_carried_from_one_server_to_another() {
    let (one, other) = (start(&[]), start_as("2", &[]));
    let lots = POST.replace("identities", "identities?count=1000");
    let seen = *identities(&ask(&one, &lots)).last().unwrap();
    let next = POST.replace("identities", &format!("identities?after={seen}"));
    let next = identities(&ask(&other, &next))[0];
    assert!(next > seen && next % 1024 == 2, "{next} after {seen}");
}

#[test]
fn a_connection_takes_many_requests_and_ends_when_that_was_asked_for() {
    let server = start(&[]);
    let mut http = Http::to(server.http_address());
    // Pipelined: the answers come in the order of the requests.
    let live = get("/livez");
    http.stream
        .write_all(
            [POST, &live, POST, &get("/nowhere"), POST]
                .concat()
                .as_bytes(),
        )
        .unwrap();
    let statuses: Vec<u16> = (0..5).map(|_| http.answer().unwrap().status).collect();
    assert_eq!(statuses, [200, 200, 200, 404, 200]);
    http.stream
        .write_all(live.replace("GET", "HEAD").as_bytes())
        .unwrap();
    let head = http.answer_with(false).unwrap();
    assert_eq!((head.status, &*head.body), (200, ""));
    assert!(!head.head.contains("Content-Length: 0"), "{head:?}");
    // It goes on behind an answer without a body.
    assert_eq!(identities(&http.ask(POST)), [4097]);
    let last = live.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    assert!(http.ask(&last).head.contains("\r\nConnection: close\r\n"));
    assert!(http.is_over());

    let mut old = Http::to(server.http_address());
    let keeps = "GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    assert_eq!(old.ask(keeps).status, 200);
    assert_eq!(old.ask("GET /livez HTTP/1.0\r\n\r\n").status, 200);
    assert!(old.is_over());
}

#[test]
fn refusals_say_why_and_end_the_connection_where_the_next_request_is_unclear() {
    let server = start(&[]);
    let post = |more: &str| POST.replace("\r\n\r\n", &format!("\r\n{more}\r\n\r\n"));
    let form = |kind: &str| POST.replace("application/json", kind);
    let cookies = "x".repeat(9000);
    for (request, status, closes) in [
        (get("/identities"), 405, false),
        (get("/nowhere"), 404, false),
        (get("/identities").replace("GET", "POST"), 415, false),
        // What a form of a foreign page can send.
        (form("text/plain"), 415, false),
        (form("application/x-www-form-urlencoded"), 415, false),
        (POST.replace("identities", "identities?count=x"), 400, false),
        (POST.replace("localhost", "evil.example"), 421, false),
        (get("/").replace("localhost", "evil.example"), 421, false),
        (post("Content-Length: 5000"), 413, true),
        (post(&format!("Cookie: {cookies}")), 431, true),
        (get("/").replace("1.1", "2.0"), 505, true),
        ("nonsense\r\n\r\n".to_owned(), 400, true),
        (post("Transfer-Encoding: chunked"), 411, true),
        (
            post("Content-Length: 4\r\nTransfer-Encoding: chunked"),
            400,
            true,
        ),
        (post("Content-Length: 4\r\nContent-Length: 40"), 400, true),
    ] {
        let mut http = Http::to(server.http_address());
        // The second request is answered only if the first one did not end the connection.
        let both = [request.as_str(), &get("/livez")].concat();
        let answer = http.ask(&both);
        assert_eq!(answer.status, status, "{request}{answer:?}");
        match closes {
            true => assert!(http.is_over(), "{request}"),
            false => assert_eq!(http.answer().unwrap().status, 200, "{request}"),
        }
    }
    assert_eq!(identities(&ask(&server, POST)), [1025]);
}

#[test]
fn a_name_counts_only_if_it_was_given() {
    let server = start(&["--http-name", "id1.example"]);
    for path in ["/livez", "/readyz", "/metrics", "/status"] {
        for host in ["10.1.2.3:3265", "whoever.example"] {
            let request = get(path).replace("localhost", host);
            assert_eq!(ask(&server, &request).status, 200, "{request}");
        }
    }
    for (host, status) in [
        ("id1.example", 200),
        ("ID1.example:80", 200),
        ("10.1.2.3:3265", 200),
        ("[::1]:3265", 200),
        ("id2.example", 421),
        ("id1.example.evil.example", 421),
    ] {
        for request in [POST, &get("/")] {
            let request = request.replace("localhost", host);
            assert_eq!(ask(&server, &request).status, status, "{request}");
        }
    }
}

/// What a command of ipseity-cli complains of.
fn cli_fails(address: &str) -> String {
    let output = Command::new(programs::ipseity_cli())
        .args(["next", "--server", address])
        .output()
        .unwrap();
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn who_mistakes_one_port_for_the_other_is_told() {
    let server = start(&[]);
    let mut http = Http::to(server.socket_address());
    let answer = http.ask(POST);
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("--http"), "{answer:?}");
    assert!(http.is_over());
    let said = cli_fails(&server.http_address().to_string());
    assert!(said.contains("it speaks HTTP there"), "{said}");
    assert!(said.contains("--listen"), "{said}");
}

#[test]
fn a_start_that_cannot_speak_http_names_the_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let fails = |flags: &[&str]| {
        let all = [&["--ephemeral", "--pid", "1"], flags].concat();
        match Server::start_under(&[], &["--listen", "127.0.0.1:0"], &all) {
            Ok(_) => panic!("{flags:?}"),
            Err(refusal) => refusal.log,
        }
    };
    for flags in [
        &["--http", &taken][..],
        &["--http", "nowhere"],
        &["--http", "127.0.0.1:70000"],
        &["--http", "127.0.0.1:1", "--http", "127.0.0.1:1"],
        &["--http-name", "a.example"],
    ] {
        let said = fails(flags);
        assert!(said.contains("--http"), "{flags:?}: {said}");
    }
    let port = Port::reserve().address().to_string();
    let said = Server::try_start(
        &["--listen", &port],
        &["--ephemeral", "--pid", "1", "--http", &port],
    );
    let said = said.err().unwrap();
    assert!(said.contains("HTTP needs a port of its own"), "{said}");
}

#[test]
fn a_variable_and_a_check_know_http() {
    let variable = ["env".to_owned(), "IPSEITY_HTTP=127.0.0.1:0".to_owned()];
    let flags = ["--ephemeral", "--pid", "1"];
    let server = Server::start_under(&variable, &["--listen", "127.0.0.1:0"], &flags);
    assert_eq!(ask(&server.unwrap(), &get("/readyz")).status, 200);
    let output = Command::new(programs::ipseity())
        .args([
            "--check",
            "--listen",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
        ])
        .args(flags)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let line = said.lines().find(|line| line.starts_with("http "));
    assert!(line.unwrap().contains("127.0.0.1:0"), "{said}");
}

#[test]
fn a_stop_does_not_wait_for_connections_that_are_kept() {
    let mut server = start(&["--idle-timeout", "1h"]);
    let mut kept: Vec<Http> = (0..20).map(|_| Http::to(server.http_address())).collect();
    for http in &mut kept {
        assert_eq!(http.ask(&get("/livez")).status, 200);
    }
    assert_eq!(server.stop(), 0);
    assert!(kept.iter_mut().all(Http::is_over));
}

#[test]
fn a_crowd_by_http_keeps_nobody_else_out() {
    if !may_have_descriptors(4096) {
        return skipped("http crowd", "the hard limit of descriptors is too low");
    }
    let server = start(&[]);
    let mut crowd: Vec<Http> = (0..CROWD)
        .map(|_| Http::to(server.http_address()))
        .collect();
    server.wait_for_log("no place for HTTP is left (of 1024)");
    for path in ["/livez", "/readyz"] {
        let answer = ask(&server, &get(path));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(ask(&server, POST).status, 503);
    assert!(matches!(server.ask(1, 0), Message::IdentityReply { .. }));
    // Those that have a place keep it.
    assert_eq!(identities(&crowd[0].ask(POST)), [2049]);
}

#[test]
fn heads_that_never_end_hold_up_nobody() {
    let server = start(&[]);
    let slow: Vec<Http> = (0..50).map(|_| Http::to(server.http_address())).collect();
    let (head, rest) = POST.split_at(40);
    for http in &slow {
        (&http.stream).write_all(head.as_bytes()).unwrap();
    }
    assert_eq!(identities(&ask(&server, POST)), [1025]);
    assert!(matches!(server.ask(1, 0), Message::IdentityReply { .. }));
    // And each is answered as soon as it ends.
    for (mut http, sequence) in slow.into_iter().zip(3..) {
        assert_eq!(identities(&http.ask(rest)), [sequence * 1024 + 1]);
    }
}

/// Stops those who flood, whatever happens to the test.
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_flood_of_metrics_does_not_starve_those_who_take_identities() {
    const IN_A_ROW: usize = 8;
    let server = start(&[]);
    let (is_over, scraped) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let _over = Over(&is_over);
        for _ in 0..8 {
            scope.spawn(|| {
                let mut http = Http::to(server.http_address());
                while !is_over.load(Ordering::Relaxed) {
                    let requests = get("/metrics").repeat(IN_A_ROW);
                    http.stream.write_all(requests.as_bytes()).unwrap();
                    for _ in 0..IN_A_ROW {
                        assert_eq!(http.answer().unwrap().status, 200);
                        scraped.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let mut http = Http::to(server.http_address());
        let mut frames = server.connect();
        let mut turns = 0;
        while turns < 200 || scraped.load(Ordering::Relaxed) < 200 {
            assert_eq!(identities(&http.ask(POST)).len(), 1);
            frames.send(&Message::IdentityRequest { count: 1, after: 0 });
            assert!(matches!(frames.receive(), Message::IdentityReply { .. }));
            turns += 1;
        }
    });
}

#[test]
fn what_may_be_asked_without_a_certificate() {
    let pki = Pki::new("CA");
    let files = pki.files(&Leaf::peer("server", &["127.0.0.1"]), true, false);
    let [cert, key, ca] = [files.certificate, files.key, files.client_ca.unwrap()]
        .map(|file| file.to_str().unwrap().to_owned());
    let flags = [
        "--tls-cert",
        &cert,
        "--tls-key",
        &key,
        "--tls-client-ca",
        &ca,
    ];
    let server = start(&[&flags[..], &["--plain", "never"]].concat());
    let at = |path: &str| format!("https://{}{path}", server.http_address());
    let code = |arguments: &[&str]| {
        let all = [
            &["-o", "/dev/null", "-w", "%{http_code}", "--cacert", &ca],
            arguments,
        ];
        let (said, code) = curl(&all.concat());
        assert_eq!(code, 0, "{arguments:?}");
        said
    };
    let post = ["-X", "POST", "-H", "Content-Type: application/json"];
    let (own_cert, own_key) = pki.make(&Leaf::client("monitor", None));
    let [own_cert, own_key] = [own_cert, own_key].map(|file| file.to_str().unwrap().to_owned());
    let own = ["--cert", &own_cert, "--key", &own_key];
    for path in ["/livez", "/readyz"] {
        assert_eq!(code(&[&at(path)]), "200", "{path}");
    }
    assert_eq!(code(&[&at("/status")]), "403");
    assert_eq!(code(&[&post[..], &[&at("/identities")]].concat()), "403");
    assert_eq!(code(&[&own[..], &[&at("/status")]].concat()), "200");
    assert_eq!(
        code(&[&own[..], &post, &[&at("/identities")]].concat()),
        "200"
    );
    let mut plain = Http::to(server.http_address());
    let refused = plain.ask(POST);
    assert_eq!(refused.status, 403);
    let says = "tlsRequired: this server takes only TLS";
    let is_told = refused.body.starts_with(says) && refused.body.contains("https://");
    assert!(is_told, "{refused:?}");
    assert!(plain.is_over());

    let server = start(&[&flags[..], &["--plain", "loopback"]].concat());
    assert_eq!(ask(&server, POST).status, 200);
}

#[test]
fn servers_that_are_killed_under_load_by_http_repeat_nothing() {
    const LIVES: usize = 4;
    const CLIENTS: usize = 4;
    let mut server = Server::start(&["--pid", "1", "--http", "127.0.0.1:0"]);
    let mut all: Vec<u64> = Vec::new();
    for life in 0..LIVES {
        let (address, count) = (server.http_address(), Arc::<AtomicUsize>::default());
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let count = Arc::clone(&count);
                thread::spawn(move || {
                    let (mut http, mut taken) = (Http::to(address), Vec::new());
                    // Until the server dies.
                    while http.stream.write_all(POST.as_bytes()).is_ok()
                        && let Ok(answer) = http.answer()
                    {
                        taken.extend(identities(&answer));
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    taken
                })
            })
            .collect();
        while count.load(Ordering::Relaxed) < 500 {
            thread::yield_now();
        }
        server.kill();
        let mut taken: Vec<u64> = clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect();
        taken.sort_unstable();
        // Lives follow each other, and within one nothing comes twice.
        assert!(all.last() < taken.first(), "life {life}");
        all.extend(taken);
        server.restart();
    }
    assert!(all.is_sorted_by(|a, b| a < b) && all.len() >= 500 * LIVES);
}
