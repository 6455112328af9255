//! Reads all that is there of a cluster.

use std::fmt;

use ipseity_etcd::{Answer, Call, CallError, Procedure, Step};

use crate::{breach::Breach, layout::Layout, survey::Survey};

/// Reads all that is there of a cluster, once, and changes nothing.
#[derive(Clone, Debug)]
pub struct Look {
    layout: Layout,
}

/// Why nothing was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoLook {
    /// There was no answer.
    Call(CallError),
    /// The answer makes no sense.
    Breach(Breach),
}

impl Look {
    /// Reads these keys.
    pub fn new(layout: Layout) -> Look {
        Look { layout }
    }
}

impl Procedure for Look {
    type Output = Result<Survey, NoLook>;

    fn step(
        &mut self,
        result: Option<Result<Answer, CallError>>,
        _random: &mut dyn FnMut() -> u64,
    ) -> Step<Self::Output> {
        match result {
            None => Step::Call(Call::Range(self.layout.all())),
            Some(Err(error)) => Step::Done(Err(NoLook::Call(error))),
            Some(Ok(answer)) => Step::Done(
                Survey::of(&self.layout, &answer).ok_or(NoLook::Breach(Breach::WrongAnswer)),
            ),
        }
    }
}

impl fmt::Display for NoLook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoLook::Call(error) => error.fmt(f),
            NoLook::Breach(breach) => breach.fmt(f),
        }
    }
}

impl std::error::Error for NoLook {}
