//! Simulated clusters under faults, to break every promise.
//!
//! One seed decides everything: the servers, the clients, which faults there are and when they strike. The
//! servers in the [`world`](crate::world) are real: loop, mailbox, decoder, actor, and the slots of the state
//! file, on a disk that loses what is not durable. First the faults strike, and no promise may be broken. Then
//! they end, and the whole cluster has to work again within a fixed time.
//!
//! - `plan`: what a seed draws before the run begins. `fault` has the classes of faults, `bugs` the planted bugs.
//!   `starts`: the seeds that are about little else.
//! - `cluster`: the run itself. `machine`: one server in it. `network`: what happens to packets.
//! - `calls`: actions that are scheduled for later. `bounds`: how much a server may log and save.
//! - `acts`: the faults that strike at a moment. `flood`: somebody who sends without end. `recovery`: the end of
//!   the run.
//! - `client`, `traffic`: what clients ask, and which answers they get.
//! - `web`, `web_traffic`: the same for clients that speak HTTP. `answers`, `scrapes`: what servers say there.
//! - `judge`: checks everything that servers write against the promises. `advances`: how far others let a server
//!   go. `places`: who is refused, and who is closed. `push`: who is turned away from the reserve. `accepted`,
//!   `claims`: who has a pid, and who may ask for it. `breaches`: what becomes of the mistakes of operators. `pids`:
//!   servers whose pids are in etcd, and `etcd_plan`, what a seed draws for them. `restores`, `restored`: etcd is restored
//!   from a backup. `kept`: what keeps the state of a server.
//! - `coverage`, `hunt`: run many seeds, count what happened in them, and find the smallest form of a seed that
//!   fails.

mod accepted;
mod acts;
mod advances;
mod answers;
mod bounds;
mod breaches;
pub mod bugs;
mod calls;
mod claims;
mod client;
mod cluster;
pub mod coverage;
pub mod etcd_plan;
pub mod fault;
mod flood;
pub mod hunt;
mod judge;
mod kept;
mod lies;
mod machine;
mod network;
mod pids;
mod places;
mod plan;
mod push;
mod recovery;
mod restored;
mod restores;
mod scrapes;
mod sealed;
mod starts;
mod traffic;
mod web;
mod web_traffic;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use ipseity_core::time::Instant;

use self::{
    cluster::Cluster,
    coverage::Coverage,
    fault::{Fault, Faults},
    plan::Plan,
};

/// How a seed is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The faults that the seed may draw.
    pub faults: Faults,
    /// The faults end at this moment at the latest.
    pub end: Option<Instant>,
    /// Whether every server writes a trace.
    pub trace: bool,
    /// Disks confirm writes that they do not keep. Ipseity assumes that no disk does this, so a promise must break.
    pub disks_lie: bool,
}

impl Options {
    /// The options in the environment: `IPSEITY_FAULTS` names the faults that are allowed (empty for no faults),
    /// and `IPSEITY_END_MS` says when they end.
    pub fn from_environment() -> Options {
        let mut options = Options::default();
        if let Ok(names) = std::env::var("IPSEITY_FAULTS") {
            let is_named =
                |fault: &Fault| names.split(',').any(|name| name == format!("{fault:?}"));
            let named = Fault::ALL.iter().copied().filter(is_named);
            options.faults = named.fold(Faults::NONE, Faults::with);
        }
        if let Ok(millis) = std::env::var("IPSEITY_END_MS") {
            let millis = millis
                .parse()
                .expect("IPSEITY_END_MS is a number of milliseconds");
            options.end = Some(plan::BEGIN.after(Duration::from_millis(millis)));
        }
        options
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            faults: Faults::ALL,
            end: None,
            trace: false,
            disks_lie: false,
        }
    }
}

/// How a run went.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub seed: u64,
    /// The faults that the seed used.
    pub faults: Faults,
    /// The promise that was broken, if one was.
    pub violation: Option<String>,
    /// When its faults end.
    pub faults_end: Instant,
    /// When the run ended, and how long it was.
    pub end: Instant,
    pub simulated: Duration,
    pub servers: usize,
    pub coverage: Coverage,
    /// A digest of every byte that a server wrote.
    pub digest: u64,
    /// The trace of every server, if the options turn traces on.
    pub traces: Vec<String>,
}

/// Runs a seed.
pub fn run(seed: u64, options: &Options) -> Outcome {
    let plan = Plan::new(seed, options.faults, options.end);
    let (faults, faults_end) = (plan.faults, plan.end);
    let mut cluster = Cluster::new(plan, options);
    let ran = catch_unwind(AssertUnwindSafe(|| cluster.run()));
    let panic = ran.err().map(|cause| {
        let text = cause.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| cause.downcast_ref::<&str>().copied());
        format!("a panic: {}", text.unwrap_or("without a message"))
    });
    // A panic may have left the network borrowed. Then the time of the end is unknown.
    let end = match cluster.net.try_borrow() {
        Ok(net) => net.now,
        Err(_) => plan::BEGIN,
    };
    let traces = cluster
        .machines
        .iter()
        .filter_map(|machine| Some(machine.trace.as_ref()?.text()));
    Outcome {
        seed,
        faults,
        faults_end,
        violation: panic.or(cluster.judge.violation.take()),
        end,
        simulated: end.since(plan::BEGIN),
        servers: cluster.machines.len(),
        traces: traces.collect(),
        digest: cluster.judge.digest,
        coverage: cluster.coverage(),
    }
}
