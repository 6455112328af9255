//! The deadlines of the actor, each as a timer of the loop.

use ipseity_core::timer::Timer;

use super::Server;
use crate::edge::Edge;

impl<E: Edge> Server<E> {
    /// Sets the timer to the moment when the write under way becomes late.
    pub(super) fn set_write_timer(&mut self) {
        match self.actor.write_deadline() {
            Some(deadline) => self.timers.set(Timer::Write, deadline),
            None => self.timers.stop(Timer::Write),
        }
    }

    /// Sets the timer to the moment when the store has kept somebody waiting for too long, or has to have confirmed the pid.
    pub(super) fn set_store_timer(&mut self) {
        match self.actor.store_deadline() {
            Some(deadline) => self.timers.set(Timer::Store, deadline),
            None => self.timers.stop(Timer::Store),
        }
    }

    /// Sets the timer to the moment when no more is waited for the lives that are asked whether they are alive.
    pub(super) fn set_probe_timer(&mut self) {
        match self.actor.probe_deadline() {
            Some(deadline) => self.timers.set(Timer::Probe, deadline),
            None => self.timers.stop(Timer::Probe),
        }
    }
}
