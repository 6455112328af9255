//! The ticker and the few other deadlines: a table with a slot for each kind, so that each stands in the
//! mailbox at most once.
//!
//! No clock is read here: the present moment is an argument. The module may import `time` and `words`.

use std::time::Duration;

use crate::{time::Instant, words::EntryKind};

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// The ticker: time to ask the peers.
    Sync,
    /// A peer is to be dialed.
    Dial,
    /// Connections are to be looked over for those that idle or stall.
    Sweep,
    /// Accepting is to be tried again, after there were no descriptors left.
    Accept,
    /// A stop has taken long enough.
    Stop,
    /// The peers have been asked for long enough.
    Join,
    /// The lives that may still have a pid have been asked for long enough.
    Probe,
    /// What is remembered of the peers may be saved again.
    Save,
    /// It is to be logged how many log lines were left out.
    Tell,
    /// A write to the disk may be late.
    Write,
    /// Requests may wait for the store for too long, or its confirmation is over.
    Store,
    /// It is to be looked how long the certificates are still valid.
    Certificates,
    /// The supervisor that started the process is to be told again that the server runs.
    Notify,
}

impl Timer {
    /// Every kind there is, in the order in which they expire at one moment.
    pub const ALL: [Timer; 13] = [
        Timer::Sync,
        Timer::Dial,
        Timer::Sweep,
        Timer::Accept,
        Timer::Stop,
        Timer::Join,
        Timer::Probe,
        Timer::Save,
        Timer::Tell,
        Timer::Write,
        Timer::Store,
        Timer::Certificates,
        Timer::Notify,
    ];

    /// The kind of the entry when it expires.
    pub const fn kind(self) -> EntryKind {
        match self {
            Timer::Sync => EntryKind::SyncTimeout,
            Timer::Dial => EntryKind::DialTimeout,
            Timer::Sweep => EntryKind::SweepTimeout,
            Timer::Accept => EntryKind::AcceptTimeout,
            Timer::Stop => EntryKind::StopTimeout,
            Timer::Join => EntryKind::JoinTimeout,
            Timer::Probe => EntryKind::ProbeTimeout,
            Timer::Save => EntryKind::SaveTimeout,
            Timer::Tell => EntryKind::TellTimeout,
            Timer::Write => EntryKind::WriteTimeout,
            Timer::Store => EntryKind::StoreTimeout,
            Timer::Certificates => EntryKind::CertificatesTimeout,
            Timer::Notify => EntryKind::NotifyTimeout,
        }
    }

    /// The name in logs, traces and metrics.
    pub const fn name(self) -> &'static str {
        self.kind().name()
    }
}

/// The deadlines that are set.
#[derive(Debug, Default)]
pub struct Timers {
    deadlines: [Option<Instant>; Timer::ALL.len()],
    /// The least of them: each turn of a loop asks for it, and few turns change it.
    next: Option<Instant>,
}

impl Timers {
    /// No deadline.
    pub fn new() -> Timers {
        Timers::default()
    }

    /// Sets the deadline of a timer, unless it expires before that.
    pub fn set_within(&mut self, timer: Timer, deadline: Instant) {
        let earlier = self.deadlines[timer as usize].map_or(deadline, |set| set.min(deadline));
        self.set(timer, earlier);
    }

    /// Sets the deadline of a timer, in place of the one that it had.
    pub fn set(&mut self, timer: Timer, deadline: Instant) {
        self.change(timer, Some(deadline));
    }

    /// Takes the deadline of a timer away.
    pub fn stop(&mut self, timer: Timer) {
        self.change(timer, None);
    }

    /// Whether a timer has a deadline.
    pub fn is_set(&self, timer: Timer) -> bool {
        self.deadlines[timer as usize].is_some()
    }

    /// The next deadline of all.
    #[inline]
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Takes a timer whose deadline has come. The caller repeats this until it returns `None`.
    #[inline]
    pub fn expire(&mut self, now: Instant) -> Option<Timer> {
        if self.next.is_none_or(|next| next > now) {
            return None;
        }
        let expired = |timer: &Timer| self.deadlines[*timer as usize].is_some_and(|at| at <= now);
        let timer = Timer::ALL.into_iter().find(expired)?;
        self.stop(timer);
        Some(timer)
    }

