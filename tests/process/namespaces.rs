//! Real servers, each on its own host (a network namespace), real clients on other hosts, and a nemesis: one-way drops,
//! partitions, loss, resets, slow cables, pauses, kills, stops. This tests what a simulation cannot: the kernel's TCP,
//! real processes, real sockets.
//!
//! In the end everything is healed. Then the counters must become equal, every server must serve, and everything that
//! any client received is checked. A run fails if it served too little, or if a kind of fault affected nothing.
//!
//! The ordinary run has one round of all faults. The long one has 80, takes ten minutes, and is run with
//!
//! ```text
//! cargo test --test process namespaces -- --ignored --nocapture
//! ```
//!
//! `IPSEITY_ROUNDS=...` sets another number of rounds, and `IPSEITY_SERVERS=...` another number of servers than 3.
//! Both runs print their seed. `IPSEITY_SEED=...` draws the same faults again; what they affect depends on the machine.
//!
//! The test needs root, or a machine that lets other users make namespaces. Otherwise it is skipped, and says so.

#![allow(
    clippy::disallowed_macros,
    reason = "tests print, and one that cannot may fail"
)]
#![cfg(target_os = "linux")]

use std::{env, net::SocketAddr, thread};

use fastrand::Rng;
use ipseity_core::words::{Message, Standing};
use ipseity_harness::clients::{
    Between, EndOfLoad, Load, agree, carry_between, meet, stay_with_one, take_whoever_answers,
};
use ipseity_harness::hosts::{Network, cage};
use ipseity_harness::nemesis::{FaultKind, Journal, Nemesis};
use ipseity_harness::server::Server;
use ipseity_sim::checker::report::RunReport;
use tempfile::TempDir;

/// Hosts with clients. With two of them a partition can put clients on either side.
const CLIENT_HOSTS: usize = 2;

/// Answers that must have come for each round. With fewer the run has shown nothing. A quiet machine gives about thirty
/// times as many.
const ANSWERS_PER_ROUND_MIN: usize = 1000;

#[test]
fn one_round_of_faults_breaks_no_promise() {
    cage::run("namespaces::one_round_of_faults_breaks_no_promise", || {
        run(1)
    });
}

#[test]
#[ignore = "takes ten minutes: cargo test --test process namespaces -- --ignored --nocapture"]
fn many_rounds_of_faults_break_no_promise() {
    let rounds = number("IPSEITY_ROUNDS").map_or(80, |rounds| rounds as usize);
    cage::run("namespaces::many_rounds_of_faults_break_no_promise", || {
        run(rounds)
    });
}

/// The number in a variable of the environment.
pub(super) fn number(variable: &str) -> Option<u64> {
    Some(env::var(variable).ok()?.parse().unwrap())
}

