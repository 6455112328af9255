//! Floods: others send without end, and a server logs this and saves what it hears, both within bounds.

use std::{net::SocketAddr, time::Duration};

use ipseity::limits::{LINES_PER_KIND_MAX, LINES_PER_PEER_MAX, LINES_SPAN};
use ipseity_core::{
    actor::Remembered,
    identity::{Pid, Sequence},
    limits::{SAVE_BURST, SAVE_RATE_PER_SECOND},
    words::{Forget, Message, SyncMessage},
};
use ipseity_sim::config::peer_says;
use ipseity_sim::world::{Client, DiskMode, Setup, World, keep_log_lines, take_log_lines};

const SECOND: Duration = Duration::from_secs(1);
/// One more than the last sequence.
const TOO_FAR: u64 = Sequence::MAX.get() + 1;
const STRANGER: u16 = 900;

fn says(pid: u16, boot: u64, session: u64, sequence: u64) -> Message {
    Message::SyncRequest(Box::new(SyncMessage {
        boot,
        session,
        sequence,
        ..peer_says(Pid::new(pid).unwrap())
    }))
}

/// A server whose log lines are kept from now on, and a connection to it.
fn one() -> (World, Client) {
    let mut world = World::with(Setup::new(1));
    world.drive();
    keep_log_lines();
    let client = world.connect(0);
    (world, client)
}

/// The lines since the last call that contain this.
fn lines_with(what: &str) -> Vec<String> {
    let mut lines = take_log_lines();
    lines.retain(|line| line.contains(what));
    lines
}

#[test]
fn a_peer_that_floods_is_logged_and_saved_within_bounds() {
    let (mut world, mut peer) = one();
    let (mut boot, mut sent) = (0, 0);
    let mut lines = Vec::new();
    const MINUTES: u64 = 3;
    let end = world.now().after(LINES_SPAN * MINUTES as u32);
    while world.now() < end {
        for _ in 0..5 {
            boot += 1;
            peer.send_message(&says(STRANGER, boot, 7, TOO_FAR));
            peer.send_message(&says(STRANGER, boot, 7, 0));
            sent += 1;
        }
        world.advance(SECOND / 10);
        peer.peer_replies();
        lines.extend(take_log_lines());
    }
    assert!(sent > 5000);
    // The last minute had begun before the first message, so there are pieces of one more.
    let bound = (MINUTES + 1) * (u64::from(LINES_PER_PEER_MAX) + 1) + 1;
    assert!(lines.len() as u64 <= bound, "{}: {lines:#?}", lines.len());
    let told = lines
        .iter()
        .filter(|line| line.starts_with("not synchronized with peer 192.168.0.1:"));
    let told = told.count() as u64;
    assert!(told >= MINUTES * u64::from(LINES_PER_PEER_MAX), "{told}");
    let saves = world.node(0).saves;
    let bound = SAVE_BURST + SAVE_RATE_PER_SECOND * LINES_SPAN.as_secs() * MINUTES;
    assert!(
        saves <= bound && saves + 2 >= bound,
        "{saves} saves, {bound} are the bound"
    );
    // From now on it is silent. What it said last is still saved, and the lines that were left out are counted.
    world.advance(SECOND);
    assert_eq!(world.node(0).disk.members[0].boot, boot);
    world.advance(LINES_SPAN);
    lines.extend(take_log_lines());
    let left_out: u64 = lines
        .iter()
        .filter_map(|line| line.strip_prefix("not synchronized with a peer: and "))
        .map(|rest| {
            let (count, about) = rest.split_once(" more like it in the last minute").unwrap();
            assert_eq!(about, format!(" ({count} about pid {STRANGER})"));
            count.parse::<u64>().unwrap()
        })
        .sum();
    assert_eq!(left_out, sent - told);
    // Nothing is left to wait for.
    let turns = world.turns(0);
    world.advance(10 * LINES_SPAN);
    assert_eq!(world.turns(0), turns);
    assert_eq!(take_log_lines(), [""; 0]);
}

