//! The owner of one connection: a task that writes all its requests and reads all its replies. So a call that goes away never
//! shifts the replies of others.

use std::{
    collections::VecDeque,
    future::{Future as _, poll_fn},
    io::{self, ErrorKind},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use ipseity_core::words::{ErrorCode, Message};
use ipseity_frames::{FrameDecoder, Receiver, encode};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, Sleep, sleep_until},
};

use super::{
    shared::{Ended, Shared},
    stream::Stream,
};
use crate::{
    Block, FailureCause, Violation,
    judge::{Asked, Server, Trouble, disowns, goes_on_after, hello, no_frame, refusal},
    limits::TIMEOUT_MIN,
    setup::Greeting,
};

/// What a call gets for a request.
pub(super) type Reply = Result<Block, Ended>;

/// A request for identities.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) count: u32,
    pub(super) reply: oneshot::Sender<Reply>,
    /// Its place among those that may be under way, until its reply has come.
    pub(super) _place: OwnedSemaphorePermit,
}

/// What the owner lets the calls know.
#[derive(Debug)]
pub(super) struct Known {
    /// The most identities that a request may ask for; 0 until the server has said it.
    pub(super) count_max: AtomicU32,
    /// Why the connection has ended, if there was no call to tell it to.
    pub(super) untold: Mutex<Option<Trouble>>,
}

/// A reply that has to come.
#[derive(Debug)]
enum Awaited {
    Hello,
    Block(Asked, Ask),
}

/// Why the owner ends.
#[derive(Debug)]
enum End {
    /// Nobody needs it any more, or the connection was closed while it was idle.
    Quiet,
    By(Trouble),
}

impl<T: Into<Trouble>> From<T> for End {
    fn from(trouble: T) -> End {
        End::By(trouble.into())
    }
}

#[derive(Debug)]
pub(super) struct Owner {
    shared: Arc<Shared>,
    place: usize,
    stream: Stream,
    asks: mpsc::UnboundedReceiver<Ask>,
    places: Arc<Semaphore>,
    known: Arc<Known>,
    decoder: FrameDecoder,
    /// Requests that are not written yet.
    outgoing: Vec<u8>,
    is_flushed: bool,
    /// What has no reply yet, the oldest first.
    awaited: VecDeque<Awaited>,
    /// What is said in front of the first request.
    greeting: Greeting,
    server: Server,
    has_answered: bool,
    /// When the next reply must be there, or the connection was idle for too long.
    due: Instant,
    /// Wakes the owner at `due`, or before.
    alarm: Pin<Box<Sleep>>,
}

impl Owner {
    pub(super) fn new(
        shared: Arc<Shared>,
        place: usize,
        stream: Stream,
        asks: mpsc::UnboundedReceiver<Ask>,
        places: Arc<Semaphore>,
        known: Arc<Known>,
    ) -> Owner {
        let due = from_now(shared.setup.options.idle_max);
        Owner {
            greeting: shared.setup.greeting(),
            shared,
            place,
            stream,
            asks,
            places,
            known,
            decoder: FrameDecoder::new(),
            outgoing: Vec::new(),
            is_flushed: true,
            awaited: VecDeque::new(),
            server: Server::default(),
            has_answered: false,
            due,
            alarm: Box::pin(sleep_until(due)),
        }
    }

    /// Works until the connection ends, or nobody needs it any more.
    pub(super) async fn work(mut self) {
        let end = poll_fn(|context| self.turn(context)).await;
        self.tell(&end);
        // The farewell, if there is room for it now.
        poll_fn(|context| {
            let _ = self.stream.poll_shutdown(context);
            Poll::Ready(())
        })
        .await;
    }

    /// Does all that can be done now.
    fn turn(&mut self, context: &mut Context<'_>) -> Poll<End> {
        let turned = self
            .take_asks(context)
            .and_then(|()| self.write(context))
            .and_then(|()| self.read(context))
            .and_then(|()| self.watch_time(context));
        match turned {
            Ok(()) => Poll::Pending,
            Err(end) => Poll::Ready(end),
        }
    }

