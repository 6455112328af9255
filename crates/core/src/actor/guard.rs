//! The memory of a cluster: the last known state of every other pid, and the decision whether a process may use its
//! pid.
//!
//! A *life* is one process of one state directory. Two lives of a pid must never hand out identities at the same time,
//! and a pid must not come back with a state that is older than before. So every start asks its peers, and each server
//! remembers what they told. A life *joins*, then *claims* its pid, then *serves*.
//!
//! **The incumbent wins.** While a life serves, another one that asks for its pid is refused, and nothing changes for
//! the one that serves. So before a newcomer is judged, the lives that may still be alive are asked. One whose links are
//! all gone is waited for, but not long. This is [`Guard::judge`].
//!
//! **A stale state.** A server makes its state durable before it tells it. So a server that comes back with the same
//! directory has a higher boot and a ceiling that is not lower. If not, the directory was lost or rolled back.
//!
//! **A claim is remembered.** Before a newcomer serves, those that accepted it note its claim durably. From then on they
//! accept only a life that comes after it. A claim alone changes nothing for the life that was there before: that one
//! is stopped only when the newcomer has said that it serves.
//!
//! **A conflict.** Two lives may serve at the same time where one of them could not ask anybody. Two sessions of one pid
//! are no proof of that. A restart causes two as well, and the last message of the dead process may even be handled after
//! the first one of the new process. The proof is that both were alive at the same time:
//!
//! (A store that fences keeps two lives apart by itself: see [`fencing`].)
//!
//! - A session was alive before the moment at which it was *first heard*.
//! - A session was alive after a moment at which a message was sent to it, if it has received that message. Every sync
//!   message says which message of the other server the sender has received last (see
//!   [`Told::heard`](crate::words::Told::heard)). It may have received that on an earlier connection.
//!
//! Suppose X was alive after Y was first heard, and Y was alive after X was first heard. Then both were alive at the
//! moment at which the later of them began, so their lives overlap. A process that was restarted was never alive
//! after its successor was heard, however late its messages come. The moments are the serial numbers of the messages
//! that are handled here, so no clock is compared with another.

// Long because: what is remembered, and what each message changes in it, are read side by side.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

mod address;
mod fencing;
mod trial;

pub(super) use self::trial::{Claimant, Verdict, comes_before};
use self::{
    fencing::are_kept_apart,
    trial::{Saved, Trial},
};
use super::{Link, Outcome, bucket::TokenBucket, links::Links};
use crate::{
    identity::{Pid, Sequence},
    limits::{
        CLAIM_SAVE_BURST, CLAIM_SAVE_RATE_PER_SECOND, LIVES_PER_PID_MAX, MEMBERS_SAVE_INTERVAL,
        SAVE_BURST, SAVE_RATE_PER_SECOND,
    },
    time::Instant,
    words::{ErrorCode, Goodbye, KnownLife, LifeMarks, Overrule, SyncMessage},
};

/// What is remembered of another pid, and is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The highest ceiling that this life has told. Identities up to it may have been handed out.
    pub ceiling: Sequence,
    /// That process has said that it is over.
    pub ended: bool,
    /// A life that this server has accepted, and that has not said yet that it serves. If it is the only life that was
    /// ever heard of the pid, the other fields are its own too.
    pub claim: Option<LifeMarks>,
    /// The claim whose place that one took. It counts again if that one is given up.
    pub claim_before: Option<LifeMarks>,
    /// Where it can be dialed, if it has told: at most
    /// [`ADDRESS_BYTES_MAX`](crate::limits::ADDRESS_BYTES_MAX) bytes.
    pub address: Option<Arc<str>>,
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
    /// It was heard to serve. One that was refused before that has handed out nothing.
    served: bool,
    /// Why it must not hand out identities.
    objection: Option<ErrorCode>,
    /// At this moment a later life of its directory was known, so its words may be the last ones of a process that is
    /// over. 0 if that never was so.
    doubted_at: Serial,
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
    /// The session of a life that joins and would be accepted. It is not remembered before it claims the pid.
    candidate: Option<u64>,
    /// The session of a life that serves and that this server has accepted. Another one must not serve any more.
    accepted: Option<u64>,
    /// The lives that say that their store fences.
    fencing: Vec<LifeMarks>,
    /// When the life was first heard for whose state an operator has vouched last; 0 if there is none.
    vouched: Serial,
    /// Whether the claim in what is remembered is durable.
    saved: Saved,
    /// The sessions of lives that have claimed the pid, and have never been told that this is durable.
    unanswered: Vec<u64>,
    /// For each life that waits for its answer, by its session: the others that may still be alive are being asked.
    trials: BTreeMap<u64, Trial>,
}

