//! What a source holds: the run that is handed out, the stock behind it, and when it is time for more. It waits for nothing and
//! asks nobody: whoever owns it does that, with threads or with tasks.

use std::{
    sync::{Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use ipseity_core::identity::{Identity, Pid};

use super::{
    demand::Demand,
    run::{Run, Taken},
    stock::{Held, Stock},
};
use crate::{
    Block, ClientError, Counters, Hooks,
    clock::Stopwatch,
    watch::{Count, Watch},
};

/// What a source holds.
#[derive(Debug)]
pub(crate) struct Holdings {
    run: Run,
    state: Mutex<State>,
    block_age_max: Duration,
    born: Stopwatch,
    refills: Count,
    waits: Count,
    dropped: Count,
    /// Identities that refills have brought.
    taken: Count,
}

/// What is only touched under the lock.
#[derive(Debug)]
pub(crate) struct State {
    stock: Stock,
    demand: Demand,
    /// When the block of the current run came.
    run_since: Duration,
    /// When as many are left, it is time for a refill: half of what was taken last.
    low: u64,
    is_wanted: bool,
    is_closed: bool,
    /// How many refills have ended. One is under way at a time.
    over: u64,
    /// The pids that were disowned during the refill that is under way: what it brings of them is dropped too.
    disowned: Vec<Pid>,
    /// Why the last refill failed, if it did.
    failure: Option<ClientError>,
    /// The newest that was handed out of earlier runs, or observed.
    newest: Option<Identity>,
}

/// What a call finds that has come for nothing once.
#[derive(Debug)]
pub(crate) enum Found {
    One(Identity),
    /// The call ends.
    Error(ClientError),
    /// It waits until the next refill is over.
    Nothing,
}

/// What there is to do for the one who refills.
#[derive(Debug)]
pub(crate) enum Work {
    /// To take so many identities.
    Refill(u32),
    /// To wait until something is wanted, and so long at most, if there is an end to it.
    Wait(Option<Duration>),
    /// The source is closed.
    End,
}

/// What a refill has brought.
#[derive(Debug)]
pub(crate) struct Refilled {
    pub(crate) blocks: Vec<Block>,
    pub(crate) failure: Option<ClientError>,
}

impl Refilled {
    /// Tells the hook how many identities there are, if there are any.
    pub(crate) fn tell(&self, watch: &Watch) {
        match self
            .blocks
            .iter()
            .map(|block| u64::from(block.count()))
            .sum()
        {
            0 => {}
            count => watch.refilled(count),
        }
    }
}

impl Holdings {
    /// Nothing is held yet, and at most `block_max` identities are taken at once.
    pub(crate) fn new(block_max: u32, block_age_max: Duration) -> Holdings {
        Holdings {
            run: Run::empty(),
            state: Mutex::new(State {
                stock: Stock::default(),
                demand: Demand::up_to(block_max),
                run_since: Duration::ZERO,
                low: 0,
                is_wanted: false,
                is_closed: false,
                over: 0,
                disowned: Vec::new(),
                failure: None,
                newest: None,
            }),
            block_age_max,
            born: Stopwatch::start(),
            refills: Count::default(),
            waits: Count::default(),
            dropped: Count::default(),
            taken: Count::default(),
        }
    }

    /// The next identity, if one is at hand. It takes no lock.
    #[inline]
    pub(crate) fn take(&self) -> Taken {
        self.run.take()
    }

    /// Nothing panics while it holds the lock.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is for a call that has found nothing at hand, and that began when `over` refills had ended. If it has to
    /// wait, a refill is wanted.
    pub(crate) fn find(&self, state: &mut State, over: u64) -> Found {
        loop {
            if state.is_closed {
                return Found::Error(ClientError::Closed);
            }
            self.run.put_back();
            match self.run.take() {
                Taken::One(identity) => return Found::One(identity),
                Taken::Marked(identity) => {
                    state.is_wanted = true;
                    return Found::One(identity);
                }
                Taken::Nothing => {}
            }
            if self.begin_run(state) {
                continue;
            }
            // What failed before this call is not its failure.
            if state.over > over
                && let Some(failure) = &state.failure
            {
                return Found::Error(failure.again());
            }
            state.is_wanted = true;
            return Found::Nothing;
        }
    }

    /// A call has to wait.
    pub(crate) fn note_wait(&self) {
        self.waits.add(1);
    }

    /// What there is to do. What has become too old is dropped.
    pub(crate) fn work(&self, state: &mut State) -> Work {
        let now = self.born.elapsed();
        if state.is_closed {
            return Work::End;
        }
        if state.is_wanted {
            return Work::Refill(state.demand.next(now, self.dropped.get()));
        }
        self.drop_old(state, now);
        let left = |oldest: Duration| (oldest + self.block_age_max).saturating_sub(now);
        Work::Wait(self.oldest(state).map(left))
    }

    /// Puts what a refill has brought to what is held.
    pub(crate) fn settle(&self, state: &mut State, refilled: Refilled) {
        state.is_wanted = false;
        state.over += 1;
        let now = self.born.elapsed();
        let mut count = 0;
        if !state.is_closed {
            for block in refilled.blocks {
                count += u64::from(block.count());
                state.stock.put(block, now);
            }
        }
        self.taken.add(count);
        for pid in std::mem::take(&mut state.disowned) {
            self.drop_of(state, pid);
        }
        if count > 0 {
            state.low = count / 2;
            state.demand.succeeded();
            self.refills.add(1);
        }
        state.failure = refilled.failure;
        if state.failure.is_some() {
            self.run.mark_again();
        }
        if self.run.left() == 0 {
            self.begin_run(state);
        }
    }

    /// What is returned from now on is greater than this identity.
    pub(crate) fn observe(&self, identity: Identity) {
        let mut state = self.lock();
        state.newest = state.newest.max(Some(identity));
        let next = self.run.next();
        let next = next.or_else(|| state.stock.next().map(|block| block.first()));
        if next.is_some_and(|next| next <= identity) {
            self.drop_all(&mut state);
        }
    }

    /// The newest that was returned or observed.
    pub(crate) fn newest(&self) -> Option<Identity> {
        let state = self.lock();
        state.newest.max(self.run.newest())
    }

    /// The counters of the source, beside those of its client.
    pub(crate) fn counters(&self, client: Counters) -> Counters {
        let state = self.lock();
        let held = u64::from(self.run.left()) + state.stock.count();
        let dropped = self.dropped.get();
        Counters {
            identities: self.taken.get() - dropped - held,
            refills: self.refills.get(),
            waits: self.waits.get(),
            dropped,
            ..client
        }
    }

    /// Nothing is handed out any more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        self.drop_all(&mut state);
    }

    /// Begins the next run, if a block is there that is greater than all that were seen.
    fn begin_run(&self, state: &mut State) -> bool {
        self.note_run(state);
        if let Some(newest) = state.newest {
            self.dropped.add(state.stock.drop_up_to(newest));
        }
        let left = state.stock.count();
        let Some(Held { block, since }) = state.stock.take() else {
            return false;
        };
        state.run_since = since;
        // The place at which only `low` are left.
        let mark = left.checked_sub(state.low + 1);
        if mark.is_none() {
            state.is_wanted = true;
        }
        let mark = mark.and_then(|mark| u32::try_from(mark).ok());
        self.dropped.add(self.run.begin(block, mark));
        true
    }

    /// Notes what was handed out of the current run, which is about to end.
    fn note_run(&self, state: &mut State) {
        state.newest = state.newest.max(self.run.newest());
    }

    fn drop_all(&self, state: &mut State) {
        self.note_run(state);
        self.drop_run();
        self.dropped.add(state.stock.drop_all());
    }

    fn drop_run(&self) {
        self.dropped.add(self.run.end());
    }

    /// When the oldest that is held has come.
    fn oldest(&self, state: &State) -> Option<Duration> {
        match self.run.left() {
            0 => state.stock.oldest(),
            _ => Some(state.run_since),
        }
    }

    fn drop_old(&self, state: &mut State, now: Duration) {
        // Nothing is as old as that yet.
        let Some(before) = now.checked_sub(self.block_age_max) else {
            return;
        };
        if self.run.left() > 0 && state.run_since <= before {
            self.note_run(state);
            self.drop_run();
        }
        let before = before + Duration::from_nanos(1);
        self.dropped.add(state.stock.drop_before(before));
    }

    /// The server of a pid does not know any more whether its identities are unique: what is held of it is dropped at once,
    /// and what the refill under way brings of it when that is over.
    fn disown(&self, pid: Pid) {
        let mut state = self.lock();
        self.drop_of(&mut state, pid);
        state.disowned.push(pid);
    }

    /// The hooks of the client of a source, whose holdings these are.
    pub(crate) fn watch<S: Send + Sync + 'static>(
        hooks: Hooks,
        source: &Weak<S>,
        holdings: fn(&S) -> &Holdings,
    ) -> Hooks {
        let source = Weak::clone(source);
        hooks.on_disowned(move |pid| {
            if let Some(source) = source.upgrade() {
                holdings(&source).disown(pid);
            }
        })
    }

    fn drop_of(&self, state: &mut State, pid: Pid) {
        if self.run.next().is_some_and(|next| next.pid() == pid) {
            self.note_run(state);
            self.drop_run();
        }
        self.dropped.add(state.stock.drop_of(pid));
    }
}

