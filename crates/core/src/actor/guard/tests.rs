//! Tests of the guard with servers that restart, that were copied, or that lost their state.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    ids::PeerId,
    words::{Told, WIRE_VERSION},
};

const PID: u16 = 7;
const SECOND: Duration = Duration::from_secs(1);

/// What a server tells about itself.
#[derive(Clone, Copy)]
struct Speaker {
    incarnation: u128,
    boot: u64,
    session: u64,
    sequence: u64,
    link: Link,
    fences: bool,
}

fn speaker(incarnation: u128, boot: u64, session: u64, sequence: u64) -> Speaker {
    let link = Link::Dialed(PeerId(session as u32));
    Speaker {
        incarnation,
        boot,
        session,
        sequence,
        link,
        fences: false,
    }
}

/// The same, with its state in a store that fences.
fn fenced(boot: u64, session: u64, sequence: u64) -> Speaker {
    Speaker {
        fences: true,
        ..speaker(1, boot, session, sequence)
    }
}

fn rival(speaker: Speaker) -> Rival {
    Rival {
        session: speaker.session,
        link: Some(speaker.link),
    }
}

fn sequence(value: u64) -> Sequence {
    Sequence::new(value).unwrap()
}

fn empty() -> Guard {
    Guard::new(0, Vec::new())
}

impl Guard {
    /// Hears the speaker, who is known to have received what was sent at `received`.
    fn hears(&mut self, speaker: Speaker, received: Option<Serial>) -> Vec<Charge> {
        let sync = SyncMessage {
            version: WIRE_VERSION,
            told: Told {
                ceiling: speaker.sequence,
                heard: received.unwrap_or_default(),
                ..Told::default()
            },
            cluster: "test".parse().unwrap(),
            pid: Pid::new(PID).unwrap(),
            incarnation: speaker.incarnation,
            boot: speaker.boot,
            session: speaker.session,
            sequence: speaker.sequence,
            advertise: String::new(),
        };
        let claimant = Claimant {
            incarnation: speaker.incarnation,
            boot: speaker.boot,
            session: speaker.session,
            sequence: sequence(speaker.sequence),
            ceiling: sequence(speaker.sequence),
            told_sequence: speaker.sequence,
            fences: speaker.fences,
        };
        self.hear(speaker.link, &sync, claimant, Instant::START)
    }

    /// Hears the speaker ask, and answers. Returns the serial of the answer.
    fn asked_by(&mut self, speaker: Speaker, received: Option<Serial>) -> (Vec<Charge>, Serial) {
        (self.hears(speaker, received), self.next_nonce())
    }

    /// What is saved now.
    fn saves(&mut self, now: Instant, stopping: bool) -> Vec<Remembered> {
        match self.take_unsaved(now, stopping) {
            Save::Now(remembered) => remembered,
            other => panic!("it is not saved now: {other:?}"),
        }
    }

    fn remembered(&self) -> Remembered {
        self.members[&Pid::new(PID).unwrap()].remembered.clone()
    }

    fn codes(&mut self, speaker: Speaker) -> Vec<ErrorCode> {
        self.hears(speaker, None)
            .iter()
            .map(|charge| charge.code)
            .collect()
    }
}

#[test]
fn the_process_that_comes_first_is_remembered() {
    let mut guard = empty();
    assert_eq!(guard.codes(speaker(1, 1, 1, 100)), []);
    assert_eq!(guard.codes(speaker(1, 1, 1, 200)), []);
    let remembered = guard.remembered();
    assert_eq!((remembered.boot, remembered.session), (1, 1));
    assert_eq!(remembered.sequence, sequence(200));
}

