//! The blocking client and source.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use ipseity_client::{Client, ClientError, Counters, Identity, Source, SourceOptions};

use crate::{
    LOAD_PAUSE, Started, Taker,
    told::{Answer, Failure, Load, Tally, Worker, many, one},
};

enum Either {
    // With whether a call that was started is under way on it.
    Client(Box<Client>, AtomicBool),
    Source(Source),
}

pub fn open(
    is_source: bool,
    servers: &[String],
    options: SourceOptions,
) -> Result<Arc<dyn Taker>, Failure> {
    if is_source {
        let source = Source::with_options(servers, options)?;
        return Ok(Arc::new(Either::Source(source)));
    }
    let mut client = Client::with_options(servers, options.client)?.hooks(options.hooks);
    if let Some(cluster) = options.cluster {
        client = client.cluster(cluster);
    }
    if let Some(dialer) = options.tls {
        client = client.tls(dialer);
    }
    Ok(Arc::new(Either::Client(
        Box::new(client),
        AtomicBool::new(false),
    )))
}

impl Either {
    fn next(&self) -> Result<Identity, ClientError> {
        match self {
            Either::Client(client, _) => client.next(),
            Either::Source(source) => source.next(),
        }
    }

    fn work(&self, load: &Load, worker: usize) -> io::Result<Tally> {
        let mut worker = Worker::new(load, worker)?;
        while !load.is_over() {
            let stopwatch = tokio::time::Instant::now();
            let taken = self.next();
            if worker.note(taken, stopwatch.elapsed())? {
                thread::sleep(LOAD_PAUSE);
            }
        }
        worker.end()
    }
}

impl Taker for Either {
    fn take(&self, count: Option<u32>) -> Answer {
        match (self, count) {
            (_, None) => Ok(one(self.next()?)),
            (Either::Client(client, _), Some(count)) => Ok(many(client.block(count)?)),
            (Either::Source(_), Some(_)) => Err(Failure::told("a source has no blocks")),
        }
    }

    fn start(self: Arc<Self>, count: Option<u32>) -> Result<Box<dyn Started>, Failure> {
        if let Either::Client(_, is_busy) = &*self
            && is_busy.swap(true, Ordering::AcqRel)
        {
            // It would have nothing under way, and a scenario that waits for its request would wait in vain.
            return Err(Failure::Unsupported("the calls of threads take turns"));
        }
        Ok(Box::new(Call(thread::spawn(move || {
            let answer = self.take(count);
            if let Either::Client(_, is_busy) = &*self {
                is_busy.store(false, Ordering::Release);
            }
            answer
        }))))
    }

    fn load(self: Arc<Self>, load: Load) -> Box<dyn FnOnce() -> Vec<Tally>> {
        let workers: Vec<JoinHandle<Tally>> = (0..load.workers)
            .map(|worker| {
                let (taker, load) = (Arc::clone(&self), load.clone());
                thread::spawn(move || taker.work(&load, worker).expect("the file can be written"))
            })
            .collect();
        Box::new(move || {
            load.end();
            let ended = workers.into_iter().map(JoinHandle::join);
            ended
                .map(|tally| tally.expect("no worker panics"))
                .collect()
        })
    }

    fn observe(&self, identity: Identity) {
        match self {
            Either::Client(client, _) => client.observe(identity),
            Either::Source(source) => source.observe(identity),
        }
    }

    fn newest(&self) -> Option<Identity> {
        match self {
            Either::Client(client, _) => client.newest(),
            Either::Source(source) => source.newest(),
        }
    }

    fn counters(&self) -> Counters {
        match self {
            Either::Client(client, _) => client.counters(),
            Either::Source(source) => source.counters(),
        }
    }

    fn close(&self) {
        match self {
            Either::Client(client, _) => client.close(),
            Either::Source(source) => source.close(),
        }
    }
}

struct Call(JoinHandle<Answer>);

impl Started for Call {
    fn wait(self: Box<Self>) -> Answer {
        let panicked = || Failure::told("the call has panicked");
        self.0.join().unwrap_or_else(|_| Err(panicked()))
    }

    fn cancel(&self) -> Answer {
        Err(Failure::Unsupported("a thread cannot be cancelled"))
    }
}
