//! A source: a block of identities at hand, and the next one on its way before it is needed.

mod demand;
mod holdings;
mod run;
mod stock;

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, PoisonError, Weak},
    thread,
    time::Duration,
};

use ipseity_core::{
    identity::Identity,
    words::{ClusterName, ErrorCode},
};

pub(crate) use self::{
    holdings::{Found, Holdings, Refilled, Work},
    run::Taken,
};
#[cfg(feature = "tls")]
use crate::Dialer;
use crate::{
    Block, Client, ClientError, ClientOptions, Counters, Hooks,
    clock::Deadline,
    connection::Connection,
    judge::Trouble,
    limits::{
        BLOCK_MAX_DEFAULT, BLOCK_MAX_LIMIT, CLIENT_BLOCK_COUNT, CLIENT_IN_FLIGHT_MAX, TIMEOUT_MIN,
    },
    setup::{Setup, more_than_zero},
};

/// How a [`Source`] works.
#[derive(Debug)]
pub struct SourceOptions {
    /// How long its calls and its requests may take, and which server is tried first.
    pub client: ClientOptions,
    /// How many identities it takes at once at most: 65,536 unless set, and 1 to 1,024,000. A value outside is taken as the
    /// nearest of these. It takes so many only while they are used up quickly.
    pub block_max: u32,
    /// What it holds is dropped after so long: 60 seconds unless set. Zero is an error, and less than 1 ms is
    /// taken as 1 ms. The shorter it is, the
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

impl SourceOptions {
    /// What a source with these options holds at the beginning: nothing.
    pub(crate) fn holdings(&self) -> Result<Holdings, ClientError> {
        more_than_zero("block_age_max", self.block_age_max)?;
        let block_max = self.block_max.clamp(1, BLOCK_MAX_LIMIT);
        let block_age_max = self.block_age_max.max(TIMEOUT_MIN);
        Ok(Holdings::new(block_max, block_age_max))
    }

    /// What the client of a source with these options is told. It asks on each new connection who the server is, because the
    /// answer says how many identities a request may ask for.
    pub(crate) fn setup<A: AsRef<str>>(
        &self,
        servers: impl IntoIterator<Item = A>,
    ) -> Result<Setup, ClientError> {
        Ok(Setup {
            cluster: self.cluster.clone(),
            greets: true,
            #[cfg(feature = "tls")]
            dialer: self.tls.clone(),
            ..Setup::new(servers, self.client)?
        })
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
    holdings: Holdings,
    /// A refill has ended, or the source was closed.
    ended: Condvar,
    /// A refill is wanted, or the source was closed.
    wanted: Condvar,
    client: Client,
    call_timeout: Duration,
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
    /// As [`new`](Self::new), [`ClientError::NoTime`] if a time is zero, and [`ClientError::Thread`] if no thread can be
    /// started.
    pub fn with_options<A: AsRef<str>>(
        servers: impl IntoIterator<Item = A>,
        options: SourceOptions,
    ) -> Result<Source, ClientError> {
        let holdings = options.holdings()?;
        let setup = options.setup(servers)?;
        let shared = Arc::new_cyclic(|shared: &Weak<Shared>| {
            let hooks = Holdings::watch(options.hooks, shared, |shared| &shared.holdings);
            Shared {
                holdings,
                ended: Condvar::new(),
                wanted: Condvar::new(),
                client: Client::of(setup, hooks),
                call_timeout: options.client.call_timeout.max(TIMEOUT_MIN),
            }
        });
        let keeper = shared.clone();
        thread::Builder::new()
            .name("ipseity-source".to_owned())
            .spawn(move || keeper.keep())
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
        match self.shared.holdings.take() {
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
        self.shared.client.observe(identity);
        self.shared.holdings.observe(identity);
    }

    /// The newest identity that this source has returned or was told of by [`observe`](Self::observe).
    pub fn newest(&self) -> Option<Identity> {
        self.shared.holdings.newest()
    }

    /// What this source has done since it was made.
    pub fn counters(&self) -> Counters {
        let shared = &*self.shared;
        shared.holdings.counters(shared.client.counters())
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
    fn close(&self) {
        self.holdings.close();
        self.wanted.notify_all();
        self.ended.notify_all();
        self.client.close();
    }

    #[cold]
    fn refill_soon(&self) {
        self.holdings.lock().want();
        self.wanted.notify_one();
    }

    #[cold]
    fn next_after_waiting(&self) -> Result<Identity, ClientError> {
        let deadline = Deadline::within(self.call_timeout);
        let mut has_waited = false;
        let mut state = self.holdings.lock();
        let over = state.over();
        loop {
            let found = self.holdings.find(&mut state, over);
            if state.is_wanted() {
                self.wanted.notify_one();
            }
            match found {
                Found::One(identity) => return Ok(identity),
                Found::Error(error) => return Err(error),
                Found::Nothing => {}
            }
            if !has_waited {
                has_waited = true;
                self.holdings.note_wait();
            }
            let Some(left) = deadline.left() else {
                return Err(self.client.too_late(self.call_timeout));
            };
            let waited = self.ended.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The work of the source's own thread: it refills when that is wanted, and drops what has become too old.
    fn keep(&self) {
        let mut state = self.holdings.lock();
        loop {
            state = match self.holdings.work(&mut state) {
                Work::End => return,
                Work::Refill(wanted) => {
                    drop(state);
                    let refilled = self.refill(wanted);
                    // Without the lock, because a hook may ask the source something. And before those who wait go on, so that
                    // they find it called.
                    refilled.tell(self.client.watch());
                    let mut state = self.holdings.lock();
                    self.holdings.settle(&mut state, refilled);
                    self.ended.notify_all();
                    state
                }
                Work::Wait(Some(left)) => {
                    let waited = self.wanted.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                Work::Wait(None) => {
                    let waited = self.wanted.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// Takes so many identities, in as many requests as that needs, all of them at once.
    fn refill(&self, wanted: u32) -> Refilled {
        let mut blocks = Vec::new();
        let taken = self
            .client
            .attempt(0, |connection| self.take(connection, wanted, &mut blocks));
        // What has come before a server failed is as good as what came after.
        let failure = taken.err().filter(|_| blocks.is_empty());
        Refilled { blocks, failure }
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
}
