//! Operators who make mistakes: they start a copy of the directory of a server, put an old directory back, and mistype
//! a pid. Five real servers with `--join majority`, each on its own host (a network namespace), a spare host for the
//! servers that should not be there, and real clients that ask all of them.
//!
//! Clients note which life gave them each identity. Nothing may be given twice, and nothing by a life that had to be
//! refused. A server that has done nothing wrong goes on with the same life. There is one exemption: an original that
//! is paused, or cut off from all that accept its copy. What it hands out then is judged apart.
//!
//! The ordinary run does each of these things once, in any order. The long one has 20 such rounds, takes four minutes,
//! and is run with
//!
//! ```text
//! cargo test --test process operators -- --ignored --nocapture
//! ```
//!
//! `IPSEITY_ROUNDS=...`, divided by four, is another number of rounds. Both runs print their seed, and `IPSEITY_SEED=...`
//! draws the same deeds again.
//!
//! The test needs what that of [`namespaces`](super::namespaces) needs. Otherwise it is skipped, and says so.

#![cfg(target_os = "linux")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use fastrand::Rng;
use ipseity_core::words::{ErrorCode, Message, Standing, Status};
use ipseity_frames::encode;
use ipseity_harness::{
    clients::pause,
    hosts::{self, Network, Treatment, cage},
    server::{Connection, Refusal, Server, eventually},
};
use ipseity_sim::checker::{
    Answer, Clock,
    report::{RunReport, Tally},
};
use tempfile::TempDir;

use super::{guard::copy, namespaces::number};

/// Each needs three of the four others to start.
const SERVERS: usize = 5;

/// The host of copies and newcomers.
const SPARE: usize = SERVERS;

/// The hosts with clients.
const CLIENTS: [usize; 2] = [SPARE + 1, SPARE + 2];

/// How long a client waits for an answer before it connects again.
const CLIENT_PATIENCE: Duration = Duration::from_millis(400);

/// Answers that each server must have given for each round. With fewer the run has shown nothing. A quiet machine gives
/// about two hundred times as many.
const ANSWERS_PER_ROUND_MIN: usize = 10;

/// What operators do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    /// A copy of the directory of a server that runs is started.
    Copied,
    /// The same, while the server is cut off from some of the others.
    HalfCutAndCopied,
    /// A newcomer has the pid of a server that runs.
    Mistyped,
    /// A server comes back with its directory as it was some time before.
    RolledBack,
    /// The same, and it was started since then.
    RolledBackFurther,
    /// The same, and then the old directory was started more often than the newest one, while nobody could be asked.
    Forked,
    /// A server is killed and started again.
    Killed,
    /// The exemption: a copy is started while the original is paused.
    PausedAndCopied,
    /// The exemption: a copy is started while the original is cut off from all others. Clients still reach it.
    CutAndCopied,
}

/// The deeds of each round.
const ROUND: [Deed; 9] = [
    Deed::Copied,
    Deed::HalfCutAndCopied,
    Deed::Mistyped,
    Deed::RolledBack,
    Deed::RolledBackFurther,
    Deed::Forked,
    Deed::Killed,
    Deed::PausedAndCopied,
    Deed::CutAndCopied,
];

#[test]
fn one_mistake_of_each_kind_repeats_no_identity_and_stops_no_innocent_server() {
    cage::run(
        "operators::one_mistake_of_each_kind_repeats_no_identity_and_stops_no_innocent_server",
        || run(1),
    );
}

#[test]
#[ignore = "takes four minutes: cargo test --test process operators -- --ignored --nocapture"]
fn many_mistakes_repeat_no_identity_and_stop_no_innocent_server() {
    let rounds = number("IPSEITY_ROUNDS").map_or(20, |rounds| rounds.div_ceil(4) as usize);
    cage::run(
        "operators::many_mistakes_repeat_no_identity_and_stop_no_innocent_server",
        || run(rounds),
    );
}

/// One life of a pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Life {
    pid: u16,
    boot: u64,
    session: u64,
}

