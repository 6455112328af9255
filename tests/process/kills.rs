//! Three servers under load are killed, stopped, paused and started again at random. No two clients receive the same
//! identity, the identities of each server increase over all its lives, and at the end the counters agree.
//!
//! The ordinary run has 20 kills. The long one has 250, takes half a minute and is run with
//!
//! ```text
//! cargo test --test process kills -- --ignored --nocapture
//! ```
//!
//! Both print their seed. `IPSEITY_SEED=... cargo test --test process kills` makes the same choices again, and
//! `IPSEITY_KILLS=...` sets how many kills the long run has.

use std::{env, net::SocketAddr, thread, time::Duration};

use fastrand::Rng;
use ipseity_core::words::Status;
use ipseity_harness::clients::{
    Between, EndOfLoad, Load, agree, meet, pause, stay_with_one, take_whoever_answers,
};
use ipseity_harness::server::Server;
use ipseity_sim::{
    checker::report::RunReport,
    pki::{Leaf, Pki},
};

/// Answers that must have come for each kill. With fewer the run has shown nothing.
const ANSWERS_PER_KILL_MIN: usize = 50;

/// How many sequences one kill may cost: a step for what these servers hand out, and a step for raises by peers.
const SKIPPED_PER_KILL_MAX: u64 = 1 << 25;

#[test]
fn twenty_kills_under_load_repeat_nothing() {
    run(20, &[]);
}

/// The servers trust only each other's certificates. Clients on the same machine still ask without TLS.
#[test]
fn twenty_kills_of_servers_that_speak_tls_repeat_nothing() {
    let pki = Pki::new("CA");
    let files = pki.files(&Leaf::peer("all", &["127.0.0.1"]), true, true);
    let flags = [
        ("--tls-cert", Some(files.certificate)),
        ("--tls-key", Some(files.key)),
        ("--tls-client-ca", files.client_ca),
        ("--tls-peer-ca", files.peer_ca),
    ];
    let flags = flags.map(|(flag, file)| [flag.to_owned(), file.unwrap().display().to_string()]);
    let mut flags: Vec<&str> = flags.as_flattened().iter().map(String::as_str).collect();
    // Loopback makes nobody a peer, so only the certificate does.
    flags.extend(["--trust-loopback", "no"]);
    run(20, &flags);
}

#[test]
#[ignore = "takes half a minute: cargo test --test process kills -- --ignored --nocapture"]
fn hundreds_of_kills_under_load_repeat_nothing() {
    run(
        number("IPSEITY_KILLS").map_or(250, |kills| kills as usize),
        &[],
    );
}

fn number(variable: &str) -> Option<u64> {
    Some(env::var(variable).ok()?.parse().unwrap())
}

fn run(kills: usize, flags: &[&str]) {
    let seed = number("IPSEITY_SEED").unwrap_or_else(|| fastrand::u64(..));
    // Shown when the test fails.
    println!("IPSEITY_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let flags = [&["--sync-interval", "10ms"], flags].concat();
    let mut servers = Server::cluster(3, &flags);
    let addresses: Vec<SocketAddr> = servers.iter().map(Server::socket_address).collect();
    let load = Load::over(Between::SoundNetwork);
    let deaths = thread::scope(|scope| {
        let end = EndOfLoad(&load);
        let (load, addresses) = (&load, &addresses);
        let mut clients = 0;
        let mut rng_of_client = || {
            clients += 1;
            (clients, rng.fork())
        };
        for (index, address) in addresses.iter().enumerate() {
            for _ in 0..2 {
                let (client, rng) = rng_of_client();
                scope.spawn(move || stay_with_one(load, client, index as u16 + 1, *address, rng));
            }
        }
        for _ in 0..3 {
            let (client, rng) = rng_of_client();
            scope.spawn(move || take_whoever_answers(load, client, addresses, rng));
        }
        let deaths = rain(&mut servers, kills, rng);
        agree(&servers);
        drop(end);
        deaths
    });
    let met_at = meet(&servers);
    let (history, tally) = load.results();
    let report = RunReport::on(&history, tally);
    println!("{deaths:?}\n{report}");
    assert!(report.is_valid());
    let summary = report.verdict.unwrap();
    assert!(
        summary.answers >= kills * ANSWERS_PER_KILL_MIN,
        "too few: {summary:?}"
    );
    assert!(
        summary.lives >= kills / 2,
        "too few lives answered: {summary:?}"
    );
    assert_eq!(summary.servers.len(), 3, "{summary:?}");
    let highest = report.range.unwrap().1 >> 10;
    assert!(highest <= met_at, "{highest} {met_at}");
    let skipped = met_at.saturating_sub(report.identities);
    assert!(
        skipped <= kills as u64 * SKIPPED_PER_KILL_MAX,
        "{skipped} sequences were skipped"
    );
}

/// What was done to the servers.
#[derive(Debug, Default)]
struct Deaths {
    kills: usize,
    /// How many of those killed a server that may not have been ready yet.
    in_vain: usize,
    stops: usize,
    /// For how many of those the disk was too slow.
    slow_stops: usize,
    pauses: usize,
}

/// Kills, stops and pauses servers until there were this many kills, and leaves all of them running.
fn rain(servers: &mut [Server], kills: usize, mut rng: Rng) -> Deaths {
    let mut done = Deaths::default();
    let mut is_down = vec![false; servers.len()];
    while done.kills < kills {
        let victim = rng.usize(..servers.len());
        let server = &mut servers[victim];
        match rng.u32(..10) {
            0..2 if is_down[victim] => {
                server.start_in_vain(Duration::from_micros(rng.u64(..20_000)));
                done.kills += 1;
                done.in_vain += 1;
            }
            _ if is_down[victim] => {
                server.restart();
                is_down[victim] = false;
            }
            0..6 => {
                if rng.bool() {
                    // A slow machine would otherwise see mostly servers that have not come to hand out anything.
                    let has_served = |status: &Status| status.counters.identities > 0;
                    server.wait_for_status("has handed out", has_served);
                }
                if rng.u32(..4) == 0 {
                    // Killed while it is paused, with requests that it has not read.
                    server.signal("STOP");
                    pause(&mut rng, 20);
                }
                server.kill();
                done.kills += 1;
                is_down[victim] = true;
            }
            6..8 => {
                // Others on the machine may keep the disk busy for longer than a stop waits for it.
                let is_clean = server.stop_unless_disk_is_slow();
                done.stops += 1;
                done.slow_stops += usize::from(!is_clean);
                is_down[victim] = true;
            }
            _ => {
                server.signal("STOP");
                pause(&mut rng, 60);
                server.signal("CONT");
                done.pauses += 1;
            }
        }
        if is_down[victim] && rng.u32(..3) > 0 {
            // At once, as a supervisor would.
            servers[victim].restart();
            is_down[victim] = false;
        }
        pause(&mut rng, 80);
    }
    for (server, is_down) in servers.iter_mut().zip(is_down) {
        if is_down {
            server.restart();
        }
    }
    done
}