#[test]
fn a_restart_is_not_a_conflict_however_late_the_last_message_comes() {
    let mut guard = empty();
    let (old, new) = (speaker(1, 1, 1, 100), speaker(1, 2, 2, 1000));
    let (_, answer) = guard.asked_by(old, None);
    let (charges, answer_to_new) = guard.asked_by(new, None);
    assert_eq!(charges, []);
    // The dead process sent this after its last answer, and it is handled only now.
    assert_eq!(guard.hears(old, Some(answer)), []);
    let (charges, answer_to_new) = guard.asked_by(new, Some(answer_to_new));
    assert_eq!(charges, []);
    assert_eq!(guard.hears(new, Some(answer_to_new)), []);
    assert_eq!(
        guard.remembered().boot,
        2,
        "a late message does not undo what is newer"
    );
}

#[test]
fn two_processes_that_were_alive_at_one_time_are_both_charged() {
    let mut guard = empty();
    // A copied directory: the same incarnation, and a higher boot.
    let (one, two) = (speaker(1, 5, 1, 100), speaker(1, 6, 2, 100));
    let (_, to_one) = guard.asked_by(one, None);
    let (_, to_two) = guard.asked_by(two, None);
    // The first process may have been dead by then: this could be its last message.
    let (charges, to_one) = guard.asked_by(one, Some(to_one));
    assert_eq!(charges, []);
    let (charges, _) = guard.asked_by(two, Some(to_two));
    assert_eq!(charges, []);
    // It asks again after an answer that was given when the second had already been heard.
    let charges = guard.hears(one, Some(to_one));
    assert_eq!(charges.len(), 2, "{charges:?}");
    assert_eq!(
        (charges[0].session, charges[0].rival),
        (1, Some(rival(two)))
    );
    assert_eq!(
        (charges[1].session, charges[1].rival),
        (2, Some(rival(one)))
    );
    assert!(
        charges
            .iter()
            .all(|charge| charge.code == ErrorCode::PidConflict)
    );
    assert!(
        charges[0].is_new && !charges[1].is_new,
        "people are told once"
    );
    // The process is told again with every message, but people are not.
    let again = guard.hears(two, None);
    assert_eq!((again.len(), again[0].is_new), (1, false));
}

#[test]
fn another_directory_an_older_boot_and_a_lower_sequence_are_stale() {
    let known = speaker(1, 5, 1, 1000);
    for (claimed, why) in [
        (speaker(2, 1, 2, 0), "a new directory"),
        (
            speaker(2, 9, 2, 5000),
            "a new directory that has come further",
        ),
        (speaker(1, 4, 2, 5000), "a boot that was there before"),
        (speaker(1, 5, 2, 5000), "the same boot once more"),
        (speaker(1, 6, 2, 999), "less than it told"),
    ] {
        let mut guard = empty();
        guard.hears(known, None);
        let charges = guard.hears(claimed, None);
        assert_eq!(charges.len(), 1, "{why}");
        let charge = charges[0];
        assert_eq!(
            (charge.code, charge.session),
            (ErrorCode::StaleState, 2),
            "{why}"
        );
        assert_eq!(
            (charge.sequence, charge.is_new),
            (sequence(1000), true),
            "{why}"
        );
        assert_eq!(
            guard.hears(claimed, None).len(),
            1,
            "{why}: it is told again"
        );
        assert_eq!(
            guard.remembered().session,
            1,
            "{why}: what is objected to is not remembered"
        );
    }
}

#[test]
fn an_earlier_life_is_charged_aloud_only_when_it_is_known_to_be_alive() {
    let mut guard = empty();
    let (earlier, later) = (speaker(1, 4, 1, 1000), speaker(1, 5, 2, 1000));
    guard.hears(later, None);
    let objection = |guard: &Guard| guard.members[&Pid::new(PID).unwrap()].objection();
    // These may be the last words of a process that is over.
    let (charges, answer) = guard.asked_by(earlier, None);
    let told = |charges: &[Charge]| (charges[0].is_new, charges[0].may_be_over);
    assert_eq!(told(&charges), (true, true));
    assert_eq!(objection(&guard), None);
    assert_eq!(told(&guard.hears(earlier, None)), (false, true));
    // It has received the answer to them.
    let charges = guard.hears(earlier, Some(answer));
    assert_eq!(charges[0].code, ErrorCode::StaleState);
    assert_eq!(told(&charges), (true, false));
    assert_eq!(objection(&guard), Some(ErrorCode::StaleState));
    assert_eq!(told(&guard.hears(earlier, None)), (false, false));
}

