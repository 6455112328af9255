//! Runs a procedure to its end, one call after the other. What a call, a wait and chance are is up to the caller.

use std::time::Duration;

use crate::{
    call::{Answer, Call, CallError},
    step::{Procedure, Step},
};

/// What a procedure needs of the world.
pub trait World {
    /// Makes a call, and waits for its answer.
    ///
    /// # Errors
    /// There is no answer, or it is a refusal.
    fn call(&mut self, call: &Call) -> Result<Answer, CallError>;

    /// Waits for this long.
    fn wait(&mut self, wait: Duration);

    /// 64 random bits.
    fn random(&mut self) -> u64;
}

/// Goes through a procedure, from its begin to its result.
pub fn run<P: Procedure>(procedure: &mut P, world: &mut impl World) -> P::Output {
    let mut result = None;
    loop {
        let step = procedure.step(result.take(), &mut || world.random());
        match step {
            Step::Call(call) => result = Some(world.call(&call)),
            Step::Wait(wait) => world.wait(wait),
            Step::Done(output) => return output,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::LeaseId;

    /// Asks for a lease until it has one, with a pause after each failure.
    struct Ask(u32);

    impl Procedure for Ask {
        type Output = (u32, LeaseId);

        fn step(
            &mut self,
            result: Option<Result<Answer, CallError>>,
            random: &mut dyn FnMut() -> u64,
        ) -> Step<Self::Output> {
            let lease = random() as LeaseId;
            match result {
                None => {
                    self.0 += 1;
                    Step::Call(Call::Revoke(lease))
                }
                Some(Err(_)) => Step::Wait(Duration::from_secs(1)),
                Some(Ok(_)) => Step::Done((self.0, lease)),
            }
        }
    }

    struct Scripted(Vec<String>, u64);

    impl World for Scripted {
        fn call(&mut self, call: &Call) -> Result<Answer, CallError> {
            self.0.push(format!("{call:?}"));
            match self.0.len() {
                1 => Err(CallError::Unanswered("late".to_owned())),
                _ => Ok(Answer {
                    header: crate::call::Header::default(),
                    answered: crate::call::Answered::Revoked,
                }),
            }
        }

        fn wait(&mut self, wait: Duration) {
            self.0.push(format!("{wait:?}"));
        }

        fn random(&mut self) -> u64 {
            self.1 += 1;
            self.1
        }
    }

    #[test]
    fn every_step_is_taken_in_its_order() {
        let mut world = Scripted(Vec::new(), 0);
        assert_eq!(run(&mut Ask(0), &mut world), (2, 4));
        assert_eq!(world.0, ["Revoke(1)", "1s", "Revoke(3)"]);
    }
}
