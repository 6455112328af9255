//! Checks that servers keep their promises, while the identities come, in memory that does not grow with them.
//!
//! Two things are checked of every identity. It is greater than every identity of the same counter that had
//! been received, on any connection, before it was asked for: what its connection has received, and the
//! counter's [`newest`](Counter::newest) as it was when the request was sent. And it comes once: counters
//! keep what they have seen as [ranges](crate::intervals), and of these only such as an answer still to come
//! may lie in, because a repetition of any other would break the first rule.
//!
//! A server that nobody else uses leaves no gaps, and its ranges are as few as the requests in flight. One
//! that others use leaves many; [`RANGES_MAX`] bounds them, and what is forgotten for it is counted.

use crate::intervals::{Intervals, Range};

/// Ranges that one counter keeps at most: a megabyte.
pub const RANGES_MAX: usize = 1 << 16;

/// Only when there are this many ranges, some are chosen to be forgotten.
const RANGES_FEW: usize = 1 << 10;

/// What a counter's identities have in common, and other counters' do not have: an Ipseity server's pid, or
/// the place of a server of another kind in the list of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterKey(pub u32);

/// The place of a counter in [`Checks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterId(usize);

/// Everything that was checked since the start of the program, over all rounds.
#[derive(Debug, Default)]
pub struct Checks {
    counters: Vec<Counter>,
    identities: u64,
    forgotten: u64,
}

#[derive(Debug)]
struct Counter {
    key: CounterKey,
    /// Two neighbouring identities are 2 to this power apart.
    stride_bits: u32,
    /// The greatest that was received.
    newest: u64,
    seen: Intervals,
    /// No identity at or below this may come any more.
    closed_to: u64,
    /// The number of ranges at which some are looked for that may be forgotten.
    ranges_before_look: usize,
}

/// Identities that came in one run, on one connection: from `first` to `last`.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The first identity, at most `last`.
    pub first: u64,
    /// The last identity.
    pub last: u64,
}

/// Identities that break a promise, in words.
#[derive(Debug, PartialEq, Eq)]
pub struct Breach(pub String);

impl Checks {
    /// The counter of this key, made when the key is met for the first time. Its identities are 2 to the power
    /// `stride_bits` apart.
    pub fn counter(&mut self, key: CounterKey, stride_bits: u32) -> CounterId {
        let known = self.counters.iter().position(|counter| counter.key == key);
        CounterId(known.unwrap_or_else(|| {
            self.counters.push(Counter {
                key,
                stride_bits,
                newest: 0,
                seen: Intervals::default(),
                closed_to: 0,
                ranges_before_look: RANGES_FEW,
            });
            self.counters.len() - 1
        }))
    }

    /// The greatest identity that this counter has been seen to hand out, which all that is asked for from
    /// now on must exceed.
    #[inline]
    pub fn newest(&self, id: CounterId) -> u64 {
        self.counters[id.0].newest
    }

    /// How many identities were checked.
    pub fn identities(&self) -> u64 {
        self.identities
    }

    /// How many identities have been forgotten, to keep to [`RANGES_MAX`], that an answer in flight could
    /// still have repeated.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Takes a run, which the caller has compared with what its connection has to exceed. `open_from` returns the least
    /// that the answers which are still to come from this counter have to exceed; it is called seldom.
    ///
    /// # Errors
    /// An identity of the run came twice, or too late.
    #[inline]
    pub fn take(
        &mut self,
        id: CounterId,
        run: Run,
        open_from: impl FnOnce() -> u64,
    ) -> Result<(), Breach> {
        let counter = &mut self.counters[id.0];
        let range = Range {
            first: run.first >> counter.stride_bits,
            last: run.last >> counter.stride_bits,
        };
        self.identities += range.last - range.first + 1;
        if run.first <= counter.closed_to {
            return Err(Breach(format!(
                "identity {} came after {}, which was received before it was asked for",
                run.first, counter.closed_to
            )));
        }
        counter
            .seen
            .insert(range)
            .map_err(|with| counter.repeated(range, with))?;
        counter.newest = counter.newest.max(run.last);
        if counter.seen.len() >= counter.ranges_before_look {
            self.forgotten += counter.forget(open_from());
        }
        Ok(())
    }
}

