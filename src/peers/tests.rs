//! The tests of all that dials peers.

// Long because: names, addresses, joining and what is shown need the same few helpers.

use super::*;
use crate::limits::{
    ADDRESSES_PER_NAME_MAX, LOOKUP_INTERVAL, LOOKUPS_AGAIN_MAX, OWNERS_MAX, REMEMBERED_DIALED_MAX,
};

const PEER: PeerId = PeerId(0);
const NAME: NameId = NameId(0);
const MS: Duration = Duration::from_millis(1);
const ONE: Pid = match Pid::new(1) {
    Some(pid) => pid,
    None => unreachable!(),
};
const TWO: Pid = match Pid::new(2) {
    Some(pid) => pid,
    None => unreachable!(),
};

/// Two peers that are named by their addresses.
fn peers() -> Peers {
    Peers::new(
        vec!["10.0.0.1:1".to_owned(), "10.0.0.2:2".to_owned()],
        Vec::new(),
    )
}

fn at(wait: Duration) -> Instant {
    Instant::START.after(wait)
}

/// One name that was looked up and has led to these addresses, at the start.
fn found(addresses: &[&str]) -> Peers {
    let mut peers = Peers::new(vec!["ids:1".to_owned()], Vec::new());
    assert_eq!(peers.take_due(Instant::START), Some(Due::Lookup(NAME)));
    peers.looked_up(NAME, parsed(addresses), Instant::START);
    peers
}

fn parsed(addresses: &[&str]) -> Vec<SocketAddr> {
    let parsed = addresses.iter().map(|address| address.parse().unwrap());
    parsed.collect()
}

/// The peer that is dialed now, if any is due.
fn dialed(peers: &mut Peers, now: Instant) -> Option<PeerId> {
    match peers.take_due(now)? {
        Due::Dial(peer, _) => Some(peer),
        Due::Lookup(name) => panic!("a lookup of {name}"),
    }
}

fn connect(peers: &mut Peers, peer: PeerId) {
    peers.connecting(peer, ConnectionId::new(peer.0, 1));
    peers.connected(peer);
}

fn fail(peers: &mut Peers, peer: PeerId, failure: Failure) -> Duration {
    peers.failed(peer, failure, Instant::START, 0)
}

// One address.

#[test]
fn the_wait_doubles_up_to_its_bound_and_half_of_it_is_random() {
    assert_eq!(backoff(0, 0), BACKOFF_MIN / 2);
    for failures in 0..80 {
        let least = backoff(failures, 0);
        for random in [1, u64::MAX / 3, u64::MAX] {
            let wait = backoff(failures, random);
            assert!(least <= wait && wait <= 2 * least && wait <= BACKOFF_MAX);
        }
    }
    let half = BACKOFF_MIN.as_nanos() as u64 / 2;
    assert_eq!(backoff(0, half), BACKOFF_MIN, "the longest is possible too");
    assert_eq!(backoff(1, 0), BACKOFF_MIN);
    assert_eq!(backoff(79, 0), BACKOFF_MAX / 2);
}

#[test]
fn every_peer_is_due_at_once_and_taken_once() {
    let mut peers = peers();
    assert_eq!(peers.next_due(), Some(Instant::START));
    assert_eq!(dialed(&mut peers, Instant::START), Some(PeerId(0)));
    assert_eq!(dialed(&mut peers, Instant::START), Some(PeerId(1)));
    assert_eq!(dialed(&mut peers, Instant::START), None);
    assert_eq!(peers.next_due(), None);
    assert_eq!(peers.dial(PEER), Some(Dial::Starting));
}

#[test]
fn only_an_established_connection_is_used() {
    let mut peers = peers();
    let connection = ConnectionId::new(1, 1);
    peers.connected(PEER);
    assert_eq!(peers.connection(PEER), None, "none was being made");
    peers.connecting(PEER, connection);
    assert_eq!(peers.connection(PEER), None);
    peers.connected(PEER);
    assert_eq!(peers.connection(PEER), Some(connection));
    let wait = fail(&mut peers, PEER, Failure::Unreached);
    assert_eq!(peers.connection(PEER), None);
    assert_eq!(peers.dial(PEER), Some(Dial::Waiting { due: at(wait) }));
}

