//! Commands that ask several servers ask all of them at once, and show them in the order of the command line.

use std::{
    sync::{Arc, Barrier},
    time::Duration,
};

use ipseity_harness::{
    fake::{Fake, Step},
    program::run,
};

const SERVERS: u16 = 4;

/// Longer than any machine takes to ask a few servers at once. Only a command that asks them one after the other waits
/// so long.
const TIMEOUT: &str = "20s";

fn servers() -> Vec<Fake> {
    let servers: Vec<Fake> = (1..=SERVERS).map(Fake::serving).collect();
    for server in &servers {
        server.set_members([9]);
    }
    servers
}

fn list(servers: &[Fake]) -> String {
    let list: Vec<String> = servers.iter().map(Fake::address).collect();
    list.join(",")
}

/// The order in which the servers are first named in an output.
fn order(servers: &[Fake], out: &str) -> Vec<usize> {
    let mut order: Vec<usize> = (0..servers.len()).collect();
    order.sort_by_key(|index| out.find(&servers[*index].address()));
    order
}

const COMMANDS: [&[&str]; 8] = [
    &["status"],
    &["status", "--json"],
    &["status", "--check"],
    &["members"],
    &["members", "--json"],
    &["members", "--forget", "9"],
    &["ping"],
    &["watch", "-n", "1", "--interval", "20s"],
];

#[test]
fn all_servers_are_asked_before_the_first_has_answered() {
    for command in COMMANDS {
        let servers = servers();
        let all_are_asked = Arc::new(Barrier::new(servers.len()));
        for server in &servers {
            server.script([Step::ServeTogether(all_are_asked.clone())]);
        }
        let list = list(&servers);
        let out = run(&[command, &["--timeout", TIMEOUT, "-s", &list]].concat()).good();
        assert_eq!(order(&servers, &out), [0, 1, 2, 3], "{command:?}: {out}");
        for server in &servers {
            assert!(out.contains(&server.address()), "{command:?}: {out}");
        }
    }
}

#[test]
fn the_order_is_that_of_the_command_line_whoever_answers_first() {
    for command in COMMANDS {
        let servers = servers();
        for (server, after) in servers.iter().zip([300, 200, 100, 0]) {
            server.script([Step::ServeAfter(Duration::from_millis(after))]);
        }
        let list = list(&servers);
        let out = run(&[command, &["--timeout", TIMEOUT, "-s", &list]].concat()).good();
        assert_eq!(order(&servers, &out), [0, 1, 2, 3], "{command:?}: {out}");
    }
}

#[test]
fn each_round_of_pings_has_a_line_for_each_server_and_the_summaries_come_last() {
    let servers = servers();
    let addresses: Vec<String> = servers.iter().map(Fake::address).collect();
    let out = run(&["ping", "-n", "2", "-s", &list(&servers)]).good();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 3 * addresses.len(), "{out}");
    for (index, line) in lines.iter().enumerate() {
        let address = &addresses[index % addresses.len()];
        assert!(line.starts_with(&format!("{address}: ")), "{out}");
        let is_summary = line.contains("2 round trips");
        assert_eq!(is_summary, index >= 2 * addresses.len(), "{out}");
    }
}

#[test]
fn a_server_whose_ping_fails_is_not_asked_again_and_the_others_are() {
    let servers = servers();
    // A connection that was in use is made again once.
    servers[1].script([Step::Serve, Step::Last(Vec::new()), Step::Last(vec![0])]);
    let run = run(&["ping", "-n", "4", "-s", &list(&servers[..2])]);
    let says = format!("{}: the server closed", servers[1].address());
    assert!(run.bad(1).starts_with(&says), "{run:?}");
    assert_eq!(servers[0].requests().len(), 4);
    assert_eq!(servers[1].requests().len(), 3);
    let of = |server: &Fake| run.out.matches(&format!("{}: ", server.address())).count();
    assert_eq!((of(&servers[0]), of(&servers[1])), (4 + 1, 1), "{run:?}");
}