impl Known {
    /// The objection to the process that was heard last. One that may be over is no reason to look.
    pub fn objection(&self) -> Option<ErrorCode> {
        let mut lives = self.lives.iter().rev();
        lives.find(|life| !life.may_be_over())?.objection
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
    /// The process may be over, and these its last words, which came late. Then there is nothing to mend.
    pub may_be_over: bool,
}

/// The other one of two processes that use one pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rival {
    /// Its session.
    pub session: u64,
    /// The link on which it was last heard, if that still exists.
    pub link: Option<Link>,
}

/// The lives that are remembered of one pid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct KnownLives {
    pub(super) served: Option<KnownLife>,
    pub(super) claimed: Option<KnownLife>,
}

/// The memory of a cluster. See the [module](self).
#[derive(Debug)]
pub(super) struct Guard {
    /// The random value of this process, from which the nonces of its messages are made.
    session: u64,
    members: BTreeMap<Pid, Known>,
    serial: Serial,
    /// When the first message was handled.
    born: Option<Instant>,
    unsaved: Unsaved,
    saved_at: Option<Instant>,
    /// How often others may make the server write.
    saves: TokenBucket,
    /// How often claims may. Somebody waits for each of them, so they do not wait for what others have used up.
    claim_saves: TokenBucket,
    /// Something waits to be saved, and a timer is set for this moment.
    waits_until: Option<Instant>,
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
    /// The claim of a life that waits for the answer.
    Claim,
}

/// What to do with the changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Save {
    /// Nothing has changed, or it is too early, or a save is already planned.
    Nothing,
    /// Save this now.
    Now(Vec<Remembered>),
    /// Save after this time. This is returned again only if the time has become shorter.
    Later(Duration),
}