impl Life {
    /// Whoever asks is trusted.
    fn shown(status: &Status) -> Life {
        let marks = status.life().expect("it shows which life it is");
        Life {
            pid: status.pid.get(),
            boot: marks.boot,
            session: marks.session,
        }
    }
}

/// What clients have got.
#[derive(Debug, Default)]
struct Notes {
    answers: Vec<(Life, Answer)>,
    tally: Tally,
    /// The lives that have said that a peer objects to them.
    stopped: BTreeSet<Life>,
}

/// What all clients share.
#[derive(Debug, Default)]
struct Load {
    clock: Clock,
    is_over: AtomicBool,
    notes: Mutex<Notes>,
}

impl Load {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    /// Asks whoever is at this address until the load is over.
    fn take_from(&self, address: SocketAddr, client: u32, mut rng: Rng) {
        let mut notes = Notes::default();
        while self.goes_on() {
            if let Ok(stream) = TcpStream::connect_timeout(&address, CLIENT_PATIENCE) {
                self.take_over(Connection::new(stream), client, &mut rng, &mut notes);
            }
            pause(&mut rng, 10);
        }
        let mut all = self.notes.lock().unwrap();
        all.answers.extend(notes.answers);
        all.tally.add(notes.tally);
        all.stopped.extend(notes.stopped);
    }

    /// Asks over one connection until it ends. All its answers are of one life.
    fn take_over(&self, mut to: Connection, client: u32, rng: &mut Rng, notes: &mut Notes) {
        let patience = Some(CLIENT_PATIENCE);
        to.stream().set_read_timeout(patience).unwrap();
        let Some(Message::StatusReply(status)) = exchange(&mut to, &Message::StatusRequest) else {
            return;
        };
        let life = Life::shown(&status);
        while self.goes_on() {
            let (count, after) = (rng.u32(1..200), 0);
            let begun = self.clock.tick();
            let reply = exchange(&mut to, &Message::IdentityRequest { count, after });
            notes.tally.attempted += 1;
            match reply {
                Some(Message::IdentityReply { first, count }) => {
                    notes.tally.acknowledged += 1;
                    let answer = Answer {
                        server: life.pid,
                        life: Some(life.boot),
                        client,
                        begun,
                        ended: self.clock.tick(),
                        after,
                        first,
                        count,
                    };
                    notes.answers.push((life, answer));
                }
                Some(Message::ErrorReply(error)) => {
                    notes.tally.refused += 1;
                    match ErrorCode::from_u16(error.code) {
                        Some(ErrorCode::Stopping | ErrorCode::Joining) => {}
                        Some(ErrorCode::StaleState | ErrorCode::PidConflict) => {
                            notes.stopped.insert(life);
                        }
                        _ => panic!("{error:?}"),
                    }
                }
                None => {
                    notes.tally.unanswered += 1;
                    return;
                }
                Some(other) => panic!("{other:?}"),
            }
            pause(rng, 5);
        }
    }
}

/// The answer, if it comes in time.
fn exchange(connection: &mut Connection, request: &Message) -> Option<Message> {
    let mut bytes = Vec::new();
    encode(request, &mut bytes);
    // If the server is gone, that is noticed when the answer is read.
    let _ = connection.stream().write_all(&bytes);
    connection.receive_or_give_up()
}

/// Ends the load when it is dropped, also after a panic, because somebody waits for the threads.
struct EndOfLoad<'a>(&'a Load);

impl Drop for EndOfLoad<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

/// A life whose copy was accepted while it was paused or cut off. All that it handed out in this time is exempt.
#[derive(Clone, Copy, Debug)]
struct Exemption {
    life: Life,
    from: u64,
    to: u64,
}

/// The cluster, and what operators have done to it.
struct Operators<'a> {
    network: Network,
    directory: &'a Path,
    servers: Vec<Server>,
    /// The life of each server that serves.
    lives: Vec<Life>,
    /// All lives that may hand out identities.
    rightful: BTreeSet<Life>,
    exemptions: Vec<Exemption>,
    done: BTreeMap<Deed, usize>,
    /// Starts that handed out nothing.
    refused: usize,
    load: &'a Load,
    rng: Rng,
}

