//! Servers that are given by name. Each test runs in namespaces of its own, where it decides what a name means, and
//! which leave nothing behind.

#![cfg(target_os = "linux")]

use std::{
    fs,
    net::{Ipv6Addr, SocketAddr, UdpSocket},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use ipseity_harness::{
    command::run,
    fake::Fake,
    hosts::cage,
    program::{Run, command},
    silent::Silent,
};

/// For all that must not take as long as a name server or an address that never answers. It is far longer than a busy
/// machine needs.
const SOON: Duration = Duration::from_secs(40);

/// The resolver of the system waits for as long as it can be told to: five times half a minute.
const PATIENT: &str = "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n";

/// Makes the files of this machine that say what names mean into these, for this test only.
fn resolver(hosts: &str, resolv: &str) {
    let loopback = ["link", "set", "lo", "up"];
    run(Command::new("ip").args(loopback)).unwrap();
    let order = "hosts: files dns\n";
    for (file, text) in [
        ("hosts", hosts),
        ("resolv.conf", resolv),
        ("nsswitch.conf", order),
    ] {
        // The cage has a /run of its own.
        let (mine, real) = (format!("/run/{file}"), format!("/etc/{file}"));
        fs::write(&mine, text).unwrap();
        let mount = ["--bind", &mine, &real];
        run(Command::new("mount").args(mount)).unwrap();
    }
}

/// A name server that never answers.
fn silent_name_server() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:53").unwrap()
}

/// Runs the program, and ends it if that takes long.
fn run_soon(arguments: &[&str]) -> Run {
    let mut child = command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > SOON {
            child.kill().unwrap();
            panic!("{arguments:?} takes longer than {SOON:?}");
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap().into()
}

fn port_of(server: &Fake) -> u16 {
    let address: SocketAddr = server.address().parse().unwrap();
    address.port()
}

#[test]
fn a_lookup_is_part_of_the_time_for_a_connection() {
    cage::run(
        "names::a_lookup_is_part_of_the_time_for_a_connection",
        || {
            resolver("127.0.0.1 localhost\n", PATIENT);
            let _name_server = silent_name_server();
            let server = Fake::serving(1);
            let name = format!("ids.case:{}", port_of(&server));
            // Enough for a server that answers, and little against what the resolver takes.
            let quick = ["--timeout", "2s", "-s"];
            let alone = run_soon(&[&quick[..], &[&name, "next"]].concat());
            assert_eq!(
                alone.bad(1),
                format!(
                    "{name}: the name could not be looked up within 2s (do the name servers answer? \
                     --timeout gives them more time, and --server takes IP addresses too)"
                )
            );
            let list = format!("{name},{}", server.address());
            let next = run_soon(&[&quick[..], &[&list, "next"]].concat());
            assert_eq!(next.good(), "1025\n");

            // The second lookup of a command waits for the first, which still hangs.
            let watch = ["watch", "-n", "2", "--interval", "10ms"];
            let seen = run_soon(&[&watch[..], &quick, &[&list]].concat()).good();
            assert_eq!(seen.matches("could not be looked up").count(), 2, "{seen}");
            assert_eq!(seen.matches("serving").count(), 2, "{seen}");

            let bench = run_soon(&[&quick[..], &[&name, "bench", "-n", "1"]].concat());
            assert!(bench.bad(1).contains("could not be looked up"), "{bench:?}");
        },
    );
}

#[test]
fn names_that_hang_cost_one_timeout_and_not_one_each() {
    cage::run(
        "names::names_that_hang_cost_one_timeout_and_not_one_each",
        || {
            resolver("127.0.0.1 localhost\n", PATIENT);
            let _name_server = silent_name_server();
            let server = Fake::serving(1);
            // One after the other they would take three times as long as is allowed here.
            let names: Vec<String> = (0..30).map(|index| format!("n{index}.case:1")).collect();
            let list = format!("{},{}", names.join(","), server.address());
            let run = run_soon(&["status", "--check", "--timeout", "4s", "-s", &list]);
            assert_eq!(run.code, Some(1), "{run:?}");
            let mut lines = run.out.lines();
            for name in &names {
                let says = "unreachable, the name could not be looked up within 4s";
                assert_eq!(lines.next(), Some(&*format!("{name}: {says}")));
            }
            let serving = format!("{}: serving, pid 1, sequence 0", server.address());
            assert_eq!(lines.next(), Some(&*serving));
        },
    );
}

#[test]
fn a_silent_first_address_does_not_use_up_the_time() {
    cage::run(
        "names::a_silent_first_address_does_not_use_up_the_time",
        || {
            resolver(
                "127.0.0.1 localhost\n::1 two.case\n127.0.0.1 two.case\n",
                PATIENT,
            );
            let server = Fake::serving(1);
            let port = port_of(&server);
            let silent = Silent::at((Ipv6Addr::LOCALHOST, port).into());
            let name = format!("two.case:{port}");
            // With the time shared equally, the silent one would have half an hour.
            let patient = ["--timeout", "1h", "-s", &name];
            assert_eq!(
                run_soon(&[&patient[..], &["next"]].concat()).good(),
                "1025\n"
            );
            let shown = run_soon(&[&patient[..], &["status"]].concat()).good();
            assert!(
                shown.starts_with(&format!("server       {name}\n")),
                "{shown}"
            );
            let bench = [&patient[..], &["bench", "-n", "10", "-c", "3"]].concat();
            run_soon(&bench).good();

            // If none accepts, each of them is named.
            drop(server);
            let run = run_soon(&["--timeout", "1s", "-s", &name, "next"]);
            let error = run.bad(1);
            let begins = format!("{name}: cannot connect to {}: ", silent.socket_address());
            assert!(error.starts_with(&begins), "{error}");
            let other = format!(", or to 127.0.0.1:{port}: ");
            assert!(error.contains(&other), "{error}");
        },
    );
}
