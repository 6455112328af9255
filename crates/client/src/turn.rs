//! Threads that share something take turns, and wait for their turn no longer than they have time.

use std::{
    ops::{Deref, DerefMut},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use crate::clock::Deadline;

/// Something that one thread has at a time. A `Mutex` would do, if one could wait for it with a deadline.
#[derive(Debug)]
pub(crate) struct Turns<T> {
    // `None` while a thread has it.
    place: Mutex<Option<T>>,
    came_back: Condvar,
}

impl<T> Turns<T> {
    pub(crate) fn new(value: T) -> Turns<T> {
        Turns {
            place: Mutex::new(Some(value)),
            came_back: Condvar::new(),
        }
    }

    /// Waits for the turn of this thread. `None` if it has not come by the deadline.
    pub(crate) fn take(&self, deadline: Deadline) -> Option<Turn<'_, T>> {
        let mut place = self.place();
        loop {
            if let Some(value) = place.take() {
                let value = Some(value);
                return Some(Turn { turns: self, value });
            }
            let waited = self.came_back.wait_timeout(place, deadline.left()?);
            place = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    // No call panics while it holds the lock.
    fn place(&self) -> MutexGuard<'_, Option<T>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn of a thread. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a, T> {
    turns: &'a Turns<T>,
    // `None` only while it is dropped.
    value: Option<T>,
}

impl<T> Deref for Turn<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("it is there until the end")
    }
}

impl<T> DerefMut for Turn<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("it is there until the end")
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        *self.turns.place() = self.value.take();
        self.turns.came_back.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use super::*;

    #[test]
    fn threads_take_turns() {
        let turns = Turns::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let mut turn = turns.take(Deadline::within(Duration::MAX)).unwrap();
                        *turn += 1;
                    }
                });
            }
        });
        assert_eq!(*turns.take(Deadline::within(Duration::MAX)).unwrap(), 8000);
    }

    #[test]
    fn who_has_no_time_left_gets_no_turn() {
        let turns = Turns::new(());
        let turn = turns.take(Deadline::within(Duration::MAX));
        assert!(
            turns
                .take(Deadline::within(Duration::from_millis(1)))
                .is_none()
        );
        drop(turn);
        assert!(turns.take(Deadline::within(Duration::ZERO)).is_some());
    }

    #[test]
    fn a_turn_ends_with_a_panic_too() {
        let turns = Turns::new(());
        let panicked = thread::scope(|scope| {
            let call = scope.spawn(|| {
                let _turn = turns.take(Deadline::within(Duration::MAX));
                panic!("on purpose");
            });
            call.join().is_err()
        });
        assert!(panicked);
        assert!(turns.take(Deadline::within(Duration::ZERO)).is_some());
    }
}
