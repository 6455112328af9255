//! The memory of a cluster: the last known state of every other pid, and the decision whether a process may use its
//! pid.
//!
//! Two things must never happen to a pid. Two live servers must not use it. And it must not come back with a state
//! that is older than before. To notice both, each server remembers its peers.
//!
//! **A stale state.** A server makes its state durable before it tells it. So a server that comes back with the same
//! directory has a higher boot and a sequence that is not lower. If not, the directory was lost or rolled back.
//!
//! **A conflict.** Every process has a random session. Two sessions of one pid are no proof of a conflict. A restart
//! causes that too, and the last message of the dead process may even be handled after the first one of the new
//! process. The proof is that both were alive at the same time:
//!
//! - A session was alive before the moment at which it was *first heard*.
//! - A session was alive after a moment at which something was sent to it, if it is known to have received that. It
//!   is known if the session has answered it, or if it asked again after it: a server has only one question at a time
//!   on a connection, so it asks the next one after it has the answer.
//!
//! Suppose X was alive after Y was first heard, and Y was alive after X was first heard. Then both were alive at the
//! moment at which the later of them began, so their lives overlap. A process that was restarted was never alive
//! after its successor was heard, however late its messages come. The moments are the serial numbers of the messages
//! that are handled here, so no clock is compared with another.

use std::{collections::BTreeMap, time::Duration};

use super::{Link, Outcome, bucket::TokenBucket};
use crate::{
    identity::{Pid, Sequence},
    limits::{LIVES_PER_PID_MAX, MEMBERS_SAVE_INTERVAL, SAVE_BURST, SAVE_RATE_PER_SECOND},
    time::Instant,
    words::{ErrorCode, Overrule, SyncMessage},
};

/// What is remembered of another pid, and is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The pid.
    pub pid: Pid,
    /// Its incarnation: the random value of its state directory.
    pub incarnation: u128,
    /// The highest boot that it has told.
    pub boot: u64,
    /// Its session: the random value of the process that told it.
    pub session: u64,
    /// The highest sequence that it has told.
    pub sequence: Sequence,
}

/// A position in the order of all messages that this server has received from its peers and sent to them.
pub(super) type Serial = u64;

/// One process that was heard under a pid since this server started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Life {
    session: u64,
    /// It was alive before this moment.
    first_heard: Serial,
    /// It was alive after this moment; 0 if nothing is known to have reached it.
    alive_at: Serial,
    /// The link on which it was last heard. `None` when that link is gone: then nothing is sent to it.
    link: Option<Link>,
    /// Why it must not hand out identities.
    objection: Option<ErrorCode>,
}

/// What is known of one pid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The part that survives a restart of this server.
    pub remembered: Remembered,
    /// When it was last heard; `None` if that was before this server started.
    pub heard_at: Option<Instant>,
    /// The processes since this server started. The one that was heard last is at the end.
    lives: Vec<Life>,
}

impl Known {
    /// The objection to the process that was heard last.
    pub fn objection(&self) -> Option<ErrorCode> {
        self.lives.last()?.objection
    }
}

/// An objection to one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The pid that it uses.
    pub pid: Pid,
    /// Its session.
    pub session: u64,
    /// The link on which it was last heard.
    pub link: Link,
    /// Why it must not hand out identities.
    pub code: ErrorCode,
    /// The highest known sequence of the pid.
    pub sequence: Sequence,
    /// The other process, if two use the pid.
    pub rival: Option<Rival>,
    /// Whether this is a new charge against the process. Then people are told too.
    pub is_new: bool,
}

/// The other one of two processes that use one pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rival {
    /// Its session.
    pub session: u64,
    /// The link on which it was last heard, if that still exists.
    pub link: Option<Link>,
}

/// The memory of a cluster. See the [module](self).
#[derive(Debug)]
pub(super) struct Guard {
    members: BTreeMap<Pid, Known>,
    serial: Serial,
    unsaved: Unsaved,
    saved_at: Option<Instant>,
    /// How often others may make the server write.
    saves: TokenBucket,
    /// Something waits to be saved, and a timer is set for it.
    is_waiting: bool,
    /// A save is under way. Until it is done nothing more is given to the disk, however long that takes: only the
    /// newest state counts.
    is_saving: bool,
}

/// What has changed since the last save. The more urgent change is the greater value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unsaved {
    Nothing,
    /// The sequence of a peer.
    HowFar,
    /// The identity of a peer. That is saved as soon as possible.
    Who,
}

