//! Raises the ceiling of a life.

use std::time::Duration;

use ipseity_core::identity::Sequence;
use ipseity_etcd::{Answer, Answered, Call, CallError, Procedure, Step, Txn};

use crate::{
    breach::Breach,
    layout::{State, Value},
    pause::Pause,
    survey::Seen,
    tenure::{Lost, Mark, Tenure},
};

/// Raises the ceiling. It never gives up: it asks until it knows that the ceiling is raised, or that this life has lost its
/// pid.
#[derive(Clone, Debug)]
pub struct Raise {
    tenure: Tenure,
    sequence: Sequence,
    ceiling: Sequence,
    /// The value that was asked for last.
    next: State,
    pause: Pause,
}

impl Raise {
    /// Raises the ceiling to this, and notes the highest sequence that was handed out or absorbed so far.
    pub fn new(tenure: &Tenure, sequence: Sequence, ceiling: Sequence) -> Raise {
        Raise {
            next: tenure.state.value.clone(),
            tenure: tenure.clone(),
            sequence,
            ceiling,
            pause: Pause::new(),
        }
    }

    fn ask(&mut self) -> Step<Result<Mark, Lost>> {
        let mine = &self.tenure.state.value;
        let ceiling = mine.ceiling.max(self.ceiling);
        self.next = State {
            sequence: mine.sequence.max(self.sequence).min(ceiling),
            ceiling,
            highest: mine.highest.max(ceiling),
            stopped: false,
            ..mine.clone()
        };
        let txn = Txn {
            compare: self.tenure.is_mine(),
            then: vec![self.tenure.put(&self.next)],
            otherwise: self.tenure.read_again(),
        };
        // bug RaiseUncompared: let txn = if BUG { Txn { compare: Vec::new(), ..txn } } else { txn };
        Step::Call(Call::Txn(txn))
    }

    fn answered(&mut self, answer: &Answer) -> Result<Option<Mark>, Lost> {
        self.tenure.watch.see(&answer.header)?;
        match &answer.answered {
            Answered::Txn {
                succeeded: true, ..
            } => {
                let text = self.next.text();
                self.tenure.state = Seen {
                    value: self.next.clone(),
                    text,
                    revision: answer.header.revision,
                    lease: None,
                };
            }
            Answered::Txn { ranges, .. } => {
                self.tenure.reread(ranges)?;
                if self.tenure.state.value.stopped {
                    let pid = self.tenure.pid;
                    return Err(Breach::GivenBack { pid }.into());
                }
            }
            Answered::Range(_)
            | Answered::Granted { .. }
            | Answered::KeptAlive(_)
            | Answered::Revoked => return Err(Breach::WrongAnswer.into()),
        }
        let is_raised = self.tenure.ceiling() >= self.ceiling;
        Ok(is_raised.then(|| self.mark()))
    }

    fn mark(&self) -> Mark {
        Mark {
            state: self.tenure.state.clone(),
            watch: self.tenure.watch.clone(),
        }
    }

    /// How long it has waited since it was begun, in all its pauses.
    pub fn waited(&self) -> Duration {
        self.pause.waited()
    }
}

impl Procedure for Raise {
    type Output = Result<Mark, Lost>;

    fn step(
        &mut self,
        result: Option<Result<Answer, CallError>>,
        _random: &mut dyn FnMut() -> u64,
    ) -> Step<Self::Output> {
        match result {
            None => self.ask(),
            // Whether it was done or not, the same call finds out.
            Some(Err(_)) => {
                // bug RaiseSupposed: self.tenure.state.value = self.next.clone();
                // bug RaiseSupposed: if BUG { return Step::Done(Ok(self.mark())); }
                Step::Wait(self.pause.next())
            }
            Some(Ok(answer)) => match self.answered(&answer) {
                Ok(Some(mark)) => Step::Done(Ok(mark)),
                Ok(None) => self.ask(),
                Err(lost) => Step::Done(Err(lost)),
            },
        }
    }
}
