//! What happens when a life asks for a pid: the lives that may still be alive are asked first, and then the newcomer is
//! judged.
//!
//! A newcomer is asked about twice. When it joins, nothing of it is remembered: the answer only says that it would be
//! accepted. When it claims the pid, that is made durable before it is answered.

use std::sync::Arc;

use super::{Charge, Guard, Known, Link, Links, Remembered, Serial, Unsaved};
use crate::{
    identity::{Pid, Sequence},
    limits::{PROBE_TIMEOUT, RECENT},
    time::Instant,
    words::{ErrorCode, LifeMarks, Stage, SyncMessage},
};

/// A life as it tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::actor) struct Claimant {
    pub(in crate::actor) incarnation: u128,
    pub(in crate::actor) boot: u64,
    pub(in crate::actor) session: u64,
    /// As far as it is believed.
    pub(in crate::actor) sequence: Sequence,
    /// As far as it is believed.
    pub(in crate::actor) ceiling: Sequence,
    pub(in crate::actor) told_sequence: u64,
    /// Its state is in a store that fences.
    pub(in crate::actor) fences: bool,
}

impl Claimant {
    /// What tells it apart from others.
    pub(super) const fn life(&self) -> LifeMarks {
        LifeMarks {
            incarnation: self.incarnation,
            boot: self.boot,
            session: self.session,
        }
    }

    /// This life, with no claim open.
    pub(super) fn remembered(&self, pid: Pid) -> Remembered {
        Remembered {
            incarnation: self.incarnation,
            boot: self.boot,
            session: self.session,
            ceiling: self.ceiling,
            ..Remembered::new(pid, self.sequence)
        }
    }
}

/// What becomes of a life that asks for a pid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::actor) enum Verdict {
    /// It may use the pid.
    Accepted,
    /// It may, but its claim has to be durable before it is told.
    Saving,
    /// Other lives may be alive, and are asked first.
    Asking(Questions),
    /// Another life has the pid, and is alive.
    Held,
    /// Another life has claimed the pid. It never said that it serves, and nobody knows whether it has.
    Claimed,
    /// Its state is not the newest.
    Stale(Charge),
}

/// How the lives that may still be alive are asked now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::actor) struct Questions {
    /// The sessions to which a probe is sent, and on which link.
    pub(in crate::actor) probes: Vec<(u64, Link)>,
    /// An address that is dialed once, because a life that was heard just now can be dialed there and has no link.
    pub(in crate::actor) dial: Option<Arc<str>>,
}

/// The lives that may still be alive are being asked, for one newcomer. A proof counts for it only if it was given after it
/// came: a process that is restarted was alive just before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trial {
    /// A message that a life has received after this moment proves that it is alive.
    since: Serial,
    /// A life that has proved nothing by then is taken for dead.
    until: Instant,
    /// One of them is alive.
    is_alive: bool,
    /// The newcomer, as it tells of itself.
    newcomer: LifeMarks,
    /// A life that is alive and has only claimed the pid, if the newcomer comes before it. It will soon serve or give up.
    rival: Option<u64>,
    /// The links on which a probe was sent.
    probed: Vec<Link>,
}

/// What is known of the lives that had the pid before.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Holders {
    /// None of them can be alive.
    Gone,
    /// One of them may be, and was not asked so yet.
    Unknown(Questions),
    /// One of them is.
    Alive,
}

/// Whether the claim of a life is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Saved {
    No,
    /// It is in the save that is under way.
    UnderWay,
    Yes,
}

