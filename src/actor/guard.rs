//! The memory of a cluster: what every other pid was last heard to be, and the judgement of who comes
//! under its name.
//!
//! Two things must not happen to a pid. It must not be used by two live servers, and it must not come back
//! with a state older than the one it had. Each server remembers its peers so that it can tell.
//!
//! **A stale state.** What a server tells of itself is durable before it tells it. So a server of the same
//! directory that comes back has a higher boot and no lower sequence. One that comes back otherwise has
//! lost its directory, or had it rolled back.
//!
//! **A conflict.** Every process has a random session. That two sessions of a pid were heard is no proof: a
//! restart does that, and the last message of the dead process may even be handled after the first of the
//! new one. The proof is that both were alive at one time:
//!
//! - A session was alive before the moment at which it was *first heard*.
//! - A session was alive after a moment at which something was sent to it, if it is known to have received
//!   that: because it answered it, or asked anew behind it (a server has one question at a time on a
//!   connection, so what it asks next it asks after it had the answer).
//!
//! If X was alive after Y was first heard, and Y was alive after X was first heard, then the lives of X and Y
//! overlap: both held the moment at which the later of them began. A process that was restarted was never
//! alive after its successor was heard, however late its messages come. Moments are the serial numbers of
//! the messages handled here: no clock is compared with another.

use std::collections::BTreeMap;

use super::Link;
use crate::{
    identity::{Pid, Sequence},
    limits::{LIVES_PER_PID_MAX, MEMBERS_SAVE_INTERVAL},
    time::Instant,
    wire::{ErrorCode, Overrule, SyncMessage},
};

/// What is remembered of another pid, durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The pid.
    pub pid: Pid,
    /// The random value of its state directory.
    pub incarnation: u128,
    /// The highest boot that it told.
    pub boot: u64,
    /// The random value of the process that told it.
    pub session: u64,
    /// The highest sequence that it told.
    pub sequence: Sequence,
}

/// A position in the order of all that this server has heard and sent to its peers.
pub(super) type Serial = u64;

/// One process that was heard under a pid since this server started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Life {
    session: u64,
    /// It was alive before this.
    first_heard: Serial,
    /// It was alive after this; 0 when nothing is known to have reached it.
    alive_at: Serial,
    /// Where it was last heard.
    link: Link,
    /// Why it must not hand out identities.
    objection: Option<ErrorCode>,
}

/// What is known of one pid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What survives a restart of this server.
    pub remembered: Remembered,
    /// When it was last heard; `None` when that was before this server started.
    pub heard_at: Option<Instant>,
    /// Since this server started, the one heard last at the end.
    lives: Vec<Life>,
}

impl Known {
    /// What is objected to the process that was heard last.
    pub fn objection(&self) -> Option<ErrorCode> {
        self.lives.last()?.objection
    }
}

/// An objection to one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Charge {
    pub(super) session: u64,
    pub(super) link: Link,
    pub(super) code: ErrorCode,
    /// The highest sequence that is known of the pid.
    pub(super) sequence: Sequence,
    /// It was not objected to for this before.
    pub(super) is_new: bool,
    /// The link of the other process, where two use a pid.
    pub(super) rival: Option<Link>,
}

/// The memory of a cluster. See the [module](self).
#[derive(Debug)]
pub(super) struct Guard {
    members: BTreeMap<Pid, Known>,
    serial: Serial,
    /// Something changed since it was last saved; `Some(true)` when that should not wait.
    unsaved: Option<bool>,
    saved_at: Instant,
}

impl Guard {
    /// Begins with what was remembered.
    pub(super) fn new(remembered: Vec<Remembered>) -> Guard {
        let known = |remembered: Remembered| {
            (
                remembered.pid,
                Known {
                    remembered,
                    heard_at: None,
                    lives: Vec::new(),
                },
            )
        };
        Guard {
            members: remembered.into_iter().map(known).collect(),
            serial: 0,
            unsaved: None,
            saved_at: Instant::START,
        }
    }

    pub(super) fn members(&self) -> &BTreeMap<Pid, Known> {
        &self.members
    }

    /// The serial of a message that is about to be sent.
    pub(super) fn next_serial(&mut self) -> Serial {
        self.serial += 1;
        self.serial
    }

