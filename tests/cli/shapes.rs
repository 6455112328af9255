//! The shape of the output, `--format` and `--as`, the help with its examples, and what is for people only.

use std::{
    fs,
    io::{Read as _, Write as _},
    process::{Command, Stdio},
};

use ipseity_core::words::Standing;
use ipseity_harness::{
    etcd::Etcd,
    fake::Fake,
    nobody::Nobody,
    program::{Run, command, run},
    programs,
    server::Server,
};
use tempfile::TempDir;

/// Runs the program with this input.
fn fed(arguments: &[&str], input: &str) -> Run {
    let mut child = command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn identities_are_written_in_every_form_and_shape() {
    let server = Fake::serving(1);
    let next = |flags: &[&str]| run(&[&["-s", &server.address(), "next"], flags].concat()).good();
    assert_eq!(next(&["--as", "decimal"]), "1025\n");
    assert_eq!(next(&["--as", "base32"]), "0000000000201\n");
    assert_eq!(
        next(&["--format", "json", "--as", "pair"]),
        "{\"identity\":\"3:1\",\"sequence\":\"3\",\"pid\":1}\n"
    );
    assert_eq!(
        next(&["--format", "csv", "-n", "2"]),
        "identity,sequence,pid\n4097,4,1\n5121,5,1\n"
    );
}

#[test]
fn decode_reads_identities_from_standard_input() {
    let input = "1025\n0x401\n\n1:1\n000000008S900\n";
    for arguments in [
        &["decode", "--as", "pair"][..],
        &["decode", "-", "--as", "pair"],
    ] {
        assert_eq!(fed(arguments, input).good(), "1:1\n1:1\n1:1\n9001:0\n");
    }
    let base32 = ["decode", "--base32", "--format", "csv"];
    assert_eq!(
        fed(&base32, "0000000000101\n").good(),
        "identity,sequence,pid\n1025,1,1\n"
    );
    assert!(
        fed(&["decode"], "1\n2\n")
            .good()
            .contains("\n\ndecimal  2\n")
    );
    let wrong = fed(&["decode", "--as", "hex"], "1\ntwo\n");
    assert_eq!(wrong.out, "0x0000000000000001\n");
    assert!(
        wrong.bad(1).starts_with("line 2: \"two\": not a number"),
        "{wrong:?}"
    );
}

#[test]
fn every_table_has_a_header_and_a_row_for_a_server_that_is_down() {
    let (server, nobody) = (Fake::serving(1), Nobody::new());
    server.set_members([2]);
    let list = [nobody.address(), server.address()].join(",");
    for (arguments, code, header) in [
        (&["status"][..], 1, "server,standing,pid,"),
        (&["members"], 1, "server,pid,incarnation,"),
        (&["ping"], 1, "server,round_trip_ms,error"),
        (&["watch", "-n", "1"], 0, "time,server,standing,pid,"),
    ] {
        let shown = run(&[arguments, &["--format", "csv", "-s", &list]].concat());
        assert_eq!(shown.code, Some(code), "{shown:?}");
        let lines: Vec<&str> = shown.out.lines().collect();
        assert_eq!(lines.len(), 3, "{shown:?}");
        assert!(lines[0].starts_with(header), "{shown:?}");
        let fields = lines[0].split(',').count();
        assert!(
            lines[1..]
                .iter()
                .all(|line| line.split(',').count() == fields),
            "{shown:?}"
        );
        assert!(lines[1].contains("cannot connect"), "{shown:?}");

        let shown = run(&[arguments, &["--format", "json", "-s", &list]].concat());
        let objects: Vec<serde_json::Value> = shown
            .out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(objects.len(), 2, "{shown:?}");
        assert!(
            objects[0]["error"]
                .as_str()
                .unwrap()
                .starts_with("cannot connect")
        );
        assert_eq!(objects[1]["server"], server.address());
    }
    let advanced = [
        "advance",
        "--above",
        "9",
        "--format",
        "csv",
        "-s",
        &server.address(),
    ];
    let expected = format!("server,sequence\n{},9\n", server.address());
    assert_eq!(run(&advanced).good(), expected);
}

#[test]
fn a_ping_waits_until_the_server_hands_out_identities() {
    let server = Fake::serving(1);
    let address = server.address();
    server.set_standing(Standing::Joining);
    let late = run(&["ping", "--wait", "50ms", "-s", &address]);
    assert_eq!(
        late.bad(1),
        format!("{address} hands out no identities: joining")
    );
    assert_eq!(late.out, "");
    let waiting = command(&["ping", "--wait", "60s", "-s", &address])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It has asked more than once before the server serves.
    let before = server.requests().len();
    assert!(ipseity_harness::server::eventually(|| server
        .requests()
        .len()
        > before + 1));
    server.set_standing(Standing::Serving);
    let run: Run = waiting.wait_with_output().unwrap().into();
    assert_eq!(run.good().lines().count(), 1);
}

#[test]
fn colour_is_only_where_it_is_asked_for() {
    let server = Fake::serving(1);
    let address = server.address();
    let status = |flags: &[&str]| run(&[&["status", "-s", &address], flags].concat()).good();
    assert!(!status(&[]).contains('\x1b'));
    assert!(status(&["--color", "always"]).contains("\x1b[32mserving\x1b[0m"));
    let on_terminal = |name: &str, value: &str, flags: &str| {
        let line = format!(
            "{} status -s {address} {flags}",
            programs::ipseity_cli().display()
        );
        let mut script = Command::new("script");
        script
            .args(["-qec", &line, "/dev/null"])
            .stdin(Stdio::null());
        script
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .env(name, value);
        String::from_utf8(script.output().unwrap().stdout).unwrap()
    };
    let colour = "\x1b[32mserving\x1b[0m";
    assert!(on_terminal("TERM", "xterm", "").contains(colour));
    assert!(!on_terminal("TERM", "dumb", "").contains(colour));
    assert!(!on_terminal("NO_COLOR", "1", "").contains(colour));
    assert!(!on_terminal("TERM", "xterm", "--color never").contains(colour));
    // People read large numbers more easily.
    let remaining = on_terminal("TERM", "dumb", "");
    assert!(remaining.contains("9,007,199,254,740,991 ("), "{remaining}");
    assert!(status(&[]).contains("9007199254740991 ("));
}

/// `watch` in a window of six lines, until somebody presses these keys.
fn watched(address: &str, keys: &str) -> (bool, String) {
    // Ctrl-C goes to the shell too. Without the trap a busy machine lets it end before it has shown the terminal.
    let line = format!(
        "trap : INT; stty rows 6 cols 120; {} watch --interval 50ms --timeout 250ms -s {address}; stty -a",
        programs::ipseity_cli().display()
    );
    let mut script = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut screen = script.stdout.take().unwrap();
    let mut shown = String::new();
    let mut keys = keys.chars();
    let mut press = script.stdin.take().unwrap();
    let mut buffer = [0; 4096];
    // One key for each round that is drawn.
    loop {
        let read = screen.read(&mut buffer).unwrap_or(0);
        if read == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
        if text.contains("in trouble")
            && let Some(key) = keys.next()
        {
            // It may have ended already.
            let _ = press.write_all(key.to_string().as_bytes());
        }
        shown += &text;
    }
    (script.wait().unwrap().success(), shown)
}

#[test]
fn watch_fits_its_window_and_ends_at_a_key() {
    let (server, nobody) = (Fake::serving(1), Nobody::new());
    let mut list = vec![server.address(); 9];
    list.push(nobody.address());
    for quit in ["q", "\x03"] {
        let (good, shown) = watched(&list.join(","), &format!("h {quit}"));
        assert!(good, "{shown}");
        assert!(
            shown.contains("10 servers, 1 in trouble  every 50ms  q quits"),
            "{shown}"
        );
        assert!(shown.contains("q: quit   s: sort"), "{shown}");
        assert!(shown.contains("more: the window is too small"), "{shown}");
        // A page has at most five lines, and the server in trouble is the first of the servers.
        let pages: Vec<&str> = shown.split("\x1b[?7l").skip(1).collect();
        for page in pages {
            let page = page.split("\x1b[?7h").next().unwrap();
            assert!(page.matches('\n').count() <= 5, "{page:?}");
            assert!(page.contains("unreachable"), "{page:?}");
        }
        // The terminal is as it was.
        assert!(
            shown.contains(" icanon") && shown.contains(" echo "),
            "{shown}"
        );
    }
}

#[test]
fn help_is_a_command_too() {
    assert_eq!(run(&["help"]).good(), run(&["--help"]).good());
    assert_eq!(
        run(&["help", "next"]).good(),
        run(&["next", "--help"]).good()
    );
}

#[test]
fn the_exit_codes_stand_in_one_table() {
    let help = run(&["--help"]).good();
    let page = fs::read_to_string(programs::repository().join("docs/operations.md")).unwrap();
    for (code, meaning) in ipseity_cli::EXIT_CODES {
        assert!(
            help.contains(&format!("\n    {code}  {meaning}\n")),
            "{help}"
        );
        assert!(
            page.contains(&format!("\n| {code} | {meaning} |\n")),
            "{code}: {meaning}"
        );
    }
}

/// The examples of each help, in their order, as somebody would paste them.
#[test]
fn the_examples_of_the_help_work() {
    let server = Server::start(&["--pid", "1"]);
    let etcd = Etcd::start();
    let folder = TempDir::new().unwrap();
    // One of them moves the pid of this directory.
    let directory = folder.path().join("ipseity-data");
    fs::create_dir(&directory).unwrap();
    let directory = directory.join("7");
    let flags = ["--pid", "7", "--data-dir", directory.to_str().unwrap()];
    Server::start_with(&["--listen", "127.0.0.1:0"], &flags).stop();
    let programs = programs::ipseity_cli();
    let path = format!(
        "{}:{}",
        programs.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    for command in ipseity_cli::COMMANDS {
        assert!(!command.examples.is_empty(), "{}", command.name);
        for (line, purpose) in command.examples {
            let line = &line.replace("etcd://127.0.0.1", &etcd.target());
            let output = Command::new("bash")
                .args(["-o", "pipefail", "-c", line])
                .current_dir(folder.path())
                .env("PATH", &path)
                .env("IPSEITY_SERVER", server.address())
                .stdin(Stdio::null())
                .output()
                .unwrap();
            assert!(output.status.success(), "{line} # {purpose}: {output:?}");
            assert!(!output.stdout.is_empty(), "{line}");
        }
    }
}
