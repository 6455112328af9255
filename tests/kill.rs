//! Three servers under load that are killed, stopped, paused and started again at random: every identity that
//! any client received is there once, every server increases over all its lives, and at the end the counters
//! agree.
//!
//! The ordinary run has 20 kills. The long one has 250, takes half a minute and is run with
//!
//! ```text
//! cargo test --test kill -- --ignored --nocapture
//! ```
//!
//! Both print their seed. `IPSEITY_SEED=... cargo test --test kill` makes the same choices again, and
//! `IPSEITY_KILLS=...` sets how many kills the long run has.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a panic is the report, and how long a faulty run may take is bounded by the clock"
)]

mod checker;
mod server;

use std::{
    collections::BTreeMap,
    env,
    io::Write as _,
    net::{SocketAddr, TcpStream},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use checker::{Answer, Clock, check};
use fastrand::Rng;
use ipseity::{
    client::{Client, ClientError, ClientOptions},
    identity::Identity,
    wire::{Message, encode},
};
use server::{Connection, Server, eventually};

/// Answers that must have come for each kill: fewer, and the run has shown nothing.
const ANSWERS_PER_KILL_MIN: usize = 50;

#[test]
fn twenty_kills_under_load_repeat_nothing() {
    run(20);
}

#[test]
#[ignore = "takes half a minute: cargo test --test kill -- --ignored --nocapture"]
fn hundreds_of_kills_under_load_repeat_nothing() {
    run(number("IPSEITY_KILLS").map_or(250, |kills| kills as usize));
}

fn number(variable: &str) -> Option<u64> {
    Some(env::var(variable).ok()?.parse().unwrap())
}

/// What all threads of a run share.
#[derive(Default)]
struct Run {
    clock: Clock,
    history: Mutex<Vec<Answer>>,
    is_over: AtomicBool,
}

impl Run {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }
}

/// Ends the load, also when the chaos panics: the threads are waited for.
struct EndOfLoad<'a>(&'a Run);

impl Drop for EndOfLoad<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

