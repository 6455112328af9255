//! The sign of life.
//!
//! **Who says that the lease goes on.** etcd's leader counts the leases, and takes a sign of life without asking the other
//! members. A leader that was cut off or stood still does so until it notices that another one was chosen meanwhile, and the
//! other one knows nothing of it. The read after the sign of life is answered only by a leader that the others
//! confirm, and each new leader has a higher term. So a sign of life counts if that read has the same term: when the sign was
//! taken, no other leader had been chosen. Otherwise it is given again. A leader that is chosen later lets all leases begin
//! anew. A new lease needs none of this: the members agree on it.

use std::time::Duration;

use ipseity_core::identity::Pid;
use ipseity_etcd::{Answer, Answered, Call, CallError, LeaseId, Op, Procedure, Step, Txn};

use crate::{
    breach::{Breach, Watch},
    layout::{Owner, Value},
    survey::{Entry, Survey},
    tenure::{Lost, Tenure, is_absent, stands},
};

/// How often the owner is put again before the next sign of life is waited for. It fails only if something has changed
/// since it was read: a raise of this life, or somebody's hand.
const PUTS_MAX: u32 = 5;

/// How often a sign of life is given again at once because etcd has had another leader since. A new leader is known to
/// all members within moments, and nobody chooses one more often than once in an election timeout.
const RENEWALS_MAX: u32 = 5;

/// Keeps the lease, looks whether the pid is still that of this life, and who has the others. If the lease has ended, it
/// takes a new one and puts the owner again.
///
/// It tries once. The lease is confirmed from the moment when this was begun, so a procedure that takes long confirms less.
#[derive(Clone, Debug)]
pub struct Keep {
    tenure: Tenure,
    at: At,
    ttl: Duration,
    puts: u32,
    /// The term in which the lease was renewed, while it is not known that this was done by the leader.
    renewed_in: Option<u64>,
    renewals: u32,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The pid is that of this life, and nobody else can claim it for so long.
    Confirmed {
        /// How long from the moment on when this was begun.
        ttl: Duration,
        /// The lease: another one if the one before had ended.
        lease: LeaseId,
        /// What was seen of the store.
        watch: Watch,
        /// Who has which pid, with this life.
        owners: Vec<(Pid, Owner)>,
    },
    /// It is not known. The life goes on as long as its lease was confirmed.
    Unknown {
        /// The lease: another one if the one before had ended.
        lease: LeaseId,
        /// What was seen of the store until then. Who forgets it may not notice that the store is put back.
        watch: Watch,
        /// What went wrong.
        error: CallError,
    },
    /// This life has noted that it stops.
    Stopped,
}

#[derive(Clone, Debug)]
enum At {
    KeepingAlive,
    Granting,
    Looking,
    Putting,
}

type Done = Result<Kept, Lost>;

impl Keep {
    /// Keeps the lease of this life.
    pub fn new(tenure: &Tenure) -> Keep {
        Keep {
            tenure: tenure.clone(),
            at: At::KeepingAlive,
            ttl: tenure.ttl,
            puts: 0,
            renewed_in: None,
            renewals: 0,
        }
    }

    fn keep_alive(&mut self) -> Step<Done> {
        self.at = At::KeepingAlive;
        Step::Call(Call::KeepAlive(self.tenure.lease))
    }

    fn look(&mut self) -> Step<Done> {
        self.at = At::Looking;
        Step::Call(Call::Range(self.tenure.layout.all()))
    }

    fn grant(&mut self, random: &mut dyn FnMut() -> u64) -> Step<Done> {
        self.at = At::Granting;
        self.renewed_in = None;
        self.tenure.lease = random_lease(random);
        Step::Call(Call::Grant {
            lease: self.tenure.lease,
            ttl: self.tenure.ttl,
        })
    }