impl Guard {
    /// Starts with what was remembered.
    pub(super) fn new(session: u64, remembered: Vec<Remembered>) -> Guard {
        let known = |remembered: Remembered| (remembered.pid, Known::new(remembered));
        Guard {
            session,
            members: remembered.into_iter().map(known).collect(),
            serial: 0,
            born: None,
            unsaved: Unsaved::Nothing,
            saved_at: None,
            saves: TokenBucket::new(SAVE_BURST, SAVE_RATE_PER_SECOND),
            claim_saves: TokenBucket::new(CLAIM_SAVE_BURST, CLAIM_SAVE_RATE_PER_SECOND),
            waits_until: None,
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

    /// The nonce of a message that is about to be sent.
    pub(super) const fn next_nonce(&mut self) -> u64 {
        self.serial += 1;
        self.session.wrapping_add(self.serial)
    }

    /// The position of the message of this process that had this nonce; 0 if none had it.
    const fn serial_of(&self, nonce: u64) -> Serial {
        let serial = nonce.wrapping_sub(self.session);
        if serial <= self.serial { serial } else { 0 }
    }

    /// The lives that are remembered of a pid, for the life of this session to hear. The last one that served is not told
    /// of a claim, which may come to nothing. One whose claim stands is told the claim whose place it took: it may have
    /// missed the answer that told it.
    pub(super) fn known_lives(&self, pid: Pid, told_to: Option<u64>) -> KnownLives {
        let Some(known) = self.members.get(&pid) else {
            return KnownLives::default();
        };
        let remembered = &known.remembered;
        let known_life = |life: LifeMarks, ceiling: Sequence| KnownLife {
            boot: life.boot,
            session: life.session,
            ceiling: ceiling.get(),
            sequence: remembered.sequence.get(),
        };
        let is_told = |session: u64| told_to == Some(session);
        let claim = match remembered.claim {
            _ if is_told(remembered.session) => None,
            Some(claim) if is_told(claim.session) => remembered.claim_before,
            claim => claim,
        };
        let served = remembered.served();
        KnownLives {
            served: served.map(|life| known_life(life, remembered.ceiling)),
            claimed: claim.map(|life| known_life(life, Sequence::ZERO)),
        }
    }

    /// Handles what a peer tells about itself, if it asks for nothing: it serves, or it rests. Its numbers are believed as
    /// `claimed` says. Returns the charges: first the one against the sender, then the one against another process that
    /// uses its pid.
    pub(super) fn hear(
        &mut self,
        link: Link,
        sync: &SyncMessage,
        claimed: Claimant,
        now: Instant,
    ) -> Vec<Charge> {
        self.serial += 1;
        let serial = self.serial;
        let received = self.serial_of(sync.told.heard);
        self.born.get_or_insert(now);
        let is_over = sync.told.stage.is_over();
        if is_over && !self.members.contains_key(&sync.pid) {
            return Vec::new();
        }
        let known = self.members.entry(sync.pid).or_insert_with(|| {
            self.unsaved = Unsaved::Who;
            Known::new(claimed.remembered(sync.pid))
        });
        known.heard_at = Some(now);
        known.note_fencing(&claimed);
        let change = match is_over {
            // It hands out nothing any more, so it does not keep its pid.
            true => known.rests(&claimed),
            false => {
                known.is_alive(sync.session, received);
                known.serves(&claimed)
            }
        };
        self.unsaved = self.unsaved.max(change);
        // One that was never heard to serve has handed out nothing.
        if is_over && !known.has_life(sync.session) {
            return Vec::new();
        }
        let (mut life, is_first) = known.take_life(sync.session, serial, link);
        life.link = Some(link);
        life.served = true;
        let before = (life.objection, life.may_be_over());
        life.alive_at = life.alive_at.max(received);
        let last = known.remembered.served();
        let is_newer = |last| known.remembered.is_newer_than(last, &claimed);
        let is_old = is_first && last.is_some_and(is_newer);
        let is_displaced = known.is_displaced(&claimed);
        let has_lost_pid = known.has_lost_pid(&claimed);
        if (is_old || is_displaced || has_lost_pid) && life.objection.is_none() {
            life.objection = Some(ErrorCode::StaleState);
            if has_lost_pid {
                // It may well be alive, but there is nothing to mend.
                life.doubted_at = Serial::MAX;
            } else if known.remembered.is_later_than(&claimed) {
                life.doubted_at = serial;
            }
        }
        let mut charges = Vec::new();
        // One that was accepted in the place of another goes on; only the other one stops.
        let (accepted, fencing) = (known.accepted, &known.fencing);
        let rival = known.lives.iter_mut().find(|other| {
            life.overlaps(other)
                && !are_kept_apart(fencing, [life.session, other.session])
                && accepted.is_none_or(|session| ![life.session, other.session].contains(&session))
        });
        let of_sender = rival.as_ref().map(|rival| Rival {
            session: rival.session,
            link: rival.link,
        });
        let mut rival_charge = None;
        if let Some(rival) = rival {
            // Both may have handed out identities up to their sequences, so neither may hand those out again.
            known.remembered.raise(&claimed);
            life.objection = Some(ErrorCode::PidConflict);
            life.doubted_at = 0;
            let is_new = rival.objection.replace(ErrorCode::PidConflict) != life.objection;
            rival_charge = Some((rival.session, rival.link, is_new));
        }
        let sequence = known.remembered.sequence;
        if let Some(code) = life.objection {
            let is_new = before != (Some(code), life.may_be_over());
            charges.push(Charge {
                pid: sync.pid,
                session: life.session,
                link,
                code,
                sequence,
                is_new,
                may_be_over: life.may_be_over(),
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
                    may_be_over: false,
                    rival,
                });
            }
        } else {
            if known.remembered.is_followed_by(&claimed) {
                known.accepted = None;
            }
            self.unsaved = self.unsaved.max(known.remembered.learn(&claimed));
        }
        known.lives.push(life);
        charges
    }

    /// A life has answered a probe with this nonce.
    pub(super) fn hear_alive(&mut self, pid: Pid, session: u64, nonce: u64, now: Instant) {
        let serial = self.serial_of(nonce);
        if let Some(known) = self.members.get_mut(&pid) {
            known.heard_at = Some(now);
            known.is_alive(session, serial);
        }
    }

    /// A life says that it is over.
    pub(super) fn hear_goodbye(&mut self, goodbye: &Goodbye) {
        let Some(known) = self.members.get_mut(&goodbye.pid) else {
            return;
        };
        known
            .candidate
            .take_if(|session| *session == goodbye.session);
        let remembered = &mut known.remembered;
        // bug ClaimKept instead: if !goodbye.served && remembered.has_claimed(goodbye.session) && !BUG {
        if !goodbye.served && remembered.has_claimed(goodbye.session) {
            self.withdraw(goodbye.pid, goodbye.session);
        } else if remembered.session == goodbye.session && !remembered.ended {
            remembered.ended = true;
            self.unsaved = Unsaved::Who;
        }
    }

    /// The claim of a life is void.
    fn withdraw(&mut self, pid: Pid, session: u64) {
        let Some(known) = self.members.get_mut(&pid) else {
            return;
        };
        known.candidate.take_if(|candidate| *candidate == session);
        known.unanswered.retain(|claim| *claim != session);
        if !known.remembered.withdraw(session) {
            self.members.remove(&pid);
        }
        self.unsaved = self.unsaved.max(Unsaved::Who);
    }

    /// An operator has confirmed a state that was objected to: nothing above the sequence in `overrule` was handed
    /// out. That sequence counts only as far as it is `believed`. Returns whether the objection is settled.
    pub(super) fn overrule(&mut self, overrule: &Overrule, believed: Sequence) -> bool {
        let Some(known) = self.members.get_mut(&overrule.pid) else {
            return false;
        };
        let remembered = known.remembered.sequence;
        // An operator has vouched for a later life since: this word comes late, and must not stop that one.
        let is_late = |life: &Life| life.first_heard < known.vouched;
        let stale = |life: &&mut Life| {
            life.session == overrule.session
                && life.objection == Some(ErrorCode::StaleState)
                && !is_late(life)
        };
        match known.lives.iter_mut().find(stale) {
            Some(life) if overrule.above >= remembered.get() => {
                life.objection = None;
                known.vouched = life.first_heard;
                for other in &mut known.lives {
                    // The other states were given up. Nothing is learned from what they still say, however late it
                    // comes.
                    if other.session != overrule.session {
                        other.objection.get_or_insert(ErrorCode::StaleState);
                    }
                }
                // Its boot and its ceiling are learned from its next message. They may be lower than those of the lost
                // state.
                known.remembered = Remembered {
                    incarnation: overrule.incarnation,
                    session: overrule.session,
                    ..Remembered::new(overrule.pid, believed.max(remembered))
                };
                known.accepted = None;
                self.unsaved = Unsaved::Who;
                true
            }
            None if known.remembered.session == overrule.session => {
                // It counts here already. Those that have only claimed the pid do not count any more.
                let is_new = known.remembered.drop_claims_but(overrule.session);
                if is_new {
                    self.unsaved = Unsaved::Who;
                }
                is_new
            }
            Some(_) | None => false,
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

    /// Forgets the lives that have claimed this pid, or any, and have never said that they serve. A pid that only such lives
    /// have had is forgotten as a whole. Returns their number, and the highest sequence known of their pids.
    pub(super) fn forget_claims(&mut self, pid: Option<Pid>) -> (usize, Sequence) {
        let (mut claims, mut sequence) = (0, Sequence::ZERO);
        self.members.retain(|of, known| {
            let remembered = &mut known.remembered;
            if pid.is_some_and(|pid| pid != *of) || remembered.claim.is_none() {
                return true;
            }
            let has_served = remembered.served().is_some();
            claims += [remembered.claim.take(), remembered.claim_before.take()]
                .iter()
                .flatten()
                .count();
            sequence = sequence.max(remembered.sequence);
            known.candidate = None;
            // Who waits for an answer is not to be judged by what a forgotten life says.
            known.trials.clear();
            has_served
        });
        if claims > 0 {
            self.unsaved = Unsaved::Who;
        }
        (claims, sequence)
    }

    /// What has to be saved now, if anything. Who a peer is, is saved as soon as possible. Its sequence is saved only
    /// now and then: the boot also shows that a directory was rolled back. Others cause these saves, so their number
    /// is limited. A stop saves everything, but how far the peers come meanwhile only as often as that.
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
            // bug SavesUnbounded instead: if !BUG && !self.takes_token(now) {
            if !self.takes_token(now) {
                return self.wait_for_token(now);
            }
        }
        let unsaved = std::mem::replace(&mut self.unsaved, Unsaved::Nothing);
        if stopping && unsaved == Unsaved::HowFar && self.saves.take(1, now).is_err() {
            // The peers go on while this server stops. Their last words are left out: the next round tells them again.
            return Save::Nothing;
        }
        self.is_saving = true;
        self.saved_at = Some(now);
        let remembered = |known: &mut Known| {
            known.begin_save();
            known.remembered.clone()
        };
        Save::Now(self.members.values_mut().map(remembered).collect())
    }

    /// Whether there is a token for what has to be saved. A claim has tokens of its own, and may take the others too.
    fn takes_token(&mut self, now: Instant) -> bool {
        let is_claim = self.unsaved == Unsaved::Claim;
        is_claim && self.claim_saves.take(1, now).is_ok() || self.saves.take(1, now).is_ok()
    }

    fn wait_for_token(&mut self, now: Instant) -> Save {
        let mut wait = self.saves.wait(now);
        if self.unsaved == Unsaved::Claim {
            wait = wait.min(self.claim_saves.wait(now));
        }
        let until = now.after(wait);
        if self.waits_until.is_some_and(|before| before <= until) {
            return Save::Nothing;
        }
        self.waits_until = Some(until);
        Save::Later(wait)
    }

    /// The time of [`Save::Later`] is over.
    pub(super) fn wait_is_over(&mut self) {
        self.waits_until = None;
    }

    /// The save that was under way is done or has failed. After a failure there is another save later. At once it would
    /// mostly fail again.
    pub(super) fn saved(&mut self, outcome: Outcome) {
        self.is_saving = false;
        for known in self.members.values_mut() {
            known.end_save(outcome == Outcome::Durable);
        }
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
    fn new(remembered: Remembered) -> Known {
        Known {
            remembered,
            heard_at: None,
            lives: Vec::new(),
            candidate: None,
            accepted: None,
            fencing: Vec::new(),
            vouched: 0,
            saved: Saved::Yes,
            unanswered: Vec::new(),
            trials: BTreeMap::new(),
        }
    }

    /// A life serves. If this server has accepted it, it is now the one that is remembered.
    fn serves(&mut self, life: &Claimant) -> Unsaved {
        let remembered = &mut self.remembered;
        self.candidate = None;
        let is_it = |claim: &mut LifeMarks| claim.session == life.session;
        // bug ClaimNeverServes: return Unsaved::Nothing;
        if remembered.claim.take_if(is_it).is_some() {
            remembered.claim_before = None;
        } else if remembered.claim_before.take_if(is_it).is_none() {
            return Unsaved::Nothing;
        }
        remembered.replace(life);
        self.accepted = Some(life.session);
        // Who asks for the pid now has to ask this one.
        self.trials.clear();
        Unsaved::Who
    }

    /// A life hands out nothing any more. Only how far it has come is learned, if it is the one that is remembered. One that
    /// has only claimed the pid does not become one that has served.
    fn rests(&mut self, life: &Claimant) -> Unsaved {
        let remembered = &mut self.remembered;
        if remembered.session != life.session {
            return Unsaved::Nothing;
        }
        // bug RestsCountsAsServed instead: match remembered.has_claimed(life.session) && !BUG {
        match remembered.has_claimed(life.session) {
            true => remembered.raise(life),
            false => remembered.learn(life),
        }
    }

    /// Whether a life was heard to serve since this server started.
    fn has_life(&self, session: u64) -> bool {
        let is_it = |life: &Life| life.session == session && life.served;
        self.lives.iter().any(is_it)
    }

    /// Whether this server has accepted another life of the pid, which serves.
    fn is_displaced(&self, life: &Claimant) -> bool {
        // bug DisplacedGoesOn: return false;
        let is_other = self
            .accepted
            .is_some_and(|accepted| accepted != life.session);
        is_other && !self.remembered.is_followed_by(life)
    }

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
                served: false,
                objection: None,
                doubted_at: 0,
            },
            true,
        )
    }
}

