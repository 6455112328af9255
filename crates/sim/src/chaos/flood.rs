//! Floods. Somebody sends messages without end, and each could cause a log line, a write to the disk or a large
//! answer. Or connections come and go without end.

use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
    time::Duration,
};

use ipseity_core::{
    identity::{Pid, Sequence},
    words::{ClusterName, Message, SyncMessage, WIRE_VERSION},
};
use ipseity_frames::encode;

use super::{
    calls::{Call, Flood, FloodKind},
    cluster::Cluster,
    fault::Fault,
    plan::{BELIEVED, SCAN_MIN},
};
use crate::world::SimSocket;

/// The pid of the peer: no server of a plan has it.
const PID: u16 = 900;

/// How often somebody sends, and how many messages each time.
const PAUSE: Duration = Duration::from_millis(50);
const MESSAGES: u64 = 60;

/// How many connections come and go each time. An id has 12 bits that count connections, so even the shortest
/// scan uses all of their values.
const SCANNED: u64 = 100;

const _: () = assert!(SCAN_MIN.as_millis() as u64 / PAUSE.as_millis() as u64 * SCANNED > 1 << 12);

impl Cluster {
    pub fn begin_flood(&mut self, server: usize, wait: Duration, kind: FloodKind) -> bool {
        let socket = match kind {
            FloodKind::Scan => None,
            FloodKind::Peer | FloodKind::Looks | FloodKind::Refusals => {
                let Some(socket) = self.connect_flood(server) else {
                    return false;
                };
                self.net.borrow_mut().set_unbounded(socket.end());
                Some(socket)
            }
        };
        self.floods.push(Flood {
            kind,
            server,
            socket,
            until: self.now().after(wait),
            boot: 0,
        });
        self.fault(match kind {
            FloodKind::Peer => Fault::Flood,
            FloodKind::Looks => Fault::Looks,
            FloodKind::Refusals => Fault::Refusals,
            FloodKind::Scan => Fault::Scan,
        });
        self.on_flood(self.floods.len() - 1);
        true
    }

    fn connect_flood(&mut self, server: usize) -> Option<SimSocket> {
        let home = SocketAddr::from(([192, 168, BELIEVED, 2], self.rng.u16(1024..)));
        let address = self.machines[server].address;
        let end = self.net.borrow_mut().connect(home, address).ok()?;
        Some(SimSocket::new(&self.net, end))
    }

    /// It is time for the next messages, or connections.
    pub fn on_flood(&mut self, index: usize) {
        let now = self.now();
        let Some(flood) = self.floods.get_mut(index) else {
            return;
        };
        if now >= flood.until {
            if let Some(socket) = &flood.socket {
                // It may be gone already.
                let _ = self.net.borrow_mut().shutdown(socket.end());
            }
            return;
        }
        let mut bytes = Vec::new();
        match flood.kind {
            FloodKind::Peer => {
                for number in 0..MESSAGES {
                    flood.boot += 1;
                    peer_message(
                        &self.template.cluster,
                        flood.boot,
                        number % 2 == 1,
                        &mut bytes,
                    );
                }
            }
            FloodKind::Looks => {
                for _ in 0..MESSAGES / 2 {
                    encode(&Message::StatusRequest, &mut bytes);
                    encode(&Message::MembersRequest { from: Pid::MIN }, &mut bytes);
                }
            }
            FloodKind::Refusals => {
                // No sequence is above the last one.
                let (count, after) = (1, Sequence::MAX.get() << 10);
                for _ in 0..MESSAGES {
                    encode(&Message::IdentityRequest { count, after }, &mut bytes);
                }
            }
            FloodKind::Scan => {}
        }
        let server = flood.server;
        let goes_on = match &mut flood.socket {
            Some(socket) => {
                // Answers are thrown away. Once the connection is gone, nothing more is sent.
                let mut answers = [0; 4096];
                while matches!(socket.read(&mut answers), Ok(1..)) {}
                socket.write_all(&bytes).is_ok()
            }
            None => {
                for _ in 0..SCANNED {
                    drop(self.connect_flood(server));
                }
                true
            }
        };
        if goes_on {
            self.call(now.after(PAUSE), Call::Flood(index));
        }
    }
}

/// A message of the peer: either a good one with a new boot, or one that is refused.
fn peer_message(cluster: &ClusterName, boot: u64, is_refused: bool, bytes: &mut Vec<u8>) {
    let message = SyncMessage {
        version: WIRE_VERSION,
        cluster: cluster.clone(),
        pid: Pid::new(PID).unwrap(),
        incarnation: 1,
        boot,
        session: 1,
        sequence: if is_refused {
            Sequence::MAX.get() + 1
        } else {
            0
        },
    };
    encode(&Message::SyncRequest(Box::new(message)), bytes);
}
