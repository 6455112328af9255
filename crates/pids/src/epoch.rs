//! An operator's word after a restore.

use std::fmt;

use ipseity_core::identity::Sequence;
use ipseity_etcd::{Answer, Answered, Call, CallError, KeyRange, Op, Procedure, Step, Txn};

use crate::{
    breach::Breach,
    found::random_128,
    layout::{EPOCH_MAX, Layout, Meta, Value},
    pause::{OPERATOR_FAILURES_MAX, Tries},
    survey::{Entry, Seen, Survey, Unreadable, holds},
    tenure::{is_absent, stands},
};

/// Says that this etcd is the right one, although it was restored or its keys were lost, and above which sequence all pids
/// begin. Every life that has begun before may write nothing more, and stops when it next looks. The servers should be
/// stopped before: what they hand out until then is not known here.
#[derive(Clone, Debug)]
pub struct Epoch {
    layout: Layout,
    above: Sequence,
    at: At,
    tries: Tries,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raised {
    /// What the cluster has in common from now on.
    pub meta: Meta,
    /// It had been lost, so the cluster has another id now.
    pub is_new: bool,
}

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoEpoch {
    /// What the cluster has in common cannot be read.
    Unreadable(Unreadable),
    /// Calls have failed again and again.
    Call(CallError),
    /// The answer makes no sense.
    Breach(Breach),
}

#[derive(Clone, Debug)]
enum At {
    Looking,
    Putting(Entry<Meta>, Meta),
}

type Done = Result<Raised, NoEpoch>;

impl Epoch {
    /// All pids begin above this, and above 1: zero in `meta` says that no operator has spoken, and peers that remember a
    /// life which has handed out nothing would stop every later one.
    pub fn new(layout: Layout, above: Sequence) -> Epoch {
        Epoch {
            layout,
            above: above.max(Sequence::ZERO.saturating_add(1)),
            at: At::Looking,
            tries: Tries::new(OPERATOR_FAILURES_MAX),
        }
    }

    fn look(&mut self) -> Step<Done> {
        self.at = At::Looking;
        Step::Call(Call::Range(self.layout.all()))
    }

    fn looked(&mut self, survey: &Survey, random: &mut dyn FnMut() -> u64) -> Step<Done> {
        let states = survey.pids.values().filter_map(|found| found.state.seen());
        let newest = states.map(|seen| seen.value.epoch).max().unwrap_or(0);
        let (id, epoch, above) = match &survey.meta {
            Entry::Seen(Seen { value, .. }) => (value.id, value.epoch, value.above),
            Entry::Absent => (random_128(random), 0, Sequence::ZERO),
            Entry::Unreadable(what) => {
                return Step::Done(Err(NoEpoch::Unreadable(what.clone())));
            }
        };
        let meta = Meta {
            id,
            epoch: (epoch.max(newest) + 1).min(EPOCH_MAX),
            etcd: survey.header.cluster_id,
            above: above.max(self.above),
        };
        self.put(survey.meta.clone(), meta)
    }

    fn put(&mut self, before: Entry<Meta>, meta: Meta) -> Step<Done> {
        let key = self.layout.meta();
        let compare = match &before {
            Entry::Seen(seen) => stands(key.clone(), seen),
            Entry::Absent | Entry::Unreadable(_) => vec![is_absent(key.clone())],
        };
        self.at = At::Putting(before, meta);
        Step::Call(Call::Txn(Txn {
            compare,
            then: vec![Op::Put {
                key: key.clone(),
                value: meta.text(),
                lease: None,
            }],
            otherwise: vec![Op::Range(KeyRange::Key(key))],
        }))
    }

    fn answered(&mut self, answer: &Answer, random: &mut dyn FnMut() -> u64) -> Step<Done> {
        match (
            std::mem::replace(&mut self.at, At::Looking),
            &answer.answered,
        ) {
            (At::Looking, Answered::Range(_)) => match Survey::of(&self.layout, answer) {
                Some(survey) => self.looked(&survey, random),
                None => Step::Done(Err(NoEpoch::Breach(Breach::WrongAnswer))),
            },
            (At::Putting(before, meta), Answered::Txn { succeeded, ranges }) => {
                match *succeeded || holds(ranges, &meta) {
                    true => Step::Done(Ok(Raised {
                        meta,
                        is_new: before.is_absent(),
                    })),
                    // Somebody else has changed it meanwhile.
                    false => self.look(),
                }
            }
            (At::Looking | At::Putting(..), _) => {
                Step::Done(Err(NoEpoch::Breach(Breach::WrongAnswer)))
            }
        }
    }
}

impl Procedure for Epoch {
    type Output = Done;

    fn step(
        &mut self,
        result: Option<Result<Answer, CallError>>,
        random: &mut dyn FnMut() -> u64,
    ) -> Step<Self::Output> {
        match result {
            None => match std::mem::replace(&mut self.at, At::Looking) {
                At::Putting(before, meta) => self.put(before, meta),
                At::Looking => self.look(),
            },
            Some(Err(error)) => self.tries.failed(error, NoEpoch::Call),
            Some(Ok(answer)) => self.answered(&answer, random),
        }
    }
}

impl fmt::Display for NoEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoEpoch::Unreadable(what) => write!(
                f,
                "{what}; if it is lost, remove that key and run this again"
            ),
            NoEpoch::Call(error) => error.fmt(f),
            NoEpoch::Breach(breach) => breach.fmt(f),
        }
    }
}

impl std::error::Error for NoEpoch {}