impl Life {
    /// Whether it is an earlier life of its directory, of which nothing shows that it is still alive.
    fn may_be_over(&self) -> bool {
        self.alive_at < self.doubted_at
    }

    fn overlaps(&self, other: &Life) -> bool {
        // bug RestartTakenForConflict: return true;
        // bug ConflictUnseen: return false;
        self.served
            && other.served
            && self.alive_at >= other.first_heard
            && other.alive_at >= self.first_heard
    }
}

impl Remembered {
    /// The last life that served; or, if none has, the first one that claimed the pid.
    pub const fn life(&self) -> LifeMarks {
        LifeMarks {
            incarnation: self.incarnation,
            boot: self.boot,
            session: self.session,
        }
    }

    /// The last life that served, if one has. A claim alone does not stop a life that serves.
    fn served(&self) -> Option<LifeMarks> {
        Some(self.life()).filter(|last| !self.has_claimed(last.session))
    }

    /// The newest life: the one that has claimed the pid, or else the last one that served.
    fn last_life(&self) -> LifeMarks {
        self.claim.unwrap_or(self.life())
    }

    fn is_life(&self, boot: u64, session: u64) -> bool {
        (self.boot, self.session) == (boot, session)
    }

    /// Whether one of the two claims is that of this life.
    fn has_claimed(&self, session: u64) -> bool {
        self.claim_of(session).is_some()
    }

