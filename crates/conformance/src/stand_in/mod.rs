//! A client and its adapter that only test the kit. It keeps the rules of docs/clients.md, and breaks one of them if
//! it is told to: then the kit must find that. It has no TLS.

mod client;
mod demand;
mod failure;
pub mod faults;
mod link;
mod source;
mod text;

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead as _, BufWriter, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use client::{Cancel, Client, Options};
use failure::Failure;
use faults::has;
use source::Source;
use text::Address;

/// How long a worker sleeps between two portions.
const PORTION_PAUSE: Duration = Duration::from_millis(10);

/// Does what it is told on standard input until that ends.
pub fn run() {
    let mut adapter = Adapter::default();
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let command: Value = serde_json::from_str(&line).unwrap();
        let what = command["do"].as_str().unwrap_or_default().to_owned();
        if what == "exit" {
            break;
        }
        let mut answer = match adapter.answer(&what, &command) {
            Ok(done) => json!({ "ok": done }),
            Err(Failure(Value::String(why))) => json!({ "unsupported": why }),
            Err(Failure(error)) => json!({ "error": error }),
        };
        answer["id"] = command["id"].clone();
        if what == "next" && has("crashes") {
            std::process::exit(3);
        }
        let line = match what == "next" && has("writes-no-json") {
            true => "1025\n".to_owned(),
            false => format!("{answer}\n"),
        };
        let mut out = io::stdout().lock();
        if out
            .write_all(line.as_bytes())
            .and_then(|()| out.flush())
            .is_err()
        {
            break;
        }
    }
    if has("never-exits") {
        thread::sleep(Duration::from_secs(3600));
    }
}

#[derive(Clone)]
enum Handle {
    Client(Arc<Client>),
    Source(Arc<Source>),
}

struct Call {
    cancel: Arc<Cancel>,
    thread: JoinHandle<Result<Value, Failure>>,
}

struct Load {
    is_over: Arc<AtomicBool>,
    workers: Vec<JoinHandle<Done>>,
}

/// What a worker has done.
#[derive(Default)]
struct Done {
    identities: u64,
    errors: HashMap<String, u64>,
    longest: Duration,
}

#[derive(Default)]
struct Adapter {
    handles: HashMap<String, Handle>,
    /// The command that each was opened with.
    opened: HashMap<String, Value>,
    calls: HashMap<String, Call>,
    loads: HashMap<String, Load>,
}

impl Adapter {
    fn answer(&mut self, what: &str, command: &Value) -> Result<Value, Failure> {
        if let Some(answer) = text::answer(what, command) {
            return answer;
        }
        let text = |field: &str| command[field].as_str().unwrap_or_default().to_owned();
        match what {
            "open" => {
                let handle = open(command)?;
                let name = (self.handles.len() + 1).to_string();
                self.handles.insert(name.clone(), handle);
                self.opened.insert(name.clone(), command.clone());
                return Ok(json!({ "handle": name }));
            }
            "wait" => {
                let call = self.calls.remove(&text("call")).unwrap();
                return call.thread.join().unwrap();
            }
            "cancel" => {
                self.calls[&text("call")].cancel.cancel();
                return Ok(json!({}));
            }
            _ => {}
        }
        let inner = command.get("command").unwrap_or(command);
        let name = inner["of"].as_str().unwrap_or_default().to_owned();
        let handle = self.handles[&name].clone();
        match what {
            "start" => {
                let cancel = Arc::new(Cancel::default());
                let (inner, seen) = (inner.clone(), Arc::clone(&cancel));
                let thread = thread::spawn(move || handle.answer(&inner, &seen));
                self.calls.insert(text("call"), Call { cancel, thread });
                Ok(json!({}))
            }
            // It cannot fork. A child that keeps the rules has nothing of its parent's, as one that is opened anew.
            "in_fork" => {
                let child = match has("shares-with-child") {
                    true => handle,
                    false => open(&self.opened[&name])?,
                };
                Ok(json!({"identity": child.next(&Cancel::default())?.to_string()}))
            }
            "load" => {
                let portion = command["portion"].as_u64().unwrap_or(1);
                let is_over = Arc::new(AtomicBool::new(false));
                let worker = |number: u64| {
                    let (handle, is_over) = (handle.clone(), Arc::clone(&is_over));
                    let path = format!("{}.{number}", text("path"));
                    thread::spawn(move || work(&handle, &path, portion, &is_over))
                };
                let workers = (0..command["workers"].as_u64().unwrap_or(1))
                    .map(worker)
                    .collect();
                self.loads.insert(name, Load { is_over, workers });
                Ok(json!({}))
            }
            "unload" => {
                let load = self.loads.remove(&name).unwrap();
                load.is_over.store(true, Relaxed);
                let mut all = Done::default();
                for worker in load.workers {
                    let done = worker.join().unwrap();
                    all.identities += done.identities;
                    all.longest = all.longest.max(done.longest);
                    for (class, count) in done.errors {
                        *all.errors.entry(class).or_default() += count;
                    }
                }
                let longest_ms = all.longest.as_millis() as u64;
                Ok(
                    json!({"identities": all.identities, "errors": all.errors, "longest_ms": longest_ms}),
                )
            }
            _ => handle.answer(inner, &Cancel::default()),
        }
    }
}