#[test]
fn what_was_remembered_before_a_restart_of_this_server_counts() {
    let mut guard = empty();
    guard.hears(speaker(1, 5, 1, 1000), None);
    let saved = guard.saves(Instant::START, false);
    let mut guard = Guard::new(0, saved);
    assert_eq!(
        guard.codes(speaker(1, 5, 1, 1000)),
        [],
        "the process that was there before"
    );
    assert_eq!(guard.codes(speaker(2, 1, 2, 0)), [ErrorCode::StaleState]);
}

#[test]
fn an_operators_word_settles_a_stale_state_when_it_goes_far_enough() {
    let mut guard = empty();
    guard.hears(speaker(1, 5, 1, 1000), None);
    let fresh = speaker(2, 1, 2, 1000);
    assert_eq!(guard.codes(fresh), [ErrorCode::StaleState]);
    let overrule = |session, above| Overrule {
        pid: Pid::new(PID).unwrap(),
        incarnation: 2,
        session,
        above,
    };
    assert!(!guard.overrule(&overrule(2, 999), sequence(999)), "too low");
    assert!(
        !guard.overrule(&overrule(3, 1000), sequence(1000)),
        "another process"
    );
    assert!(guard.overrule(&overrule(2, 1000), sequence(1000)));
    assert_eq!(guard.codes(fresh), []);
    let remembered = guard.remembered();
    assert_eq!((remembered.incarnation, remembered.boot), (2, 1));
    // The lost directory comes back.
    assert_eq!(guard.codes(speaker(1, 6, 4, 5000)), [ErrorCode::StaleState]);
}

#[test]
fn the_last_words_of_a_state_that_was_given_up_do_not_bring_it_back() {
    let mut guard = empty();
    let before = speaker(1, 5, 1, 1000);
    guard.hears(before, None);
    // The directory was rolled back to the start before, and an operator has confirmed it.
    let recovered = speaker(1, 5, 2, 1000);
    assert_eq!(guard.codes(recovered), [ErrorCode::StaleState]);
    let overrule = Overrule {
        pid: Pid::new(PID).unwrap(),
        incarnation: 1,
        session: 2,
        above: 1000,
    };
    assert!(guard.overrule(&overrule, sequence(1000)));
    // A packet of the dead process was lost, and is repeated only now.
    assert_eq!(guard.codes(before), [ErrorCode::StaleState]);
    assert_eq!(guard.codes(speaker(1, 5, 2, 2000)), []);
    let remembered = guard.remembered();
    assert_eq!((remembered.session, remembered.boot), (2, 5));
    // This server is restarted. Then it hears the process that has gone on, above the sequence that was confirmed.
    let saved = guard.saves(Instant::START, false);
    assert_eq!(Guard::new(0, saved).codes(speaker(1, 5, 2, 3000)), []);
}

#[test]
fn the_late_word_of_an_operator_does_not_stop_the_life_that_came_after() {
    let mut guard = empty();
    guard.hears(speaker(1, 5, 1, 1000), None);
    // The directory was lost. An operator has vouched for the new one, which was started twice.
    let [first, second] = [speaker(2, 1, 2, 1500), speaker(2, 2, 3, 1500)];
    assert_eq!(guard.codes(first), [ErrorCode::StaleState]);
    assert_eq!(guard.codes(second), [ErrorCode::StaleState]);
    let overrule = |session| Overrule {
        pid: Pid::new(PID).unwrap(),
        incarnation: 2,
        session,
        above: 1500,
    };
    assert!(guard.overrule(&overrule(3), sequence(1500)));
    // What the first start had sent comes only now.
    assert!(!guard.overrule(&overrule(2), sequence(1500)));
    assert_eq!(guard.codes(second), []);
    // The word for a later start counts again.
    let third = speaker(2, 2, 4, 1500);
    assert_eq!(guard.codes(third), [ErrorCode::StaleState]);
    assert!(guard.overrule(&overrule(4), sequence(1500)));
    assert_eq!(guard.codes(third), []);
}