impl Guard {
    /// Judges a life that asks for its pid.
    pub(in crate::actor) fn judge(
        &mut self,
        link: Link,
        sync: &SyncMessage,
        claimant: Claimant,
        links: &Links,
        now: Instant,
    ) -> Verdict {
        self.serial += 1;
        let born = *self.born.get_or_insert(now);
        let Some(known) = self.members.get_mut(&sync.pid) else {
            return self.accept_first(sync, claimant);
        };
        known.note_fencing(&claimant);
        if known.has_lost_pid(&claimant) {
            return Verdict::Stale(known.refuse_newcomer(link, sync, self.serial, true));
        }
        let last = known.remembered.last_life();
        let is_known = [last.session, known.remembered.session].contains(&sync.session);
        // One that has claimed the pid and asks again does not serve yet. If another one was heard to serve meanwhile, that
        // one is asked.
        let serves = |life: LifeMarks| life.session == sync.session;
        let is_judged =
            known.candidate == Some(sync.session) || known.remembered.served().is_some_and(serves);
        // bug IncumbentNotAsked instead: if !is_judged && !BUG {
        if !is_judged {
            let is_young = now.since(born) < RECENT;
            match known.holders(sync, &claimant, links, self.serial, is_young, now) {
                Holders::Gone => {}
                Holders::Unknown(questions) => return Verdict::Asking(questions),
                Holders::Alive => return Verdict::Held,
            }
        }
        let is_behind = |last| !is_known && known.remembered.is_newer_than(last, &claimant);
        if known.remembered.served().is_some_and(is_behind) {
            return Verdict::Stale(known.refuse_newcomer(link, sync, self.serial, false));
        }
        // A claim may come to nothing, so nothing that lasts follows from it.
        if is_behind(last) {
            return Verdict::Claimed;
        }
        match (sync.told.stage, known.remembered.claim) {
            (Stage::Claims, Some(claim)) if claim.session == sync.session => match known.saved {
                Saved::Yes => Verdict::Accepted,
                Saved::No | Saved::UnderWay => Verdict::Saving,
            },
            // It serves already, and this message is late.
            (Stage::Claims, None) if known.remembered.is_life(sync.boot, sync.session) => {
                Verdict::Accepted
            }
            (Stage::Claims, _) => {
                known.claim(&claimant);
                self.unsaved = Unsaved::Claim;
                // bug ClaimNotDurable: return Verdict::Accepted;
                Verdict::Saving
            }
            (Stage::Joins | Stage::Serves | Stage::Rests | Stage::Clashes, _) => {
                known.candidate = Some(sync.session);
                Verdict::Accepted
            }
        }
    }

    /// Nothing is known of the pid.
    fn accept_first(&mut self, sync: &SyncMessage, claimant: Claimant) -> Verdict {
        if sync.told.stage != Stage::Claims {
            return Verdict::Accepted;
        }
        let mut known = Known::new(claimant.remembered(sync.pid));
        known.claim(&claimant);
        self.members.insert(sync.pid, known);
        self.unsaved = Unsaved::Claim;
        Verdict::Saving
    }

    /// Nobody waits any more for the answer to the claim of a life. If it was never answered, that is as if the claim had
    /// been lost on its way.
    pub(in crate::actor) fn drop_claim(&mut self, pid: Pid, session: u64) {
        let Some(known) = self.members.get_mut(&pid) else {
            return;
        };
        if known.unanswered.contains(&session) {
            self.withdraw(pid, session);
        }
    }

    /// The claim of a life is answered.
    pub(in crate::actor) fn claim_answered(&mut self, pid: Pid, session: u64) {
        if let Some(known) = self.members.get_mut(&pid) {
            known.unanswered.retain(|claim| *claim != session);
        }
    }

    /// A newcomer does not wait any more for the lives that are asked. What they still say does not count.
    pub(in crate::actor) fn close_trial(&mut self, pid: Pid, newcomer: u64) {
        if let Some(known) = self.members.get_mut(&pid) {
            known.trials.remove(&newcomer);
        }
    }

    /// When the others that may have the pid have been asked for long enough.
    pub(in crate::actor) fn trial_deadline(&self, pid: Pid, newcomer: u64) -> Option<Instant> {
        Some(self.members.get(&pid)?.trials.get(&newcomer)?.until)
    }
}

impl Known {
    /// Notes that a life was alive after that moment.
    pub(super) fn is_alive(&mut self, session: u64, after: Serial) {
        if !(self.remembered.has_claimed(session) || self.remembered.session == session) {
            return;
        }
        self.candidate.take_if(|candidate| *candidate != session);
        let claim = self.remembered.claim_of(session);
        for (newcomer, trial) in &mut self.trials {
            if *newcomer == session || after < trial.since {
                continue;
            }
            match claim {
                // Each was accepted first by some: were both refused, nobody would have the pid. So one of them waits,
                // the same one everywhere.
                Some(claim) if comes_before(trial.newcomer, claim) => trial.rival = Some(session),
                _ => trial.is_alive = true,
            }
        }
    }