#[test]
fn an_answer_makes_the_next_wait_short_and_a_refusal_makes_it_long() {
    let mut peers = peers();
    for _ in 0..10 {
        fail(&mut peers, PEER, Failure::Unreached);
    }
    assert_eq!(fail(&mut peers, PEER, Failure::Unreached), BACKOFF_MAX / 2);
    peers.answered(PEER, ONE, 1);
    assert_eq!(fail(&mut peers, PEER, Failure::Unreached), BACKOFF_MIN / 2);
    for refusal in [Failure::Refused, Failure::Foreign] {
        assert_eq!(fail(&mut peers, PEER, refusal), BACKOFF_REFUSED);
        assert_eq!(peers.progress(Shown::Peer(PEER)), Progress::Refused);
    }
    peers.answered(PEER, ONE, 1);
    assert_eq!(peers.progress(Shown::Peer(PEER)), Progress::Down);
}

#[test]
fn after_the_first_refusal_for_the_same_pid_it_asks_again_soon() {
    let mut peers = peers();
    let mut wait = || fail(&mut peers, PEER, Failure::SamePid);
    assert_eq!(wait(), BACKOFF_MIN / 2);
    assert_eq!(wait(), BACKOFF_REFUSED);
    assert_eq!(wait(), BACKOFF_REFUSED);
    assert_eq!(peers.progress(Shown::Peer(PEER)), Progress::Refused);
}

#[test]
fn no_failure_in_any_state_gives_a_peer_up() {
    let to_state: [fn(&mut Peers); 5] = [
        |_| {},
        |peers| assert_eq!(dialed(peers, Instant::START), Some(PEER)),
        |peers| peers.connecting(PEER, ConnectionId::new(1, 1)),
        |peers| connect(peers, PEER),
        |peers| {
            for peer in [PeerId(1), PEER] {
                connect(peers, peer);
                peers.answered(peer, ONE, 1);
            }
            peers.park(PEER, Instant::START);
            assert_eq!(peers.dial(PEER), Some(Dial::Parked(PeerId(1))));
        },
    ];
    for (place, to_state) in to_state.iter().enumerate() {
        for failure in [
            Failure::Unreached,
            Failure::Refused,
            Failure::Foreign,
            Failure::NotAPeer,
            Failure::SamePid,
            Failure::Oneself,
        ] {
            let mut peers = peers();
            to_state(&mut peers);
            for times in 0..100 {
                peers.failed(PEER, failure, Instant::START, u64::MAX);
                let latest = at(BACKOFF_REFUSED);
                let is_due =
                    matches!(peers.dial(PEER), Some(Dial::Waiting { due }) if due <= latest);
                assert!(is_due, "state {place}, {failure:?} {times}");
                let is_next = peers.next_due().is_some_and(|due| due <= latest);
                assert!(is_next, "state {place}, {failure:?} {times}");
            }
        }
    }
}

#[test]
fn a_peer_that_does_not_know_the_address_yet_is_asked_again_in_a_second() {
    let mut peers = peers();
    for failures in 0..10 {
        let mut wait = |random| peers.failed(PEER, Failure::NotAPeer, Instant::START, random);
        assert_eq!(wait(0), BACKOFF_NOT_A_PEER / 2, "after {failures} failures");
        assert!(wait(u64::MAX) <= BACKOFF_NOT_A_PEER);
    }
    assert_eq!(peers.progress(Shown::Peer(PEER)), Progress::Refused);
}

#[test]
fn names_are_looked_up_again_in_turn_and_not_too_often() {
    let names = (0..LOOKUPS_AGAIN_MAX + 2).map(|number| format!("host{number}:1"));
    let all = [String::from("10.0.0.1:1")].into_iter().chain(names);
    let mut peers = Peers::new(all.collect(), Vec::new());
    let first = peers.take_lookups_again(Instant::START);
    assert_eq!(first.len(), LOOKUPS_AGAIN_MAX);
    assert!(!first.contains(&NAME), "an address is no name");
    // All but one of these lookups are over.
    for name in &first[1..] {
        peers.looked_up(*name, parsed(&["10.0.0.2:1"]), at(MS));
    }
    assert_eq!(peers.take_lookups_again(at(999 * MS)), []);
    // The two that are left come first, and then the others again, but not the one that is under way. It counts too.
    let second = peers.take_lookups_again(at(1000 * MS));
    let last = LOOKUPS_AGAIN_MAX as u16;
    assert_eq!(second[..3], [last + 1, last + 2, 2].map(NameId));
    assert_eq!(second.len(), LOOKUPS_AGAIN_MAX - 1);
    // As many as may be are under way now, and none of them is begun a second time.
    assert_eq!(peers.take_lookups_again(at(2000 * MS)), []);
    assert_eq!(
        Peers::new(Vec::new(), Vec::new()).take_lookups_again(Instant::START),
        []
    );
}