#[test]
fn anybody_may_use_a_forgotten_pid() {
    let mut guard = empty();
    guard.hears(speaker(1, 5, 1, 1000), None);
    assert_eq!(guard.forget(Pid::new(PID).unwrap()), Some(sequence(1000)));
    assert_eq!(guard.forget(Pid::new(PID).unwrap()), None);
    assert_eq!(guard.codes(speaker(2, 1, 2, 0)), []);
}

#[test]
fn the_identity_of_a_peer_is_saved_at_once_and_its_sequence_now_and_then() {
    let mut guard = empty();
    assert_eq!(guard.take_unsaved(Instant::START, true), Save::Nothing);
    guard.hears(speaker(1, 1, 1, 100), None);
    assert_eq!(guard.saves(Instant::START, false).len(), 1);
    guard.saved(Outcome::Durable);
    guard.hears(speaker(1, 1, 1, 200), None);
    let soon = Instant::START.after(SECOND);
    assert_eq!(guard.take_unsaved(soon, false), Save::Nothing);
    let later = Instant::START.after(MEMBERS_SAVE_INTERVAL);
    assert_eq!(guard.saves(later, false)[0].sequence, sequence(200));
    guard.saved(Outcome::Durable);
    guard.hears(speaker(1, 1, 1, 300), None);
    assert_eq!(guard.saves(later, true)[0].sequence, sequence(300));
    guard.saved(Outcome::Durable);
    // Who a peer is does not wait for that interval.
    guard.hears(speaker(1, 2, 2, 300), None);
    assert_eq!(guard.saves(later, false)[0].boot, 2);
}

#[test]
fn peers_cause_ten_saves_at_once_and_one_a_second() {
    let mut guard = empty();
    let (mut saves, mut boot) = (0, 0);
    let mut timer = None;
    let tick = Duration::from_millis(1);
    let mut now = Instant::START;
    // For a minute a peer claims every millisecond that it was restarted, and each save takes as long.
    for _ in 0..60_000 {
        boot += 1;
        guard.hears(speaker(1, boot, boot, 0), None);
        if timer.take_if(|due| *due <= now).is_some() {
            guard.wait_is_over();
        }
        match guard.take_unsaved(now, false) {
            Save::Nothing => {}
            Save::Now(remembered) => {
                assert_eq!(remembered[0].boot, boot, "the newest is saved");
                saves += 1;
                guard.saved(Outcome::Durable);
            }
            Save::Later(wait) => {
                assert_eq!(timer.replace(now.after(wait)), None, "one timer is enough");
            }
        }
        now = now.after(tick);
    }
    let bound = SAVE_BURST + 60 * SAVE_RATE_PER_SECOND;
    assert!((bound - 1..=bound).contains(&saves), "{saves} saves");
    // From now on it is silent, and its last message is not lost.
    let due = timer.expect("something waits");
    guard.wait_is_over();
    assert_eq!(guard.saves(due, false)[0].boot, boot);
}