impl Counter {
    fn repeated(&self, new: Range, with: Range) -> Breach {
        // The bits below the stride are the same in all identities of a counter: the pid, or none.
        let low = self.newest % (1 << self.stride_bits);
        let identity = |number: u64| (number << self.stride_bits) + low;
        let twice = identity(new.first.max(with.first));
        Breach(format!(
            "identity {twice} came twice: with those from {} to {}, after those from {} to {}",
            identity(new.first),
            identity(new.last),
            identity(with.first),
            identity(with.last),
        ))
    }

    /// Forgets what nothing can repeat any more, and then, if there is still too much, the oldest half;
    /// returns how many identities were in that half.
    fn forget(&mut self, open_from: u64) -> u64 {
        self.closed_to = self.closed_to.max(open_from);
        self.seen.forget_to(self.closed_to >> self.stride_bits);
        let forgotten = match self.seen.len() {
            RANGES_MAX.. => self.seen.forget_half(),
            _ => 0,
        };
        self.ranges_before_look = (self.seen.len() * 2).clamp(RANGES_FEW, RANGES_MAX);
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRIDE_BITS: u32 = 10;

    fn identity(sequence: u64) -> u64 {
        (sequence << STRIDE_BITS) + 7
    }

    fn run(first: u64, last: u64) -> Run {
        Run {
            first: identity(first),
            last: identity(last),
        }
    }

    #[test]
    fn a_repetition_names_the_identity_and_both_runs() {
        let mut checks = Checks::default();
        let id = checks.counter(CounterKey(7), STRIDE_BITS);
        checks.take(id, run(1, 10), || 0).unwrap();
        checks.take(id, run(21, 30), || 0).unwrap();
        let breach = checks.take(id, run(5, 5), || 0).unwrap_err();
        assert_eq!(
            breach.0,
            "identity 5127 came twice: with those from 5127 to 5127, after those from 1031 to 10247"
        );
        let other = checks.counter(CounterKey(8), STRIDE_BITS);
        assert_ne!(id, other);
        assert_eq!(checks.counter(CounterKey(7), STRIDE_BITS), id);
        checks.take(other, run(5, 5), || 0).unwrap();
        assert_eq!(checks.newest(id), identity(30));
        assert_eq!((checks.identities(), checks.forgotten()), (22, 0));
    }

    #[test]
    fn what_nothing_can_repeat_is_forgotten_and_then_closed() {
        let mut checks = Checks::default();
        let id = checks.counter(CounterKey(7), STRIDE_BITS);
        // Every other number, as when somebody else takes those between.
        for number in 0..10 * RANGES_FEW as u64 {
            let sequence = 2 * number + 1;
            let in_flight = identity(sequence.saturating_sub(100));
            checks
                .take(id, run(sequence, sequence), || in_flight)
                .unwrap();
            assert!(checks.counters[0].seen.len() <= RANGES_FEW);
        }
        assert_eq!(checks.forgotten(), 0);
        // Both one that was seen and one that was not come too late.
        for sequence in [1, 2] {
            let breach = checks.take(id, run(sequence, sequence), || 0).unwrap_err();
            let says = format!("identity {} came after ", identity(sequence));
            assert!(breach.0.starts_with(&says), "{breach:?}");
        }
    }

    #[test]
    fn ranges_are_bounded_even_where_everything_may_still_come() {
        let mut checks = Checks::default();
        let id = checks.counter(CounterKey(7), STRIDE_BITS);
        for number in 0..3 * RANGES_MAX as u64 {
            let sequence = 2 * number + 1;
            checks.take(id, run(sequence, sequence), || 0).unwrap();
            assert!(checks.counters[0].seen.len() <= RANGES_MAX);
        }
        assert!(checks.forgotten() > RANGES_MAX as u64);
        assert!(checks.forgotten() < checks.identities());
    }
}
