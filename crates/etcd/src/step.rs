//! How something that takes several calls is written down: as a machine that is given each answer and says what it wants
//! next. It does no I/O and reads no clock, so the same code runs before a real etcd and before a simulated one.

use std::time::Duration;

use crate::call::{Answer, Call, CallError};

/// What a [`Procedure`] wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// This call, and then to be given its result.
    Call(Call),
    /// To be continued after this time.
    Wait(Duration),
    /// Nothing more: this is the result.
    Done(T),
}

/// Several calls, one after the other, with one result.
pub trait Procedure {
    /// The result.
    type Output;

    /// Goes on. `result` is that of the call that was asked for last; `None` at the begin and after a wait. `random`
    /// draws 64 random bits.
    fn step(
        &mut self,
        result: Option<Result<Answer, CallError>>,
        random: &mut dyn FnMut() -> u64,
    ) -> Step<Self::Output>;
}