#[test]
fn a_peer_is_known_by_the_pid_that_answered_last() {
    let mut peers = peers();
    assert_eq!(peers.named(ONE), None);
    peers.answered(PeerId(1), ONE, 1);
    assert_eq!(peers.named(ONE), Some(PeerId(1)));
    peers.answered(PeerId(1), TWO, 2);
    assert_eq!(
        (peers.named(ONE), peers.named(TWO)),
        (None, Some(PeerId(1)))
    );
    assert_eq!((peers.pid(PEER), peers.pid(PeerId(1))), (None, Some(TWO)));
}

#[test]
fn a_failure_is_news_once_until_the_reason_changes() {
    let mut peers = peers();
    assert!(peers.is_news(PEER, "connection refused"));
    assert!(!peers.is_news(PEER, "connection refused"));
    assert!(peers.is_news(PEER, "timed out"));
    assert!(peers.is_news(PEER, "connection refused"));
    peers.answered(PEER, ONE, 1);
    assert!(peers.is_news(PEER, "connection refused"));
}

#[test]
fn after_a_peer_was_lost_only_a_refusal_is_news() {
    let mut peers = peers();
    peers.answered(PEER, ONE, 1);
    peers.lost(PEER);
    fail(&mut peers, PEER, Failure::Unreached);
    assert!(!peers.is_news(PEER, "connection refused"));
    assert!(!peers.is_news(PEER, "timed out"));
    fail(&mut peers, PEER, Failure::Refused);
    assert!(peers.is_news(PEER, "it refuses this server"));
    assert!(!peers.is_news(PEER, "it refuses this server"));
}

// The addresses of a name.

#[test]
fn the_addresses_of_a_name_are_tried_one_after_the_other() {
    let mut peers = found(&["[::1]:1", "[::2]:1", "10.0.0.1:1"]);
    assert_eq!(dialed(&mut peers, Instant::START), Some(PeerId(0)));
    assert_eq!(dialed(&mut peers, Instant::START), None, "not at once");
    assert_eq!(peers.next_due(), Some(at(ATTEMPT_DELAY)));
    let next = at(ATTEMPT_DELAY);
    assert_eq!(
        dialed(&mut peers, next),
        Some(PeerId(1)),
        "of the other family"
    );
    assert_eq!(peers.dial(PeerId(1)), Some(Dial::Starting));
    // An attempt that has ended holds up nothing, whether it has failed, or led to this server or to another one.
    peers.failed(PeerId(1), Failure::Unreached, next, 0);
    assert_eq!(dialed(&mut peers, next), Some(PeerId(2)));
    for failure in [Failure::Oneself, Failure::Refused] {
        let mut peers = found(&["10.0.0.1:1", "10.0.0.2:1"]);
        assert_eq!(dialed(&mut peers, Instant::START), Some(PeerId(0)));
        connect(&mut peers, PeerId(0));
        assert_eq!(dialed(&mut peers, Instant::START), None);
        fail(&mut peers, PeerId(0), failure);
        assert_eq!(dialed(&mut peers, Instant::START), Some(PeerId(1)));
    }
    let mut peers = found(&["10.0.0.1:1", "10.0.0.2:1"]);
    assert_eq!(dialed(&mut peers, Instant::START), Some(PeerId(0)));
    connect(&mut peers, PeerId(0));
    assert_eq!(peers.answered(PeerId(0), ONE, 1), Answer::First);
    assert_eq!(dialed(&mut peers, Instant::START), Some(PeerId(1)));
}

#[test]
fn the_next_attempt_begins_behind_the_last_one() {
    let mut peers = found(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]);
    let mut now = Instant::START;
    let mut tried = Vec::new();
    for _ in 0..60 {
        match peers.take_due(now) {
            Some(Due::Dial(peer, _)) => {
                tried.push(peer.0);
                peers.failed(peer, Failure::Unreached, now, 0);
            }
            Some(Due::Lookup(name)) => {
                // The order in which they are found makes no difference.
                let turned = ["10.0.0.3:1", "10.0.0.2:1", "10.0.0.1:1"];
                peers.looked_up(name, parsed(&turned), now);
            }
            None => now = peers.next_due().unwrap().max(now.after(MS)),
        }
    }
    assert!(tried.len() > 20, "{tried:?}");
    for (index, peer) in tried.iter().enumerate() {
        assert_eq!(*peer, index as u32 % 3, "{tried:?}");
    }
}