    /// The lives other than the newcomer that may have the pid, and that it has not taken over from by its store.
    fn others(&self, newcomer: &Claimant) -> Vec<u64> {
        let last = (!self.remembered.ended).then_some(self.remembered.life());
        let claims = [self.remembered.claim, self.remembered.claim_before];
        // bug SecondWins: let claims = if BUG { [None, None] } else { claims };
        let lives = last.into_iter().chain(claims.into_iter().flatten());
        let mut others: Vec<u64> = lives
            .filter(|life| !self.has_taken_over(newcomer, *life))
            .map(|life| life.session)
            .collect();
        others.retain(|session| *session != newcomer.session);
        others.dedup();
        others
    }

    fn holders(
        &mut self,
        sync: &SyncMessage,
        newcomer: &Claimant,
        links: &Links,
        serial: Serial,
        is_young: bool,
        now: Instant,
    ) -> Holders {
        let heard_at = self.heard_at;
        let is_recent = is_young || heard_at.is_some_and(|at| now.since(at) < RECENT);
        let mut may_live = false;
        let mut heard_on = Vec::new();
        let mut dial = None;
        let others = self.others(newcomer);
        for session in others.iter().copied() {
            let before = heard_on.len();
            heard_on.extend(links.of_life(sync.pid, session).map(|link| (session, link)));
            let has_link = heard_on.len() > before;
            let answers = links.may_answer(sync.pid, session, heard_at);
            let may_answer = has_link || answers.unwrap_or(is_recent);
            may_live |= may_answer;
            if may_answer && !has_link && session == self.remembered.session {
                dial = self.remembered.address.clone();
            }
        }
        if !may_live {
            return Holders::Gone;
        }
        // Once, when the trial begins.
        let dial = dial.filter(|_| !self.trials.contains_key(&sync.session));
        let trial = self.trials.entry(sync.session).or_insert_with(|| Trial {
            since: serial,
            until: now.after(PROBE_TIMEOUT),
            is_alive: false,
            newcomer: newcomer.life(),
            rival: None,
            probed: Vec::new(),
        });
        if trial.is_alive {
            return Holders::Alive;
        }
        if now >= trial.until {
            return match trial.rival.is_some_and(|rival| others.contains(&rival)) {
                true => Holders::Alive,
                false => Holders::Gone,
            };
        }
        heard_on.retain(|(_, link)| !trial.probed.contains(link));
        trial.probed.extend(heard_on.iter().map(|(_, link)| *link));
        Holders::Unknown(Questions {
            probes: heard_on,
            dial,
        })
    }

    /// Notes the claim of a life that is accepted.
    fn claim(&mut self, claimant: &Claimant) {
        self.saved = Saved::No;
        let was_told = self.remembered.has_claimed(claimant.session);
        self.candidate = Some(claimant.session);
        // Another one that waits for the answer has to ask this life too.
        self.trials.clear();
        self.remembered.claim_before = self.remembered.claim;
        self.remembered.claim = Some(claimant.life());
        let remembered = &self.remembered;
        self.unanswered
            .retain(|claim| remembered.has_claimed(*claim));
        if !was_told {
            self.unanswered.push(claimant.session);
        }
    }

    /// The save that is about to begin has the claim in it.
    pub(super) fn begin_save(&mut self) {
        if self.saved == Saved::No {
            self.saved = Saved::UnderWay;
        }
    }

    /// The save that had the claim in it is over.
    pub(super) fn end_save(&mut self, is_durable: bool) {
        if self.saved == Saved::UnderWay {
            self.saved = match is_durable {
                true => Saved::Yes,
                false => Saved::No,
            };
        }
    }

    /// The newcomer is told why it must not hand out identities. It is noted, so that its operator can overrule that.
    fn refuse_newcomer(
        &mut self,
        link: Link,
        sync: &SyncMessage,
        serial: Serial,
        has_lost_pid: bool,
    ) -> Charge {
        let (mut life, _) = self.take_life(sync.session, serial, link);
        life.link = Some(link);
        let is_new = life.objection.replace(ErrorCode::StaleState).is_none();
        self.lives.push(life);
        Charge {
            pid: sync.pid,
            session: sync.session,
            link,
            code: ErrorCode::StaleState,
            sequence: self.remembered.sequence,
            is_new,
            // There is nothing to mend.
            may_be_over: has_lost_pid,
            rival: None,
        }
    }
}

/// Which of two lives that both claim one pid waits for the other to give up. A directory that was started more often is
/// most likely the one that the pid belongs to.
pub(in crate::actor) const fn comes_before(one: LifeMarks, other: LifeMarks) -> bool {
    one.boot > other.boot || one.boot == other.boot && one.session < other.session
}