    /// The claim of this life.
    fn claim_of(&self, session: u64) -> Option<LifeMarks> {
        let mut claims = self.claim.into_iter().chain(self.claim_before);
        claims.find(|claim| claim.session == session)
    }

    /// Returns whether there were claims of other lives.
    fn drop_claims_but(&mut self, session: u64) -> bool {
        let is_of_other = |claim: &mut LifeMarks| claim.session != session;
        let before = self.claim_before.take_if(is_of_other);
        let last = self.claim.take_if(is_of_other);
        self.claim = self.claim.or(self.claim_before.take());
        before.or(last).is_some()
    }

    /// A life that has claimed the pid gives up. Returns false if no other was ever heard of the pid.
    fn withdraw(&mut self, session: u64) -> bool {
        let is_it = |claim: &mut LifeMarks| claim.session == session;
        if self.claim.take_if(is_it).is_some() {
            self.claim = self.claim_before.take();
        } else {
            self.claim_before.take_if(is_it);
        }
        if self.session != session {
            return true;
        }
        // It has never served, so what is remembered of the last life that served was its own.
        let Some(claim) = self.claim else {
            return false;
        };
        self.incarnation = claim.incarnation;
        self.boot = claim.boot;
        self.session = claim.session;
        self.ceiling = self.sequence;
        true
    }

