//! The clean end of a life.

use ipseity_core::identity::Sequence;
use ipseity_etcd::{Answer, Answered, Call, CallError, Op, Procedure, Step, Txn};

use crate::{
    breach::Breach,
    layout::State,
    pause::Pause,
    tenure::{Lost, Tenure},
};

/// Notes the exact sequence and leaves the pid to others at once. Nothing is handed out once this has begun. It asks until
/// it knows; whoever has less time ends it, and then the next life begins above the ceiling.
#[derive(Clone, Debug)]
pub struct Stop {
    tenure: Tenure,
    sequence: Sequence,
    at: At,
    pause: Pause,
}

#[derive(Clone, Debug)]
enum At {
    Noting,
    Revoking,
}

impl Stop {
    /// Notes that all that was handed out or absorbed is at or below this.
    pub fn new(tenure: &Tenure, sequence: Sequence) -> Stop {
        Stop {
            tenure: tenure.clone(),
            sequence,
            at: At::Noting,
            pause: Pause::new(),
        }
    }

    fn ask(&self) -> Step<Result<(), Lost>> {
        let mine = &self.tenure.state.value;
        // What was absorbed is never above the ceiling, but a note must not lift it.
        let sequence = mine.sequence.max(self.sequence).min(mine.ceiling);
        let stopped = State {
            sequence,
            ceiling: sequence,
            stopped: true,
            ..mine.clone()
        };
        let txn = Txn {
            compare: self.tenure.is_mine(),
            then: vec![
                self.tenure.put(&stopped),
                // While the state is of this life, nobody else can be the owner.
                Op::Delete(self.tenure.layout.owner(self.tenure.pid)),
            ],
            otherwise: self.tenure.read_again(),
        };
        // bug StopUncompared: let txn = if BUG { Txn { compare: Vec::new(), ..txn } } else { txn };
        Step::Call(Call::Txn(txn))
    }

    fn noted(&mut self, answer: &Answer) -> Result<Step<Result<(), Lost>>, Lost> {
        self.tenure.watch.see(&answer.header)?;
        match &answer.answered {
            Answered::Txn {
                succeeded: true, ..
            } => Ok(self.revoke()),
            Answered::Txn { ranges, .. } => {
                self.tenure.reread(ranges)?;
                match self.tenure.state.value.stopped {
                    true => Ok(self.revoke()),
                    false => Ok(self.ask()),
                }
            }
            Answered::Range(_)
            | Answered::Granted { .. }
            | Answered::KeptAlive(_)
            | Answered::Revoked => Err(Breach::WrongAnswer.into()),
        }
    }

    /// Nothing depends on it: no key is under the lease any more.
    fn revoke(&mut self) -> Step<Result<(), Lost>> {
        self.at = At::Revoking;
        Step::Call(Call::Revoke(self.tenure.lease))
    }

    /// Whether the exact sequence was noted. What is left to do then is only tidy.
    pub fn is_noted(&self) -> bool {
        matches!(self.at, At::Revoking)
    }
}

impl Procedure for Stop {
    type Output = Result<(), Lost>;

    fn step(
        &mut self,
        result: Option<Result<Answer, CallError>>,
        _random: &mut dyn FnMut() -> u64,
    ) -> Step<Self::Output> {
        match (&self.at, result) {
            (At::Noting, None) => self.ask(),
            (At::Noting, Some(Err(_))) => Step::Wait(self.pause.next()),
            (At::Noting, Some(Ok(answer))) => self
                .noted(&answer)
                .unwrap_or_else(|lost| Step::Done(Err(lost))),
            (At::Revoking, _) => Step::Done(Ok(())),
        }
    }
}
