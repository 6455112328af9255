//! Load before three real servers, with TLS and without, which are killed, frozen and cut off, one after the other and always
//! the one that is in use; or which flap, all of them. Nothing may come twice, what each worker gets increases, no call hangs,
//! and after each fault every worker gets on.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use ipseity_harness::server::Server;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    adapter::{Adapter, Answer, PATIENCE},
    certificates::Certificates,
    clients::Client,
    perform::Outcome,
    proxy::{Mode, Proxy},
};

/// How many workers share one client or source.
const WORKERS: usize = 8;

/// And before servers that flap. There are so many that some of them are in each step of a call when a connection breaks.
const FLAP_WORKERS: usize = 50;

/// How long a server that flaps is there, and how long it is not.
const FLAP: Duration = Duration::from_millis(50);

/// How often each server flaps at least.
const FLAPS_MIN: usize = 20;

/// How long a fault lasts: longer than a reply may take, so that it is one.
const FAULT: Duration = Duration::from_millis(700);

/// How long the load runs before the first fault, and between two.
const CALM: Duration = Duration::from_millis(150);

const REPLY_TIMEOUT: Duration = Duration::from_millis(300);
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// How much longer than its time a call may take on a busy machine.
const MARGIN: Duration = Duration::from_secs(4);

/// What is put under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A client: each call asks a server.
    Client,
    /// A source.
    Source,
    /// A client that speaks TLS.
    Tls,
    /// A client of servers that all break every connection again and again.
    Flap,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Client, Kind::Source, Kind::Tls, Kind::Flap];

    /// Its row in the table.
    pub fn row(self) -> String {
        format!("load-{self}")
    }

    /// How many calls a worker makes in a row. A source is so fast that it would fill the disk.
    fn portion(self) -> u32 {
        match self {
            Kind::Source => 500,
            Kind::Client | Kind::Tls => 50,
            // Nearly all that it gets is an error, and comes at once.
            Kind::Flap => 1,
        }
    }

    /// What is opened.
    fn opens(self) -> &'static str {
        match self {
            Kind::Source => "source",
            Kind::Client | Kind::Tls | Kind::Flap => "client",
        }
    }

    fn workers(self) -> usize {
        match self {
            Kind::Flap => FLAP_WORKERS,
            Kind::Client | Kind::Source | Kind::Tls => WORKERS,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Client => "client",
            Kind::Source => "source",
            Kind::Tls => "tls",
            Kind::Flap => "flap",
        })
    }
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Kill,
    Freeze,
    CutOff,
    Break,
    Stop,
}

/// The first four are in the shortest load.
const FAULTS: [Fault; 5] = [
    Fault::Kill,
    Fault::Freeze,
    Fault::CutOff,
    Fault::Break,
    Fault::Stop,
];

/// The faults of every load, however short.
const FAULTS_MIN: usize = 4;

/// How long, and how patiently.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// About how long each load lasts. A short one has a few faults all the same.
    pub time: Duration,
    /// How long a worker may get nothing while there are servers.
    pub patience: Duration,
}

/// Puts one client under load, and says what it did if it did well.
pub fn run(
    client: &Client,
    kind: Kind,
    certificates: &Certificates,
    times: Times,
) -> (Outcome, String) {
    let begun = Load::begin(client, kind, certificates, times.patience);
    match begun.and_then(|load| load.run(times.time)) {
        Ok(summary) => (Outcome::Passed, summary),
        Err(outcome) => (outcome, String::new()),
    }
}

/// The reason why a load has failed.
impl From<String> for Outcome {
    fn from(reason: String) -> Outcome {
        Outcome::Failed(reason)
    }
}

struct Load {
    kind: Kind,
    adapter: Adapter,
    servers: Vec<Server>,
    proxies: Vec<Proxy>,
    folder: TempDir,
    handle: String,
    patience: Duration,
}

impl Load {
    fn begin(
        client: &Client,
        kind: Kind,
        certificates: &Certificates,
        patience: Duration,
    ) -> Result<Load, Outcome> {
        let mut options = json!({
            "cluster": "ipseity",
            "reply_timeout_ms": REPLY_TIMEOUT.as_millis() as u64,
            "call_timeout_ms": CALL_TIMEOUT.as_millis() as u64,
        });
        let (scheme, servers) = match kind {
            Kind::Client | Kind::Source | Kind::Flap => ("", Server::cluster(3, &[])),
            Kind::Tls => {
                options["tls"] = certificates.files(false);
                let (cert, key) = certificates.server_files();
                let tls = ["--tls-cert", &cert, "--tls-key", &key];
                // They are no peers: what is tried is between them and the client.
                let start = |pid| Server::start(&[&["--pid", pid], tls.as_slice()].concat());
                ("tls://", ["1", "2", "3"].map(start).into())
            }
        };
        let proxies: Vec<Proxy> = servers
            .iter()
            .map(|server| Proxy::before(server.socket_address()))
            .collect();
        let addresses: Vec<String> = proxies
            .iter()
            .map(|proxy| format!("{scheme}{}", proxy.address()))
            .collect();
        let folder = TempDir::new().map_err(|error| error.to_string())?;
        let mut load = Load {
            adapter: Adapter::start(client.command(&client.run))?,
            kind,
            servers,
            proxies,
            handle: String::new(),
            patience,
            folder,
        };
        let open =
            json!({"do": "open", "kind": kind.opens(), "servers": addresses, "options": options});
        let opened = load.ask(open)?;
        load.handle = opened["handle"]
            .as_str()
            .ok_or("open gave no handle".to_owned())?
            .to_owned();
        let path = load.folder.path().join("ids");
        load.ask(json!({
            "do": "load",
            "of": load.handle,
            "workers": kind.workers(),
            "path": path,
            "portion": kind.portion(),
        }))?;
        Ok(load)
    }