fn open(command: &Value) -> Result<Handle, Failure> {
    let options = &command["options"];
    let is_source = command["kind"] == "source";
    let mut servers = Vec::new();
    for server in command["servers"].as_array().into_iter().flatten() {
        servers.push(Address::parse(server.as_str().unwrap_or_default())?);
    }
    let wrong = |reason: &str| Failure::of("configuration", reason);
    if servers.is_empty() {
        return Err(wrong(
            "the list of servers is empty (name at least one, such as 127.0.0.1:3264)",
        ));
    }
    if servers.iter().any(|server| server.is_tls) || options.get("tls").is_some() {
        return Err(Failure(json!("the stand-in has no TLS")));
    }
    let time = |name: &str, default: u64| match options[name].as_u64().unwrap_or(default) {
        0 if !has("takes-zero-times") => Err(wrong(&format!(
            "{} is 0: it must be more than zero",
            name.trim_end_matches("_ms")
        ))),
        time => Ok(Duration::from_millis(time)),
    };
    let cluster = options["cluster"].as_str().unwrap_or_default().to_owned();
    if cluster.len() > 255 || cluster.contains(char::is_control) {
        return Err(wrong(&format!(
            "cluster is {cluster:?}: it must be a name of at most 255 bytes without control characters"
        )));
    }
    let client = Client::new(
        servers,
        Options {
            cluster,
            connect: time("connect_timeout_ms", 1000)?,
            reply: time("reply_timeout_ms", 1000)?,
            call: time("call_timeout_ms", 2000)?,
            idle_max: time("idle_max_ms", 60_000)?,
            block_age_max: time("block_age_max_ms", 60_000)?,
            block_max: options["block_max"].as_u64().unwrap_or(65_536) as u32,
            first: options["first"].as_u64().unwrap_or_default() as usize,
        },
        is_source,
    );
    Ok(match is_source {
        true => Handle::Source(Source::new(client)),
        false => Handle::Client(Arc::new(client)),
    })
}

impl Handle {
    fn client(&self) -> &Client {
        match self {
            Handle::Client(client) => client,
            Handle::Source(source) => &source.client,
        }
    }

    fn next(&self, cancel: &Cancel) -> Result<u64, Failure> {
        let identity = match self {
            Handle::Client(client) => client.call(1, cancel)?.0,
            Handle::Source(source) => source.next(cancel)?,
        };
        self.client().counters.identities.fetch_add(1, Relaxed);
        Ok(identity)
    }

