//! What the log looks like: JSON for programs, and priorities for the journal.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    process::{Command, Stdio},
};

use ipseity_harness::{programs, server::Server, unheard::Unheard};
use serde_json::Value;
use tempfile::TempDir;

/// Each line of a log in JSON. Every one of them must be a whole object.
fn objects(log: &str) -> Vec<Value> {
    let object = |line: &str| -> Value {
        let object: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let text = |name: &str| {
            object[name]
                .as_str()
                .unwrap_or_else(|| panic!("{name}: {line}"))
        };
        let time = text("time");
        assert!(time.len() == 24 && time.ends_with('Z'), "{line}");
        assert!(
            ["error", "warn", "info", "debug"].contains(&text("level")),
            "{line}"
        );
        assert!(
            !text("message").is_empty() && text("event") != "other",
            "{line}"
        );
        object
    };
    log.lines().map(object).collect()
}

/// The first object with this event.
fn of<'a>(objects: &'a [Value], event: &str) -> &'a Value {
    let found = objects.iter().find(|object| object["event"] == event);
    found.unwrap_or_else(|| panic!("no {event}: {objects:?}"))
}

#[test]
fn every_line_of_a_log_in_json_is_an_object_with_its_event() {
    let json = ["--log-format", "json", "--log-level", "debug"];
    let mut servers = Server::cluster(2, &json);
    servers[0].wait_for_log("\"event\":\"peerUp\"");
    servers[1].wait_for_log("\"event\":\"peerUp\"");
    // A client that does not speak the protocol.
    let mut odd = servers[0].connect();
    odd.stream().write_all(&[0, 3, 3, 0, 3]).unwrap();
    odd.receive();
    assert_eq!(odd.try_receive(), None);
    assert_eq!(servers[1].stop(), 0);
    servers[0].wait_for_log("(pid 2) is down: ");
    assert_eq!(servers[0].stop(), 0);

    let objects = objects(&servers[0].log());
    let listening = of(&objects, "listening");
    assert_eq!(listening["address"], servers[0].address());
    assert_eq!(listening["pid"], 1);
    assert_eq!(listening["level"], "info");
    // Each server may hear the other on the connection that it made, or on the one that it accepted.
    for event in ["peerUp", "peerDown"] {
        let with_pid = |object: &&Value| object["event"] == event && object["pid"] == 2;
        let object = objects.iter().find(with_pid).unwrap();
        let peer = object["peer"].as_str().unwrap();
        assert!(peer.starts_with("127.0.0.1:"), "{object}");
        let message = object["message"].as_str().unwrap();
        assert!(message.contains(peer), "{object}");
        let reason = object["reason"].as_str().unwrap_or_default();
        assert_eq!(reason.is_empty(), event == "peerUp", "{object}");
        assert!(message.ends_with(reason), "{object}");
    }
    let refused = of(&objects, "refused");
    assert_eq!(refused["level"], "warn");
    let address = refused["address"].as_str().unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{refused}");
    for event in ["firstStart", "connectionOpened", "stopping", "stopped"] {
        of(&objects, event);
    }
    assert_eq!(objects.last().unwrap()["event"], "stopped");
}

#[test]
fn a_start_that_fails_says_so_in_json_too() {
    let home = TempDir::new().unwrap();
    // The name of the directory tries to end the line and the string.
    let state = home.path().join("a\"b\\c\nd");
    let state = state.to_str().unwrap();
    let output = Command::new(programs::ipseity())
        .args(["--listen", "127.0.0.1:0", "--log-format", "json"])
        .args(["--existing", "--data-dir", state])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    let objects = objects(&said);
    assert_eq!(objects.len(), 1, "{said}");
    assert_eq!(objects[0]["event"], "failed");
    assert_eq!(objects[0]["level"], "error");
    let message = objects[0]["message"].as_str().unwrap();
    assert!(message.contains(r#"a"b\c\nd"#), "{message}");
}

#[test]
fn only_lines_that_go_to_the_journal_have_its_priorities_and_no_time() {
    for is_journal in [true, false] {
        let home = TempDir::new().unwrap();
        let path = home.path().join("journal");
        let log = File::create(&path).unwrap();
        let found = log.metadata().unwrap();
        let other = u64::from(!is_journal);
        let named = format!("JOURNAL_STREAM={}:{}", found.dev(), found.ino() + other);
        let mut server = Unheard::start_under(&["env", &named], log, &["--log-level", "debug"]);
        server.next();
        assert_eq!(server.stop("TERM").0, 0);
        let log = fs::read_to_string(&path).unwrap();
        assert!(log.lines().count() >= 4, "{log}");
        for line in log.lines() {
            let begins = ["<3>ERROR ", "<4>WARN  ", "<6>INFO  ", "<7>DEBUG "]
                .iter()
                .any(|begin| line.starts_with(begin));
            assert_eq!(begins, is_journal, "{line}");
        }
        if is_journal {
            assert!(log.contains("<4>WARN  first start in "), "{log}");
            assert!(log.contains("\n<6>INFO  stopped at sequence "), "{log}");
            assert!(log.contains("\n<7>DEBUG connection from "), "{log}");
        }
    }
}

#[test]
fn the_journal_is_told_that_a_start_has_failed() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("journal");
    let log = File::create(&path).unwrap();
    let found = log.metadata().unwrap();
    let status = Command::new(programs::ipseity())
        .args(["--listen", "127.0.0.1:0", "--existing", "--data-dir"])
        .arg(home.path().join("none"))
        .env("JOURNAL_STREAM", format!("{}:{}", found.dev(), found.ino()))
        .stdin(Stdio::null())
        .stderr(log)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
    let log = fs::read_to_string(&path).unwrap();
    assert!(log.starts_with("<3>ipseity: "), "{log}");
    assert_eq!(log.lines().count(), 1, "{log}");
}
