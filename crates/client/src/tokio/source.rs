//! The source for tokio: what it holds is that of the blocking one, and a task refills it.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ipseity_core::identity::Identity;
use tokio::sync::{Notify, watch};

use super::{client::Client, wait::within};
#[cfg(doc)]
use crate::ClientOptions;
use crate::{
    ClientError, Counters, SourceOptions,
    clock::Deadline,
    limits::TIMEOUT_MIN,
    source::{Found, Holdings, Refilled, Taken, Work},
};

/// Identities for many tasks, most of them without a server being asked.
///
/// It keeps a block and takes the next one ahead of need, in a task of its own. What [`next`](Self::next) returns increases
/// strictly, over all tasks. What is given up: there is no order between two sources, and what it holds at the end is never
/// used. It is shared by reference or in an [`Arc`].
///
/// ```
/// # let server = ipseity_harness::fake::Fake::serving(1);
/// # let address = server.address();
/// use ipseity_client::tokio::Source;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
/// # runtime.block_on(async {
/// let source = Source::new([address])?;
/// let one = source.next().await?;
/// assert!(source.next().await? > one);
/// # Ok::<(), ipseity_client::ClientError>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Source {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    holdings: Holdings,
    client: Client,
    call_timeout: Duration,
    /// A refill is wanted, or the source was closed.
    wanted: Notify,
    /// Changes when a refill has ended, or the source was closed.
    ended: watch::Sender<()>,
    /// Whether there is a task that refills.
    is_kept: AtomicBool,
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
    /// As [`new`](Self::new), and [`ClientError::NoTime`] if a time is zero.
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
                client: Client::of(setup, hooks, None),
                call_timeout: options.client.call_timeout.max(TIMEOUT_MIN),
                wanted: Notify::new(),
                ended: watch::Sender::new(()),
                is_kept: AtomicBool::new(false),
            }
        });
        Ok(Source { shared })
    }

    /// One identity, greater than all that this source has returned before and than all that were observed before. It waits
    /// only if the source holds none, and then for [`ClientOptions::call_timeout`] at most. The call may be cancelled while it
    /// waits, and takes nothing then.
    ///
    /// # Errors
    /// [`ClientError`] says what each of them means. A refill that fails is an error for those who wait for it, and the next
    /// call begins another one.
    #[inline]
    pub async fn next(&self) -> Result<Identity, ClientError> {
        match self.shared.holdings.take() {
            Taken::One(identity) => Ok(identity),
            Taken::Marked(identity) => {
                self.shared.refill_soon();
                Ok(identity)
            }
            Taken::Nothing => self.shared.next_after_waiting().await,
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

    /// Closes the connection and drops what the source holds. The calls that wait, and all later ones, end with
    /// [`ClientError::Closed`]. Dropping the source closes it too. Its task ends soon after.
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
        self.client.close();
        self.wanted.notify_one();
        self.ended.send_replace(());
    }

    #[cold]
    fn refill_soon(self: &Arc<Shared>) {
        self.holdings.lock().want();
        self.wake();
    }

    #[cold]
    async fn next_after_waiting(self: &Arc<Shared>) -> Result<Identity, ClientError> {
        let deadline = Deadline::within(self.call_timeout);
        // Whatever ends from here on is noticed.
        let mut ended = self.ended.subscribe();
        let over = self.holdings.lock().over();
        let mut has_waited = false;
        loop {
            match self.find(over) {
                Found::One(identity) => return Ok(identity),
                Found::Error(error) => return Err(error),
                Found::Nothing => {}
            }
            if !has_waited {
                has_waited = true;
                self.holdings.note_wait();
            }
            if within(deadline, ended.changed()).await.is_none() {
                let setup = &self.client.shared().setup;
                return Err(setup.too_late(self.call_timeout));
            }
        }
    }

    fn find(self: &Arc<Shared>, over: u64) -> Found {
        let mut state = self.holdings.lock();
        let found = self.holdings.find(&mut state, over);
        let is_wanted = state.is_wanted();
        drop(state);
        if is_wanted {
            self.wake();
        }
        found
    }

    /// Wakes the task that refills, or begins one.
    fn wake(self: &Arc<Shared>) {
        if !self.is_kept.swap(true, Ordering::AcqRel) {
            tokio::spawn(Keeper(Arc::clone(self)).keep());
        }
        self.wanted.notify_one();
    }
}

/// The task that refills.
struct Keeper(Arc<Shared>);

impl Keeper {
    /// Refills when that is wanted, and drops what has become too old, until the source is closed.
    async fn keep(self) {
        let shared = &*self.0;
        loop {
            let work = shared.holdings.work(&mut shared.holdings.lock());
            match work {
                Work::End => return,
                Work::Refill(wanted) => self.refill(wanted).await,
                Work::Wait(Some(left)) => {
                    within(Deadline::within(left), shared.wanted.notified()).await;
                }
                Work::Wait(None) => shared.wanted.notified().await,
            }
        }
    }

    async fn refill(&self, wanted: u32) {
        let shared = &*self.0;
        let mut blocks = Vec::new();
        let taken = shared.client.refill(wanted, &mut blocks).await;
        let refilled = Refilled {
            // What has come before a server failed is as good as what came after.
            failure: taken.err().filter(|_| blocks.is_empty()),
            blocks,
        };
        // Without the lock, because a hook may ask the source something. And before those who wait go on, so that they find it
        // called.
        refilled.tell(&shared.client.shared().watch);
        shared
            .holdings
            .settle(&mut shared.holdings.lock(), refilled);
        shared.ended.send_replace(());
    }
}

impl Drop for Keeper {
    /// If its runtime has ended, those who wait in another one begin again.
    fn drop(&mut self) {
        self.0.holdings.lock().abandon();
        self.0.is_kept.store(false, Ordering::Release);
        self.0.ended.send_replace(());
    }
}
