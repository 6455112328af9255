//! What Prometheus gets from a server.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
};

use ipseity_harness::server::{Port, Server, eventually};

/// What a server answers to this request, without the head.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    body.to_owned()
}

/// What `promtool check metrics` says of a text, with exit code 0.
fn promtool(text: &str) -> String {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool: .ci/setup installs it");
    let mut input = promtool.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    said
}

#[test]
fn promtool_takes_the_metrics_of_a_server_and_of_one_whose_peer_is_gone() {
    let http = Port::reserve();
    let address = http.address().to_string();
    let mut servers = Server::cluster(2, &[]);
    let mut other = servers.pop().unwrap();
    let mut server = servers.pop().unwrap();
    assert_eq!(server.stop(), 0);
    server.restart_adding(&["--http", &address]);
    let peer_up = |text: &str, up: u8| {
        let line = text
            .lines()
            .find(|line| line.starts_with("ipseity_peer_up{"));
        line.is_some_and(|line| line.ends_with(&format!("pid=\"2\"}} {up}")))
    };
    let mut text = String::new();
    for up in [1, 0] {
        server.ask(5, 0);
        assert!(
            eventually(|| {
                text = get(&address, "/metrics");
                peer_up(&text, up)
            }),
            "{text}"
        );
        assert_eq!(promtool(&text), "");
        if up == 1 {
            other.kill();
        }
    }
    let answered = "ipseity_identity_requests_total{codec=\"frames\",outcome=\"answered\"} 2";
    assert!(text.lines().any(|line| line == answered), "{text}");
    assert!(
        text.contains("\nipseity_events_total{kind=\"statusRequest\"} "),
        "{text}"
    );
    assert_eq!(server.stop(), 0);
}
