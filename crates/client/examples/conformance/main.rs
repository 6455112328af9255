//! The adapter of this library for the conformance kit: it does what it is told in JSON, one object a line. conformance/README.md
//! says what. With `--tokio` it does so with the client for tokio.
//!
//! - `text`: identities, addresses, frames and codes.
//! - `told`: what a command says, and what an answer looks like.
//! - `threads` and `tasks`: the clients of the two kinds.

mod tasks;
mod text;
mod threads;
mod told;

use std::{
    collections::BTreeMap,
    env,
    io::{self, BufRead as _, Write as _},
    sync::Arc,
    time::Duration,
};

use ipseity_client::{Identity, SourceOptions};
use serde_json::{Value, json};

use self::told::{Answer, Count, Failure, Load, Tally, field, number, text_of};

/// A client or a source, of either kind.
trait Taker: Send + Sync {
    /// One identity, or a block if there is a count.
    fn take(&self, count: Option<u32>) -> Answer;
    /// The same, begun now.
    fn start(self: Arc<Self>, count: Option<u32>) -> Result<Box<dyn Started>, Failure>;
    /// Begins workers, and returns what ends them.
    fn load(self: Arc<Self>, load: Load) -> Box<dyn FnOnce() -> Vec<Tally>>;
    fn observe(&self, identity: Identity);
    fn newest(&self) -> Option<Identity>;
    fn counters(&self) -> ipseity_client::Counters;
    fn close(&self);
}

/// A call that is under way.
trait Started {
    fn wait(self: Box<Self>) -> Answer;
    fn cancel(&self) -> Answer;
}

/// Which of the two kinds of clients is asked.
enum Way {
    Threads,
    Tasks(Arc<tokio::runtime::Runtime>),
}

impl Way {
    fn open(
        &self,
        is_source: bool,
        servers: &[String],
        options: SourceOptions,
    ) -> Result<Arc<dyn Taker>, Failure> {
        match self {
            Way::Threads => threads::open(is_source, servers, options),
            Way::Tasks(runtime) => tasks::open(runtime, is_source, servers, options),
        }
    }
}

struct Opened {
    taker: Arc<dyn Taker>,
    connects: Count,
    failovers: Count,
    refills: Count,
    load: Option<Box<dyn FnOnce() -> Vec<Tally>>>,
}

struct Adapter {
    way: Way,
    opened: BTreeMap<String, Opened>,
    calls: BTreeMap<String, Box<dyn Started>>,
}

fn main() -> io::Result<()> {
    let way = match env::args().nth(1).as_deref() {
        Some("--tokio") => Way::Tasks(Arc::new(tokio::runtime::Runtime::new()?)),
        _ => Way::Threads,
    };
    let mut adapter = Adapter {
        way,
        opened: BTreeMap::new(),
        calls: BTreeMap::new(),
    };
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let command: Value = serde_json::from_str(&line?)?;
        if command["do"] == "exit" {
            break;
        }
        let mut answer = match adapter.perform(&command) {
            Ok(value) => json!({ "ok": value }),
            Err(failure) => failure.into_json(),
        };
        answer["id"] = command["id"].clone();
        writeln!(output, "{answer}")?;
        output.flush()?;
    }
    Ok(())
}

impl Adapter {
    fn perform(&mut self, command: &Value) -> Answer {
        match text_of(command, "do")? {
            "identity" => text::identity(text_of(command, "text")?),
            "base32" => text::base32(text_of(command, "text")?),
            "address" => text::address(text_of(command, "text")?),
            "encode" => text::encoded(&command["message"]),
            "decode" => text::decoded(text_of(command, "bytes")?),
            "code" => text::code(number(command, "code")?),
            "open" => self.open(command),
            "start" => {
                let inner = &command["command"];
                let taker = Arc::clone(&self.of(inner)?.taker);
                let call = taker.start(count_of(inner)?)?;
                self.calls
                    .insert(text_of(command, "call")?.to_owned(), call);
                Ok(json!({}))
            }
            "wait" => {
                let call = self.calls.remove(text_of(command, "call")?);
                call.ok_or_else(|| Failure::told("no such call"))?.wait()
            }
            "cancel" => {
                let call = self.calls.get(text_of(command, "call")?);
                call.ok_or_else(|| Failure::told("no such call"))?.cancel()
            }
            _ => self.do_with(command),
        }
    }

