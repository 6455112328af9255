//! Starts of a pid that is in use, or was: which of two lives hands out identities. Every identity that either of them
//! hands out is counted, and none may come twice.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use ipseity::{limits::LIVES_REMEMBERED_MAX, store::MembersFile};
use ipseity_core::{
    identity::{IDENTITY_STRIDE, Pid},
    words::{Message, PeerState, Stage, Standing, SyncMessage, Told, Vote},
};
use ipseity_frames::encode;
use ipseity_harness::program::run;
use ipseity_harness::server::{Connection, PATIENCE, Server, eventually};
use ipseity_sim::config::peer_says;

use super::guard::{copy, observer, one, wait_until, wait_until_heard};

/// The identities that some lives have handed out.
#[derive(Default)]
struct Taken(BTreeSet<u64>);

impl Taken {
    /// Asks for 100 identities. Returns whether the server has handed them out; it may have ended.
    fn take(&mut self, server: &Server) -> bool {
        let Ok(stream) = TcpStream::connect(server.socket_address()) else {
            return false;
        };
        let mut connection = Connection::new(stream);
        let mut bytes = Vec::new();
        let (count, after) = (100, 0);
        encode(&Message::IdentityRequest { count, after }, &mut bytes);
        if connection.stream().write_all(&bytes).is_err() {
            return false;
        }
        let Some(Message::IdentityReply { first, count }) = connection.receive_or_give_up() else {
            return false;
        };
        for number in 0..u64::from(count) {
            let identity = first + number * IDENTITY_STRIDE;
            assert!(self.0.insert(identity), "{identity} came twice");
        }
        true
    }

    /// The same from a server that serves.
    fn must_take(&mut self, server: &Server) {
        assert!(self.take(server), "{}", server.log());
    }

    /// Asks both until the newcomer has ended, which must get nothing.
    fn take_until_refused(&mut self, incumbent: &Server, newcomer: &mut Server) {
        let refused = eventually(|| {
            self.must_take(incumbent);
            assert!(!self.take(newcomer), "{}", newcomer.log());
            newcomer.count_log("NOT STARTED: another server with pid 1 is running") == 1
        });
        assert!(refused, "{}", newcomer.log());
        assert_eq!(newcomer.wait().code(), Some(1));
    }
}

/// A server in this directory that serves and has handed out an identity.
fn serving(directory: &Path, observer: &Server, taken: &mut Taken) -> Server {
    let server = one(directory, observer, &[]);
    wait_until(&server, Standing::Serving);
    taken.must_take(&server);
    server
}

/// Nobody has told the server to stop handing out, and it goes on.
fn assert_untouched(server: &Server, taken: &mut Taken) {
    assert_eq!(server.status().standing, Standing::Serving);
    assert_eq!(server.count_log("NOT HANDING OUT"), 0, "{}", server.log());
    taken.must_take(server);
}

/// A server with pid 1 that names these peers.
fn newcomer(directory: &Path, peers: &[&Server], more: &[&str]) -> Server {
    let addresses: Vec<String> = peers.iter().map(|peer| peer.address()).collect();
    let mut flags = vec!["--pid", "1", "--data-dir", directory.to_str().unwrap()];
    flags.extend(addresses.iter().flat_map(|peer| ["--peer", peer]));
    flags.extend(["--sync-interval", "50ms"]);
    flags.extend(more);
    Server::start_with(&["--listen", "127.0.0.1:0"], &flags)
}

/// What a server with pid 1 could say of itself.
fn says(stage: Stage, boot: u64, session: u64, heard: u64) -> Message {
    Message::SyncRequest(Box::new(SyncMessage {
        boot,
        session,
        sequence: 5,
        told: Told {
            stage,
            heard,
            ..Told::default()
        },
        ..peer_says(Pid::new(1).unwrap())
    }))
}

/// The nonce of a syncReply.
fn nonce(answer: &Message) -> u64 {
    match answer {
        Message::SyncReply(reply) => reply.told.nonce,
        other => panic!("{other:?}"),
    }
}

fn peer_of(server: &Server) -> Connection {
    Connection::dialing(TcpStream::connect(server.socket_address()).unwrap())
}

/// The objection to pid 1 that `server` shows.
fn objection_shown(server: &Server) -> u16 {
    let mut connection = server.connect();
    connection.send(&Message::MembersRequest { from: Pid::MIN });
    let Message::MembersReply(members) = connection.receive() else {
        panic!("a membersRequest has one answer");
    };
    let of_one = members.members.iter().find(|member| member.pid.get() == 1);
    of_one.unwrap().objection
}

