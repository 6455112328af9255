//! A source: a block of identities at hand, and the next one on its way before it is needed.

mod demand;
mod run;
mod stock;

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use ipseity_core::{
    identity::{Identity, Pid},
    words::{ClusterName, ErrorCode},
};

use self::{
    demand::Demand,
    run::{Run, Taken},
    stock::{Held, Stock},
};
#[cfg(feature = "tls")]
use crate::Dialer;
use crate::{
    Block, Client, ClientError, ClientOptions, Counters, FailureCause, Hooks, ServerAddress,
    ServerFailure,
    clock::{Deadline, Stopwatch},
    connection::Connection,
    judge::Trouble,
    limits::{
        BLOCK_MAX_DEFAULT, BLOCK_MAX_LIMIT, CLIENT_BLOCK_COUNT, CLIENT_IN_FLIGHT_MAX, TIMEOUT_MIN,
    },
    watch::Count,
};

/// How a [`Source`] works.
#[derive(Debug)]
pub struct SourceOptions {
    /// How long its calls and its requests may take, and which server is tried first.
    pub client: ClientOptions,
    /// How many identities it takes at once at most: 65,536 unless set, and 1 to 1,024,000. A value outside is taken as the
    /// nearest of these. It takes so many only while they are used up quickly.
    pub block_max: u32,
    /// What it holds is dropped after so long: 60 seconds unless set. Less than 1 ms is taken as 1 ms. The shorter it is, the
    /// closer its identities are to those that other programs get at the same time, and the more calls wait where demand is
    /// low.
    pub block_age_max: Duration,
    /// The only cluster whose identities it takes; any, unless set.
    pub cluster: Option<ClusterName>,
    /// Functions that it calls; none, unless set.
    pub hooks: Hooks,
    /// What it needs for servers at `tls://` addresses; nothing, unless set.
    #[cfg(feature = "tls")]
    pub tls: Option<Dialer>,
}

