//! The client and the source for tokio.

use std::{io, sync::Arc};

use ipseity_client::{
    ClientError, Counters, Identity, SourceOptions,
    tokio::{Client, Source},
};
use tokio::{runtime::Runtime, task::JoinHandle, time::Instant};

use crate::{
    LOAD_PAUSE, Started, Taker,
    told::{Answer, Failure, Load, Tally, Worker, many, one},
};

enum Either {
    Client(Client),
    Source(Source),
}

struct Tasks {
    runtime: Arc<Runtime>,
    either: Arc<Either>,
}

pub fn open(
    runtime: &Arc<Runtime>,
    is_source: bool,
    servers: &[String],
    options: SourceOptions,
) -> Result<Arc<dyn Taker>, Failure> {
    let either = match is_source {
        true => Either::Source(Source::with_options(servers, options)?),
        false => {
            let mut client = Client::with_options(servers, options.client)?.hooks(options.hooks);
            if let Some(cluster) = options.cluster {
                client = client.cluster(cluster);
            }
            if let Some(dialer) = options.tls {
                client = client.tls(dialer);
            }
            Either::Client(client)
        }
    };
    Ok(Arc::new(Tasks {
        runtime: Arc::clone(runtime),
        either: Arc::new(either),
    }))
}

impl Either {
    async fn next(&self) -> Result<Identity, ClientError> {
        match self {
            Either::Client(client) => client.next().await,
            Either::Source(source) => source.next().await,
        }
    }

    async fn take(&self, count: Option<u32>) -> Answer {
        match (self, count) {
            (_, None) => Ok(one(self.next().await?)),
            (Either::Client(client), Some(count)) => Ok(many(client.block(count).await?)),
            (Either::Source(_), Some(_)) => Err(Failure::told("a source has no blocks")),
        }
    }

    async fn work(&self, load: &Load, worker: usize) -> io::Result<Tally> {
        let mut worker = Worker::new(load, worker)?;
        while !load.is_over() {
            let stopwatch = Instant::now();
            let taken = self.next().await;
            if worker.note(taken, stopwatch.elapsed())? {
                tokio::time::sleep(LOAD_PAUSE).await;
            }
        }
        worker.end()
    }
}

impl Taker for Tasks {
    fn take(&self, count: Option<u32>) -> Answer {
        self.runtime.block_on(self.either.take(count))
    }

    fn start(self: Arc<Self>, count: Option<u32>) -> Result<Box<dyn Started>, Failure> {
        let either = Arc::clone(&self.either);
        let call = self.runtime.spawn(async move { either.take(count).await });
        Ok(Box::new(Call(Arc::clone(&self.runtime), call)))
    }

    fn load(self: Arc<Self>, load: Load) -> Box<dyn FnOnce() -> Vec<Tally>> {
        let workers: Vec<JoinHandle<io::Result<Tally>>> = (0..load.workers)
            .map(|worker| {
                let (either, load) = (Arc::clone(&self.either), load.clone());
                self.runtime
                    .spawn(async move { either.work(&load, worker).await })
            })
            .collect();
        Box::new(move || {
            load.end();
            let ended = workers.into_iter().map(|worker| {
                let tally = self.runtime.block_on(worker).expect("no worker panics");
                tally.expect("the file can be written")
            });
            ended.collect()
        })
    }

    fn observe(&self, identity: Identity) {
        match &*self.either {
            Either::Client(client) => client.observe(identity),
            Either::Source(source) => source.observe(identity),
        }
    }

    fn newest(&self) -> Option<Identity> {
        match &*self.either {
            Either::Client(client) => client.newest(),
            Either::Source(source) => source.newest(),
        }
    }

    fn counters(&self) -> Counters {
        match &*self.either {
            Either::Client(client) => client.counters(),
            Either::Source(source) => source.counters(),
        }
    }

    fn close(&self) {
        match &*self.either {
            Either::Client(client) => client.close(),
            Either::Source(source) => source.close(),
        }
    }
}

struct Call(Arc<Runtime>, JoinHandle<Answer>);

impl Started for Call {
    fn wait(self: Box<Self>) -> Answer {
        let Call(runtime, call) = *self;
        match runtime.block_on(call) {
            Ok(answer) => answer,
            Err(error) if error.is_cancelled() => Err(Failure::cancelled()),
            Err(error) => Err(Failure::told(error)),
        }
    }

    fn cancel(&self) -> Answer {
        self.1.abort();
        Ok(serde_json::json!({}))
    }
}