/// What to do with the changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Save {
    /// Nothing has changed, or it is too early, or a save is already planned.
    Nothing,
    /// Save this now.
    Now(Vec<Remembered>),
    /// Save after this time. This is returned only once.
    Later(Duration),
}

impl Guard {
    /// Starts with what was remembered.
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
            unsaved: Unsaved::Nothing,
            saved_at: None,
            saves: TokenBucket::new(SAVE_BURST, SAVE_RATE_PER_SECOND),
            is_waiting: false,
            is_saving: false,
        }
    }

    pub(super) fn members(&self) -> &BTreeMap<Pid, Known> {
        &self.members
    }

    /// The highest boot that is remembered of a pid, or zero.
    pub(super) fn boot(&self, pid: Pid) -> u64 {
        let known = self.members.get(&pid);
        known.map_or(0, |known| known.remembered.boot)
    }

    /// The serial for a message that is about to be sent.
    pub(super) fn next_serial(&mut self) -> Serial {
        self.serial += 1;
        self.serial
    }

    /// Handles what a peer tells about itself. Its sequence is believed up to `sequence`. `received` is the serial of
    /// the last message that it is known to have received before it sent this one. Returns the charges: first the one
    /// against the sender, then the one against another process that uses its pid.
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
            self.unsaved = Unsaved::Who;
            Known {
                remembered: claimed,
                heard_at: None,
                lives: Vec::new(),
            }
        });
        known.heard_at = Some(now);
        let (mut life, is_first) = known.take_life(sync.session, serial, link);
        life.link = Some(link);
        life.alive_at = life.alive_at.max(received.unwrap_or_default());
        let before = life.objection;
        if is_first && known.remembered.is_newer_than(sync) {
            life.objection = Some(ErrorCode::StaleState);
        }
        let mut charges = Vec::new();
        let rival = known.lives.iter_mut().find(|other| life.overlaps(other));
        let of_sender = rival.as_ref().map(|rival| Rival {
            session: rival.session,
            link: rival.link,
        });
        let mut rival_charge = None;
        if let Some(rival) = rival {
            // Both may have handed out identities up to their sequences, so neither may hand those out again.
            known.remembered.sequence = known.remembered.sequence.max(sequence);
            life.objection = Some(ErrorCode::PidConflict);
            let is_new = rival.objection.replace(ErrorCode::PidConflict) != life.objection;
            rival_charge = Some((rival.session, rival.link, is_new));
        }
        let sequence = known.remembered.sequence;
        if let Some(code) = life.objection {
            let is_new = before != Some(code);
            charges.push(Charge {
                pid: sync.pid,
                session: life.session,
                link,
                code,
                sequence,
                is_new,
                rival: of_sender,
            });
            if let Some((session, Some(other), rival_is_new)) = rival_charge
                && (is_new || rival_is_new)
            {
                let rival = Some(Rival {
                    session: life.session,
                    link: Some(link),
                });
                let is_new = false; // People are told once of the two.
                charges.push(Charge {
                    pid: sync.pid,
                    session,
                    link: other,
                    code,
                    sequence,
                    is_new,
                    rival,
                });
            }
        } else {
            self.unsaved = self.unsaved.max(known.remembered.learn(&claimed));
        }
        known.lives.push(life);
        charges
    }

    /// An operator has confirmed a state that was objected to: nothing above the sequence in `overrule` was handed
    /// out. That sequence counts only as far as it is `believed`. Returns whether the objection is settled.
    pub(super) fn overrule(&mut self, overrule: &Overrule, believed: Sequence) -> bool {
        let Some(known) = self.members.get_mut(&overrule.pid) else {
            return false;
        };
        let remembered = known.remembered;
        let stale = |life: &&mut Life| {
            life.session == overrule.session && life.objection == Some(ErrorCode::StaleState)
        };
        match known.lives.iter_mut().find(stale) {
            Some(life) if overrule.above >= remembered.sequence.get() => {
                life.objection = None;
                for other in &mut known.lives {
                    // The other states were given up. Nothing is learned from what they still say, however late it
                    // comes.
                    if other.session != overrule.session {
                        other.objection.get_or_insert(ErrorCode::StaleState);
                    }
                }
                // Its boot is learned from its next message. It may be lower than the boot of the lost state.
                known.remembered = Remembered {
                    incarnation: overrule.incarnation,
                    session: overrule.session,
                    boot: 0,
                    sequence: believed.max(remembered.sequence),
                    ..remembered
                };
                self.unsaved = Unsaved::Who;
                true
            }
            _ => false,
        }
    }

    /// The link to a peer with that pid is gone. From now on nothing here names the link.
    pub(super) fn lose(&mut self, link: Link, pid: Pid) {
        if let Some(known) = self.members.get_mut(&pid) {
            for life in &mut known.lives {
                life.link.take_if(|heard_on| *heard_on == link);
            }
        }
        debug_assert!(!self.names(link), "a link is heard for one pid");
    }

    fn names(&self, link: Link) -> bool {
        let mut lives = self.members.values().flat_map(|known| &known.lives);
        lives.any(|life| life.link == Some(link))
    }

    /// Forgets a pid. Returns its highest known sequence.
    pub(super) fn forget(&mut self, pid: Pid) -> Option<Sequence> {
        let known = self.members.remove(&pid)?;
        self.unsaved = Unsaved::Who;
        Some(known.remembered.sequence)
    }

    /// What has to be saved now, if anything. Who a peer is, is saved as soon as possible. Its sequence is saved only
    /// now and then: the boot also shows that a directory was rolled back. Others cause these saves, so their number
    /// is limited. A stop saves everything.
    pub(super) fn take_unsaved(&mut self, now: Instant, stopping: bool) -> Save {
        if self.unsaved == Unsaved::Nothing || self.is_saving {
            return Save::Nothing;
        }
        if !stopping {
            let is_soon = self
                .saved_at
                .is_some_and(|saved_at| now.since(saved_at) < MEMBERS_SAVE_INTERVAL);
            if is_soon && self.unsaved == Unsaved::HowFar {
                return Save::Nothing;
            }
            // bug SavesUnbounded instead: if !BUG && self.saves.take(1, now).is_err() {
            if self.saves.take(1, now).is_err() {
                return self.wait_for_token(now);
            }
        }
        self.unsaved = Unsaved::Nothing;
        self.is_saving = true;
        self.saved_at = Some(now);
        let remembered = self.members.values().map(|known| known.remembered);
        Save::Now(remembered.collect())
    }

    fn wait_for_token(&mut self, now: Instant) -> Save {
        if std::mem::replace(&mut self.is_waiting, true) {
            return Save::Nothing;
        }
        Save::Later(self.saves.wait(now))
    }

    /// The time of [`Save::Later`] is over.
    pub(super) fn wait_is_over(&mut self) {
        self.is_waiting = false;
    }

    /// The save that was under way is done or has failed. After a failure there is another save later. At once it would
    /// mostly fail again.
    pub(super) fn saved(&mut self, outcome: Outcome) {
        self.is_saving = false;
        if outcome == Outcome::Failed {
            self.unsaved = self.unsaved.max(Unsaved::HowFar);
        }
    }

    pub(super) const fn is_saving(&self) -> bool {
        self.is_saving
    }

    /// Whether everything is on the disk.
    pub(super) fn has_saved(&self) -> bool {
        self.unsaved == Unsaved::Nothing && !self.is_saving
    }
}