#[test]
fn a_name_is_looked_up_again_now_and_then_and_soon_if_nothing_can_be_reached() {
    let mut peers = found(&["10.0.0.1:1", "10.0.0.2:1"]);
    for peer in [PeerId(0), PeerId(1)] {
        assert_eq!(dialed(&mut peers, Instant::START), Some(peer));
        connect(&mut peers, peer);
        peers.answered(peer, Pid::new(peer.0 as u16).unwrap(), 1);
    }
    assert_eq!(peers.next_due(), Some(at(LOOKUP_INTERVAL)));
    // One is lost: only that one is tried again.
    let wait = fail(&mut peers, PeerId(0), Failure::Unreached);
    assert_eq!(peers.next_due(), Some(at(wait)));
    assert_eq!(dialed(&mut peers, at(wait)), Some(PeerId(0)));
    // Both are lost.
    let now = at(Duration::from_secs(1));
    peers.failed(PeerId(1), Failure::Unreached, now, 0);
    assert_eq!(peers.take_due(now), Some(Due::Lookup(NAME)));
    assert_eq!(peers.take_due(now), None, "one lookup at a time");
    peers.looked_up(NAME, parsed(&["10.0.0.3:1"]), now);
    assert_eq!(peers.forget_unnamed(), [PeerId(1)]);
    assert_eq!(peers.dial(PeerId(1)), None, "it is forgotten");
    assert_eq!(dialed(&mut peers, now), Some(PeerId(2)));
    // What comes late about an address that was forgotten reaches no other one.
    peers.failed(PeerId(1), Failure::Refused, now, 0);
    connect(&mut peers, PeerId(1));
    assert_eq!(peers.answered(PeerId(1), TWO, 1), Answer::Again);
    assert_eq!(peers.dial(PeerId(2)), Some(Dial::Starting));
    assert_eq!(
        (peers.connection(PeerId(1)), peers.pid(PeerId(1))),
        (None, None)
    );
}

#[test]
fn a_lookup_that_fails_or_hangs_does_not_hold_up_known_addresses() {
    let mut peers = found(&["10.0.0.1:1"]);
    assert_eq!(dialed(&mut peers, Instant::START), Some(PEER));
    fail(&mut peers, PEER, Failure::Unreached);
    let mut now = at(BACKOFF_MIN);
    assert_eq!(peers.take_due(now), Some(Due::Lookup(NAME)));
    for _ in 0..5 {
        // The lookup hangs.
        now = now.after(BACKOFF_MAX);
        assert_eq!(dialed(&mut peers, now), Some(PEER));
        peers.failed(PEER, Failure::Unreached, now, 0);
    }
    assert!(peers.lookup_failed(NAME, "no server", now, 0));
    now = now.after(BACKOFF_MAX);
    assert_eq!(peers.take_due(now), Some(Due::Lookup(NAME)));
    assert_eq!(dialed(&mut peers, now), Some(PEER));
    assert!(
        !peers.lookup_failed(NAME, "no server", now, 0),
        "it is no news"
    );
    assert!(peers.lookup_failed(NAME, "no such name", now, 0));
}

#[test]
fn a_name_that_leads_nowhere_is_not_looked_up_all_the_time() {
    let (mut peers, mut now, mut lookups) =
        (found(&["10.0.0.1:1", "10.0.0.2:1"]), Instant::START, 0);
    let end = at(Duration::from_secs(60));
    while now < end {
        match peers.take_due(now) {
            Some(Due::Lookup(name)) => {
                lookups += 1;
                peers.looked_up(name, parsed(&["10.0.0.1:1", "10.0.0.2:1"]), now);
            }
            Some(Due::Dial(peer, _)) => {
                peers.failed(peer, Failure::Unreached, now, 0);
            }
            None => now = peers.next_due().unwrap().max(now.after(MS)),
        }
    }
    let most = 60 / (BACKOFF_MAX / 2).as_secs() + 8;
    assert!((10..=most).contains(&lookups), "{lookups}");
}

#[test]
fn a_connection_outlives_the_address_in_its_name() {
    let mut peers = found(&["10.0.0.1:1"]);
    assert_eq!(dialed(&mut peers, Instant::START), Some(PEER));
    connect(&mut peers, PEER);
    peers.answered(PEER, ONE, 1);
    let now = at(LOOKUP_INTERVAL);
    assert_eq!(peers.take_due(now), Some(Due::Lookup(NAME)));
    peers.looked_up(NAME, parsed(&["10.0.0.2:1"]), now);
    assert!(peers.connection(PEER).is_some());
    assert_eq!(peers.shown()[0], Shown::Peer(PEER));
    // Once it is lost it is not dialed again.
    peers.failed(PEER, Failure::Unreached, now, 0);
    assert_eq!(dialed(&mut peers, now), Some(PeerId(1)));
    let later = now.after(Duration::from_secs(20));
    assert_eq!(dialed(&mut peers, later), None);
}