    fn take_asks(&mut self, context: &mut Context<'_>) -> Result<(), End> {
        while let Poll::Ready(ask) = self.asks.poll_recv(context) {
            // Without senders nobody waits for what is under way either.
            let ask = ask.ok_or(End::Quiet)?;
            if !ask.reply.is_closed() {
                self.queue(ask);
            }
        }
        Ok(())
    }

    fn queue(&mut self, ask: Ask) {
        if self.awaited.is_empty() {
            self.expect_reply();
        }
        if let Greeting::Hello(expected) = &self.greeting
            && !self.has_answered
            && self.awaited.is_empty()
        {
            encode(&hello(expected.as_ref()), &mut self.outgoing);
            self.awaited.push_back(Awaited::Hello);
        }
        let asked = Asked {
            count: ask.count,
            after: self.shared.newest(),
        };
        encode(&asked.message(), &mut self.outgoing);
        self.shared.watch.requests.add(1);
        self.awaited.push_back(Awaited::Block(asked, ask));
    }

    fn write(&mut self, context: &mut Context<'_>) -> Result<(), End> {
        match self.poll_write(context) {
            Poll::Ready(Err(error)) => match error.kind() {
                // The server closed. What it said before may still be there to read: an errorReply that gives the reason is
                // worth more than "broken pipe".
                ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {
                    self.outgoing.clear();
                    self.is_flushed = true;
                    Ok(())
                }
                _ => Err(self.stream.cause_of(error).into()),
            },
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let written = ready!(self.stream.poll_write(context, &self.outgoing))?;
            self.outgoing.drain(..written);
            self.is_flushed = false;
        }
        if !self.is_flushed {
            ready!(self.stream.poll_flush(context))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    fn read(&mut self, context: &mut Context<'_>) -> Result<(), End> {
        loop {
            match self.stream.poll_read(context, self.decoder.space()) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(self.closed()),
                Poll::Ready(Ok(bytes)) => {
                    self.decoder.filled(bytes);
                    self.take_replies()?;
                }
                Poll::Ready(Err(error)) => {
                    return Err(match error.kind() {
                        ErrorKind::ConnectionReset
                        | ErrorKind::ConnectionAborted
                        // A stream that ends without the farewell of TLS ends all the same.
                        | ErrorKind::UnexpectedEof => self.closed(),
                        _ => self.stream.cause_of(error).into(),
                    });
                }
            }
        }
    }

    fn take_replies(&mut self) -> Result<(), End> {
        loop {
            let before = self.decoder.rest().len();
            match self.decoder.next(Receiver::Client) {
                Ok(None) => return Ok(()),
                Ok(Some(message)) => {
                    let bytes = before - self.decoder.rest().len();
                    self.take_reply(message, bytes)?;
                }
                Err(error) => {
                    let bytes = self.decoder.rest();
                    return Err(no_frame(error, bytes, self.stream.is_plain()).into());
                }
            }
        }
    }

    fn take_reply(&mut self, reply: Message, bytes: usize) -> Result<(), End> {
        match self.awaited.pop_front() {
            None => return Err(unasked(reply, bytes)),
            Some(Awaited::Hello) => {
                let Greeting::Hello(expected) = &self.greeting else {
                    unreachable!("a hello is awaited only if one was said");
                };
                self.server.judge_hello(expected.as_ref(), reply)?;
                let count_max = self.server.count_max.unwrap_or_default();
                self.known.count_max.store(count_max, Ordering::Release);
            }
            Some(Awaited::Block(asked, ask)) => self.take_block(asked, ask, reply)?,
        }
        self.has_answered = true;
        match self.awaited.is_empty() {
            true => self.set_due(from_now(self.shared.setup.options.idle_max)),
            false => self.expect_reply(),
        }
        Ok(())
    }

    fn take_block(&mut self, asked: Asked, ask: Ask, reply: Message) -> Result<(), End> {
        // If nobody waits for it any more, what is sent to the call is thrown away.
        match self.server.judge_block(asked, reply) {
            Ok(block) => {
                self.shared.observe(block.last());
                let _ = ask.reply.send(Ok(block));
                Ok(())
            }
            Err(Trouble::Answered(reply)) => {
                let goes_on = goes_on_after(&reply);
                let _ = ask.reply.send(Err(Ended::By(Trouble::Answered(reply))));
                goes_on.then_some(()).ok_or(End::Quiet)
            }
            Err(trouble) => {
                // It is told with the others.
                self.awaited.push_front(Awaited::Block(asked, ask));
                Err(trouble.into())
            }
        }
    }

    /// What the end of the stream means.
    fn closed(&self) -> End {
        match self.decoder.rest().len() {
            0 if self.has_answered => End::Quiet,
            bytes => FailureCause::Closed { bytes }.into(),
        }
    }

    fn reply_timeout(&self) -> Duration {
        self.shared.setup.options.reply_timeout.max(TIMEOUT_MIN)
    }

    fn expect_reply(&mut self) {
        self.set_due(from_now(self.reply_timeout()));
    }

    fn set_due(&mut self, due: Instant) {
        self.due = due;
        // An alarm that comes too early is set again then, so that not every reply has to set it.
        if self.alarm.deadline() > due {
            self.alarm.as_mut().reset(due);
        }
    }

    fn watch_time(&mut self, context: &mut Context<'_>) -> Result<(), End> {
        while self.alarm.as_mut().poll(context).is_ready() {
            if Instant::now() < self.due {
                self.alarm.as_mut().reset(self.due);
            } else if self.awaited.is_empty() {
                return Err(End::Quiet);
            } else {
                return Err(FailureCause::Timeout(self.reply_timeout()).into());
            }
        }
        Ok(())
    }

    /// Tells why the connection has ended, to all who wait on it.
    fn tell(&mut self, end: &End) {
        // From now on nobody asks here.
        self.asks.close();
        self.places.close();
        if let End::By(Trouble::Failed(cause)) = end {
            if let Some(pid) = self.server.pid.filter(|_| disowns(cause)) {
                self.shared.watch.disowned(pid);
            }
            self.shared.failed(self.place, cause);
        }
        let awaited = self.awaited.drain(..).filter_map(|awaited| match awaited {
            Awaited::Hello => None,
            Awaited::Block(_, ask) => Some(ask),
        });
        let mut waiting: Vec<Ask> = awaited.collect();
        while let Ok(ask) = self.asks.try_recv() {
            waiting.push(ask);
        }
        let mut is_told = false;
        for ask in waiting {
            let ended = match end {
                End::Quiet => Ended::Stale,
                End::By(trouble) => Ended::By(trouble.again()),
            };
            is_told |= ask.reply.send(Err(ended)).is_ok();
        }
        if let End::By(trouble) = end
            && !is_told
        {
            let untold = self.known.untold.lock();
            *untold.unwrap_or_else(PoisonError::into_inner) = Some(trouble.again());
        }
    }
}

/// What a message means that nothing had asked for. A server may say why it closes.
fn unasked(message: Message, bytes: usize) -> End {
    match message {
        Message::ErrorReply(reply)
            if ErrorCode::from_u16(reply.code).is_none_or(ErrorCode::closes) =>
        {
            match refusal(*reply) {
                Trouble::Failed(cause) => cause.into(),
                _ => End::Quiet,
            }
        }
        _ => Violation::Unasked { bytes }.into(),
    }
}

/// A day is as good as for ever.
const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

fn from_now(limit: Duration) -> Instant {
    Instant::now() + limit.clamp(TIMEOUT_MIN, FOR_EVER)
}