    fn change(&mut self, timer: Timer, deadline: Option<Instant>) {
        let slot = &mut self.deadlines[timer as usize];
        // The timer of a write is set after each event and seldom changes.
        if *slot == deadline {
            return;
        }
        *slot = deadline;
        self.next = self.deadlines.iter().flatten().min().copied();
    }
}

/// Expires once in an interval while it runs. The interval is counted from the expiry that was due, so
/// that rounds keep their pace; those missed altogether are not made up.
#[derive(Debug)]
pub struct Ticker {
    interval: Duration,
    due: Option<Instant>,
}

impl Ticker {
    /// A ticker that stands still.
    pub fn new(interval: Duration) -> Ticker {
        Ticker {
            interval,
            due: None,
        }
    }

    /// Starts it: the first expiry is one interval away. Nothing happens when it runs already.
    pub fn start(&mut self, now: Instant, timers: &mut Timers) {
        if self.due.is_none() {
            self.arm(now.after(self.interval), timers);
        }
    }

    /// Stops it.
    pub fn stop(&mut self, timers: &mut Timers) {
        // bug TickerNotRestarted: return timers.stop(Timer::Sync);
        self.due = None;
        timers.stop(Timer::Sync);
    }

    /// Sets the next deadline after an expiry. An expiry that was under way while the ticker was stopped
    /// sets none.
    pub fn expired(&mut self, now: Instant, timers: &mut Timers) {
        if let Some(due) = self.due {
            let next = due.after(self.interval);
            self.arm(
                if next > now {
                    next
                } else {
                    now.after(self.interval)
                },
                timers,
            );
        }
    }

    fn arm(&mut self, due: Instant, timers: &mut Timers) {
        self.due = Some(due);
        timers.set(Timer::Sync, due);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn the_table_has_a_slot_for_each_kind() {
        let mut timers = Timers::new();
        for (index, timer) in Timer::ALL.into_iter().enumerate() {
            assert_eq!(timer as usize, index);
            timers.set(timer, at(index as u64));
            assert!(timers.is_set(timer));
        }
        assert_eq!(timers.next(), Some(at(0)));
        assert_eq!(timers.expire(at(1)), Some(Timer::Sync));
        assert_eq!(timers.expire(at(1)), Some(Timer::Dial));
        assert_eq!(timers.expire(at(1)), None);
        assert_eq!(timers.next(), Some(at(2)));
        timers.stop(Timer::Sweep);
        assert!(!timers.is_set(Timer::Sweep));
        assert_eq!(timers.next(), Some(at(3)));
    }

    #[test]
    fn the_ticker_keeps_its_pace_and_makes_up_for_nothing() {
        let mut timers = Timers::new();
        let mut ticker = Ticker::new(SECOND);
        ticker.start(at(10), &mut timers);
        ticker.start(at(10).after(SECOND / 2), &mut timers);
        assert_eq!(
            timers.next(),
            Some(at(11)),
            "a second start changes nothing"
        );
        // Handled late by a quarter: the pace is kept.
        let late = at(11).after(SECOND / 4);
        assert_eq!(timers.expire(late), Some(Timer::Sync));
        ticker.expired(late, &mut timers);
        assert_eq!(timers.next(), Some(at(12)));
        // Handled late by five: four rounds are gone.
        assert_eq!(timers.expire(at(17)), Some(Timer::Sync));
        ticker.expired(at(17), &mut timers);
        assert_eq!(timers.next(), Some(at(18)));
        // Handled late by exactly one: that round is gone too, and does not follow at once.
        assert_eq!(timers.expire(at(19)), Some(Timer::Sync));
        ticker.expired(at(19), &mut timers);
        assert_eq!(timers.next(), Some(at(20)));
    }

    #[test]
    fn a_stopped_ticker_stays_stopped() {
        let mut timers = Timers::new();
        let mut ticker = Ticker::new(SECOND);
        ticker.start(at(0), &mut timers);
        assert_eq!(timers.expire(at(1)), Some(Timer::Sync));
        ticker.stop(&mut timers);
        ticker.expired(at(1), &mut timers);
        assert_eq!(timers.next(), None);
        ticker.start(at(5), &mut timers);
        assert_eq!(timers.next(), Some(at(6)));
    }
}