#[test]
fn a_name_has_a_limited_number_of_addresses_and_those_that_are_known_come_first() {
    let many = |first: usize| {
        let address = |last| SocketAddr::from(([10, 0, 0, last as u8], 1));
        (first..first + ADDRESSES_PER_NAME_MAX + 3).map(address)
    };
    let mut peers = Peers::new(vec!["ids:1".to_owned()], Vec::new());
    peers.take_due(Instant::START);
    assert_eq!(peers.looked_up(NAME, many(0), Instant::START), Some(3));
    assert_eq!(
        peers.looked_up(NAME, many(3), at(MS)),
        None,
        "it is said once"
    );
    assert_eq!(peers.name(NAME).addresses.len(), ADDRESSES_PER_NAME_MAX);
    let kept = |peer: &PeerId| peer.0 < ADDRESSES_PER_NAME_MAX as u32;
    let kept = peers.name(NAME).addresses.iter().filter(|peer| kept(peer));
    assert_eq!(kept.count(), ADDRESSES_PER_NAME_MAX - 3);
}

#[test]
fn the_addresses_of_all_names_are_limited_too() {
    let names = crate::limits::DIALED_MAX / ADDRESSES_PER_NAME_MAX + 2;
    let mut peers = Peers::new(
        (0..names).map(|name| format!("ids{name}:1")).collect(),
        Vec::new(),
    );
    for name in 0..names {
        let address = |last| SocketAddr::from(([10, 1, name as u8, last as u8], 1));
        let found = (0..ADDRESSES_PER_NAME_MAX).map(address);
        peers.looked_up(NameId(name as u16), found, Instant::START);
    }
    assert_eq!(peers.peers.len(), crate::limits::DIALED_MAX);
}

// One server at several addresses.

#[test]
fn another_address_of_a_connected_server_waits_until_that_one_is_lost() {
    let mut peers = found(&["[::1]:1", "10.0.0.1:1"]);
    for peer in [PeerId(0), PeerId(1)] {
        assert_eq!(dialed(&mut peers, at(ATTEMPT_DELAY)), Some(peer));
        connect(&mut peers, peer);
        let answer = peers.answered(peer, ONE, 7);
        let same = if peer.0 == 0 {
            Answer::First
        } else {
            Answer::SameServer(peer)
        };
        assert_eq!(answer, same);
    }
    peers.park(PeerId(1), Instant::START);
    assert_eq!(peers.dial(PeerId(1)), Some(Dial::Parked(PeerId(0))));
    assert_eq!(peers.shown(), [Shown::Peer(PeerId(0))]);
    assert_eq!(peers.next_due(), Some(at(LOOKUP_INTERVAL)));
    let now = at(Duration::from_secs(1));
    peers.failed(PeerId(0), Failure::Unreached, now, 0);
    assert_eq!(peers.shown().len(), 1, "it is one server still");
    assert_eq!(dialed(&mut peers, now), Some(PeerId(1)));
    connect(&mut peers, PeerId(1));
    assert_eq!(peers.answered(PeerId(1), ONE, 8), Answer::First);
    assert_eq!(peers.shown(), [Shown::Peer(PeerId(1))]);
}

#[test]
fn two_processes_with_one_pid_are_two_servers() {
    let mut peers = peers();
    for (peer, session) in [(PeerId(0), 7), (PeerId(1), 8)] {
        connect(&mut peers, peer);
        assert_eq!(peers.answered(peer, ONE, session), Answer::First);
    }
    assert_eq!(peers.shown().len(), 2);
}

#[test]
fn an_address_is_not_parked_behind_a_connection_that_is_lost() {
    let mut peers = peers();
    for peer in [PeerId(0), PeerId(1)] {
        connect(&mut peers, peer);
        peers.answered(peer, ONE, 7);
    }
    fail(&mut peers, PeerId(0), Failure::Unreached);
    peers.park(PeerId(1), at(MS));
    assert_eq!(peers.dial(PeerId(1)), Some(Dial::Waiting { due: at(MS) }));
}

// Joining.