    /// What is done with a client or a source.
    fn do_with(&mut self, command: &Value) -> Answer {
        let opened = self.of(command)?;
        let taker = &opened.taker;
        match text_of(command, "do")? {
            "next" | "block" => taker.take(count_of(command)?),
            "observe" => {
                let identity = text_of(command, "identity")?.parse();
                taker.observe(identity.map_err(Failure::configuration)?);
                Ok(json!({}))
            }
            "newest" => {
                let newest = taker.newest();
                Ok(newest.map_or(Value::Null, told::one))
            }
            "counters" => {
                let counters = taker.counters();
                Ok(json!({
                    "requests": counters.requests,
                    "identities": counters.identities,
                    "connects": counters.connects,
                    "failures": counters.failures,
                    "refills": counters.refills,
                    "waits": counters.waits,
                    "dropped": counters.dropped,
                }))
            }
            "hooks" => Ok(json!({
                "connect": opened.connects.get(),
                "failover": opened.failovers.get(),
                "refill": opened.refills.get(),
            })),
            "close" => {
                taker.close();
                Ok(json!({}))
            }
            "in_fork" => Err(Failure::Unsupported("the program is not told of a fork")),
            "load" => {
                let load = Load::told(command)?;
                opened.load = Some(Arc::clone(taker).load(load));
                Ok(json!({}))
            }
            "unload" => {
                let end = opened.load.take();
                let end = end.ok_or_else(|| Failure::told("there is no load"))?;
                Ok(Tally::sum(end()).into_json())
            }
            other => Err(Failure::told(format!("{other:?} is no command"))),
        }
    }

    fn of(&mut self, command: &Value) -> Result<&mut Opened, Failure> {
        let opened = self.opened.get_mut(text_of(command, "of")?);
        opened.ok_or_else(|| Failure::told("nothing was opened with this handle"))
    }

    fn open(&mut self, command: &Value) -> Answer {
        let servers = field(command, "servers")?.as_array();
        let servers = servers.ok_or_else(|| Failure::told("servers is a list"))?;
        let servers: Vec<String> = servers
            .iter()
            .map(|server| server.as_str().unwrap_or_default().to_owned())
            .collect();
        let [connects, failovers, refills] = [(); 3].map(|()| Count::default());
        let mut options = told::options(&command["options"])?;
        options.hooks = {
            let (connects, failovers, refills) =
                (connects.clone(), failovers.clone(), refills.clone());
            options
                .hooks
                .on_connect(move |_| connects.raise())
                .on_failover(move |_, _| failovers.raise())
                .on_refill(move |_| refills.raise())
        };
        let is_source = text_of(command, "kind")? == "source";
        let taker = self.way.open(is_source, &servers, options)?;
        let handle = (self.opened.len() + 1).to_string();
        let opened = Opened {
            taker,
            connects,
            failovers,
            refills,
            load: None,
        };
        self.opened.insert(handle.clone(), opened);
        Ok(json!({ "handle": handle }))
    }
}

/// How many identities a `block` takes; `None` for `next`.
fn count_of(command: &Value) -> Result<Option<u32>, Failure> {
    match text_of(command, "do")? {
        "next" => Ok(None),
        "block" => number(command, "count").map(Some),
        other => Err(Failure::told(format!("{other:?} is not called so"))),
    }
}

/// How long a worker of a load sleeps after each portion.
const LOAD_PAUSE: Duration = Duration::from_millis(10);