#[test]
fn a_claim_does_not_wait_for_what_others_have_caused_before() {
    let mut guard = empty();
    for boot in 1..=SAVE_BURST {
        guard.hears(speaker(1, boot, boot, 0), None);
        guard.saves(Instant::START, false);
        guard.saved(Outcome::Durable);
    }
    guard.hears(speaker(1, 100, 100, 0), None);
    assert_eq!(
        guard.take_unsaved(Instant::START, false),
        Save::Later(SECOND)
    );
    for count in 1..=CLAIM_SAVE_BURST {
        guard.unsaved = Unsaved::Claim;
        assert_eq!(guard.saves(Instant::START, false)[0].boot, 100, "{count}");
        guard.saved(Outcome::Durable);
    }
    // Claims have a bound too. The timer is set anew where that is sooner.
    guard.unsaved = Unsaved::Claim;
    let wait = SECOND / CLAIM_SAVE_RATE_PER_SECOND as u32;
    assert_eq!(guard.take_unsaved(Instant::START, false), Save::Later(wait));
    assert_eq!(guard.take_unsaved(Instant::START, false), Save::Nothing);
    guard.wait_is_over();
    guard.saves(Instant::START.after(wait), false);
}

#[test]
fn a_failed_save_is_repeated_later_and_in_a_stop_at_once() {
    let mut guard = empty();
    guard.hears(speaker(1, 1, 1, 100), None);
    assert_eq!(guard.saves(Instant::START, false).len(), 1);
    assert!(!guard.has_saved());
    guard.saved(Outcome::Failed);
    assert!(!guard.has_saved());
    let soon = Instant::START.after(SECOND);
    assert_eq!(guard.take_unsaved(soon, false), Save::Nothing);
    assert_eq!(guard.saves(soon, true).len(), 1);
    guard.saved(Outcome::Failed);
    let later = soon.after(MEMBERS_SAVE_INTERVAL);
    assert_eq!(guard.saves(later, false).len(), 1);
    guard.saved(Outcome::Durable);
    assert!(guard.has_saved());
}

#[test]
fn a_stop_saves_what_waits_and_pays_nothing_for_it() {
    let mut guard = empty();
    for boot in 1..=SAVE_BURST + 1 {
        guard.hears(speaker(1, boot, boot, 0), None);
        let save = guard.take_unsaved(Instant::START, false);
        assert_eq!(matches!(save, Save::Now(_)), boot <= SAVE_BURST, "{save:?}");
        guard.saved(Outcome::Durable);
    }
    assert_eq!(guard.saves(Instant::START, true)[0].boot, SAVE_BURST + 1);
}

#[test]
fn the_lives_of_a_pid_are_bounded() {
    let mut guard = empty();
    for session in 1..100 {
        guard.hears(speaker(1, session, session, session), None);
    }
    assert_eq!(
        guard.members[&Pid::new(PID).unwrap()].lives.len(),
        LIVES_PER_PID_MAX
    );
}

proptest! {
    // A failure prints the smallest input that fails. A file beside the sources would add nothing.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// One server that is restarted again and again. Each process has one question under way at a time. The last
    /// messages of the dead processes arrive at any later time.
    #[test]
    fn restarts_are_never_taken_for_a_conflict(
        lives in prop::collection::vec((0..5usize, 0..12usize), 1..12),
    ) {
        let mut guard = empty();
        let mut last_words: Vec<(usize, Speaker, Option<Serial>)> = Vec::new();
        for (index, (rounds, delay)) in lives.into_iter().enumerate() {
            let number = index as u64 + 1;
            let process = speaker(1, number, number, number * 100);
            let mut received = None;
            for _ in 0..rounds {
                let (charges, answer) = guard.asked_by(process, received);
                prop_assert_eq!(charges, []);
                received = Some(answer);
                for words in &mut last_words {
                    words.0 = words.0.saturating_sub(1);
                }
                let (due, rest) = last_words.into_iter().partition(|words| words.0 == 0);
                last_words = rest;
                for (_, dead, received) in due {
                    let charges = guard.hears(dead, received);
                    // A dead process that is unknown, or not known any more, may look stale. Only that process is
                    // charged, and it does not hear of it.
                    let harmless = |charge: &Charge| {
                        charge.code == ErrorCode::StaleState && charge.session == dead.session
                    };
                    prop_assert!(charges.iter().all(harmless));
                    guard.next_nonce();
                }
            }
            last_words.push((delay, process, received));
        }
    }

    /// Two live servers are noticed by any server that hears both, in any order.
    #[test]
    fn two_live_servers_are_always_found_out(order in prop::collection::vec(any::<bool>(), 0..20)) {
        let mut guard = empty();
        let speakers = [speaker(1, 5, 1, 100), speaker(1, 6, 2, 100)];
        let mut received = [None, None];
        let mut charged = [false, false];
        // Whatever the order was, each is heard a few more times at the end.
        let rounds = order.into_iter().map(usize::from).chain([0, 1, 0, 1, 0, 1, 0, 1]);
        for which in rounds {
            let (charges, answer) = guard.asked_by(speakers[which], received[which]);
            received[which] = Some(answer);
            for charge in charges {
                charged[charge.session as usize - 1] = true;
            }
        }
        prop_assert_eq!(charged, [true, true]);
    }
}