#[test]
fn beside_one_that_has_answered_each_address_is_tried_once() {
    let mut peers = found(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]);
    fail(&mut peers, PeerId(0), Failure::Oneself);
    fail(&mut peers, PeerId(1), Failure::Unreached);
    assert_eq!(peers.outlook(), Outlook::Open);
    peers.answered(PeerId(2), ONE, 1);
    assert_eq!(
        peers.outlook(),
        Outlook::Open,
        "an answer that objects is none"
    );
    peers.checked(PeerId(2));
    assert_eq!(peers.outlook(), Outlook::AllAsked);
    // What is lost again was asked.
    fail(&mut peers, PeerId(2), Failure::Unreached);
    assert_eq!(peers.outlook(), Outlook::AllAsked);
}

#[test]
fn it_does_not_matter_which_name_has_led_to_the_one_that_has_answered() {
    let mut peers = Peers::new(
        vec!["10.0.0.1:1".to_owned(), "ids:1".to_owned()],
        Vec::new(),
    );
    peers.checked(PEER);
    assert_eq!(peers.outlook(), Outlook::Open, "it was not looked up yet");
    peers.lookup_failed(NameId(1), "no such name", Instant::START, 0);
    assert_eq!(peers.outlook(), Outlook::AllAsked);
}

#[test]
fn as_long_as_nobody_has_answered_a_peer_that_was_not_reached_is_waited_for() {
    let mut peers = peers();
    fail(&mut peers, PeerId(0), Failure::Unreached);
    fail(&mut peers, PeerId(1), Failure::NobodyThere);
    assert_eq!(peers.outlook(), Outlook::Open);
    fail(&mut peers, PeerId(0), Failure::NobodyThere);
    assert_eq!(peers.outlook(), Outlook::NobodyThere);
    connect(&mut peers, PeerId(0));
    assert_eq!(peers.outlook(), Outlook::Open, "somebody has come");
    fail(&mut peers, PeerId(0), Failure::Refused);
    assert_eq!(peers.outlook(), Outlook::Open);
    peers.checked(PeerId(0));
    assert_eq!(peers.outlook(), Outlook::AllAsked);
    let mut unknown = Peers::new(vec!["ids:1".to_owned()], Vec::new());
    unknown.lookup_failed(NAME, "no such name", Instant::START, 0);
    assert_eq!(unknown.outlook(), Outlook::Open);
}

#[test]
fn one_that_is_no_peer_is_not_waited_for() {
    for failure in [Failure::Oneself, Failure::Foreign] {
        let mut alone = found(&["10.0.0.1:1"]);
        assert_eq!(alone.outlook(), Outlook::Open);
        fail(&mut alone, PEER, failure);
        assert_eq!(alone.outlook(), Outlook::AllAsked);
    }
}

// What is only remembered.

/// One named address, and these that are remembered.
fn remembering(addresses: &[&str]) -> Peers {
    let texts = addresses.iter().map(|address| (*address).to_owned());
    Peers::new(vec!["10.0.0.1:1".to_owned()], texts.collect())
}

#[test]
fn of_what_is_remembered_each_is_asked_once_and_neither_the_own_nor_a_named_one() {
    let named = vec!["a:1".to_owned()];
    let asked = to_ask(&named, "own:1", ["b:1", "a:1", "own:1", "b:1", "c:1"]);
    assert_eq!(asked, ["b:1", "c:1"]);
    let many: Vec<String> = (0..2 * REMEMBERED_DIALED_MAX)
        .map(|number| format!("many:{number}"))
        .collect();
    let asked = to_ask(&[], "", many.iter().map(String::as_str));
    assert_eq!(asked, many[..REMEMBERED_DIALED_MAX]);
}

#[test]
fn what_is_remembered_is_asked_like_a_name_but_not_shown() {
    let mut peers = remembering(&["10.0.0.2:1"]);
    let other = PeerId(1);
    assert!(peers.is_only_asked(other) && !peers.is_only_asked(PEER));
    assert_eq!(peers.shown(), [Shown::Name(NAME)]);
    assert_eq!(peers.expected(), 2);
    peers.checked(PEER);
    assert_eq!(peers.outlook(), Outlook::Open);
    peers.checked(other);
    assert_eq!(peers.outlook(), Outlook::AllAsked);
    connect(&mut peers, other);
    peers.answered(other, TWO, 1);
    assert_eq!(peers.named(TWO), None);
    // The same server at a named address: that one is kept.
    connect(&mut peers, PEER);
    assert_eq!(peers.answered(PEER, TWO, 1), Answer::SameServer(other));
    assert_eq!(peers.expected(), 1);
}