    fn answer(&self, command: &Value, cancel: &Cancel) -> Result<Value, Failure> {
        match command["do"].as_str().unwrap_or_default() {
            "next" => {
                static LAST: AtomicU64 = AtomicU64::new(0);
                let identity = self.next(cancel)?;
                let last = LAST.swap(identity, Relaxed);
                let told = if has("hands-out-twice") && last > 0 {
                    last
                } else {
                    identity
                };
                Ok(json!({"identity": told.to_string()}))
            }
            "block" => {
                let count = command["count"].as_u64().unwrap_or_default() as u32;
                let (first, count) = self.client().call(count, cancel)?;
                self.client()
                    .counters
                    .identities
                    .fetch_add(u64::from(count), Relaxed);
                Ok(json!({"first": first.to_string(), "count": count}))
            }
            "observe" => {
                let text = command["identity"].as_str().unwrap_or_default();
                let identity = text.parse().unwrap();
                match self {
                    Handle::Client(client) => client.observe(identity),
                    Handle::Source(source) => source.observe(identity),
                }
                Ok(json!({}))
            }
            "newest" => {
                let newest = match self {
                    Handle::Client(client) => client.newest(),
                    Handle::Source(source) => source.newest(),
                };
                Ok(newest.map_or(
                    Value::Null,
                    |newest| json!({"identity": newest.to_string()}),
                ))
            }
            "counters" => {
                if let Handle::Source(source) = self {
                    source.settle();
                }
                let counters = &self.client().counters;
                let wrong = u64::from(has("counts-wrong"));
                Ok(json!({
                    "requests": counters.requests.load(Relaxed) + wrong,
                    "identities": counters.identities.load(Relaxed),
                    "connects": counters.connects.load(Relaxed),
                    "failures": counters.failures.load(Relaxed),
                    "refills": counters.refills.load(Relaxed),
                    "waits": counters.waits.load(Relaxed),
                    "dropped": counters.dropped.load(Relaxed),
                }))
            }
            "hooks" => {
                let counters = &self.client().counters;
                let called = |counter: &AtomicU64| match has("calls-no-hook") {
                    true => 0,
                    false => counter.load(Relaxed),
                };
                Ok(json!({
                    "connect": called(&counters.connects),
                    "failover": called(&counters.failures),
                    "refill": called(&counters.refills),
                }))
            }
            "close" => {
                match self {
                    Handle::Client(client) => client.close(),
                    Handle::Source(source) => source.close(),
                }
                Ok(json!({}))
            }
            other => Err(Failure::of(
                "configuration",
                &format!("there is no {other}"),
            )),
        }
    }
}

/// One worker of a load.
fn work(handle: &Handle, path: &str, portion: u64, is_over: &AtomicBool) -> Done {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let mut done = Done::default();
    let mut calls: u64 = 0;
    while !is_over.load(Relaxed) {
        let began = Instant::now();
        let identity = handle.next(&Cancel::default());
        done.longest = done.longest.max(began.elapsed());
        match identity {
            Ok(identity) => {
                let backwards = if has("hands-out-backwards") && calls % 100 == 99 {
                    1024 * 64
                } else {
                    0
                };
                let times = 1 + u64::from(has("hands-out-twice") && calls == 99);
                for _ in 0..times {
                    writeln!(file, "{}", identity - backwards).unwrap();
                    done.identities += 1;
                }
            }
            Err(Failure(error)) => {
                let class = error["class"].as_str().unwrap_or_default().to_owned();
                *done.errors.entry(class).or_default() += 1;
            }
        }
        calls += 1;
        while has("gets-stuck") && calls > 100 && !is_over.load(Relaxed) {
            thread::sleep(PORTION_PAUSE);
        }
        if calls.is_multiple_of(portion) {
            file.flush().unwrap();
            thread::sleep(PORTION_PAUSE);
        }
    }
    file.flush().unwrap();
    done
}