#[test]
fn rising_sequences_in_a_conflict_are_logged_within_bounds_and_the_last_line_has_the_highest() {
    let (mut world, first) = one();
    drop(first);
    const ROUNDS: u64 = 1800;
    let mut lines = Vec::new();
    for sequence in 1..=ROUNDS {
        // The peer has the pid of the server, so each message is refused.
        let twin = world.connect(0);
        twin.send_message(&says(1, 1, 7, sequence));
        world.advance(SECOND / 10);
        lines.extend(lines_with("--recover-above has to be"));
    }
    world.advance(LINES_SPAN);
    lines.extend(lines_with("--recover-above has to be"));
    let minutes = ROUNDS / 10 / LINES_SPAN.as_secs() + 1;
    let bound = minutes * (u64::from(LINES_PER_PEER_MAX) + 1);
    assert!(lines.len() as u64 <= bound, "{}: {lines:#?}", lines.len());
    let noted = world.node(0).disk.objected.unwrap().sequence;
    // A sequence is noted only if there is a token for the write. A real server would send it again.
    assert!(noted.get() > ROUNDS - 20);
    assert!(lines.last().unwrap().ends_with(&format!(" {noted}")));
}

#[test]
fn strangers_with_many_pids_do_not_hide_a_named_peer_in_the_log() {
    let stage = SocketAddr::from(([10, 9, 9, 9], 3264));
    let mut world = World::new();
    world.listen(stage);
    let mut setup = Setup::new(1).peers(&[&stage.to_string()]);
    setup.limits.connections_max = 1000;
    world.start(setup);
    world.drive();
    let named = world.accept(stage).unwrap();
    keep_log_lines();
    let strangers: Vec<Client> = (100..600)
        .map(|pid| {
            let stranger = world.connect(0);
            stranger.send_message(&says(pid, 1, 7, 0));
            world.drive();
            stranger
        })
        .collect();
    assert_eq!(lines_with(" is up: ").len(), LINES_PER_KIND_MAX as usize);
    let Message::SyncRequest(hello) = says(2, 1, 7, 0) else {
        unreachable!("it is one")
    };
    named.send_message(&Message::SyncReply(hello));
    world.drive();
    assert_eq!(lines_with("peer 10.9.9.9:3264 is up: pid 2").len(), 1);
    drop(strangers);
    world.advance(LINES_SPAN);
    let lines = take_log_lines();
    let count = |of: &str| lines.iter().filter(|line| line.starts_with(of)).count();
    let left_out = 500 - LINES_PER_KIND_MAX;
    for what in ["a peer is up", "a peer is down"] {
        assert_eq!(
            count(&format!(
                "{what}: and {left_out} more like it in the last minute"
            )),
            1,
            "{lines:#?}"
        );
    }
}

#[test]
fn refused_advances_of_a_client_are_logged_once_a_minute() {
    let (mut world, client) = one();
    for _ in 0..1000 {
        client.send_message(&Message::IdentityRequest {
            count: 1,
            after: u64::MAX,
        });
    }
    world.drive();
    assert_eq!(lines_with("refused an advance").len(), 1);
    // A stop does not wait for the end of the minute.
    world.signal(0);
    world.drive();
    assert_eq!(
        lines_with("refused an advance"),
        [
            "refused an advance that a client asked for: and 999 more like it in the last minute (999 about 192.168.0.1)"
        ]
    );
}