#[test]
fn when_the_join_is_over_what_is_remembered_is_dialed_no_more() {
    let mut peers = remembering(&["10.0.0.2:1", "10.0.0.1:1", "10.0.0.3:1", "ids:1"]);
    let (idle, connected) = (PeerId(1), PeerId(2));
    connect(&mut peers, connected);
    let lookup = NameId(4);
    assert_eq!(peers.take_due(Instant::START), Some(Due::Lookup(lookup)));
    peers.end_join();
    assert_eq!(peers.forget_unnamed(), [idle]);
    assert!(peers.connection(connected).is_some());
    assert_eq!(
        dialed(&mut peers, Instant::START),
        Some(PEER),
        "it is named"
    );
    peers.looked_up(lookup, parsed(&["10.0.0.9:1"]), Instant::START);
    fail(&mut peers, connected, Failure::Unreached);
    assert_eq!(peers.forget_unnamed(), [connected]);
    assert_eq!(peers.peers.len(), 1);
    assert_eq!(peers.take_due(at(BACKOFF_MAX)), None);
}

#[test]
fn an_address_that_waits_for_its_next_attempt_is_asked_at_once() {
    let mut peers = Peers::new(vec!["10.0.0.1:3264".to_owned()], Vec::new());
    let now = Instant::START;
    let Some(Due::Dial(peer, _)) = peers.take_due(now) else {
        panic!("it is due at once");
    };
    peers.failed(peer, Failure::Refused, now, 0);
    assert_eq!(peers.take_due(now), None, "it waits");
    assert!(peers.ask("10.0.0.1:3264".to_owned(), now));
    assert!(matches!(peers.take_due(now), Some(Due::Dial(again, _)) if again == peer));
}

#[test]
fn no_more_are_asked_at_once_than_the_bound_says() {
    let mut peers = remembering(&[]);
    for number in 0..REMEMBERED_DIALED_MAX {
        assert!(peers.ask(format!("10.0.1.{number}:1"), Instant::START));
    }
    assert!(!peers.ask("10.0.2.1:1".to_owned(), Instant::START));
    assert!(peers.ask("10.0.1.5:1".to_owned(), Instant::START), "it is");
    // One that could not be reached makes room.
    let gone = PeerId(6);
    fail(&mut peers, gone, Failure::Unreached);
    peers.give_up(gone);
    assert_eq!(peers.forget_unnamed(), [gone]);
    assert!(peers.ask("10.0.2.1:1".to_owned(), Instant::START));
    assert_eq!(peers.names.len(), 1 + REMEMBERED_DIALED_MAX);
}

// What is shown.

#[test]
fn a_name_stands_for_one_peer_until_servers_are_found_behind_it() {
    let mut peers = found(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]);
    assert_eq!(peers.shown(), [Shown::Name(NAME)]);
    assert_eq!(peers.progress(Shown::Name(NAME)), Progress::Down);
    peers.connecting(PeerId(1), ConnectionId::new(1, 1));
    assert_eq!(peers.progress(Shown::Name(NAME)), Progress::Connecting);
    fail(&mut peers, PeerId(0), Failure::Oneself);
    connect(&mut peers, PeerId(1));
    peers.answered(PeerId(1), ONE, 1);
    // The third is a server of its own, though nobody answers there.
    let both = [Shown::Peer(PeerId(1)), Shown::Peer(PeerId(2))];
    assert_eq!(peers.shown(), both);
    assert_eq!(peers.title(PeerId(1)), "ids:1 (10.0.0.2:1)");
    assert_eq!(peers.dialed_at(PeerId(1)), "10.0.0.2:1");
}

#[test]
fn this_server_itself_is_not_shown() {
    let mut peers = found(&["10.0.0.1:1"]);
    fail(&mut peers, PEER, Failure::Oneself);
    assert_eq!(peers.shown(), []);
    assert!(peers.is_oneself(PEER) && !peers.is_news(PEER, "oneself"));
}

#[test]
fn an_address_that_nobody_listens_on_is_not_shown_beside_that_of_the_other_family() {
    let mut peers = found(&["[::1]:1", "127.0.0.1:1"]);
    fail(&mut peers, PeerId(0), Failure::Unreached);
    assert!(!peers.is_news(PeerId(0), "refused"), "the other may answer");
    connect(&mut peers, PeerId(1));
    peers.answered(PeerId(1), ONE, 1);
    assert!(!peers.is_news(PeerId(0), "refused"));
    assert_eq!(peers.shown(), [Shown::Peer(PeerId(1))]);
    assert_eq!(peers.title(PeerId(1)), "ids:1");
    assert_eq!(peers.dialed_at(PeerId(1)), "ids:1");
    // Where neither answers, it is said once.
    let mut peers = found(&["[::1]:1", "127.0.0.1:1"]);
    for (peer, is_news) in [(PeerId(0), false), (PeerId(1), true), (PeerId(0), false)] {
        fail(&mut peers, peer, Failure::Unreached);
        assert_eq!(peers.is_news(peer, "refused"), is_news, "{peer}");
    }
}