    /// Hears a message of a peer. `received` is the serial of what it is known to have received before it
    /// sent this. Returns the charges: against the sender first, and against another process that shares
    /// its pid.
    pub(super) fn hear(
        &mut self,
        link: Link,
        received: Option<Serial>,
        sync: &SyncMessage,
        sequence: Sequence,
        now: Instant,
    ) -> Vec<Charge> {
        let serial = self.next_serial();
        let claimed = Remembered {
            pid: sync.pid,
            incarnation: sync.incarnation,
            boot: sync.boot,
            session: sync.session,
            sequence,
        };
        let known = self.members.entry(sync.pid).or_insert_with(|| {
            self.unsaved = Some(true);
            Known {
                remembered: claimed,
                heard_at: None,
                lives: Vec::new(),
            }
        });
        known.heard_at = Some(now);
        let (mut life, is_first) = known.take_life(sync.session, serial, link);
        life.link = link;
        life.alive_at = life.alive_at.max(received.unwrap_or_default());
        let before = life.objection;
        if is_first && known.remembered.is_newer_than(&claimed) {
            life.objection = Some(ErrorCode::StaleState);
        }
        let mut charges = Vec::new();
        let rival = known.lives.iter_mut().find(|other| life.overlaps(other));
        let rival_link = rival.as_ref().map(|rival| rival.link);
        let mut rival_charge = None;
        if let Some(rival) = rival {
            life.objection = Some(ErrorCode::PidConflict);
            let is_new = rival.objection.replace(ErrorCode::PidConflict) != life.objection;
            rival_charge = Some((rival.session, rival.link, is_new));
        }
        let sequence = known.remembered.sequence;
        if let Some(code) = life.objection {
            let is_new = before != Some(code);
            charges.push(Charge {
                session: life.session,
                link,
                code,
                sequence,
                is_new,
                rival: rival_link,
            });
            if let Some((session, other, rival_is_new)) = rival_charge
                && (is_new || rival_is_new)
            {
                let rival = Some(link);
                let is_new = false; // People are told once of the two.
                charges.push(Charge {
                    session,
                    link: other,
                    code,
                    sequence,
                    is_new,
                    rival,
                });
            }
        } else {
            let urgent = known.remembered.learn(&claimed);
            if let Some(urgent) = urgent {
                self.unsaved = Some(urgent || self.unsaved == Some(true));
            }
        }
        known.lives.push(life);
        charges
    }

    /// An operator has answered for a state that was objected to. Returns whether that settles it.
    pub(super) fn overrule(&mut self, overrule: &Overrule) -> bool {
        let Some(known) = self.members.get_mut(&overrule.pid) else {
            return false;
        };
        let Some(above) = Sequence::new(overrule.above) else {
            return false;
        };
        let remembered = known.remembered;
        let stale = |life: &&mut Life| {
            life.session == overrule.session && life.objection == Some(ErrorCode::StaleState)
        };
        match known.lives.iter_mut().find(stale) {
            Some(life) if above >= remembered.sequence => {
                life.objection = None;
                // Its boot is learned from its next message, and may be lower than that of the lost one.
                known.remembered = Remembered {
                    incarnation: overrule.incarnation,
                    session: overrule.session,
                    boot: 0,
                    sequence: above,
                    ..remembered
                };
                self.unsaved = Some(true);
                true
            }
            _ => false,
        }
    }

    /// Forgets a pid. Returns the highest sequence that was known of it.
    pub(super) fn forget(&mut self, pid: Pid) -> Option<Sequence> {
        let known = self.members.remove(&pid)?;
        self.unsaved = Some(true);
        Some(known.remembered.sequence)
    }

    /// What is to be saved now, if anything. Who a peer is, is saved at once; how far it has come, now and
    /// then: the boot notices a rolled-back directory too.
    pub(super) fn take_unsaved(&mut self, now: Instant, stopping: bool) -> Option<Vec<Remembered>> {
        let urgent = self.unsaved?;
        if !urgent && !stopping && now.since(self.saved_at) < MEMBERS_SAVE_INTERVAL {
            return None;
        }
        self.unsaved = None;
        self.saved_at = now;
        Some(
            self.members
                .values()
                .map(|known| known.remembered)
                .collect(),
        )
    }
}

impl Known {
    /// Takes the life of a session out of the list, or begins it.
    fn take_life(&mut self, session: u64, serial: Serial, link: Link) -> (Life, bool) {
        if let Some(index) = self.lives.iter().position(|life| life.session == session) {
            return (self.lives.remove(index), false);
        }
        if self.lives.len() >= LIVES_PER_PID_MAX {
            self.lives.remove(0);
        }
        (
            Life {
                session,
                first_heard: serial,
                alive_at: 0,
                link,
                objection: None,
            },
            true,
        )
    }
}