    fn ask(&mut self, command: Value) -> Result<Value, Outcome> {
        let what = command["do"].to_string();
        match self.adapter.ask(command, PATIENCE)? {
            Answer::Ok(done) => Ok(done),
            Answer::Unsupported(why) => Err(Outcome::Unsupported(why)),
            error @ Answer::Error(_) => Err(format!("{what}: {error:?}").into()),
        }
    }

    fn run(mut self, time: Duration) -> Result<String, Outcome> {
        let began = Instant::now();
        self.wait_for_all("at the beginning")?;
        let mut faults = 0;
        if self.kind == Kind::Flap {
            while faults < FLAPS_MIN || began.elapsed() < time {
                for mode in [Mode::Break, Mode::Pass] {
                    self.proxies.iter().for_each(|proxy| proxy.set(mode));
                    thread::sleep(FLAP);
                }
                faults += 1;
            }
            self.wait_for_all("after the last flap")?;
        }
        while self.kind != Kind::Flap && (faults < FAULTS_MIN || began.elapsed() < time) {
            let fault = FAULTS[faults % FAULTS.len()];
            thread::sleep(CALM);
            self.strike(fault)?;
            self.wait_for_all(&format!("after fault {faults}, {fault:?}"))?;
            faults += 1;
        }
        let handle = self.handle.clone();
        let done = self.ask(json!({"do": "unload", "of": handle}))?;
        let counters = self.ask(json!({"do": "counters", "of": handle}))?;
        self.ask(json!({"do": "close", "of": handle}))?;
        let Load {
            adapter,
            folder,
            kind,
            ..
        } = self;
        adapter.end()?;
        let count = check(folder.path(), kind.workers())?;
        for (what, told) in [("unload", &done), ("counters", &counters)] {
            if told["identities"] != json!(count) {
                return Err(
                    format!("the files have {count} identities, and {what} says {told}").into(),
                );
            }
        }
        let errors = done["errors"].as_object().cloned().unwrap_or_default();
        if errors.keys().any(|class| class != "unavailable") {
            return Err(format!("there were errors other than unavailable: {done}").into());
        }
        let longest = done["longest_ms"].as_u64();
        let longest = Duration::from_millis(longest.ok_or("no longest_ms".to_owned())?);
        if longest > CALL_TIMEOUT + MARGIN {
            return Err(format!("a call took {longest:?}: {done}").into());
        }
        let unavailable = errors.get("unavailable").cloned().unwrap_or(json!(0));
        Ok(format!(
            "{count} identities in {:.1} s, {faults} faults, {unavailable} calls without a server, the longest {} ms",
            began.elapsed().as_secs_f64(),
            longest.as_millis(),
        ))
    }

    /// A fault at the server that is used most, and its end.
    fn strike(&mut self, fault: Fault) -> Result<(), String> {
        let before: Vec<u64> = self.proxies.iter().map(Proxy::passed).collect();
        thread::sleep(CALM);
        let used = |index: &usize| self.proxies[*index].passed() - before[*index];
        let target = (0..self.proxies.len())
            .max_by_key(used)
            .expect("there are servers");
        match fault {
            Fault::Kill => self.servers[target].kill(),
            Fault::Freeze => self.servers[target].signal("STOP"),
            Fault::CutOff => self.proxies[target].set(Mode::Hold),
            Fault::Break => self.proxies[target].set(Mode::Break),
            Fault::Stop => {
                self.servers[target].signal("TERM");
                self.servers[target].wait();
            }
        }
        thread::sleep(FAULT);
        // While it lasts the others serve.
        self.wait_for_all(&format!("during {fault:?}"))?;
        match fault {
            Fault::Kill | Fault::Stop => self.servers[target].restart(),
            Fault::Freeze => self.servers[target].signal("CONT"),
            Fault::CutOff | Fault::Break => self.proxies[target].set(Mode::Pass),
        }
        Ok(())
    }

    /// Waits until every worker has got more.
    fn wait_for_all(&mut self, when: &str) -> Result<(), String> {
        let size = |worker: usize| {
            let file = path(self.folder.path(), worker);
            fs::metadata(file).map_or(0, |data| data.len())
        };
        let workers = self.kind.workers();
        let before: Vec<u64> = (0..workers).map(size).collect();
        let until = Instant::now() + self.patience;
        loop {
            let stuck: Vec<usize> = (0..workers)
                .filter(|worker| size(*worker) <= before[*worker])
                .collect();
            if stuck.is_empty() {
                return Ok(());
            }
            if Instant::now() > until {
                let patience = self.patience;
                let reason = format!("{when}: the workers {stuck:?} got nothing for {patience:?}");
                return Err(self.adapter.told(&reason));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn path(folder: &Path, worker: usize) -> PathBuf {
    folder.join(format!("ids.{worker}"))
}

/// Checks the files of all workers, and returns how many identities there are.
fn check(folder: &Path, workers: usize) -> Result<usize, String> {
    let mut all = Vec::new();
    for worker in 0..workers {
        let text = fs::read_to_string(path(folder, worker))
            .map_err(|error: io::Error| error.to_string())?;
        let before = all.len();
        for line in text.lines() {
            let identity: u64 = line
                .parse()
                .map_err(|_| format!("worker {worker} wrote {line:?}"))?;
            if let Some(last) = all[before..].last()
                && identity <= *last
            {
                return Err(format!("worker {worker} got {identity} after {last}"));
            }
            all.push(identity);
        }
    }
    let count = all.len();
    all.sort_unstable();
    match all.windows(2).find(|two| two[0] == two[1]) {
        Some(two) => Err(format!("{} came twice", two[0])),
        None => Ok(count),
    }
}
