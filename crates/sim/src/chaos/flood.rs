//! Floods. Somebody sends messages without end, and each could cause a log line, a write to the disk or a large
//! answer. Or connections come and go without end.

use std::{
    collections::VecDeque,
    io::{self, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use crate::config::peer_says;
use ipseity::limits::IDLE_MIN;
use ipseity_core::{
    identity::{Pid, Sequence},
    words::{ClusterName, Message, SyncMessage},
};
use ipseity_frames::encode;

use super::{
    calls::{Call, Flood, FloodKind},
    cluster::Cluster,
    fault::{Fault, chance},
    plan::{BELIEVED, OPERATORS, SCAN_MIN, STRANGERS},
};
use crate::world::SimSocket;

/// The pid of the peer: no server of a plan has it.
const PID: u16 = 900;

/// Where floods come from: an address from which servers take peers. Who holds connections comes from another one that
/// has no rights or, one time in four, from that of an operator.
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, BELIEVED, 2));
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, STRANGERS, 250));
const TRUSTED: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, OPERATORS, 20));
const TRUSTED_PER_MILLE: u32 = 250;

/// How often somebody sends, and how many messages each time.
pub const PAUSE: Duration = Duration::from_millis(50);
const MESSAGES: u64 = 60;

/// How many connections come and go each time. An id has 12 bits that count connections, so even the shortest
/// scan uses all of their values.
const SCANNED: u64 = 100;

/// How many connections somebody holds who takes places, more than a server has that makes room; how many he opens each
/// time, and how often he asks, in a thousand times. So many are idle for long enough to be closed for that.
const HELD_MAX: usize = 16;
const HELD_AT_ONCE: usize = 3;
const ASKS_PER_MILLE: u32 = 40;

const _: () = assert!(PAUSE.as_millis() * 1000 / ASKS_PER_MILLE as u128 > IDLE_MIN.as_millis());

/// As long as a new connection takes on a network without faults, in microseconds.
pub const HANDSHAKE_US: u64 = 200;

const _: () = assert!(SCAN_MIN.as_millis() as u64 / PAUSE.as_millis() as u64 * SCANNED > 1 << 12);

impl Cluster {
    pub fn begin_flood(&mut self, server: usize, wait: Duration, kind: FloodKind) -> bool {
        let socket = match kind {
            FloodKind::Scan | FloodKind::Hold | FloodKind::Push { .. } => None,
            FloodKind::Peer | FloodKind::Looks | FloodKind::Refusals => {
                let Some(socket) = self.connect_flood(PEER, server) else {
                    return false;
                };
                self.net.borrow_mut().set_unbounded(socket.end());
                Some(socket)
            }
        };
        let home = match kind {
            FloodKind::Hold if chance(&mut self.rng, TRUSTED_PER_MILLE) => TRUSTED,
            FloodKind::Hold | FloodKind::Push { .. } => STRANGER,
            FloodKind::Scan | FloodKind::Peer | FloodKind::Looks | FloodKind::Refusals => PEER,
        };
        self.floods.push(Flood {
            kind,
            server,
            socket,
            home,
            held: Vec::new(),
            asks_next: false,
            others: VecDeque::new(),
            until: self.now().after(wait),
            boot: 0,
        });
        match kind {
            FloodKind::Peer => self.fault(Fault::Flood),
            FloodKind::Looks => self.fault(Fault::Looks),
            FloodKind::Refusals => self.fault(Fault::Refusals),
            FloodKind::Scan => self.fault(Fault::Scan),
            // Counted when the server refuses one, or closes one to make room.
            FloodKind::Hold | FloodKind::Push { .. } => {}
        }
        self.on_flood(self.floods.len() - 1);
        true
    }

    fn connect_flood(&mut self, home: IpAddr, server: usize) -> Option<SimSocket> {
        self.connect_to(home, self.machines[server].address)
    }

    pub fn connect_to(&mut self, home: IpAddr, address: SocketAddr) -> Option<SimSocket> {
        let home = SocketAddr::new(home, self.rng.u16(1024..));
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
            flood.held.clear();
            flood.others.clear();
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
            FloodKind::Scan | FloodKind::Hold | FloodKind::Push { .. } => {}
        }
        let (server, kind) = (flood.server, flood.kind);
        let mut wait = PAUSE;
        let goes_on = match &mut flood.socket {
            Some(socket) => {
                // Answers are thrown away. Once the connection is gone, nothing more is sent.
                let mut answers = [0; 4096];
                while matches!(socket.read(&mut answers), Ok(1..)) {}
                socket.write_all(&bytes).is_ok()
            }
            None => {
                match kind {
                    FloodKind::Hold => wait = self.hold(index, server),
                    FloodKind::Push { by_http } => wait = self.push(index, server, by_http),
                    _ => self.scan(server),
                }
                true
            }
        };
        if goes_on {
            self.call(now.after(wait), Call::Flood(index));
        }
    }
}

impl Cluster {
    fn scan(&mut self, server: usize) {
        for _ in 0..SCANNED {
            drop(self.connect_flood(STRANGER, server));
        }
    }

    /// Somebody takes places. A moment later, when the new connections come in, he may ask on all that he has. Returns when
    /// he goes on.
    fn hold(&mut self, index: usize, server: usize) -> Duration {
        let mut held = std::mem::take(&mut self.floods[index].held);
        held.retain_mut(|socket| !has_ended(socket));
        let asks = std::mem::take(&mut self.floods[index].asks_next);
        if asks {
            if chance(&mut self.rng, ASKS_PER_MILLE) {
                held.iter_mut().for_each(|socket| self.ask(server, socket));
            }
        } else {
            let home = self.floods[index].home;
            let more = HELD_MAX.saturating_sub(held.len()).min(HELD_AT_ONCE);
            for _ in 0..more {
                held.extend(self.connect_flood(home, server));
            }
            self.floods[index].asks_next = true;
        }
        self.floods[index].held = held;
        match asks {
            true => PAUSE,
            false => Duration::from_micros(self.rng.u64(..HANDSHAKE_US)),
        }
    }

    pub fn ask(&mut self, server: usize, socket: &mut SimSocket) {
        let mut bytes = Vec::new();
        encode(&Message::IdentityRequest { count: 1, after: 0 }, &mut bytes);
        if socket.write_all(&bytes).is_ok() {
            self.judge.asked(server, 1, 0);
        }
    }
}

/// Reads what has come. Returns whether the other side has closed.
pub fn has_ended(socket: &mut SimSocket) -> bool {
    let mut answers = [0; 256];
    loop {
        match socket.read(&mut answers) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

/// A message of the peer: either a good one with a new boot, or one that is refused.
fn peer_message(cluster: &ClusterName, boot: u64, is_refused: bool, bytes: &mut Vec<u8>) {
    let message = SyncMessage {
        cluster: cluster.clone(),
        incarnation: 1,
        boot,
        session: 1,
        sequence: if is_refused {
            Sequence::MAX.get() + 1
        } else {
            0
        },
        ..peer_says(Pid::new(PID).unwrap())
    };
    encode(&Message::SyncRequest(Box::new(message)), bytes);
}