#[test]
fn a_mistyped_pid_is_refused_and_the_server_that_has_it_goes_on() {
    for named in [&[0, 1][..], &[1], &[0]] {
        let home = tempfile::tempdir().unwrap();
        let observer = observer();
        let mut taken = Taken::default();
        let mut first = serving(&home.path().join("first"), &observer, &mut taken);
        wait_until_heard(&observer, 100);
        let both = [&first, &observer];
        let peers: Vec<&Server> = named.iter().map(|index| both[*index]).collect();
        let mut mistyped = newcomer(&home.path().join("mistyped"), &peers, &[]);
        taken.take_until_refused(&first, &mut mistyped);
        assert_untouched(&first, &mut taken);
        assert_eq!(first.stop(), 0);
        let first = one(&home.path().join("first"), &observer, &[]);
        wait_until(&first, Standing::Serving);
        assert_untouched(&first, &mut taken);
    }
}

#[test]
fn a_copy_of_a_running_server_is_refused_while_other_servers_are_up() {
    for join in [
        &["--join", "prefer"][..],
        &["--join", "require"],
        &["--join", "majority", "--cluster-size", "3"],
    ] {
        let home = tempfile::tempdir().unwrap();
        let copied = home.path().join("copied");
        let mut flags = vec!["--sync-interval", "50ms"];
        flags.extend(join);
        let servers = Server::cluster(3, &flags);
        let mut taken = Taken::default();
        for server in &servers {
            wait_until(server, Standing::Serving);
            taken.must_take(server);
        }
        copy(&servers[0].data_dir(), &copied);
        // It is started twice: its first start must not have made it look newer than the original.
        for _ in 0..2 {
            let mut second = newcomer(&copied, &[&servers[1], &servers[2]], join);
            taken.take_until_refused(&servers[0], &mut second);
        }
        for server in &servers {
            assert_untouched(server, &mut taken);
        }
    }
}

#[test]
fn a_server_that_seldom_synchronizes_keeps_its_pid_because_it_answers_when_it_is_asked() {
    let home = tempfile::tempdir().unwrap();
    let copied = home.path().join("copied");
    let observer = observer();
    let mut taken = Taken::default();
    let (directory, peer) = (home.path().join("first"), observer.address());
    let flags = [
        "--pid",
        "1",
        "--data-dir",
        directory.to_str().unwrap(),
        "--peer",
        &peer,
        "--sync-interval",
        "1h",
    ];
    let first = Server::start_with(&["--listen", "127.0.0.1:0"], &flags);
    wait_until(&first, Standing::Serving);
    taken.must_take(&first);
    copy(&directory, &copied);
    let mut second = one(&copied, &observer, &[]);
    taken.take_until_refused(&first, &mut second);
    assert_untouched(&first, &mut taken);
}

#[test]
fn a_backup_that_was_put_back_hands_out_nothing_while_a_peer_is_up() {
    let home = tempfile::tempdir().unwrap();
    let (directory, backup) = (home.path().join("state"), home.path().join("backup"));
    let observer = observer();
    let mut taken = Taken::default();
    let mut server = serving(&directory, &observer, &mut taken);
    assert_eq!(server.stop(), 0);
    copy(&directory, &backup);
    let mut server = one(&directory, &observer, &[]);
    wait_until(&server, Standing::Serving);
    for _ in 0..20 {
        taken.must_take(&server);
    }
    wait_until_heard(&observer, 2100);
    server.kill();
    fs::remove_dir_all(&directory).unwrap();
    copy(&backup, &directory);

    let flags = ["--join", "prefer"];
    let server = one(&directory, &observer, &flags);
    // The request waits until the peer has objected.
    assert!(!taken.take(&server), "{}", server.log());
    wait_until(&server, Standing::Stale);
    assert_eq!(server.status().counters.identities, 0);
}

