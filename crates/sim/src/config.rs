//! The one place where tests make an actor's configuration, and what a peer says of itself.

use std::time::Duration;

use ipseity_core::{
    actor::{ActorConfig, Budgets, JoinMode},
    identity::{Pid, Sequence},
    limits::{PEERS_MAX, RESERVE_DEFAULT},
    words::{ClusterName, SyncMessage, Told, WIRE_VERSION},
};

/// What a server with this pid may say of itself: it serves, in its first boot, and has handed out nothing. A test changes
/// the fields that it is about.
///
/// Every test that speaks as a peer begins here, so that a new field needs a value only in this place.
pub fn peer_says(pid: Pid) -> SyncMessage {
    SyncMessage {
        version: WIRE_VERSION,
        cluster: ClusterName::default(),
        pid,
        incarnation: 7,
        boot: 1,
        session: 7,
        sequence: 0,
        told: Told::default(),
        advertise: String::new(),
    }
}

/// An actor of pid 1 that has handed out nothing and may go up to sequence 2000. A test changes the fields that
/// it is about.
///
/// Every test that makes an actor or a server begins here, so that a new field needs a value only in this
/// place.
pub fn actor_config() -> ActorConfig {
    ActorConfig {
        cluster: ClusterName::default(),
        pid: Pid::new(1).unwrap(),
        incarnation: 0x1111,
        boot: 1,
        session: 0x51,
        sequence: Sequence::ZERO,
        ceiling: Sequence::new(2000).unwrap(),
        count_max: 500,
        advance_max: 1_000_000,
        budgets: Budgets {
            after_burst: 1 << 50,
            peer_burst: 1 << 50,
            rate_per_second: 0,
        },
        first_start: true,
        reserve: RESERVE_DEFAULT,
        recovered: Sequence::ZERO,
        objected: None,
        remembered: Vec::new(),
        joins: false,
        join_mode: JoinMode::Prefer,
        lives: Vec::new(),
        votes: true,
        fences: false,
        lease: None,
        patience: None,
        advertise: String::new(),
        fanout: PEERS_MAX,
        peer_silence: Duration::from_secs(5),
    }
}
