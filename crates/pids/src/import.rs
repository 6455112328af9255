//! Brings a pid from a state directory.

use std::fmt;

use ipseity_core::{
    actor::Life,
    identity::{Pid, Sequence},
};
use ipseity_etcd::{Answer, Answered, Call, CallError, KeyRange, Op, Procedure, Step, Txn};

use crate::{
    breach::Breach,
    found::{Ground, ground},
    layout::{LIVES_MAX, Layout, Meta, State, Value},
    pause::{OPERATOR_FAILURES_MAX, Tries},
    survey::{Seen, Survey, holds},
    tenure::{is_absent, stands},
};

/// What a state directory says, that nobody uses any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Its pid.
    pub pid: Pid,
    /// The random value made with the directory.
    pub incarnation: u128,
    /// Its last lives, the newest last: at least one. The ceiling of the newest is that of the directory.
    pub lives: Vec<Life>,
    /// All that was handed out or absorbed when the newest state was written is at or below it.
    pub sequence: Sequence,
    /// Nothing above it was ever handed out.
    pub ceiling: Sequence,
    /// The last run stopped cleanly.
    pub stopped: bool,
}

/// Brings a pid from a state directory, if there is nothing of this pid yet.
#[derive(Clone, Debug)]
pub struct Import {
    layout: Layout,
    pid: Pid,
    /// `None` if the directory was never started.
    imported: Option<Imported>,
    at: At,
    tries: Tries,
}

/// Why nothing was brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoImport {
    /// The directory was never started, so there is nothing to bring.
    Empty,
    /// The pid is there already.
    There {
        /// The pid.
        pid: Pid,
    },
    /// Calls have failed again and again.
    Call(CallError),
    /// The store is not what it was.
    Breach(Breach),
}

#[derive(Clone, Debug)]
enum At {
    Looking,
    Founding,
    Putting(Seen<Meta>),
}

type Done = Result<State, NoImport>;

impl Import {
    /// Brings this.
    pub fn new(layout: Layout, imported: Imported) -> Import {
        Import {
            layout,
            pid: imported.pid,
            imported: Some(imported),
            at: At::Looking,
            tries: Tries::new(OPERATOR_FAILURES_MAX),
        }
    }

    /// The state that it puts.
    fn state(&self, meta: &Meta) -> Option<State> {
        let imported = self.imported.as_ref()?;
        let (newest, earlier) = imported.lives.split_last()?;
        let forgotten = earlier.len().saturating_sub(LIVES_MAX);
        // See the claim: what is forgotten counts with its ceiling.
        let ceiling = earlier[..forgotten]
            .iter()
            .map(|life| life.ceiling)
            .fold(imported.ceiling.max(meta.above), Sequence::max);
        let is_exact = imported.stopped && ceiling == imported.sequence;
        Some(State {
            incarnation: imported.incarnation,
            boot: newest.boot,
            session: newest.session,
            sequence: imported.sequence,
            ceiling,
            highest: newest.ceiling.max(ceiling),
            stopped: is_exact,
            epoch: meta.epoch,
            lives: earlier[forgotten..].to_vec(),
        })
    }

    fn look(&mut self) -> Step<Done> {
        self.at = At::Looking;
        Step::Call(Call::Range(self.layout.all()))
    }

    fn put(&mut self, meta: Seen<Meta>) -> Step<Done> {
        let Some(state) = self.state(&meta.value) else {
            return Step::Done(Err(NoImport::Empty));
        };
        let key = self.layout.state(self.pid);
        let mut compare = vec![
            is_absent(key.clone()),
            is_absent(self.layout.owner(self.pid)),
        ];
        compare.extend(stands(self.layout.meta(), &meta));
        self.at = At::Putting(meta);
        Step::Call(Call::Txn(Txn {
            compare,
            then: vec![Op::Put {
                key: key.clone(),
                value: state.text(),
                lease: None,
            }],
            otherwise: vec![Op::Range(KeyRange::Key(key))],
        }))
    }

    fn answered(
        &mut self,
        answer: &Answer,
        random: &mut dyn FnMut() -> u64,
    ) -> Result<Step<Done>, Breach> {
        match (
            std::mem::replace(&mut self.at, At::Looking),
            &answer.answered,
        ) {
            (At::Looking, Answered::Range(_)) => {
                let survey = Survey::of(&self.layout, answer).ok_or(Breach::WrongAnswer)?;
                match ground(&self.layout, &survey, random)? {
                    Ground::There(meta) => Ok(self.put(meta)),
                    Ground::Make(_, txn) => {
                        self.at = At::Founding;
                        Ok(Step::Call(Call::Txn(txn)))
                    }
                }
            }
            (At::Founding, Answered::Txn { .. }) => Ok(self.look()),
            (At::Putting(meta), Answered::Txn { succeeded, ranges }) => {
                let state = self.state(&meta.value).ok_or(Breach::WrongAnswer)?;
                Ok(Step::Done(match *succeeded || holds(ranges, &state) {
                    true => Ok(state),
                    false => Err(NoImport::There { pid: self.pid }),
                }))
            }
            (At::Looking | At::Founding | At::Putting(_), _) => Err(Breach::WrongAnswer),
        }
    }
}

impl Procedure for Import {
    type Output = Done;

    fn step(
        &mut self,
        result: Option<Result<Answer, CallError>>,
        random: &mut dyn FnMut() -> u64,
    ) -> Step<Self::Output> {
        match result {
            None => match std::mem::replace(&mut self.at, At::Looking) {
                At::Putting(meta) => self.put(meta),
                At::Looking | At::Founding => self.look(),
            },
            Some(Err(error)) => self.tries.failed(error, NoImport::Call),
            Some(Ok(answer)) => self
                .answered(&answer, random)
                .unwrap_or_else(|breach| Step::Done(Err(NoImport::Breach(breach)))),
        }
    }
}

impl fmt::Display for NoImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoImport::Empty => {
                f.write_str("the directory was never started, so there is nothing to bring")
            }
            NoImport::There { pid } => write!(
                f,
                "pid {pid} is there already, and nothing was changed; an import never replaces a pid"
            ),
            NoImport::Call(error) => error.fmt(f),
            NoImport::Breach(breach) => breach.fmt(f),
        }
    }
}

impl std::error::Error for NoImport {}