#[test]
fn an_older_state_hands_out_nothing_because_its_peer_was_told_a_higher_ceiling() {
    let home = tempfile::tempdir().unwrap();
    let (directory, older) = (home.path().join("state"), home.path().join("older"));
    let observer = observer();
    let mut taken = Taken::default();
    let mut server = serving(&directory, &observer, &mut taken);
    let before = server.status().storage.ceiling;
    copy(&directory, &older);
    // The next ceiling is made durable when half of this one is used up, and the peer is told.
    for _ in 0..5 {
        taken.must_take(&server);
    }
    let raised =
        server.wait_for_status("a higher ceiling", |status| status.storage.ceiling > before);
    assert!(raised.sequence <= before, "{raised:?}");
    let told = raised.counters.sync_replies + 2;
    server.wait_for_status("an answer of the peer", |status| {
        status.counters.sync_replies >= told
    });
    // What is handed out under it is known to nobody.
    observer.signal("STOP");
    while server.status().sequence <= before {
        taken.must_take(&server);
    }
    server.kill();
    observer.signal("CONT");
    fs::remove_dir_all(&directory).unwrap();
    fs::rename(&older, &directory).unwrap();

    let server = one(&directory, &observer, &[]);
    assert!(!taken.take(&server), "{}", server.log());
    wait_until(&server, Standing::Stale);
    assert_eq!(server.status().counters.identities, 0);
}

#[test]
fn a_server_whose_directory_is_lost_hands_out_nothing_while_a_peer_is_up() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("state");
    let observer = observer();
    let mut taken = Taken::default();
    let mut server = serving(&directory, &observer, &mut taken);
    wait_until_heard(&observer, 100);
    server.kill();
    fs::remove_dir_all(&directory).unwrap();

    let server = one(&directory, &observer, &[]);
    assert!(!taken.take(&server), "{}", server.log());
    wait_until(&server, Standing::Stale);
    assert_eq!(server.status().counters.identities, 0);
}

/// Makes a listener, and calls `carry` with each connection to it, its number, and a connection to `to`. Returns the
/// address of the listener.
fn between(
    to: SocketAddr,
    carry: impl Fn(usize, TcpStream, TcpStream) + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        thread::scope(|scope| {
            for (number, near) in listener.incoming().enumerate() {
                // The server is gone when the test is over.
                let Ok(far) = TcpStream::connect(to) else {
                    return;
                };
                let carry = &carry;
                scope.spawn(move || carry(number, near.unwrap(), far));
            }
        });
    });
    name
}

/// Forwards what comes from one side until it ends.
fn forward(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

/// A way to a server on which the words of the first connection are held back. They are let go by the sender, and the
/// receiver is told when they were answered.
fn slow_way(to: SocketAddr) -> (String, Sender<()>, Receiver<()>) {
    let (let_go, held) = channel();
    let (answered, answers) = channel();
    let held = std::sync::Mutex::new(held);
    let name = between(to, move |number, near, far| {
        thread::scope(|scope| {
            scope.spawn(|| {
                if number == 0 {
                    let _ = held.lock().unwrap().recv();
                }
                forward(&near, &far);
            });
            if number == 0 {
                let mut first = [0];
                let _ = (&far).read(&mut first);
                let _ = (&near).write_all(&first);
                let _ = answered.send(());
            }
            forward(&far, &near);
        });
    });
    (name, let_go, answers)
}

#[test]
fn the_first_words_of_a_dead_process_that_come_late_harm_nobody() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("state");
    let observer = Server::start(&["--pid", "3"]);
    let (way, let_go, answers) = slow_way(observer.socket_address());
    let mut flags = vec![
        "--pid",
        "1",
        "--data-dir",
        directory.to_str().unwrap(),
        "--peer",
        &way,
    ];
    flags.extend(["--sync-interval", "50ms", "--join-timeout", "1h"]);
    let start = || Server::start_with(&["--listen", "127.0.0.1:0"], &flags);
    let mut dead = start();
    dead.wait_for_status("a connection to its peer", |status| {
        status.peers[0].state == PeerState::Connected
    });
    dead.kill();
    let server = start();
    wait_until(&server, Standing::Serving);
    let mut taken = Taken::default();
    taken.must_take(&server);
    let_go.send(()).unwrap();
    answers.recv_timeout(PATIENCE).unwrap();
    assert_eq!(observer.count_log("ERROR"), 0, "{}", observer.log());
    assert_eq!(objection_shown(&observer), 0);
    assert_untouched(&server, &mut taken);
}

