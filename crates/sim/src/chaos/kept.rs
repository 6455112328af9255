//! What keeps the state of a server: a simulated disk, or a pid in the simulated etcd.

use ipseity_core::{
    identity::{Pid, Sequence},
    time::Instant,
};

use super::{judge::Life, machine::storage};
use crate::world::Net;

/// What keeps the state of a server, as far as the judge has to know.
pub struct Kept {
    /// How many faults have had an effect.
    pub faults_met: u32,
    /// How far the present life may hand out.
    pub allowed: Sequence,
    /// Etcd has ended the lease of the present life.
    pub is_let_go: bool,
    /// How often the ceiling was raised since the start of this life, and the ceiling that it knows.
    pub granted: (u32, Sequence),
    /// The generation and the boot of another process that a write did not notice.
    pub overlooked: Option<(u64, u64)>,
}

/// What keeps the state of a server at this moment, in the life that it has.
pub fn kept(net: &Net, number: usize, life: &Life, now: Instant) -> Kept {
    let node = &net.nodes[number];
    if let (Some(pid), Some(world)) = (&node.pid_storage, &net.pids) {
        return Kept {
            faults_met: 0,
            allowed: world.ceiling(life.session),
            is_let_go: Pid::new(life.pid)
                .is_some_and(|pid| world.has_ended_lease(pid, life.session)),
            granted: (0, pid.granted()),
            overlooked: None,
        };
    }
    let storage = storage(node);
    let overlooked = storage.overlooked.as_ref();
    Kept {
        is_let_go: false,
        faults_met: storage.faults_met,
        allowed: match storage.allowance(now) {
            // The newest record may be the other server's.
            _ if storage.is_shared => storage.granted.1,
            Some((boot, ceiling)) if boot == life.boot => ceiling,
            _ => Sequence::ZERO,
        },
        granted: storage.granted,
        overlooked: overlooked.map(|record| (record.generation, record.boot)),
    }
}
