//! The source of the stand-in.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, atomic::Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use super::{
    Failure,
    client::{Cancel, Client},
    demand::{BLOCK_MIN, Demand},
    faults::has,
};

/// How many requests of a refill are under way at once. Each has a thread.
const TOGETHER_MAX: usize = 32;

pub(super) struct Source {
    pub(super) client: Client,
    held: Mutex<Held>,
    changed: Condvar,
}

struct Held {
    pieces: VecDeque<Piece>,
    /// How many the last block had.
    taken: u64,
    demand: Demand,
    is_refilling: bool,
    /// How many refills have ended, and how the last one did.
    refills: u64,
    error: Option<Failure>,
    newest: u64,
    is_closed: bool,
}

struct Piece {
    next: u64,
    left: u64,
    since: Instant,
}

impl Source {
    pub(super) fn new(client: Client) -> Arc<Source> {
        Arc::new(Source {
            held: Mutex::new(Held {
                pieces: VecDeque::new(),
                taken: 0,
                demand: Demand::up_to(client.options.block_max),
                is_refilling: false,
                refills: 0,
                error: None,
                newest: 0,
                is_closed: false,
            }),
            changed: Condvar::new(),
            client,
        })
    }

    /// What is held, without what must be dropped.
    fn held(&self) -> MutexGuard<'_, Held> {
        let mut held = self.held.lock().unwrap();
        let lost = std::mem::take(&mut *self.client.lost.lock().unwrap());
        if !has("source-keeps-pid") {
            self.drop_where(&mut held, |piece| lost.contains(&(piece.next % 1024)));
        }
        let age_max = self.client.options.block_age_max;
        if !has("source-keeps-old") {
            self.drop_where(&mut held, |piece| piece.since.elapsed() > age_max);
        }
        held
    }

    fn drop_where(&self, held: &mut Held, is_lost: impl Fn(&Piece) -> bool) {
        for piece in held.pieces.iter().filter(|piece| is_lost(piece)) {
            self.client.counters.dropped.fetch_add(piece.left, Relaxed);
        }
        held.pieces.retain(|piece| !is_lost(piece));
    }

    pub(super) fn settle(&self) {
        drop(self.held());
    }

    pub(super) fn newest(&self) -> Option<u64> {
        Some(self.held().newest).filter(|newest| *newest > 0)
    }

    pub(super) fn observe(&self, identity: u64) {
        self.client.observe(identity);
        if has("forgets-observed") {
            return;
        }
        let mut held = self.held();
        held.newest = held.newest.max(identity);
        if !has("source-keeps-observed") {
            let is_behind = held
                .pieces
                .front()
                .is_some_and(|piece| piece.next <= identity);
            self.drop_where(&mut held, |_| is_behind);
        }
    }

    pub(super) fn close(&self) {
        self.client.close();
        let mut held = self.held();
        held.is_closed = true;
        drop(held);
        self.changed.notify_all();
    }

    pub(super) fn next(self: &Arc<Source>, cancel: &Cancel) -> Result<u64, Failure> {
        let until = Instant::now() + self.client.options.call;
        let mut waits_for = None;
        loop {
            let mut held = self.held();
            if held.is_closed && !has("serves-when-closed") && !has("closes-late") {
                return Err(Failure::closed());
            }
            if has("source-fails-for-all")
                && let Some(error) = held.error.take()
            {
                return Err(error);
            }
            let found = held.pieces.front_mut().map(|piece| {
                piece.next += 1024;
                piece.left -= 1;
                piece.next - 1024
            });
            held.pieces.retain(|piece| piece.left > 0);
            let left: u64 = held.pieces.iter().map(|piece| piece.left).sum();
            let enough = if has("source-refills-late") {
                0
            } else {
                held.taken / 2
            };
            if let Some(identity) = found {
                held.newest = held.newest.max(identity);
                if left <= enough && left < held.taken && !has("source-refills-late") {
                    self.refill(&mut held);
                }
                return Ok(identity);
            }
            match waits_for {
                None => {
                    self.client.counters.waits.fetch_add(1, Relaxed);
                    self.refill(&mut held);
                    waits_for = Some(held.refills);
                }
                Some(refills) if held.refills > refills => {
                    if let Some(error) = &held.error {
                        return Err(error.clone());
                    }
                    self.refill(&mut held);
                    waits_for = Some(held.refills);
                }
                Some(_) => {}
            }
            if cancel.is_set() {
                return Err(Failure::of("cancelled", "the call was cancelled"));
            }
            if Instant::now() > until + Duration::from_millis(200) {
                return Err(self.client.late());
            }
            let tick = Duration::from_millis(10);
            drop(self.changed.wait_timeout(held, tick).unwrap());
        }
    }

    /// Begins a refill, if none is under way.
    fn refill(self: &Arc<Source>, held: &mut Held) {
        if held.is_refilling {
            return;
        }
        held.is_refilling = true;
        let dropped = self.client.counters.dropped.load(Relaxed);
        let (source, size) = (Arc::clone(self), held.demand.next(dropped));
        thread::spawn(move || source.take(size));
    }

    /// Asks for so many identities with each of several requests at once. What came stands in the order of the numbers.
    fn take_together(&self, counts: &[u32]) -> Vec<Result<(u64, u32), Failure>> {
        let mut outcomes: Vec<_> = thread::scope(|scope| {
            let ask = |count: &u32| {
                let count = *count;
                scope.spawn(move || self.client.call(count, &Cancel::default()))
            };
            let calls: Vec<_> = counts.iter().map(ask).collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        });
        outcomes.sort_by_key(|outcome| outcome.as_ref().map_or(u64::MAX, |(first, _)| *first));
        outcomes
    }

    /// Keeps what came, unless it is behind what was handed out or observed.
    fn keep(&self, first: u64, count: u32) {
        let mut held = self.held();
        if first > held.newest && held.pieces.back().is_none_or(|piece| piece.next < first) {
            let (left, since) = (u64::from(count), Instant::now());
            held.pieces.push_back(Piece {
                next: first,
                left,
                since,
            });
        } else {
            let dropped = &self.client.counters.dropped;
            dropped.fetch_add(u64::from(count), Relaxed);
        }
    }

    fn take(&self, size: u32) {
        let (mut left, mut error) = (size, None);
        while left > 0 {
            let known = self.client.count_max();
            let most = match known {
                _ if has("source-ignores-count-max") => size,
                known => known.unwrap_or(BLOCK_MIN),
            };
            let together = match has("source-asks-one-at-a-time") {
                true => 1,
                false => TOGETHER_MAX,
            };
            let mut counts = Vec::new();
            let mut rest = left;
            while rest > 0 && counts.len() < together {
                counts.push(rest.min(most));
                rest -= rest.min(most);
            }
            let asked = counts[0];
            for outcome in self.take_together(&counts) {
                match outcome {
                    Ok((first, count)) => {
                        left -= count;
                        self.keep(first, count);
                    }
                    // It was too much for a server that was not known yet.
                    Err(failure)
                        if failure.0["code"] == 32
                            && known.is_none()
                            && !has("source-ignores-count-max")
                            && self.client.count_max().is_some_and(|most| most < asked) => {}
                    Err(failure) => error = Some(failure),
                }
            }
            if error.is_some() {
                break;
            }
        }
        let mut held = self.held();
        held.demand.ended(size - left);
        if error.is_none() {
            self.client.counters.refills.fetch_add(1, Relaxed);
            held.taken = u64::from(size);
        } else if has("source-drops-all") {
            self.drop_where(&mut held, |_| true);
        }
        if has("source-drops-all") && held.refills > 0 {
            self.drop_where(&mut held, |_| true);
        }
        held.error = error;
        held.is_refilling = false;
        held.refills += 1;
        drop(held);
        self.changed.notify_all();
    }
}