fn run(rounds: usize) {
    let seed = number("IPSEITY_SEED").unwrap_or_else(|| fastrand::u64(..));
    let servers = number("IPSEITY_SERVERS").map_or(3, |servers| servers as usize);
    assert!(
        (2..=64).contains(&servers),
        "IPSEITY_SERVERS={servers}: a nemesis comes between 2 to 64 servers"
    );
    let hosts = servers + CLIENT_HOSTS;
    let network = match Network::new(hosts) {
        Ok(network) => network,
        Err(error) => {
            eprintln!("SKIPPED: no network of namespaces can be made here: {error}");
            return;
        }
    };
    // Shown when the test fails.
    println!("IPSEITY_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let journal = Journal::begin();
    let directory = TempDir::new_in("/run").unwrap();
    let mut servers: Vec<Server> = (0..servers)
        .map(|host| start(host, servers, &directory))
        .collect();
    // A server that has never heard of a peer asks for one at each start, and lets clients wait meanwhile. With the
    // nemesis at work, a short run would consist of nothing else.
    for server in &servers {
        server.wait_for_status("every peer", |status| {
            status.peers.iter().all(|peer| peer.pid.is_some())
        });
        assert!(matches!(server.ask(1, 0), Message::IdentityReply { .. }));
    }
    let addresses: Vec<SocketAddr> = servers.iter().map(Server::socket_address).collect();
    let load = Load::over(Between::FaultyNetwork);
    let deeds = thread::scope(|scope| {
        let end = EndOfLoad(&load);
        let (load, addresses) = (&load, &addresses);
        let mut client = 0;
        for host in servers.len()..hosts {
            let mut spawn = |what: fn(&Load, u32, &[SocketAddr], Rng)| {
                client += 1;
                let (client, rng) = (client, rng.fork());
                scope.spawn(move || {
                    ipseity_harness::hosts::enter(host);
                    what(load, client, addresses, rng);
                });
            };
            spawn(take_whoever_answers);
            spawn(carry_between);
            for (index, address) in addresses.iter().enumerate() {
                client += 1;
                let (client, rng) = (client, rng.fork());
                scope.spawn(move || {
                    ipseity_harness::hosts::enter(host);
                    stay_with_one(load, client, index as u16 + 1, *address, rng);
                });
            }
        }
        let deeds = Nemesis::new(network, &mut servers, hosts, rng, &journal).rage(rounds);
        agree(&servers);
        drop(end);
        deeds
    });
    let met_at = meet(&servers);
    for (server, pid) in servers.iter().zip(1..) {
        // One that was ended at last may still ask its peers.
        server.wait_for_status("an end of its start", |status| {
            status.standing == Standing::Serving
        });
        match server.ask(1, 0) {
            Message::IdentityReply { first, .. } => assert_eq!(first & 1023, pid),
            other => panic!("it does not serve: {other:?}\n{}", server.log()),
        }
    }
    let (history, tally) = load.results();
    let report = RunReport::on(&history, tally);
    println!("{deeds}{report}");
    assert!(report.is_valid(), "the promises were not kept");
    assert!(
        report.range.unwrap().1 >> 10 <= met_at,
        "they met at {met_at}, below what one of them has handed out"
    );
    for (kind, applied) in &deeds.0 {
        assert!(
            applied.times >= rounds as u64 && applied.met >= applied.times,
            "{kind:?} was no fault of this run"
        );
    }
    let summary = report.verdict.unwrap();
    assert_eq!(summary.servers.len(), servers.len());
    let answers = summary.servers.values().sum::<usize>();
    assert!(
        answers >= rounds * ANSWERS_PER_ROUND_MIN,
        "they served too little: {answers}"
    );
    // A short run may be over soon after the faults of one server are.
    for (pid, answers) in &summary.servers {
        assert!(*answers >= rounds, "pid {pid} served too little: {answers}");
    }
    let deaths = deeds.times(&[FaultKind::Kill, FaultKind::Stop]) as usize;
    assert!(
        summary.lives >= deaths / 2,
        "too few lives have served anybody, after {deaths} deaths"
    );
    assert!(
        report.answers_after >= rounds * ANSWERS_PER_ROUND_MIN / 4,
        "too few answers that were asked to be after an identity"
    );
}

/// The server of a host. It names the servers of all other hosts, and trusts the clients: whoever is not trusted is not
/// shown the boot, by which they tell its lives apart.
fn start(host: usize, servers: usize, directory: &TempDir) -> Server {
    let pid = (host + 1).to_string();
    let data_dir = directory.path().join(&pid);
    let peers: Vec<String> = (0..servers)
        .filter(|other| *other != host)
        .map(|other| ipseity_harness::hosts::socket_address(other).to_string())
        .collect();
    let mut flags = vec!["--pid", &pid, "--data-dir", data_dir.to_str().unwrap()];
    flags.extend(["--sync-interval", "50ms"]);
    flags.extend(peers.iter().flat_map(|peer| ["--peer", peer]));
    let clients: Vec<String> = (servers..servers + CLIENT_HOSTS)
        .map(|client| {
            ipseity_harness::hosts::socket_address(client)
                .ip()
                .to_string()
        })
        .collect();
    flags.extend(clients.iter().flat_map(|client| ["--trust", client]));
    let listen = ipseity_harness::hosts::socket_address(host).to_string();
    Server::start_under(
        &ipseity_harness::hosts::runner(host),
        &["--listen", &listen],
        &flags,
    )
    .unwrap_or_else(|refusal| panic!("it did not start:\n{}", refusal.log))
}
