//! How long to wait before a call is made again, and how often it is.

use std::time::Duration;

use ipseity_etcd::{CallError, Step};

/// The first wait: an etcd that has just chosen another leader answers soon.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest wait. A life that waits for its ceiling has to notice soon that etcd is back, and one call a second does no
/// harm to an etcd that has trouble.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How many calls may fail before what an operator asks for is given up.
pub(crate) const OPERATOR_FAILURES_MAX: u32 = 5;

/// The waits between the tries of one call. Each is twice as long as the one before.
#[derive(Clone, Debug)]
pub(crate) struct Pause {
    next: Duration,
    waited: Duration,
}

impl Pause {
    pub(crate) const fn new() -> Pause {
        Pause {
            next: PAUSE_MIN,
            waited: Duration::ZERO,
        }
    }

    /// The next wait.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(PAUSE_MAX);
        self.waited += pause;
        pause
    }

    /// All waits so far together.
    pub(crate) const fn waited(&self) -> Duration {
        self.waited
    }
}

/// The tries of a procedure that gives up when too many calls have failed.
#[derive(Clone, Debug)]
pub(crate) struct Tries {
    pause: Pause,
    left: u32,
}

impl Tries {
    /// So many calls may fail, in all.
    pub(crate) const fn new(failures_max: u32) -> Tries {
        Tries {
            pause: Pause::new(),
            left: failures_max,
        }
    }

    /// A call has failed: what follows, a pause or the end with this `error`.
    pub(crate) fn failed<T, E>(
        &mut self,
        error: CallError,
        give_up: fn(CallError) -> E,
    ) -> Step<Result<T, E>> {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Step::Wait(self.pause.next())
            }
            None => Step::Done(Err(give_up(error))),
        }
    }

    /// etcd has answered: the next pause is a short one again.
    pub(crate) const fn answered(&mut self) {
        self.pause = Pause::new();
    }
}