    /// Whether a life that is heard for the first time is older than `last`, or has not come as far as the pid had. What
    /// it tells counts as it is, not only as far as it is believed: a process that is far ahead is not behind.
    fn is_newer_than(&self, last: LifeMarks, life: &Claimant) -> bool {
        // bug RollbackUnseen: return false;
        life.session != last.session
            && (!last.is_followed_by(life.life()) || life.told_sequence < self.sequence.get())
    }

    /// Whether the newest life is a later one of the same directory.
    fn is_later_than(&self, life: &Claimant) -> bool {
        life.life().is_followed_by(self.last_life())
    }

    /// Takes over how far a life has come. Returns what of this has to be saved.
    fn raise(&mut self, life: &Claimant) -> Unsaved {
        let before = (self.sequence, self.ceiling);
        self.sequence = self.sequence.max(life.sequence);
        if (life.boot, life.session) == (self.boot, self.session) {
            self.ceiling = self.ceiling.max(life.ceiling);
        }
        match (self.sequence, self.ceiling) == before {
            true => Unsaved::Nothing,
            false => Unsaved::HowFar,
        }
    }

    /// Whether this is a later life of the same directory, or the first one that serves. The last messages from a lost
    /// directory must not bring it back.
    fn is_followed_by(&self, life: &Claimant) -> bool {
        self.served()
            .is_none_or(|last| last.is_followed_by(life.life()))
    }

    /// Another life is remembered from now on as the last one that served. How far the pid has come stays, and so do
    /// the claims of others, but not those of earlier lives of the same directory. What a life that has only claimed the
    /// pid says of how far it has come does not stay: its claim may come to nothing.
    fn replace(&mut self, life: &Claimant) {
        let before = std::mem::replace(self, life.remembered(self.pid));
        // bug ClaimCountsAsServed instead: if before.served().is_some() || BUG {
        if before.served().is_some() {
            self.sequence = self.sequence.max(before.sequence);
        }
        let is_open =
            |claim: &LifeMarks| claim.incarnation != life.incarnation || claim.boot > life.boot;
        let mut claims = [before.claim, before.claim_before]
            .into_iter()
            .flatten()
            .filter(is_open);
        self.claim = claims.next();
        self.claim_before = claims.next();
    }

    /// Takes over every higher value. Returns what of this has to be saved.
    fn learn(&mut self, life: &Claimant) -> Unsaved {
        let how_far = self.raise(life);
        if self.is_followed_by(life) {
            self.replace(life);
            return Unsaved::Who;
        }
        how_far
    }

    /// A pid of which only a sequence is known.
    pub const fn new(pid: Pid, sequence: Sequence) -> Remembered {
        Remembered {
            pid,
            incarnation: 0,
            boot: 0,
            session: 0,
            sequence,
            ceiling: sequence,
            ended: false,
            claim: None,
            claim_before: None,
            address: None,
        }
    }
}

#[cfg(test)]
mod tests;
