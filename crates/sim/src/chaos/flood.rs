//! A peer that speaks without end: each of its messages is something that people would hear of, or that would be saved.
//! And how much of that a server may log and save.

use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
    time::Duration,
};

use ipseity::limits::{LINE_KINDS, LINES_PER_KIND_MAX, LINES_PER_PEER_MAX, LINES_SPAN};
use ipseity_core::{
    identity::{Pid, Sequence},
    limits::{SAVE_BURST, SAVE_RATE_PER_SECOND},
    time::Instant,
    words::{Message, SyncMessage, WIRE_VERSION},
};

use super::{
    cluster::{Call, Cluster},
    fault::Fault,
};
use crate::world::SimSocket;

/// The pid of the peer: no server of a plan has it.
const PID: u16 = 900;

/// How often it speaks, and how many messages it sends each time.
const PAUSE: Duration = Duration::from_millis(50);
const MESSAGES: u64 = 60;

/// Lines that a server writes of itself in one life: that it joins, that it is objected to, that it stops, and how
/// much of the sequence is used up.
const OWN_LINES_MAX: u64 = 20;

/// Saves that belong to a stop: when it begins and before the last write.
const LAST_SAVES: u64 = 2;

/// See the head of this file.
pub struct Flood {
    socket: SimSocket,
    until: Instant,
    boot: u64,
}

impl Cluster {
    pub fn begin_flood(&mut self, server: usize, wait: Duration) -> bool {
        let home = SocketAddr::from(([192, 168, 100, 2], self.rng.u16(1024..)));
        let connected = self
            .net
            .borrow_mut()
            .connect(home, self.machines[server].address);
        let Ok(end) = connected else { return false };
        self.net.borrow_mut().set_unbounded(end);
        self.floods.push(Flood {
            socket: SimSocket::new(&self.net, end),
            until: self.now().after(wait),
            boot: 0,
        });
        self.fault(Fault::Flood);
        self.on_flood(self.floods.len() - 1);
        true
    }

    /// It is time for the next messages. By turns they are good, with a boot that was never heard, and refused.
    pub fn on_flood(&mut self, index: usize) {
        let now = self.now();
        let template = &self.template;
        let Some(flood) = self.floods.get_mut(index) else {
            return;
        };
        if now >= flood.until {
            let end = flood.socket.end();
            return drop(self.net.borrow_mut().shutdown(end));
        }
        let mut bytes = Vec::new();
        for number in 0..MESSAGES {
            flood.boot += 1;
            let is_refused = number % 2 == 1;
            let message = SyncMessage {
                version: WIRE_VERSION,
                cluster: template.cluster.clone(),
                pid: Pid::new(PID).unwrap(),
                incarnation: 1,
                boot: flood.boot,
                session: 1,
                sequence: if is_refused {
                    Sequence::MAX.get() + 1
                } else {
                    0
                },
            };
            ipseity_frames::encode(&Message::SyncRequest(Box::new(message)), &mut bytes);
        }
        // What it is answered goes nowhere. One whose connection is gone is silent from now on.
        let mut answers = [0; 4096];
        while matches!(flood.socket.read(&mut answers), Ok(1..)) {}
        let is_heard = flood.socket.write_all(&bytes).is_ok();
        if is_heard {
            self.call(now.after(PAUSE), Call::Flood(index));
        }
    }
}

/// Log lines of a server in a life that has lasted so long, at most, with so many peers named to it.
pub fn lines_max(named: usize, age: Duration) -> u64 {
    // A minute is begun with a line, and what was left out in it is told when it is over, in one line for each kind.
    let minutes = age.as_secs() / LINES_SPAN.as_secs() + 1;
    let of_a_kind =
        u64::from(LINES_PER_KIND_MAX) + named as u64 * u64::from(LINES_PER_PEER_MAX) + 1;
    OWN_LINES_MAX + minutes * LINE_KINDS as u64 * of_a_kind
}

/// Saves of what it remembers of its peers in that time, at most.
pub fn saves_max(age: Duration) -> u64 {
    SAVE_BURST + SAVE_RATE_PER_SECOND * age.as_secs() + LAST_SAVES
}
