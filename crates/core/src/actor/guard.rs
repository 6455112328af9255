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

use std::{collections::BTreeMap, time::Duration};

use super::{Link, bucket::TokenBucket};
use crate::{
    identity::{Pid, Sequence},
    limits::{LIVES_PER_PID_MAX, MEMBERS_SAVE_INTERVAL, SAVE_BURST, SAVE_RATE_PER_SECOND},
    time::Instant,
    words::{ErrorCode, Overrule, SyncMessage},
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
    /// Where it was last heard, as long as that link is there: nothing is said to one that is gone.
    link: Option<Link>,
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

/// What speaks against one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The pid that it uses.
    pub pid: Pid,
    /// Its session.
    pub session: u64,
    /// Where it was last heard.
    pub link: Link,
    /// Why it must not hand out identities.
    pub code: ErrorCode,
    /// The highest sequence that is known of the pid.
    pub sequence: Sequence,
    /// Where the other process is heard, when two use the pid and its link is there.
    pub rival: Option<Link>,
    /// Whether it was not charged with this before: then people should hear of it.
    pub is_new: bool,
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
    /// It is being saved. Meanwhile nothing more is handed to the disk, however long it takes: only the newest
    /// counts.
    is_saving: bool,
}

/// What has changed since it was last saved; the more urgent is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Unsaved {
    Nothing,
    /// How far a peer has come.
    HowFar,
    /// Who a peer is: that should not wait.
    Who,
}

/// What is to become of what has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Save {
    /// Nothing has, or its time has not come, or it is seen to already.
    Nothing,
    /// It is to be saved.
    Now(Vec<Remembered>),
    /// It is to be saved after so long. That is said once.
    Later(Duration),
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

    /// The serial of a message that is about to be sent.
    pub(super) fn next_serial(&mut self) -> Serial {
        self.serial += 1;
        self.serial
    }

    /// Hears a message of a peer, the sequence of which is believed as far as `sequence`. `received` is the
    /// serial of what it is known to have received before it sent this. Returns the charges: against the sender
    /// first, and against another process that shares its pid.
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
        let rival_link = rival.as_ref().and_then(|rival| rival.link);
        let mut rival_charge = None;
        if let Some(rival) = rival {
            // What either has handed out is gone for both.
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
                rival: rival_link,
            });
            if let Some((session, Some(other), rival_is_new)) = rival_charge
                && (is_new || rival_is_new)
            {
                let rival = Some(link);
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

    /// An operator has answered for a state that was objected to: nothing above their word was handed out, which
    /// counts as far as it is `believed`. Returns whether that settles it.
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
                    // Their state was given up, and what they still say, however late it comes, is not learned.
                    if other.session != overrule.session {
                        other.objection.get_or_insert(ErrorCode::StaleState);
                    }
                }
                // Its boot is learned from its next message, and may be lower than that of the lost one.
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

    /// The link of a peer of that pid is gone: from now on nothing here names it.
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

    /// Forgets a pid. Returns the highest sequence that was known of it.
    pub(super) fn forget(&mut self, pid: Pid) -> Option<Sequence> {
        let known = self.members.remove(&pid)?;
        self.unsaved = Unsaved::Who;
        Some(known.remembered.sequence)
    }

    /// What is to be saved now, if anything. Who a peer is, is saved as soon as may be; how far it has come, now and
    /// then: the boot notices a rolled-back directory too. Others cause these writes, so there are only so many; a
    /// stop saves whatever there is.
    pub(super) fn take_unsaved(&mut self, now: Instant, stopping: bool) -> Save {
        if self.unsaved == Unsaved::Nothing {
            return Save::Nothing;
        }
        if !stopping {
            let is_soon = self
                .saved_at
                .is_some_and(|saved_at| now.since(saved_at) < MEMBERS_SAVE_INTERVAL);
            if self.is_saving || (is_soon && self.unsaved == Unsaved::HowFar) {
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

    /// The time that [`Save::Later`] named is over.
    pub(super) fn wait_is_over(&mut self) {
        self.is_waiting = false;
    }

    /// What was handed to the disk is saved, or could not be.
    pub(super) fn saved(&mut self) {
        self.is_saving = false;
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
    /// Whether a process that is heard for the first time claims less than this. What it claims counts, and not as
    /// far as it is believed: who is far ahead is not behind.
    fn is_newer_than(&self, claimed: &SyncMessage) -> bool {
        // bug RollbackUnseen: return false;
        claimed.session != self.session
            && (claimed.incarnation != self.incarnation
                || claimed.boot <= self.boot
                || claimed.sequence < self.sequence.get())
    }

    /// Takes over what is higher. Returns what of it is to be saved.
    fn learn(&mut self, claimed: &Remembered) -> Unsaved {
        let before = *self;
        self.sequence = self.sequence.max(claimed.sequence);
        // The last words of a lost directory do not bring it back.
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
