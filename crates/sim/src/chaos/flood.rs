//! A peer that speaks without end: each of its messages is something that people would hear of, or that would be saved.

use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
    time::Duration,
};

use ipseity_core::{
    identity::{Pid, Sequence},
    words::{Message, SyncMessage, WIRE_VERSION},
};

use super::{
    calls::{Call, Flood},
    cluster::Cluster,
    fault::Fault,
};
use crate::world::SimSocket;

/// The pid of the peer: no server of a plan has it.
const PID: u16 = 900;

/// How often it speaks, and how many messages it sends each time.
const PAUSE: Duration = Duration::from_millis(50);
const MESSAGES: u64 = 60;

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