    fn looked(&mut self, survey: &Survey) -> Result<Step<Done>, Lost> {
        self.tenure.watch.survey(survey)?;
        let found = survey.pid(self.tenure.pid);
        self.tenure.state = self.tenure.judge(&found.state)?;
        if self.tenure.state.value.stopped {
            return Ok(Step::Done(Ok(Kept::Stopped)));
        }
        // bug FormerLeaderBelieved: self.renewed_in = None;
        if self
            .renewed_in
            .is_some_and(|term| term != survey.header.term)
        {
            return Ok(self.renew_again());
        }
        self.renewed_in = None;
        let (key, text) = (
            self.tenure.layout.owner(self.tenure.pid),
            self.tenure.owner.text(),
        );
        let mut compare = self.tenure.is_mine();
        match &found.owner {
            Entry::Seen(owner) if owner.lease == Some(self.tenure.lease) && owner.text == text => {
                return Ok(Step::Done(Ok(Kept::Confirmed {
                    ttl: self.ttl,
                    lease: self.tenure.lease,
                    watch: self.tenure.watch.clone(),
                    owners: survey.owners(),
                })));
            }
            // While the state is of this life, whatever else stands there was put by hand, or under an earlier lease.
            Entry::Seen(owner) => compare.extend(stands(key.clone(), owner)),
            Entry::Absent => compare.push(is_absent(key.clone())),
            Entry::Unreadable(_) => {}
        }
        if self.puts == PUTS_MAX {
            return Ok(self.unknown(CallError::Refused(format!(
                "the owner of pid {} has changed {PUTS_MAX} times while it was put",
                self.tenure.pid
            ))));
        }
        self.puts += 1;
        self.at = At::Putting;
        Ok(Step::Call(Call::Txn(Txn {
            compare,
            then: vec![Op::Put {
                key,
                value: text,
                lease: Some(self.tenure.lease),
            }],
            otherwise: Vec::new(),
        })))
    }

    /// Whoever has renewed the lease may not have been the leader any more.
    fn renew_again(&mut self) -> Step<Done> {
        if self.renewals == RENEWALS_MAX {
            return self.unknown(CallError::Refused(format!(
                "etcd has had another leader each of {RENEWALS_MAX} times after it had renewed the lease"
            )));
        }
        self.renewals += 1;
        self.keep_alive()
    }

    fn unknown(&self, error: CallError) -> Step<Done> {
        Step::Done(Ok(Kept::Unknown {
            lease: self.tenure.lease,
            watch: self.tenure.watch.clone(),
            error,
        }))
    }

    fn answered(
        &mut self,
        answer: &Answer,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<Step<Done>, Lost> {
        match (&self.at, &answer.answered) {
            (At::KeepingAlive, Answered::KeptAlive(Some(ttl))) => {
                self.ttl = *ttl;
                self.renewed_in = Some(answer.header.term);
                Ok(self.look())
            }
            (At::KeepingAlive, Answered::KeptAlive(None)) => Ok(self.grant(random)),
            (At::Granting, Answered::Granted { ttl }) => {
                self.ttl = *ttl;
                Ok(self.look())
            }
            (At::Looking, Answered::Range(_)) => match Survey::of(&self.tenure.layout, answer) {
                Some(survey) => self.looked(&survey),
                None => Err(Breach::WrongAnswer.into()),
            },
            // Whether it was put or something had changed: what is there now decides.
            (At::Putting, Answered::Txn { .. }) => {
                self.tenure.watch.see(&answer.header)?;
                Ok(self.look())
            }
            (At::KeepingAlive | At::Granting | At::Looking | At::Putting, _) => {
                Err(Breach::WrongAnswer.into())
            }
        }
    }
}

impl Procedure for Keep {
    type Output = Done;

    fn step(
        &mut self,
        result: Option<Result<Answer, CallError>>,
        random: &mut dyn FnMut() -> u64,
    ) -> Step<Self::Output> {
        match result {
            None => self.keep_alive(),
            Some(Err(error)) => self.unknown(error),
            Some(Ok(answer)) => self
                .answered(&answer, random)
                .unwrap_or_else(|lost| Step::Done(Err(lost))),
        }
    }
}

/// The number of a new lease: above zero.
pub(crate) fn random_lease(random: &mut dyn FnMut() -> u64) -> LeaseId {
    let bits = random() >> 1;
    LeaseId::try_from(bits.max(1)).expect("63 bits fit")
}