#[test]
fn the_last_words_of_a_dead_process_are_no_error() {
    let observer = observer();
    let [mut late, mut next] = [peer_of(&observer), peer_of(&observer)];
    next.send(&says(Stage::Serves, 2, 22, 0));
    let heard = nonce(&next.receive());
    late.send(&says(Stage::Serves, 1, 11, 0));
    // If it lives after all, it stops.
    let answer = late.receive();
    assert!(matches!(answer, Message::Objection(_)), "{answer:?}");
    assert_eq!(observer.count_log("ERROR"), 0, "{}", observer.log());
    let line = observer.wait_for_log("the state of pid 1 at ");
    assert!(line.contains(" INFO "), "{line}");
    assert_eq!(objection_shown(&observer), 0);
    next.send(&says(Stage::Serves, 2, 22, heard));
    nonce(&next.receive());
}

#[test]
fn rounds_that_a_dead_process_has_pipelined_are_no_conflict() {
    let observer = observer();
    for rounds in [2, 3, 10_u64] {
        let (dead, next) = (rounds, rounds + 1);
        let [mut old, mut new] = [peer_of(&observer), peer_of(&observer)];
        old.send(&says(Stage::Serves, dead, dead, 0));
        let heard = nonce(&old.receive());
        // The network or the server is slow, and meanwhile there is a restart.
        observer.signal("STOP");
        for _ in 0..rounds {
            old.send(&says(Stage::Serves, dead, dead, heard));
        }
        old.stream().shutdown(Shutdown::Write).unwrap();
        new.send(&says(Stage::Serves, next, next, 0));
        observer.signal("CONT");
        let mut heard = nonce(&new.receive());
        for _ in 0..3 {
            new.send(&says(Stage::Serves, next, next, heard));
            heard = nonce(&new.receive());
        }
    }
    assert_eq!(observer.count_log("ERROR"), 0, "{}", observer.log());
}

/// A way to a server that cuts each connection after one round.
fn cutting_way(to: SocketAddr) -> String {
    between(to, |_, mut near, mut far| {
        let pass = |from: &mut TcpStream, to: &mut TcpStream| {
            let mut round = [0; 4096];
            let count = from.read(&mut round).unwrap_or(0);
            let _ = to.write_all(&round[..count]);
        };
        pass(&mut near, &mut far);
        pass(&mut far, &mut near);
    })
}

/// Two lives of one pid, whose connections to `observer` carry one round each. The second one has a copy of the
/// directory.
fn two_over_cut_links(home: &Path, observer: &Server, of_second: &[&str]) -> (Server, Server) {
    let (original, copied) = (home.join("original"), home.join("copied"));
    let start = |directory: &Path, more: &[&str]| {
        let way = cutting_way(observer.socket_address());
        let mut flags = vec![
            "--pid",
            "1",
            "--data-dir",
            directory.to_str().unwrap(),
            "--peer",
            &way,
        ];
        flags.extend(["--sync-interval", "50ms"]);
        flags.extend(more);
        Server::start_with(&["--listen", "127.0.0.1:0"], &flags)
    };
    let first = start(&original, &[]);
    wait_until(&first, Standing::Serving);
    wait_until_heard(observer, 0);
    copy(&original, &copied);
    (first, start(&copied, of_second))
}

#[test]
fn a_copy_is_refused_although_each_connection_carries_one_round() {
    let home = tempfile::tempdir().unwrap();
    let observer = observer();
    let (first, mut second) = two_over_cut_links(home.path(), &observer, &[]);
    let mut taken = Taken::default();
    taken.take_until_refused(&first, &mut second);
    assert_untouched(&first, &mut taken);
}

#[test]
fn two_lives_that_serve_are_found_although_each_connection_carries_one_round() {
    let home = tempfile::tempdir().unwrap();
    let observer = observer();
    let (first, second) = two_over_cut_links(home.path(), &observer, &["--join-timeout", "0"]);
    let serves = |server: &Server| server.status().standing == Standing::Serving;
    let both_serve = || serves(&first) && serves(&second);
    assert!(eventually(|| !both_serve()), "{}", observer.log());
}