#[test]
fn many_lost_directories_are_logged_once_a_minute() {
    let mut setup = Setup::new(1);
    setup.actor.remembered = vec![Remembered {
        incarnation: 6,
        boot: 9,
        session: 5000,
        ..Remembered::new(Pid::new(STRANGER).unwrap(), Sequence::new(500).unwrap())
    }];
    let mut world = World::with(setup);
    keep_log_lines();
    let peer = world.connect(0);
    for minute in 0..3 {
        for session in 1..=50 {
            peer.send_message(&says(STRANGER, 1, minute * 100 + session, 0));
        }
        world.drive();
        assert_eq!(lines_with("the state of pid 900 at ").len(), 1);
        world.advance(LINES_SPAN);
        let left_out = lines_with("the state of a pid is not the newest: ");
        assert_eq!(
            left_out,
            [
                "the state of a pid is not the newest: and 49 more like it in the last minute (49 about pid 900)"
            ]
        );
    }
}

#[test]
fn a_server_that_cannot_accept_says_so_once_a_minute() {
    let (mut world, mut client) = one();
    client.ask(1);
    world.drive();
    assert_eq!(client.sequences(), [1]);
    world.node(0).accept_error = Some(24);
    let _waits = world.connect(0);
    world.advance(3 * LINES_SPAN + SECOND);
    let lines = take_log_lines();
    let count = |of: &str| lines.iter().filter(|line| line.starts_with(of)).count();
    assert_eq!(count("cannot accept a connection: and "), 3, "{lines:#?}");
    assert_eq!(count("cannot accept a connection: "), 3 + 4, "{lines:#?}");
}

/// A server with a client that is an operator, and whose log lines are kept from now on.
fn operated() -> (World, Client) {
    let mut setup = Setup::new(1).disk(DiskMode::Takes(Duration::ZERO), 1 << 20);
    setup.limits.trust.operators = vec!["192.168.0.1/32".parse().unwrap()];
    let mut world = World::with(setup);
    world.drive();
    keep_log_lines();
    let operator = world.connect(0);
    (world, operator)
}

#[test]
fn an_advance_that_moves_nothing_is_answered_and_not_logged() {
    let (mut world, operator) = operated();
    for above in [500, 500, 0, 499] {
        operator.send_message(&Message::AdvanceRequest { above });
    }
    world.drive();
    assert_eq!(
        lines_with("an operator"),
        ["an operator at 192.168.0.1:1 has advanced this server above sequence 500; it was at 0"]
    );
}

#[test]
fn each_act_of_an_operator_is_logged_and_a_flood_of_them_is_counted() {
    let (mut world, operator) = operated();
    const ACTS: u64 = 1000;
    let told = u64::from(LINES_PER_KIND_MAX);
    for number in 1..=ACTS {
        operator.send_message(&Message::AdvanceRequest { above: number });
        let pid = Pid::new(STRANGER).unwrap();
        operator.send_message(&says(STRANGER, number, number, 0));
        operator.send_message(&Message::ForgetRequest {
            what: Forget::All(pid),
        });
        world.drive();
        if number == told {
            let lines = lines_with("an operator at 192.168.0.1:");
            assert_eq!(lines.len() as u64, 2 * told, "{lines:#?}");
        }
    }
    assert_eq!(lines_with("an operator at").len(), 0);
    world.advance(LINES_SPAN);
    let left_out = ACTS - told;
    let what =
        format!("and {left_out} more like it in the last minute ({left_out} about 192.168.0.1)");
    assert_eq!(
        lines_with("an operator"),
        [
            format!("an operator has advanced this server: {what}"),
            format!("an operator has made this server forget a pid: {what}")
        ]
    );
}

#[test]
fn hangups_in_a_loop_are_obeyed_and_their_answers_are_limited() {
    let (mut world, _client) = one();
    for _ in 0..1000 {
        world.hang_up(0);
        world.drive();
    }
    assert_eq!(world.node(0).reopened, 1000);
    let told = lines_with("the trace was opened again").len();
    assert_eq!(told as u32, LINES_PER_PEER_MAX);
    world.advance(LINES_SPAN);
    assert_eq!(
        lines_with("asked by SIGHUP"),
        [format!(
            "asked by SIGHUP to open or read files again: and {} more like it in the last minute",
            1000 - LINES_PER_PEER_MAX
        )]
    );
}