fn run(rounds: usize) {
    let network = match Network::new(CLIENTS[1] + 1) {
        Ok(network) => network,
        Err(error) => {
            eprintln!("SKIPPED: no network of namespaces can be made here: {error}");
            return;
        }
    };
    let seed = number("IPSEITY_SEED").unwrap_or_else(|| fastrand::u64(..));
    // Shown when the test fails.
    println!("IPSEITY_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let directory = TempDir::new_in("/run").unwrap();
    let load = Load::default();
    let mut operators = Operators::begin(network, directory.path(), &load, rng.fork());
    thread::scope(|scope| {
        let end = EndOfLoad(&load);
        let mut client = 0;
        for host in CLIENTS {
            for asked in 0..=SPARE {
                client += 1;
                let (load, rng) = (&load, rng.fork());
                scope.spawn(move || {
                    hosts::enter(host);
                    load.take_from(hosts::socket_address(asked), client, rng);
                });
            }
        }
        for round in 1..=rounds {
            operators.do_a_round();
            println!("round {round} of {rounds}");
        }
        drop(end);
    });
    operators.judge(rounds);
}

impl<'a> Operators<'a> {
    /// Starts the servers.
    fn begin(network: Network, directory: &'a Path, load: &'a Load, rng: Rng) -> Operators<'a> {
        let start = |host: usize| {
            let all: Vec<usize> = (0..SERVERS).filter(|other| *other != host).collect();
            start(host, host, &directory.join(pid_of(host)), &all)
                .unwrap_or_else(|refusal| panic!("it did not start:\n{}", refusal.log))
        };
        let mut operators = Operators {
            network,
            directory,
            servers: (0..SERVERS).map(start).collect(),
            lives: Vec::new(),
            rightful: BTreeSet::new(),
            exemptions: Vec::new(),
            done: BTreeMap::new(),
            refused: 0,
            load,
            rng,
        };
        for host in 0..SERVERS {
            let life = life_that_serves(&operators.servers[host]);
            operators.lives.push(life);
            operators.rightful.insert(life);
        }
        operators
    }

    fn do_a_round(&mut self) {
        let mut deeds = ROUND;
        self.rng.shuffle(&mut deeds);
        for deed in deeds {
            let target = self.rng.usize(..SERVERS);
            println!("{deed:?} with pid {}", pid_of(target));
            match deed {
                Deed::Copied => self.copy_and_start(target),
                Deed::HalfCutAndCopied => self.cut_a_part_and_copy(target),
                Deed::Mistyped => self.mistype(target),
                Deed::RolledBack | Deed::RolledBackFurther | Deed::Forked => {
                    self.roll_back(target, deed);
                }
                Deed::Killed => self.kill(target),
                Deed::PausedAndCopied => self.pause_and_copy(target),
                Deed::CutAndCopied => self.cut_and_copy(target),
            }
            *self.done.entry(deed).or_default() += 1;
            for host in 0..SERVERS {
                self.must_be_untouched(host);
            }
        }
    }

    /// The server still has the same life, and hands out identities.
    fn must_be_untouched(&self, host: usize) {
        let server = &self.servers[host];
        assert_eq!(
            life_that_serves(server),
            self.lives[host],
            "{}",
            server.log()
        );
        assert_eq!(server.count_log("NOT HANDING OUT"), 0, "{}", server.log());
    }

    /// Notes the life of a server that has been started again.
    fn welcome(&mut self, host: usize) {
        let life = life_that_serves(&self.servers[host]);
        assert!(self.rightful.insert(life), "{life:?} is not new");
        self.lives[host] = life;
    }

    fn spare_directory(&self) -> PathBuf {
        self.directory.join("spare")
    }

    /// The servers that one on the spare host names: all but the one whose pid it has, and perhaps that one too.
    fn named_by_spare(&mut self, pid_of: usize) -> Vec<usize> {
        let names_it = self.rng.bool();
        (0..SERVERS)
            .filter(|host| *host != pid_of || names_it)
            .collect()
    }

    /// Starts a server with the pid of another one on the spare host, perhaps more than once. It must be refused each
    /// time.
    fn start_spare_in_vain(&mut self, pid_of: usize) {
        for _ in 0..self.rng.usize(1..=3) {
            let named = self.named_by_spare(pid_of);
            let (code, log) = match start(SPARE, pid_of, &self.spare_directory(), &named) {
                Ok(mut newcomer) => (newcomer.wait().code(), newcomer.log()),
                Err(refusal) => (refusal.code, refusal.log),
            };
            assert_eq!(code, Some(1), "{log}");
            assert!(log.contains("NOT STARTED: "), "{log}");
            self.refused += 1;
        }
        fs::remove_dir_all(self.spare_directory()).unwrap();
    }

    fn copy_and_start(&mut self, target: usize) {
        copy(&self.servers[target].data_dir(), &self.spare_directory());
        // It may have gone on since then.
        pause(&mut self.rng, 500);
        self.start_spare_in_vain(target);
    }

    /// One or more of the others still reach the original. So too few accept its copy, or one that would have to
    /// accept it knows better.
    fn cut_a_part_and_copy(&mut self, target: usize) {
        let mut others: Vec<usize> = (0..SERVERS).filter(|other| *other != target).collect();
        self.rng.shuffle(&mut others);
        others.truncate(self.rng.usize(1..others.len()));
        let fault = self
            .network
            .treat(&both_ways(target, &others), Treatment::Drop);
        self.copy_and_start(target);
        self.network.lift(&fault);
    }

    fn mistype(&mut self, target: usize) {
        self.start_spare_in_vain(target);
    }

    fn kill(&mut self, target: usize) {
        self.servers[target].kill();
        self.servers[target].restart_under(&hosts::runner(target));
        self.welcome(target);
    }

    /// Ends a server, by a stop or by a kill.
    fn end(&mut self, target: usize) {
        let server = &mut self.servers[target];
        match self.rng.bool() {
            true => server.kill(),
            false => assert_eq!(stop(server), 0, "{}", server.log()),
        }
    }

    fn roll_back(&mut self, target: usize, deed: Deed) {
        let directory = self.servers[target].data_dir();
        let (older, newer) = (self.directory.join("older"), self.directory.join("newer"));
        copy(&directory, &older);
        if deed == Deed::RolledBack {
            self.wait_for_a_ceiling_that_is_told(target);
        } else {
            self.end(target);
            self.servers[target].restart_under(&hosts::runner(target));
            self.welcome(target);
        }
        let ceiling = self.servers[target].status().storage.ceiling;
        self.end(target);
        fs::rename(&directory, &newer).unwrap();
        fs::rename(&older, &directory).unwrap();
        if deed == Deed::Forked {
            self.start_unasked(target, ceiling);
        }
        self.servers[target].restart_under(&hosts::runner(target));
        let server = &mut self.servers[target];
        wait_until_stale(server);
        assert_eq!(server.status().counters.identities, 0);
        assert_eq!(stop(server), 1, "{}", server.log());
        self.refused += 1;
        fs::remove_dir_all(&directory).unwrap();
        fs::rename(&newer, &directory).unwrap();
        self.servers[target].restart_under(&hosts::runner(target));
        self.welcome(target);
    }

    /// Waits until the server has a higher ceiling than it has now, and has told it to all others. What it hands out
    /// under a ceiling that nobody was told would be exempt.
    fn wait_for_a_ceiling_that_is_told(&self, target: usize) {
        let server = &self.servers[target];
        let now = server.status().storage.ceiling;
        let raised =
            server.wait_for_status("a higher ceiling", |status| status.storage.ceiling > now);
        // It asks all others in each round. The first of these replies may be to questions of a round before.
        let replies = raised.counters.sync_replies + 3 * (SERVERS as u64 - 1);
        server.wait_for_status("replies of all others", |status| {
            status.counters.sync_replies >= replies
        });
    }

    /// Starts a server that can ask nobody, takes it further than this sequence and all that the others have, and kills
    /// it; a few times.
    fn start_unasked(&mut self, target: usize, sequence: u64) {
        let others: Vec<usize> = (0..SERVERS).filter(|other| *other != target).collect();
        let fault = self
            .network
            .treat(&both_ways(target, &others), Treatment::Drop);
        let sequences = others
            .iter()
            .map(|other| self.servers[*other].status().sequence);
        let above = sequences.fold(sequence, u64::max);
        for _ in 0..3 {
            self.servers[target].restart_under(&hosts::runner(target));
            let mut operator = self.servers[target].connect();
            operator.send(&Message::AdvanceRequest { above });
            let reply = operator.receive();
            assert!(matches!(reply, Message::DoneReply { .. }), "{reply:?}");
            self.servers[target].kill();
        }
        self.network.lift(&fault);
    }

    fn pause_and_copy(&mut self, target: usize) {
        let from = self.load.clock.tick();
        self.servers[target].signal("STOP");
        let copied = self.start_copy_that_serves(target);
        self.servers[target].signal("CONT");
        self.replace(target, from, copied);
    }

    fn cut_and_copy(&mut self, target: usize) {
        let others: Vec<usize> = (0..=SPARE).filter(|other| *other != target).collect();
        let from = self.load.clock.tick();
        let fault = self
            .network
            .treat(&both_ways(target, &others), Treatment::Drop);
        let copied = self.start_copy_that_serves(target);
        // Both hand out.
        pause(&mut self.rng, 1000);
        self.network.lift(&fault);
        self.replace(target, from, copied);
    }

    fn start_copy_that_serves(&mut self, target: usize) -> Server {
        copy(&self.servers[target].data_dir(), &self.spare_directory());
        // If it named the original, the two would meet later, and both would have served: both would stop.
        let named: Vec<usize> = (0..SERVERS).filter(|host| *host != target).collect();
        let copied = start(SPARE, target, &self.spare_directory(), &named)
            .unwrap_or_else(|refusal| panic!("it did not start:\n{}", refusal.log));
        self.rightful.insert(life_that_serves(&copied));
        copied
    }

    /// The copy was accepted in the place of the original, which has to stop. The directory of the copy is the one that
    /// is kept.
    fn replace(&mut self, target: usize, from: u64, mut copied: Server) {
        let server = &mut self.servers[target];
        wait_until_stale(server);
        self.exemptions.push(Exemption {
            life: self.lives[target],
            from,
            to: self.load.clock.tick(),
        });
        assert_eq!(stop(server), 1, "{}", server.log());
        life_that_serves(&copied);
        assert_eq!(copied.count_log("NOT HANDING OUT"), 0, "{}", copied.log());
        assert_eq!(stop(&mut copied), 0, "{}", copied.log());
        let directory = server.data_dir();
        fs::remove_dir_all(&directory).unwrap();
        fs::rename(self.spare_directory(), &directory).unwrap();
        self.servers[target].restart_under(&hosts::runner(target));
        self.welcome(target);
    }

    /// Judges all that clients got.
    fn judge(self, rounds: usize) {
        let notes = std::mem::take(&mut *self.load.notes.lock().unwrap());
        let strangers: BTreeSet<Life> = notes
            .answers
            .iter()
            .map(|(life, _)| *life)
            .filter(|life| !self.rightful.contains(life))
            .collect();
        let exempt: BTreeSet<Life> = self.exemptions.iter().map(|of| of.life).collect();
        let innocent_and_stopped: Vec<&Life> = notes
            .stopped
            .iter()
            .filter(|life| self.rightful.contains(life) && !exempt.contains(life))
            .collect();
        let is_exempt = |life: &Life, answer: &Answer| {
            self.exemptions
                .iter()
                .any(|of| of.life == *life && answer.ended >= of.from && answer.begun <= of.to)
        };
        let all: Vec<Answer> = notes.answers.iter().map(|(_, answer)| *answer).collect();
        let (exempted, history): (Vec<_>, Vec<_>) = notes
            .answers
            .iter()
            .partition(|(life, answer)| is_exempt(life, answer));
        let history: Vec<Answer> = history.into_iter().map(|(_, answer)| answer).collect();
        let tally = Tally {
            attempted: notes.tally.attempted - exempted.len() as u64,
            acknowledged: history.len() as u64,
            ..notes.tally
        };
        let report = RunReport::on(&history, tally);
        let with_exempted = RunReport::on(&all, notes.tally);
        println!(
            "{:?}\nrefused starts      {}\nexempted            {} answers, {} identities repeated\n{report}",
            self.done,
            self.refused,
            exempted.len(),
            with_exempted.duplicated
        );
        assert!(report.is_valid(), "the promises were not kept");
        assert_eq!(strangers, BTreeSet::new(), "they had to be refused");
        assert!(
            innocent_and_stopped.is_empty(),
            "they did nothing wrong: {innocent_and_stopped:?}"
        );
        for deed in ROUND {
            assert_eq!(self.done[&deed], rounds, "{deed:?}");
        }
        let summary = report.verdict.unwrap();
        assert_eq!(summary.servers.len(), SERVERS);
        for (pid, answers) in &summary.servers {
            assert!(
                *answers >= rounds * ANSWERS_PER_ROUND_MIN,
                "pid {pid} served too little: {answers}"
            );
        }
    }
}

