//! One call: which connection it uses, where it goes on when that fails, and when it gives up.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedMutexGuard, oneshot};

use super::{
    link::{Link, receive},
    owner::Reply,
    shared::{Ended, Shared},
    wait::{unless, within},
};
use crate::{
    Block, ClientError, FailureCause, Rounds,
    choice::Pauses,
    clock::Deadline,
    judge::{Trouble, goes_on_after},
    limits::TIMEOUT_MIN,
    setup::Failures,
};

/// The connection of a client. One attempt to connect is under way at a time, and all calls wait for it.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Held by the attempt that is under way.
    dialing: Arc<tokio::sync::Mutex<()>>,
    /// The server of the last attempt.
    dialed: AtomicUsize,
    link: Mutex<Option<Arc<Link>>>,
}

impl Line {
    // Nothing panics while it holds the lock.
    fn link(&self) -> MutexGuard<'_, Option<Arc<Link>>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects in a task of its own, with the whole time that connecting has: the call that begins it may end before, and
    /// others wait for it too.
    fn dial(self: &Arc<Line>, shared: &Arc<Shared>, place: usize, dialing: OwnedMutexGuard<()>) {
        self.dialed.store(place, Ordering::Release);
        let (line, shared) = (Arc::clone(self), Arc::clone(shared));
        tokio::spawn(async move {
            let _dialing = dialing;
            match unless(shared.closed(), Link::open(&shared, place)).await {
                Some(Ok(link)) => line.keep(&shared, link),
                Some(Err(cause)) => shared.failed(place, &cause),
                None => {}
            }
        });
    }

    fn keep(&self, shared: &Shared, link: Link) {
        let mut slot = self.link();
        // What was closed meanwhile stays closed.
        if !shared.is_closed() {
            // Calls that come now find it.
            shared.turn_to(link.place);
            *slot = Some(Arc::new(link));
        }
    }

    /// Lets the connection go. Its owner ends when the calls that wait on it have gone too.
    pub(super) fn hang_up(&self) {
        *self.link() = None;
    }
}

/// A call that is under way.
pub(super) struct Call<'a> {
    shared: &'a Arc<Shared>,
    line: &'a Arc<Line>,
    deadline: Deadline,
    pauses: Pauses,
    failures: Failures,
    /// The places that have failed in this round.
    tried: Vec<usize>,
    /// When this round began, on the clock of the client.
    round: Duration,
    /// The place whose connection was found closed, and is made again once.
    renewed: Option<usize>,
}