#[test]
fn a_newcomer_that_claims_and_stops_does_not_stand_in_the_way_of_the_next_start() {
    let home = tempfile::tempdir().unwrap();
    let (directory, copied) = (home.path().join("state"), home.path().join("copied"));
    let observer = observer();
    let mut taken = Taken::default();
    let mut original = serving(&directory, &observer, &mut taken);
    original.kill();
    copy(&directory, &copied);

    // One of its two peers accepts the newcomer and never confirms that, so it claims the pid and does not serve.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut peer = Connection::serving(listener.accept().unwrap().0);
        while let Some(Message::SyncRequest(sync)) = peer.receive_or_give_up() {
            if sync.told.stage == Stage::Joins {
                peer.send(&Message::SyncReply(Box::new(SyncMessage {
                    pid: Pid::new(4).unwrap(),
                    told: Told {
                        votes: Vote::Counts,
                        ..Told::default()
                    },
                    ..*sync
                })));
            }
        }
    });
    let flags = ["--peer", &name, "--join", "majority", "--cluster-size", "3"];
    let mut newcomer = one(&copied, &observer, &flags);
    let claims = || {
        let members = MembersFile::new(&observer.data_dir()).load().unwrap();
        let of_one = members.iter().find(|member| member.pid.get() == 1);
        of_one.is_some_and(|member| member.claim.is_some())
    };
    assert!(eventually(claims), "{}", newcomer.log());
    assert!(!taken.take(&newcomer));
    newcomer.stop();

    let original = one(&directory, &observer, &[]);
    wait_until(&original, Standing::Serving);
    assert_untouched(&original, &mut taken);
}

#[test]
fn a_claim_whose_goodbye_was_lost_refuses_the_original_until_it_is_forgotten() {
    let home = tempfile::tempdir().unwrap();
    let observer = observer();
    let mut taken = Taken::default();
    let mut original = serving(&home.path().join("state"), &observer, &mut taken);
    wait_until_heard(&observer, original.status().sequence);

    let claim = |original: &mut Server, boot| {
        let status = original.status();
        original.kill();
        let mut newcomer = peer_of(&observer);
        for stage in [Stage::Joins, Stage::Claims] {
            let Message::SyncRequest(mut sync) = says(stage, boot, boot, 0) else {
                unreachable!()
            };
            sync.incarnation = status.incarnation;
            sync.sequence = status.sequence;
            newcomer.send(&Message::SyncRequest(sync));
            nonce(&newcomer.receive());
        }
        // It ends without a goodbye.
    };
    let forget = || {
        let address = observer.address();
        run(&["members", "--forget", "1", "--never-served", "-s", &address]).good();
        observer.wait_for_log("forget lives that never served: 1 of pid 1");
    };

    claim(&mut original, 50);
    forget();
    original.restart();
    wait_until(&original, Standing::Serving);
    taken.must_take(&original);
    wait_until_heard(&observer, original.status().sequence);

    claim(&mut original, 90);
    original.restart();
    original.wait_for_log("with ipseity-cli members --forget 1 --never-served");
    assert_eq!(original.wait().code(), Some(1));
    forget();
    // Nothing of the refusal has lasted.
    original.restart();
    wait_until(&original, Standing::Serving);
    taken.must_take(&original);
}

/// Its directory does not know the life of the original any more, because each refused start of it counts.
#[test]
fn a_copy_that_was_refused_more_often_than_its_directory_remembers_does_not_serve() {
    let home = tempfile::tempdir().unwrap();
    let (directory, copied) = (home.path().join("state"), home.path().join("copied"));
    let observer = observer();
    let mut taken = Taken::default();
    let mut original = serving(&directory, &observer, &mut taken);
    copy(&directory, &copied);
    let mut refused = one(&copied, &observer, &[]);
    assert_eq!(refused.wait().code(), Some(1));
    for _ in 0..LIVES_REMEMBERED_MAX + 3 {
        refused.restart();
        assert_eq!(refused.wait().code(), Some(1));
    }
    // It begins above all that the original has handed out, but not above what it may have handed out.
    for _ in 0..30 {
        original.ask(1000, 0);
    }
    wait_until_heard(&observer, original.status().sequence);
    original.kill();
    refused.restart();
    wait_until(&refused, Standing::Stale);
}

#[test]
fn a_newcomer_that_serves_when_its_refusal_comes_stops_and_the_incumbent_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let observer = observer();
    let mut taken = Taken::default();
    let first = serving(&home.path().join("first"), &observer, &mut taken);
    wait_until_heard(&observer, 100);
    observer.signal("STOP");
    // It waits too short a time for an answer, and serves.
    let mistyped = home.path().join("mistyped");
    let mut second = one(&mistyped, &observer, &["--join-timeout", "50ms"]);
    wait_until(&second, Standing::Serving);
    observer.signal("CONT");
    let line = second.wait_for_log("NOT HANDING OUT IDENTITIES");
    assert!(
        line.contains("another server with pid 1 is running"),
        "{line}"
    );
    assert_eq!(second.stop(), 1);
    // What it has heard is durable.
    let second = one(&mistyped, &observer, &[]);
    assert!(!taken.take(&second));
    assert_untouched(&first, &mut taken);
}