/// The pid of the server of a host, as a flag has it.
fn pid_of(host: usize) -> String {
    (host + 1).to_string()
}

/// Starts a server on a host, with the pid of the server of another one. It names these others. All of them take the
/// spare host for one of a peer, because an operator has to let a server in that moves there.
fn start(host: usize, pid: usize, directory: &Path, named: &[usize]) -> Result<Server, Refusal> {
    let address = |host: usize| hosts::socket_address(host).to_string();
    let (pid, cluster_size) = (pid_of(pid), SERVERS.to_string());
    let peers: Vec<String> = named.iter().map(|host| address(*host)).collect();
    let spare = hosts::socket_address(SPARE).ip().to_string();
    let mut flags = vec!["--pid", &pid, "--data-dir", directory.to_str().unwrap()];
    flags.extend(["--join", "majority", "--cluster-size", &cluster_size]);
    flags.extend(["--sync-interval", "50ms", "--peer-from", &spare]);
    // Whoever is not trusted is not shown which life it has asked. Only the test is on these networks.
    flags.extend(["--trust", "10.47.0.0/16"]);
    flags.extend(peers.iter().flat_map(|peer| ["--peer", peer]));
    let listen = address(host);
    Server::start_under(&hosts::runner(host), &["--listen", &listen], &flags)
}

/// The ways between a host and these others.
fn both_ways(host: usize, others: &[usize]) -> Vec<(usize, usize)> {
    others
        .iter()
        .flat_map(|other| [(host, *other), (*other, host)])
        .collect()
}

/// Waits until the server serves, and asks it for an identity.
fn life_that_serves(server: &Server) -> Life {
    let status = server.wait_for_status("an end of its start", |status| {
        status.standing == Standing::Serving
    });
    let reply = server.ask(1, 0);
    assert!(
        matches!(reply, Message::IdentityReply { .. }),
        "{reply:?}\n{}",
        server.log()
    );
    Life::shown(&status)
}

/// Waits until the server hands out nothing, because its state is not the newest.
fn wait_until_stale(server: &Server) {
    let is_stale = || server.status().standing == Standing::Stale;
    assert!(eventually(is_stale), "{}", server.log());
}

/// Stops it as an operator would, and returns the exit code.
fn stop(server: &mut Server) -> i32 {
    server.signal("TERM");
    server.wait().code().unwrap()
}