impl Life {
    fn overlaps(&self, other: &Life) -> bool {
        self.alive_at >= other.first_heard && other.alive_at >= self.first_heard
    }
}

impl Remembered {
    /// Whether a process that is heard for the first time claims less than this.
    fn is_newer_than(&self, claimed: &Remembered) -> bool {
        claimed.session != self.session
            && (claimed.incarnation != self.incarnation
                || claimed.boot <= self.boot
                || claimed.sequence < self.sequence)
    }

    /// Takes over what is higher. Returns whether that should be saved at once, or `None` when nothing was.
    fn learn(&mut self, claimed: &Remembered) -> Option<bool> {
        let before = *self;
        self.sequence = self.sequence.max(claimed.sequence);
        if claimed.boot > self.boot {
            *self = Remembered {
                sequence: self.sequence,
                ..*claimed
            };
        }
        match *self == before {
            true => None,
            false => Some(self.session != before.session || self.boot != before.boot),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::{actor::PeerId, wire::WIRE_VERSION};

    const PID: u16 = 7;
    const SECOND: Duration = Duration::from_secs(1);

    /// A server as it speaks of itself.
    #[derive(Clone, Copy)]
    struct Speaker {
        incarnation: u128,
        boot: u64,
        session: u64,
        sequence: u64,
        link: Link,
    }

    fn speaker(incarnation: u128, boot: u64, session: u64, sequence: u64) -> Speaker {
        let link = Link::Dialed(PeerId(session as u16));
        Speaker {
            incarnation,
            boot,
            session,
            sequence,
            link,
        }
    }

    fn sequence(value: u64) -> Sequence {
        Sequence::new(value).unwrap()
    }

    fn empty() -> Guard {
        Guard::new(Vec::new())
    }

    impl Guard {
        /// Hears the speaker, who is known to have received what was sent at `received`.
        fn hears(&mut self, speaker: Speaker, received: Option<Serial>) -> Vec<Charge> {
            let sync = SyncMessage {
                version: WIRE_VERSION,
                cluster: "test".parse().unwrap(),
                pid: Pid::new(PID).unwrap(),
                incarnation: speaker.incarnation,
                boot: speaker.boot,
                session: speaker.session,
                sequence: speaker.sequence,
            };
            self.hear(
                speaker.link,
                received,
                &sync,
                sequence(speaker.sequence),
                Instant::START,
            )
        }

        /// Hears the speaker ask, and answers: the serial of the answer.
        fn asked_by(
            &mut self,
            speaker: Speaker,
            received: Option<Serial>,
        ) -> (Vec<Charge>, Serial) {
            (self.hears(speaker, received), self.next_serial())
        }

        fn remembered(&self) -> Remembered {
            self.members[&Pid::new(PID).unwrap()].remembered
        }

        fn codes(&mut self, speaker: Speaker) -> Vec<ErrorCode> {
            self.hears(speaker, None)
                .iter()
                .map(|charge| charge.code)
                .collect()
        }
    }

    #[test]
    fn whoever_comes_first_is_remembered() {
        let mut guard = empty();
        assert_eq!(guard.codes(speaker(1, 1, 1, 100)), []);
        assert_eq!(guard.codes(speaker(1, 1, 1, 200)), []);
        let remembered = guard.remembered();
        assert_eq!((remembered.boot, remembered.session), (1, 1));
        assert_eq!(remembered.sequence, sequence(200));
    }

    #[test]
    fn a_restart_is_no_conflict_however_late_the_last_words_come() {
        let mut guard = empty();
        let (old, new) = (speaker(1, 1, 1, 100), speaker(1, 2, 2, 1000));
        let (_, answer) = guard.asked_by(old, None);
        let (charges, answer_to_new) = guard.asked_by(new, None);
        assert_eq!(charges, []);
        // What the dead process had sent behind its last answer is handled only now.
        assert_eq!(guard.hears(old, Some(answer)), []);
        let (charges, answer_to_new) = guard.asked_by(new, Some(answer_to_new));
        assert_eq!(charges, []);
        assert_eq!(guard.hears(new, Some(answer_to_new)), []);
        assert_eq!(
            guard.remembered().boot,
            2,
            "the late one does not undo what is newer"
        );
    }

    #[test]
    fn two_who_were_alive_at_one_time_are_both_charged() {
        let mut guard = empty();
        // A copied directory: the same incarnation, a boot further.
        let (one, two) = (speaker(1, 5, 1, 100), speaker(1, 6, 2, 100));
        let (_, to_one) = guard.asked_by(one, None);
        let (_, to_two) = guard.asked_by(two, None);
        // The first may have been dead by then: this could be its last words.
        let (charges, to_one) = guard.asked_by(one, Some(to_one));
        assert_eq!(charges, []);
        let (charges, _) = guard.asked_by(two, Some(to_two));
        assert_eq!(charges, []);
        // It asks behind an answer that was given after the second was heard.
        let charges = guard.hears(one, Some(to_one));
        assert_eq!(charges.len(), 2, "{charges:?}");
        assert_eq!((charges[0].session, charges[0].rival), (1, Some(two.link)));
        assert_eq!((charges[1].session, charges[1].rival), (2, Some(one.link)));
        assert!(
            charges
                .iter()
                .all(|charge| charge.code == ErrorCode::PidConflict)
        );
        assert!(
            charges[0].is_new && !charges[1].is_new,
            "people are told once"
        );
        // Told again at every message, and people are not.
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
    fn what_was_remembered_before_a_restart_of_this_server_counts() {
        let mut guard = empty();
        guard.hears(speaker(1, 5, 1, 1000), None);
        let saved = guard.take_unsaved(Instant::START, false).unwrap();
        let mut guard = Guard::new(saved);
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
        assert!(!guard.overrule(&overrule(2, 999)), "too low");
        assert!(!guard.overrule(&overrule(3, 1000)), "another process");
        assert!(!guard.overrule(&overrule(2, u64::MAX)), "no sequence");
        assert!(guard.overrule(&overrule(2, 1000)));
        assert_eq!(guard.codes(fresh), []);
        let remembered = guard.remembered();
        assert_eq!((remembered.incarnation, remembered.boot), (2, 1));
        // The lost directory turns up again.
        assert_eq!(guard.codes(speaker(1, 6, 4, 5000)), [ErrorCode::StaleState]);
    }

    #[test]
    fn a_pid_that_is_forgotten_may_be_anybody() {
        let mut guard = empty();
        guard.hears(speaker(1, 5, 1, 1000), None);
        assert_eq!(guard.forget(Pid::new(PID).unwrap()), Some(sequence(1000)));
        assert_eq!(guard.forget(Pid::new(PID).unwrap()), None);
        assert_eq!(guard.codes(speaker(2, 1, 2, 0)), []);
    }

    #[test]
    fn who_a_peer_is_is_saved_at_once_and_how_far_it_is_now_and_then() {
        let mut guard = empty();
        assert_eq!(guard.take_unsaved(Instant::START, true), None);
        guard.hears(speaker(1, 1, 1, 100), None);
        assert_eq!(guard.take_unsaved(Instant::START, false).unwrap().len(), 1);
        guard.hears(speaker(1, 1, 1, 200), None);
        let soon = Instant::START.after(SECOND);
        assert_eq!(guard.take_unsaved(soon, false), None);
        let later = Instant::START.after(MEMBERS_SAVE_INTERVAL);
        assert_eq!(
            guard.take_unsaved(later, false).unwrap()[0].sequence,
            sequence(200)
        );
        guard.hears(speaker(1, 1, 1, 300), None);
        assert_eq!(
            guard.take_unsaved(later, true).unwrap()[0].sequence,
            sequence(300)
        );
        guard.hears(speaker(1, 2, 2, 300), None);
        assert_eq!(guard.take_unsaved(later, false).unwrap()[0].boot, 2);
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
        /// One server, restarted again and again, each process with one question under way at a time; the
        /// last words of the dead come at any time later.
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
                        // A dead process that is not known, or not any more, may look stale. It is charged
                        // alone, and hears nothing of it.
                        let harmless = |charge: &Charge| {
                            charge.code == ErrorCode::StaleState && charge.session == dead.session
                        };
                        prop_assert!(charges.iter().all(harmless));
                        guard.next_serial();
                    }
                }
                last_words.push((delay, process, received));
            }
        }

        /// Two live servers are found out by whoever hears both, in whatever order they come.
        #[test]
        fn two_live_servers_are_always_found_out(order in prop::collection::vec(any::<bool>(), 0..20)) {
            let mut guard = empty();
            let speakers = [speaker(1, 5, 1, 100), speaker(1, 6, 2, 100)];
            let mut received = [None, None];
            let mut charged = [false, false];
            // Whatever the order was, each comes a few times more in the end.
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
}