#[test]
fn two_names_of_one_server_are_shown_once() {
    let mut peers = Peers::new(vec!["one:1".to_owned(), "other:1".to_owned()], Vec::new());
    for name in [NameId(0), NameId(1)] {
        peers.looked_up(name, parsed(&["10.0.0.1:1"]), Instant::START);
    }
    assert_eq!(peers.peers.len(), 1, "it is one address");
    connect(&mut peers, PEER);
    peers.answered(PEER, ONE, 1);
    assert_eq!(peers.shown(), [Shown::Peer(PEER)]);
    // One name is enough for it to be dialed.
    peers.looked_up(NameId(0), parsed(&["10.0.0.2:1"]), at(MS));
    fail(&mut peers, PEER, Failure::Unreached);
    assert!(matches!(peers.dial(PEER), Some(Dial::Waiting { .. })));
}

// Owners.

fn owners(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn an_owner_is_a_peer_for_as_long_as_it_owns_its_pid() {
    let mut peers = peers();
    let change = peers.set_owners(&owners(&["10.0.0.3:1", "ids:1"]), Instant::START);
    let (three, ids) = (NameId(2), NameId(3));
    assert_eq!(change.came, [three, ids]);
    assert_eq!(change.gone, []);
    assert_eq!(
        peers.shown(),
        [NAME, NameId(1), three, ids].map(Shown::Name)
    );
    assert_eq!(peers.take_due(Instant::START), Some(Due::Lookup(ids)));
    let peer = peers.find("10.0.0.3:1".parse().unwrap()).unwrap();
    assert!(!peers.is_only_asked(peer) && peers.is_owner(three) && !peers.is_owner(NAME));
    // The same list again changes nothing.
    let change = peers.set_owners(&owners(&["ids:1", "10.0.0.3:1"]), Instant::START);
    assert_eq!(change, OwnersChange::default());
    connect(&mut peers, peer);
    peers.answered(peer, TWO, 1);
    assert_eq!(peers.named(TWO), Some(peer));
    // The connection stays, but it is not dialed again.
    let change = peers.set_owners(&owners(&["10.0.0.4:1"]), Instant::START);
    assert_eq!(change.gone, [three, ids]);
    assert_eq!(change.came.len(), 1);
    assert!(peers.connection(peer).is_some());
    assert!(peers.shown().contains(&Shown::Peer(peer)));
    fail(&mut peers, peer, Failure::Unreached);
    assert_eq!(peers.forget_unnamed(), [peer]);
    assert_eq!(peers.shown().len(), 3);
}

#[test]
fn an_owner_that_was_given_with_peer_stays_when_it_owns_nothing_any_more() {
    let mut peers = peers();
    let change = peers.set_owners(&owners(&["10.0.0.1:1"]), Instant::START);
    assert_eq!(change, OwnersChange::default());
    assert_eq!(
        peers.set_owners(&[], Instant::START),
        OwnersChange::default()
    );
    assert_eq!(peers.shown().len(), 2);
}

#[test]
fn owners_that_come_and_go_use_no_more_places_than_there_can_be_peers() {
    let mut peers = remembering(&["10.0.0.2:1"]);
    for round in 0..4 {
        let all: Vec<String> = (0..2 * OWNERS_MAX)
            .map(|number| format!("host-{round}-{number}:1"))
            .collect();
        assert_eq!(
            peers.set_owners(&all, Instant::START).came.len(),
            OWNERS_MAX
        );
        assert_eq!(peers.names.len(), 2 + OWNERS_MAX);
    }
    // What is remembered has places of its own.
    assert!(peers.ask("10.0.0.9:1".to_owned(), Instant::START));
    assert_eq!(peers.names.len(), 3 + OWNERS_MAX);
    // An address that is remembered and comes to be an owner's is a peer.
    let peer = peers.find("10.0.0.2:1".parse().unwrap()).unwrap();
    assert!(peers.is_only_asked(peer));
    peers.set_owners(&owners(&["10.0.0.2:1"]), Instant::START);
    assert!(!peers.is_only_asked(peer));
    peers.end_join();
    assert_eq!(peers.forget_unnamed().len(), 1);
    assert!(peers.dial(peer).is_some());
}
