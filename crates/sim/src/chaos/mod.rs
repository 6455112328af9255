//! Simulated clusters under faults, to break every promise.
//!
//! One seed decides everything: the servers, the clients, which faults there are and when they strike. The servers
//! are the real ones on a [`world`](crate::world): loop, mailbox, decoder, actor, and the slots of the state file on a
//! disk that loses what is not durable. First the faults strike, and no promise may be broken. Then they end, and
//! within a bound the whole cluster has to work again.
//!
//! - `plan`: what a seed draws before the run begins. `fault` has the classes of faults, `bugs` the planted bugs.
//! - `cluster`: the run itself; `machine` is one server in it, `network` what becomes of packets.
//! - `calls`: what it does later, and what it keeps until then. `bounds`: how much a server may log and save.
//! - `acts`: the faults that strike at a moment. `flood`: a peer that speaks without end. `recovery`: the end of the run.
//! - `client`, `traffic`: what clients ask, and what they are answered.
//! - `judge`: holds everything that is written to the promises. `places`: who is refused and who is closed.
//! - `coverage`, `hunt`: many seeds, what they have met, and the smallest form of one that fails.

mod acts;
mod advances;
mod bounds;
pub mod bugs;
mod calls;
mod client;
mod cluster;
pub mod coverage;
pub mod fault;
mod flood;
pub mod hunt;
mod judge;
mod machine;
mod network;
mod places;
mod plan;
mod recovery;
mod traffic;

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
    /// The faults that it may draw.
    pub faults: Faults,
    /// The faults end at this moment at the latest.
    pub end: Option<Instant>,
    /// Every server writes a trace.
    pub trace: bool,
    /// Disks confirm writes that they do not keep, against all assumptions: a promise must break.
    pub disks_lie: bool,
}

impl Options {
    /// What the environment says: `IPSEITY_FAULTS` names those that are allowed, or none, and `IPSEITY_END_MS`
    /// says when they end.
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
    /// The faults that it had.
    pub faults: Faults,
    /// The promise that was broken, if one was.
    pub violation: Option<String>,
    /// When its faults end.
    pub faults_end: Instant,
    /// When it ended, and how long it was.
    pub end: Instant,
    pub simulated: Duration,
    pub servers: usize,
    pub coverage: Coverage,
    /// Over every byte that a server has written.
    pub digest: u64,
    /// Of every server, where they were asked for.
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
        format!("a panic: {}", text.unwrap_or("without a word"))
    });
    // A panic may have left it borrowed, and then nothing more is to be seen there.
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