impl Default for SourceOptions {
    fn default() -> SourceOptions {
        SourceOptions {
            client: ClientOptions::default(),
            block_max: BLOCK_MAX_DEFAULT,
            block_age_max: Duration::from_secs(60),
            cluster: None,
            hooks: Hooks::default(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

/// Identities for many threads, most of them without a server being asked: about 3 nanoseconds each.
///
/// It keeps a block and takes the next one ahead of need, on a thread of its own. What [`next`](Self::next) returns increases
/// strictly, over all threads. What is given up: there is no order between two sources, and what it holds at the end is
/// never used. It is shared by reference or in an [`Arc`].
///
/// ```
/// # let server = ipseity_harness::fake::Fake::serving(1);
/// # let address = server.address();
/// use ipseity_client::Source;
///
/// let source = Source::new([address]).unwrap();
/// let one = source.next().unwrap();
/// assert!(source.next().unwrap() > one);
/// ```
#[derive(Debug)]
pub struct Source {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    run: Run,
    state: Mutex<State>,
    /// A refill has ended, or the source was closed.
    ended: Condvar,
    /// A refill is wanted, or the source was closed.
    wanted: Condvar,
    client: Client,
    call_timeout: Duration,
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
struct State {
    stock: Stock,
    /// When the block of the current run came.
    run_since: Duration,
    /// When as many are left, it is time for a refill: half of what was taken last.
    low: u64,
    is_wanted: bool,
    is_closed: bool,
    /// How many refills have begun, and how many have ended. One is under way at a time.
    begun: u64,
    over: u64,
    /// Why the last refill failed, if it did.
    failure: Option<ClientError>,
    /// The newest that was handed out of earlier runs, or observed.
    newest: Option<Identity>,
}

impl Source {
    /// A source of these servers, with default options. It asks for its first identities with the first call.
    ///
    /// # Errors
    /// [`ClientError::NoServers`] if there are none, [`ClientError::Address`] if one is not an address.
    pub fn new<A: AsRef<str>>(servers: impl IntoIterator<Item = A>) -> Result<Source, ClientError> {
        Source::with_options(servers, SourceOptions::default())
    }

    /// A source of these servers, with these options.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`ClientError::Thread`] if no thread can be started.
    pub fn with_options<A: AsRef<str>>(
        servers: impl IntoIterator<Item = A>,
        options: SourceOptions,
    ) -> Result<Source, ClientError> {
        let client = Client::with_options(servers, options.client)?.hooks(options.hooks);
        let client = match options.cluster {
            Some(cluster) => client.cluster(cluster),
            None => client.greeting(),
        };
        #[cfg(feature = "tls")]
        let client = match options.tls {
            Some(dialer) => client.tls(dialer),
            None => client,
        };
        let shared = Arc::new(Shared {
            run: Run::empty(),
            state: Mutex::new(State {
                stock: Stock::default(),
                run_since: Duration::ZERO,
                low: 0,
                is_wanted: false,
                is_closed: false,
                begun: 0,
                over: 0,
                failure: None,
                newest: None,
            }),
            ended: Condvar::new(),
            wanted: Condvar::new(),
            client,
            call_timeout: options.client.call_timeout.max(TIMEOUT_MIN),
            block_age_max: options.block_age_max.max(TIMEOUT_MIN),
            born: Stopwatch::start(),
            refills: Count::default(),
            waits: Count::default(),
            dropped: Count::default(),
            taken: Count::default(),
        });
        let demand = Demand::up_to(options.block_max.clamp(1, BLOCK_MAX_LIMIT));
        let keeper = shared.clone();
        thread::Builder::new()
            .name("ipseity-source".to_owned())
            .spawn(move || keeper.keep(demand))
            .map_err(ClientError::Thread)?;
        Ok(Source { shared })
    }

    /// One identity, greater than all that this source has returned before and than all that were observed before. It waits
    /// only if the source holds none, and then for [`ClientOptions::call_timeout`] at most.
    ///
    /// # Errors
    /// [`ClientError`] says what each of them means. A refill that fails is an error for those who wait for it, and the next
    /// call begins another one.
    #[inline]
    pub fn next(&self) -> Result<Identity, ClientError> {
        match self.shared.run.take() {
            Taken::One(identity) => Ok(identity),
            Taken::Marked(identity) => {
                self.shared.refill_soon();
                Ok(identity)
            }
            Taken::Nothing => self.shared.next_after_waiting(),
        }
    }

    /// Makes an identity known that came another way: what calls that begin after this one return is greater. What the source
    /// holds is dropped if that is not greater.
    pub fn observe(&self, identity: Identity) {
        let shared = &*self.shared;
        let mut state = shared.state();
        state.newest = state.newest.max(Some(identity));
        shared.client.observe(identity);
        let next = shared.run.next();
        let next = next.or_else(|| state.stock.next().map(|block| block.first()));
        if next.is_some_and(|next| next <= identity) {
            shared.drop_all(&mut state);
        }
    }

    /// The newest identity that this source has returned or was told of by [`observe`](Self::observe).
    pub fn newest(&self) -> Option<Identity> {
        let state = self.shared.state();
        state.newest.max(self.shared.run.newest())
    }

    /// What this source has done since it was made.
    pub fn counters(&self) -> Counters {
        let shared = &*self.shared;
        let state = shared.state();
        let held = u64::from(shared.run.left()) + state.stock.count();
        let dropped = shared.dropped.get();
        Counters {
            identities: shared.taken.get() - dropped - held,
            refills: shared.refills.get(),
            waits: shared.waits.get(),
            dropped,
            ..shared.client.counters()
        }
    }

    /// Closes the connection and drops what the source holds. A call that waits, and every later one, ends with
    /// [`ClientError::Closed`]. Dropping the source closes it too. Its thread ends soon after.
    pub fn close(&self) {
        self.shared.close();
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Shared {
    // Nothing panics while it holds the lock.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        self.drop_all(&mut state);
        drop(state);
        self.wanted.notify_all();
        self.ended.notify_all();
        self.client.close();
    }

    #[cold]
    fn refill_soon(&self) {
        self.want(&mut self.state());
    }

    fn want(&self, state: &mut State) {
        if !state.is_wanted {
            state.is_wanted = true;
            self.wanted.notify_one();
        }
    }

    #[cold]
    fn next_after_waiting(&self) -> Result<Identity, ClientError> {
        let deadline = Deadline::within(self.call_timeout);
        let mut has_waited = false;
        let mut state = self.state();
        // What failed before this call is not its failure.
        let over = state.over;
        loop {
            if state.is_closed {
                return Err(ClientError::Closed);
            }
            self.run.put_back();
            match self.run.take() {
                Taken::One(identity) => return Ok(identity),
                Taken::Marked(identity) => {
                    self.want(&mut state);
                    return Ok(identity);
                }
                Taken::Nothing => {}
            }
            if self.begin_run(&mut state) {
                continue;
            }
            if state.over > over
                && let Some(failure) = &state.failure
            {
                return Err(failure.again());
            }
            self.want(&mut state);
            if !has_waited {
                has_waited = true;
                self.waits.add(1);
            }
            let Some(left) = deadline.left() else {
                return Err(self.too_late());
            };
            let waited = self.ended.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The time of a call is over before its refill is.
    fn too_late(&self) -> ClientError {
        let failure = |server: &ServerAddress| ServerFailure {
            server: server.clone(),
            cause: FailureCause::Timeout(self.call_timeout),
        };
        ClientError::Unavailable(self.client.servers().iter().map(failure).collect())
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
            self.want(state);
        }
        let mark = mark.and_then(|mark| u32::try_from(mark).ok());
        self.dropped.add(self.run.begin(block, mark));
        true
    }

    /// Notes what was handed out of the current run, which is about to end.
    fn note_run(&self, state: &mut State) {
        state.newest = state.newest.max(self.run.newest());
    }

    /// Drops all that is held.
    fn drop_all(&self, state: &mut State) {
        self.note_run(state);
        self.drop_run();
        self.dropped.add(state.stock.drop_all());
    }

    fn drop_run(&self) {
        self.dropped.add(self.run.end());
    }

    /// The work of the source's own thread: it refills when that is wanted, and drops what has become too old.
    fn keep(&self, mut demand: Demand) {
        let mut state = self.state();
        while !state.is_closed {
            if state.is_wanted {
                state.begun += 1;
                drop(state);
                let taken = self.refill(demand.next(self.born.elapsed()));
                state = self.state();
                self.settle(&mut state, taken);
                self.ended.notify_all();
                continue;
            }
            let now = self.born.elapsed();
            state = match self.oldest(&state) {
                Some(oldest) if oldest + self.block_age_max <= now => {
                    self.drop_old(&mut state, now.saturating_sub(self.block_age_max));
                    state
                }
                Some(oldest) => {
                    let left = (oldest + self.block_age_max).saturating_sub(now);
                    let waited = self.wanted.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self
                    .wanted
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// When the oldest that is held has come.
    fn oldest(&self, state: &State) -> Option<Duration> {
        match self.run.left() {
            0 => state.stock.oldest(),
            _ => Some(state.run_since),
        }
    }

    fn drop_old(&self, state: &mut State, before: Duration) {
        if state.run_since <= before {
            self.note_run(state);
            self.drop_run();
        }
        let before = before + Duration::from_nanos(1);
        self.dropped.add(state.stock.drop_before(before));
    }

    /// Takes so many identities, in as many requests as that needs, all of them at once.
    fn refill(&self, wanted: u32) -> Refilled {
        let mut blocks = Vec::new();
        let taken = self
            .client
            .attempt(0, |connection| self.take(connection, wanted, &mut blocks));
        let disowned = self.client.take_disowned();
        // What has come before a server failed is as good as what came after.
        let failure = taken.err().filter(|_| blocks.is_empty());
        Refilled {
            blocks,
            disowned,
            failure,
        }
    }

    fn take(
        &self,
        connection: &mut Connection,
        wanted: u32,
        blocks: &mut Vec<Block>,
    ) -> Result<(), Trouble> {
        let mut in_flight = VecDeque::new();
        let here: u32 = blocks.iter().map(Block::count).sum();
        let mut missing = wanted.saturating_sub(here);
        loop {
            let most = connection.server.count_max.unwrap_or(CLIENT_BLOCK_COUNT);
            while missing > 0 && in_flight.len() < CLIENT_IN_FLIGHT_MAX {
                let count = missing.min(most.max(1));
                self.client.ask(connection, count)?;
                in_flight.push_back(count);
                missing -= count;
            }
            let Some(count) = in_flight.pop_front() else {
                return Ok(());
            };
            match self.client.receive_block(connection) {
                Ok(block) => blocks.push(block),
                // The first requests go out before the server has said how many it gives. Now it has.
                Err(Trouble::Answered(reply))
                    if reply.code == ErrorCode::BadCount.get()
                        && connection.server.count_max.is_some_and(|most| most < count) =>
                {
                    missing += count;
                }
                Err(trouble) => return Err(trouble),
            }
        }
    }

    /// Puts what a refill has brought to what is held.
    fn settle(&self, state: &mut State, refilled: Refilled) {
        state.is_wanted = false;
        state.over = state.begun;
        let now = self.born.elapsed();
        let mut count = 0;
        if !state.is_closed {
            for block in refilled.blocks {
                count += u64::from(block.count());
                state.stock.put(block, now);
            }
        }
        self.taken.add(count);
        for pid in refilled.disowned {
            self.drop_of(state, pid);
        }
        if count > 0 {
            state.low = count / 2;
            self.refills.add(1);
            self.client.watch().refilled(count);
        }
        state.failure = refilled.failure;
        if state.failure.is_some() {
            self.run.mark_again();
        }
        if self.run.left() == 0 {
            self.begin_run(state);
        }
    }

    fn drop_of(&self, state: &mut State, pid: Pid) {
        if self.run.next().is_some_and(|next| next.pid() == pid) {
            self.note_run(state);
            self.drop_run();
        }
        self.dropped.add(state.stock.drop_of(pid));
    }
}

/// What a refill has brought.
struct Refilled {
    blocks: Vec<Block>,
    /// The pids whose servers have said that these are not theirs.
    disowned: Vec<Pid>,
    failure: Option<ClientError>,
}
