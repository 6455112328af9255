//! The network between the hosts of a cluster: delays, losses, slow links, connections that break or fall
//! silent, and partitions. It decides what happens to everything that is sent.

use std::{
    cell::RefCell,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use fastrand::Rng;
use ipseity_core::time::Instant;

use super::{
    coverage::Coverage,
    fault::{Fault, Faults, chance, stream},
};
use crate::world::{Fate, NetworkConditions, Sent};

/// How long TCP waits before it sends a lost segment again. The wait doubles each time, up to the maximum.
const RETRANSMISSION: Duration = Duration::from_millis(200);
const RETRANSMISSION_MAX: Duration = Duration::from_secs(4);

/// The window, the send buffer and the longest segment of a connection that is not slow.
pub const SIZES: [usize; 3] = [64 * 1024, 128 * 1024, 16 * 1024];

/// The hosts in `from` do not reach those in `to`.
#[derive(Clone, Debug)]
pub struct Partition {
    pub from: Vec<IpAddr>,
    pub to: Vec<IpAddr>,
    pub until: Instant,
}

/// What a seed has drawn for the network, and the present partitions.
pub struct FaultyNetwork {
    faults: Faults,
    pub partitions: Vec<Partition>,
    delay_nanos: u64,
    jitter_nanos: u64,
    loss: u32,
    cut: u32,
    silence: u32,
    slow: u32,
    slow_window: usize,
    nanos_per_byte: u64,
    rngs: [Rng; 5],
    pub coverage: Coverage,
}

impl FaultyNetwork {
    pub fn new(seed: u64, faults: Faults) -> FaultyNetwork {
        let mut rng = stream(seed, 100);
        let mut upto = |fault, most: u32| {
            let drawn = rng.u32(1..=most);
            if faults.has(fault) { drawn } else { 0 }
        };
        let jitter = upto(Fault::Delay, 80);
        FaultyNetwork {
            faults,
            partitions: Vec::new(),
            delay_nanos: 20_000 + u64::from(upto(Fault::Delay, 20)) * 500_000,
            jitter_nanos: 30_000 + u64::from(jitter * jitter) * 20_000,
            loss: upto(Fault::Loss, 150),
            cut: upto(Fault::Cut, 8),
            silence: upto(Fault::Silence, 3),
            slow: upto(Fault::Slow, 300),
            slow_window: upto(Fault::Slow, 200) as usize + 1,
            nanos_per_byte: u64::from(upto(Fault::Slow, 500)) * 1000,
            rngs: std::array::from_fn(|index| stream(seed, 110 + index as u64)),
            coverage: Coverage::default(),
        }
    }

    /// The faults end.
    pub fn clear(&mut self) {
        self.faults = Faults::NONE;
        self.partitions.clear();
        (self.loss, self.cut, self.silence, self.slow) = (0, 0, 0, 0);
        (self.delay_nanos, self.jitter_nanos) = (20_000, 30_000);
    }

    fn is_partitioned(&self, from: IpAddr, to: IpAddr, at: Instant) -> bool {
        self.partitions.iter().any(|partition| {
            at < partition.until && partition.from.contains(&from) && partition.to.contains(&to)
        })
    }

    fn fate(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, what: Sent) -> Fate {
        let [jitter, loss, cut, silence, _] = &mut self.rngs;
        let mut wait = self.delay_nanos + jitter.u64(..self.jitter_nanos);
        if let Sent::Bytes(bytes) = what {
            if self.cut > 0 && chance(cut, self.cut) {
                self.coverage.fault(Fault::Cut);
                let at = now.after(Duration::from_nanos(wait));
                return Fate::Cut(at, cut.usize(..bytes));
            }
            if self.slow > 0 {
                wait += bytes as u64 * self.nanos_per_byte;
            }
        }
        if self.silence > 0 && chance(silence, self.silence) {
            self.coverage.fault(Fault::Silence);
            return Fate::Silence;
        }
        let mut depart = now;
        let mut again = RETRANSMISSION;
        if self.loss > 0 {
            while chance(loss, self.loss) {
                self.coverage.fault(Fault::Loss);
                if what == Sent::Reset {
                    // A reset is not acknowledged, so a lost reset is never sent again.
                    return Fate::Silence;
                }
                depart = depart.after(again);
                again = (again * 2).min(RETRANSMISSION_MAX);
            }
        }
        if !self.partitions.is_empty() {
            while self.is_partitioned(from.ip(), to.ip(), depart) {
                self.coverage.fault(Fault::Partition);
                if what == Sent::Reset {
                    return Fate::Silence;
                }
                depart = depart.after(again);
                again = (again * 2).min(RETRANSMISSION_MAX);
            }
        }
        if self.faults.has(Fault::Delay) {
            self.coverage.fault(Fault::Delay);
        }
        Fate::Arrives(depart.after(Duration::from_nanos(wait)))
    }
}

/// Shared: the world asks it, and the cluster adds partitions and ends the faults.
impl NetworkConditions for Rc<RefCell<FaultyNetwork>> {
    fn fate(&mut self, now: Instant, from: SocketAddr, to: SocketAddr, what: Sent) -> Fate {
        self.borrow_mut().fate(now, from, to, what)
    }

    fn sizes(&mut self, _: SocketAddr, _: SocketAddr) -> [usize; 3] {
        let network = &mut *self.borrow_mut();
        let slow = &mut network.rngs[4];
        if network.slow > 0 && chance(slow, network.slow) {
            network.coverage.fault(Fault::Slow);
            let window = slow.usize(1..=network.slow_window);
            return [window, 3 * slow.usize(1..=400), slow.usize(1..=window)];
        }
        SIZES
    }
}