impl<'a> Call<'a> {
    /// A call that begins now.
    pub(super) fn new(shared: &'a Arc<Shared>, line: &'a Arc<Line>) -> Call<'a> {
        let call_timeout = shared.setup.options.call_timeout.max(TIMEOUT_MIN);
        Call {
            shared,
            line,
            deadline: Deadline::within(call_timeout),
            pauses: Pauses::new(),
            failures: Failures::default(),
            tried: Vec::new(),
            round: shared.now(),
            renewed: None,
        }
    }

    /// The connection to ask on: the open one, or one to the next server that accepts.
    pub(super) async fn link(&mut self) -> Result<Arc<Link>, ClientError> {
        loop {
            if let Some(link) = self.open_link()? {
                return Ok(link);
            }
            let dialing = Arc::clone(&self.line.dialing).lock_owned();
            let Some(dialing) = within(self.deadline, dialing).await else {
                // Otherwise nobody connects.
                if self.line.dialing.try_lock().is_err() {
                    let place = self.line.dialed.load(Ordering::Acquire);
                    let cause = FailureCause::NoConnection(self.deadline.limit());
                    // This try was cut short, so an earlier one knows more.
                    self.failures.note_first(place, cause);
                    self.tried.push(place);
                }
                return Err(self.unavailable());
            };
            // If it has ended already, the call still hears so from it: otherwise it would be made again and again.
            if let Some(link) = self.current_link() {
                return Ok(link);
            }
            if self.deadline.left().is_none() {
                return Err(self.unavailable());
            }
            match self.next_place() {
                Some(place) => self.line.dial(self.shared, place, dialing),
                None => {
                    drop(dialing);
                    self.pause().await?;
                }
            }
        }
    }

    /// Sends a request on a connection, when it has room for one more.
    pub(super) async fn ask(
        &self,
        link: &Link,
        count: u32,
    ) -> Result<oneshot::Receiver<Reply>, Ended> {
        let asked = within(self.deadline, link.ask(count)).await;
        asked.unwrap_or(Err(Ended::TooLate))
    }

    /// Waits for the reply to a request.
    pub(super) async fn receive(&self, reply: oneshot::Receiver<Reply>) -> Result<Block, Ended> {
        let received = within(self.deadline, receive(reply)).await;
        received.unwrap_or(Err(Ended::TooLate))
    }

    /// The server of a connection has answered.
    pub(super) fn answered(&self, link: &Link) {
        self.shared.answered(link.place);
    }

    /// The connection has brought no reply: the call goes on, or ends.
    pub(super) fn go_on(&mut self, link: &Link, ended: Ended) -> Result<(), ClientError> {
        let place = link.place;
        match ended {
            Ended::Stale if self.renewed != Some(place) => self.renewed = Some(place),
            Ended::Stale => {
                let cause = FailureCause::Closed { bytes: 0 };
                self.shared.failed(place, &cause);
                self.fail(place, cause);
            }
            // The owner of the connection has told that the server has failed.
            Ended::By(Trouble::Failed(cause)) => self.fail(place, cause),
            Ended::By(trouble) => {
                if matches!(&trouble, Trouble::Answered(reply) if goes_on_after(reply)) {
                    self.shared.answered(place);
                }
                return Err(self.shared.setup.ended(place, trouble));
            }
            Ended::TooLate => {
                self.fail(place, FailureCause::Timeout(self.deadline.limit()));
                return Err(self.unavailable());
            }
        }
        Ok(())
    }

    /// The connection that is open, if this call has not failed on it.
    fn open_link(&self) -> Result<Option<Arc<Link>>, ClientError> {
        let mut slot = self.line.link();
        let Some(link) = slot.as_ref() else {
            return Ok(None);
        };
        if !link.is_open() {
            let (place, untold) = (link.place, link.take_untold());
            *slot = None;
            return match untold {
                None | Some(Trouble::Failed(_) | Trouble::Answered(_)) => Ok(None),
                Some(trouble) => Err(self.shared.setup.ended(place, trouble)),
            };
        }
        drop(slot);
        Ok(self.current_link())
    }

    /// The connection, open or not, if it leads to the current server and this call has not failed there.
    fn current_link(&self) -> Option<Arc<Link>> {
        let current = self.shared.current();
        let is_usable =
            |link: &&Arc<Link>| link.place == current && !self.tried.contains(&link.place);
        self.line.link().as_ref().filter(is_usable).map(Arc::clone)
    }

    /// The server to connect to; `None` if all have failed in this round. What other calls have found meanwhile counts.
    fn next_place(&mut self) -> Option<usize> {
        for place in self.shared.order() {
            if self.tried.contains(&place) {
                continue;
            }
            match self.shared.failure_since(place, self.round) {
                Some(cause) => self.fail(place, cause),
                None => return Some(place),
            }
        }
        None
    }

    fn fail(&mut self, place: usize, cause: FailureCause) {
        self.tried.push(place);
        self.failures.note(place, cause);
    }

    /// All servers have failed. Waits before the next round, if there is time for one.
    async fn pause(&mut self) -> Result<(), ClientError> {
        let pause = self.pauses.next(fastrand::f64());
        let left = self.deadline.left().unwrap_or_default();
        let once = self.shared.setup.options.rounds == Rounds::One;
        if left.is_zero() || once || self.failures.are_lasting() {
            return Err(self.unavailable());
        }
        tokio::time::sleep(pause.min(left)).await;
        // So little time would only hide why they have failed.
        if self.deadline.left().is_none_or(|left| left < TIMEOUT_MIN) {
            return Err(self.unavailable());
        }
        self.tried.clear();
        self.renewed = None;
        self.round = self.shared.now();
        Ok(())
    }

    fn unavailable(&mut self) -> ClientError {
        for place in 0..self.shared.setup.servers.len() {
            if !self.tried.contains(&place)
                && let Some(cause) = self.shared.failure_since(place, self.round)
            {
                self.failures.note(place, cause);
            }
        }
        let failures = std::mem::take(&mut self.failures);
        self.shared.setup.unavailable(failures)
    }
}