impl Known {
    /// Takes the life of a session out of the list, or begins a new one. Also returns whether it is new.
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
                link: Some(link),
                objection: None,
            },
            true,
        )
    }
}

impl Life {
    fn overlaps(&self, other: &Life) -> bool {
        // bug RestartTakenForConflict: return true;
        // bug ConflictUnseen: return false;
        self.alive_at >= other.first_heard && other.alive_at >= self.first_heard
    }
}

impl Remembered {
    /// Whether the claim of a process that is heard for the first time is older than this. The claim counts as it is,
    /// not only as far as it is believed: a process that is far ahead is not behind.
    fn is_newer_than(&self, claimed: &SyncMessage) -> bool {
        // bug RollbackUnseen: return false;
        claimed.session != self.session
            && (claimed.incarnation != self.incarnation
                || claimed.boot <= self.boot
                || claimed.sequence < self.sequence.get())
    }

    /// Takes over every higher value. Returns what of this has to be saved.
    fn learn(&mut self, claimed: &Remembered) -> Unsaved {
        let before = *self;
        self.sequence = self.sequence.max(claimed.sequence);
        // The last messages from a lost directory must not bring it back.
        let is_same = claimed.incarnation == self.incarnation;
        if is_same && claimed.boot > self.boot {
            *self = Remembered {
                sequence: self.sequence,
                ..*claimed
            };
        }
        if self.session != before.session || self.boot != before.boot {
            Unsaved::Who
        } else if self.sequence != before.sequence {
            Unsaved::HowFar
        } else {
            Unsaved::Nothing
        }
    }
}

#[cfg(test)]
mod tests;