#[test]
fn of_two_lives_in_a_store_that_fences_the_later_one_has_the_pid_and_there_is_no_conflict() {
    let mut guard = empty();
    let (old, new) = (fenced(1, 1, 100), fenced(2, 2, 1000));
    let (_, to_old) = guard.asked_by(old, None);
    let (charges, to_new) = guard.asked_by(new, Some(to_old));
    assert_eq!(charges, []);
    // Both are alive, and each has heard of a time at which the other was.
    let (charges, to_old) = guard.asked_by(old, Some(to_new));
    let [charge] = charges[..] else {
        panic!("{charges:?}");
    };
    assert_eq!((charge.session, charge.code), (1, ErrorCode::StaleState));
    assert!(charge.may_be_over, "there is nothing to mend");
    assert_eq!(charge.rival, None);
    for _ in 0..3 {
        assert_eq!(guard.hears(new, Some(to_old)), []);
        assert_eq!(guard.codes(old), [ErrorCode::StaleState]);
    }
    assert_eq!(guard.remembered().session, 2);
    let known = &guard.members[&Pid::new(PID).unwrap()];
    assert_eq!(known.objection(), None, "no operator has to look");
    // The next one is judged anew.
    assert_eq!(guard.codes(fenced(3, 3, 2000)), []);
    assert_eq!(guard.codes(new), [ErrorCode::StaleState]);
}

#[test]
fn a_store_that_was_rolled_back_is_noticed_as_a_directory_is() {
    for (second, code) in [
        (fenced(2, 3, 1000), "the same boot twice"),
        (fenced(1, 3, 1000), "a boot that falls"),
        (fenced(3, 3, 999), "a higher boot that has not come as far"),
    ] {
        let mut guard = empty();
        assert_eq!(guard.codes(fenced(2, 2, 1000)), []);
        assert_eq!(guard.codes(second), [ErrorCode::StaleState], "{code}");
    }
}

#[test]
fn a_life_that_does_not_fence_is_not_ended_by_a_boot_in_a_store() {
    // The same incarnation, because the directory was imported into the store.
    let mut guard = empty();
    let (on_disk, in_store) = (speaker(1, 1, 1, 100), fenced(2, 2, 1000));
    let (_, to_disk) = guard.asked_by(on_disk, None);
    let (charges, to_store) = guard.asked_by(in_store, Some(to_disk));
    assert_eq!(charges, []);
    // The one on the disk is alive, and nobody has ended it.
    let charges = guard.hears(on_disk, Some(to_store));
    let codes: Vec<_> = charges.iter().map(|charge| charge.code).collect();
    assert_eq!(codes, [ErrorCode::PidConflict; 2], "both serve");
    // Another incarnation has nothing to do with it either.
    let mut guard = empty();
    assert_eq!(guard.codes(speaker(9, 1, 1, 100)), []);
    assert_eq!(guard.codes(fenced(2, 2, 1000)), [ErrorCode::StaleState]);
}