fn run(kills: usize) {
    let seed = number("IPSEITY_SEED").unwrap_or_else(|| fastrand::u64(..));
    // Shown when the test fails.
    println!("IPSEITY_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let mut servers = Server::cluster(3, &["--sync-interval", "10ms"]);
    let addresses: Vec<SocketAddr> = servers.iter().map(Server::socket_address).collect();
    let run = Run::default();
    let deaths = thread::scope(|scope| {
        let end = EndOfLoad(&run);
        let mut clients = 0;
        let mut rng_of_client = || {
            clients += 1;
            (clients, rng.fork())
        };
        for (index, address) in addresses.iter().enumerate() {
            for _ in 0..2 {
                let (client, rng) = rng_of_client();
                let run = &run;
                scope.spawn(move || stay_with_one(run, client, index as u16 + 1, *address, rng));
            }
        }
        for _ in 0..3 {
            let (client, rng) = rng_of_client();
            let (run, addresses) = (&run, &addresses);
            scope.spawn(move || take_whoever_answers(run, client, addresses, rng));
        }
        let deaths = rain(&mut servers, kills, rng);
        agree(&servers);
        drop(end);
        deaths
    });
    let mut sequences = Vec::new();
    let agreed = eventually(|| {
        sequences = servers
            .iter()
            .map(|server| server.status().sequence)
            .collect();
        sequences.iter().all(|sequence| *sequence == sequences[0])
    });
    assert!(
        agreed,
        "nobody asks any more, and they do not agree: {sequences:?}"
    );
    let history = run.history.into_inner().unwrap();
    let summary = check(&history).unwrap_or_else(|fault| panic!("{fault}"));
    println!("{deaths:?}\n{summary:?}");
    assert!(
        summary.answers >= kills * ANSWERS_PER_KILL_MIN,
        "too few: {summary:?}"
    );
    assert!(
        summary.lives >= kills / 2,
        "too few lives answered: {summary:?}"
    );
    assert_eq!(summary.servers.len(), 3, "{summary:?}");
    let highest = history.iter().map(|answer| answer.first >> 10).max();
    assert!(highest <= Some(sequences[0]), "{highest:?} {sequences:?}");
}

/// What was done to the servers.
#[derive(Debug, Default)]
struct Deaths {
    kills: usize,
    /// Of those, kills of a server that may not have been ready yet.
    in_vain: usize,
    stops: usize,
    pauses: usize,
}

/// Kills, stops and pauses servers until there were so many kills, and leaves all of them running.
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
                if rng.u32(..4) == 0 {
                    // Killed while it holds still, with requests that it has not read.
                    server.signal("STOP");
                    pause(&mut rng, 20);
                }
                server.kill();
                done.kills += 1;
                is_down[victim] = true;
            }
            6..8 => {
                assert_eq!(server.stop(), 0, "{}", server.log());
                done.stops += 1;
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

/// Lets the load go on for some milliseconds: how long is chance, nothing is waited for.
fn pause(rng: &mut Rng, most_ms: u64) {
    thread::sleep(Duration::from_millis(rng.u64(1..=most_ms)));
}

/// Under load counters meet only for moments. The promise is one interval and a round trip: what was the
/// highest is passed by all.
fn agree(servers: &[Server]) {
    for _ in 0..3 {
        let sequences = servers.iter().map(|server| server.status().sequence);
        let highest = sequences.max().unwrap();
        for server in servers {
            server.wait_for_status("what the others have", |status| status.sequence >= highest);
        }
    }
}

/// A client that knows one server, notices each life of it, and pipelines.
fn stay_with_one(run: &Run, client: u32, server: u16, address: SocketAddr, mut rng: Rng) {
    let mut answers = Vec::new();
    let mut newest = 0;
    while run.goes_on() {
        // Refused while it is down, and reset when it dies.
        if let Ok(stream) = TcpStream::connect(address) {
            let mut connection = Connection::new(stream);
            let life = match exchange(&mut connection, &[Message::StatusRequest]).pop() {
                Some(Message::StatusReply(status)) => status.boot,
                _ => continue,
            };
            while run.goes_on() {
                let after = if rng.bool() { newest } else { 0 };
                let requests: Vec<Message> = (0..rng.usize(1..5))
                    .map(|_| {
                        let count = rng.u32(1..200);
                        Message::IdentityRequest { count, after }
                    })
                    .collect();
                let begun = run.clock.tick();
                let replies = exchange(&mut connection, &requests);
                let ended = run.clock.tick();
                for reply in &replies {
                    let &Message::IdentityReply { first, count } = reply else {
                        // It is stopping.
                        continue;
                    };
                    answers.push(Answer {
                        server,
                        life: Some(life),
                        client,
                        begun,
                        ended,
                        after,
                        first,
                        count,
                    });
                    let last = first + 1024 * u64::from(count - 1);
                    assert!(last > newest, "replies come in the order of their requests");
                    newest = last;
                }
                if replies.len() < requests.len() {
                    break;
                }
                pause(&mut rng, 2);
            }
        }
        pause(&mut rng, 5);
    }
    run.history.lock().unwrap().extend(answers);
}

/// The replies that came before the connection ended.
fn exchange(connection: &mut Connection, requests: &[Message]) -> Vec<Message> {
    let mut bytes = Vec::new();
    for request in requests {
        encode(request, &mut bytes);
    }
    // A server that is gone is noticed below, after what it had answered.
    let _ = connection.stream().write_all(&bytes);
    let mut replies = Vec::new();
    while replies.len() < requests.len()
        && let Some(reply) = connection.try_receive()
    {
        replies.push(reply);
    }
    replies
}

/// A client that fails over and carries its newest identity as `after`.
fn take_whoever_answers(run: &Run, client: u32, addresses: &[SocketAddr], mut rng: Rng) {
    let pids: BTreeMap<String, u16> = addresses
        .iter()
        .map(SocketAddr::to_string)
        .zip(1..)
        .collect();
    let mut order: Vec<String> = pids.keys().cloned().collect();
    rng.shuffle(&mut order);
    let options = ClientOptions {
        connect_timeout: Duration::from_secs(1),
        // A server that is paused is left for the next.
        reply_timeout: Duration::from_millis(30),
    };
    let mut session = Client::with_options(&order, options).unwrap();
    let mut answers = Vec::new();
    while run.goes_on() {
        let after = session.newest().map_or(0, Identity::get);
        let begun = run.clock.tick();
        match session.block(rng.u32(1..200)) {
            Ok(block) => answers.push(Answer {
                server: pids[&session.server().to_string()],
                life: None,
                client,
                begun,
                ended: run.clock.tick(),
                after,
                first: block.first().get(),
                count: block.count(),
            }),
            // All of them are down or paused at once.
            Err(ClientError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
        pause(&mut rng, 2);
    }
    run.history.lock().unwrap().extend(answers);
}