impl State {
    /// How many refills have ended.
    pub(crate) fn over(&self) -> u64 {
        self.over
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// It is time for a refill.
    pub(crate) fn want(&mut self) {
        self.is_wanted = true;
    }

    /// Whoever refills has ended in the middle of it. The next call begins again.
    #[cfg(feature = "tokio")]
    pub(crate) fn abandon(&mut self) {
        self.is_wanted = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(identity: &str, count: u32) -> Block {
        Block::new(identity.parse().unwrap(), count).unwrap()
    }

    fn brings(holdings: &Holdings, blocks: Vec<Block>) {
        let failure = None;
        holdings.settle(&mut holdings.lock(), Refilled { blocks, failure });
    }

    fn next(holdings: &Holdings) -> Option<String> {
        match holdings.find(&mut holdings.lock(), u64::MAX) {
            Found::One(identity) => Some(format!("{}:{}", identity.sequence(), identity.pid())),
            Found::Error(error) => panic!("{error}"),
            Found::Nothing => None,
        }
    }

    #[test]
    fn what_is_disowned_goes_at_once_and_so_does_what_the_refill_brings_of_it() {
        let holdings = Holdings::new(100, Duration::from_secs(60));
        brings(&holdings, vec![block("1:1", 4)]);
        assert_eq!(next(&holdings).unwrap(), "1:1");
        holdings.disown(Pid::new(1).unwrap());
        assert_eq!(next(&holdings), None);
        brings(&holdings, vec![block("5:1", 4), block("9:2", 1)]);
        assert_eq!(next(&holdings).unwrap(), "9:2");
        assert_eq!(next(&holdings), None);
        // It counts for that refill only.
        brings(&holdings, vec![block("20:1", 1)]);
        assert_eq!(next(&holdings).unwrap(), "20:1");
        assert_eq!(holdings.counters(Counters::default()).dropped, 3 + 4);
    }
}