#[test]
fn a_life_that_is_silent_on_a_standing_link_loses_its_pid_to_the_next_one() {
    let home = tempfile::tempdir().unwrap();
    let (directory, moved) = (home.path().join("state"), home.path().join("moved"));
    let observer = observer();
    let mut taken = Taken::default();
    let mut first = serving(&directory, &observer, &mut taken);
    wait_until_heard(&observer, 100);
    // As when its machine has lost its power: the link stands, and nobody is there. Its disk is carried elsewhere.
    first.signal("STOP");
    copy(&directory, &moved);
    let second = one(&moved, &observer, &[]);
    wait_until(&second, Standing::Serving);
    second.wait_for_log("asked the peers, 1 of 1 answered");
    assert_untouched(&second, &mut taken);
    // It was only slow. The one that was accepted goes on.
    first.signal("CONT");
    wait_until(&first, Standing::Stale);
    assert_untouched(&second, &mut taken);
    assert_eq!(first.stop(), 1);
}

/// Three servers, of which each needs both others to start.
fn three(taken: &mut Taken) -> Vec<Server> {
    let flags = [
        "--sync-interval",
        "50ms",
        "--join",
        "majority",
        "--cluster-size",
        "3",
    ];
    let servers = Server::cluster(3, &flags);
    for server in &servers {
        wait_until(server, Standing::Serving);
        assert_untouched(server, taken);
    }
    servers
}

#[test]
fn servers_that_were_all_killed_start_again_together() {
    let mut taken = Taken::default();
    let mut servers = three(&mut taken);
    for is_killed in [true, false] {
        for server in &mut servers {
            match is_killed {
                true => server.kill(),
                false => assert_eq!(server.stop(), 0),
            }
        }
        servers.iter_mut().for_each(Server::restart);
        for server in &servers {
            wait_until(server, Standing::Serving);
            assert_untouched(server, &mut taken);
        }
    }
}

#[test]
fn a_server_whose_members_file_is_lost_says_so_and_has_no_vote_until_an_operator_says_more() {
    let mut taken = Taken::default();
    let mut servers = three(&mut taken);
    let [forgetful, other, _] = &mut servers[..] else {
        panic!("there are three");
    };
    forgetful.kill();
    let members = forgetful.data_dir().join("members");
    fs::remove_file(members).unwrap();
    forgetful.restart();
    let line = forgetful.wait_for_log("--members-lost");
    assert!(line.contains(" WARN "), "{line}");
    wait_until(forgetful, Standing::Serving);
    // It hands out identities, and others cannot start with its word.
    assert_untouched(forgetful, &mut taken);
    other.kill();
    other.restart();
    other.wait_for_log("too few peers have answered yet");
    assert!(!taken.take(other), "{}", other.log());

    assert_eq!(forgetful.stop(), 0);
    forgetful.restart_adding(&["--members-lost"]);
    for server in &servers {
        wait_until(server, Standing::Serving);
        assert_untouched(server, &mut taken);
    }
}

#[test]
fn a_fork_hands_out_nothing_although_it_was_started_more_often() {
    let home = tempfile::tempdir().unwrap();
    let (directory, copied) = (home.path().join("original"), home.path().join("copied"));
    let mut observer = observer();
    let mut taken = Taken::default();
    let mut server = serving(&directory, &observer, &mut taken);
    assert_eq!(server.stop(), 0);
    copy(&directory, &copied);
    let mut server = serving(&copied, &observer, &mut taken);
    wait_until_heard(&observer, 200);
    assert_eq!(server.stop(), 0);

    // While nobody can be asked, the original is started more often than that, and each crash takes it further.
    observer.kill();
    for _ in 0..3 {
        let mut server = one(&directory, &observer, &["--join-timeout", "1h"]);
        server.kill();
    }
    observer.restart();
    let server = one(&directory, &observer, &[]);
    assert!(!taken.take(&server), "{}", server.log());
    wait_until(&server, Standing::Stale);
    server.wait_for_log("this is a copy, or an older state");
    assert_eq!(server.status().counters.identities, 0);
    drop(server);
    // The other one goes on.
    let server = one(&copied, &observer, &[]);
    wait_until(&server, Standing::Serving);
    assert_untouched(&server, &mut taken);
}
