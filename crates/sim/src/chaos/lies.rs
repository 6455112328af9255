//! Those who lie about who they are. A stranger says that it is a peer, and a peer claims a boot that no server can have
//! come to. Nothing of what they say may have an effect, so the judge is not told of it.

use std::net::{Ipv4Addr, SocketAddr};

use crate::config::peer_says;
use fastrand::Rng;
use ipseity_core::{
    identity::{Pid, Sequence},
    limits::BOOT_JUMP_MAX,
    words::{ErrorCode, Goodbye, Message, Objection, Overrule, Probe, Stage, SyncMessage, Told},
};
use ipseity_frames::{FrameDecoder, Receiver, encode};

use super::{
    cluster::Cluster,
    fault::{Fault, stream},
    judge::Life,
    plan::{BELIEVED, LIARS},
};

impl Cluster {
    /// Somebody from an address that no peer has says to a server that it is one.
    pub fn claim(&mut self, server: usize, seed: u64) -> bool {
        let mut rng = stream(seed, 0);
        // On a server that does not trust its own machine, others may be there too.
        let is_own = !self.machines[server].plan.trusts_loopback && rng.bool();
        let ip = match is_own {
            true => Ipv4Addr::LOCALHOST,
            false => Ipv4Addr::new(192, 168, LIARS, 1),
        };
        let home = SocketAddr::from((ip, rng.u16(1024..)));
        let mut bytes = Vec::new();
        // The answer to the first one ends the connection, so the others are never looked at.
        for _ in 0..rng.usize(1..4) {
            let lie = self.lie(server, &mut rng);
            encode(&lie, &mut bytes);
        }
        let speaks = self.speak(home, server, &bytes);
        if speaks {
            self.fault(Fault::Claim);
        }
        speaks
    }

    /// The words of somebody who knows more of the cluster than any stranger should.
    fn lie(&self, server: usize, rng: &mut Rng) -> Message {
        let hearer = &self.judge.lives[server];
        let Life {
            pid,
            incarnation,
            boot,
            session,
            ..
        } = self.judge.lives[rng.usize(..self.plan.servers.len())];
        match rng.u32(..9) {
            0 => Message::Objection(Box::new(Objection::new(
                Pid::new(hearer.pid).unwrap(),
                hearer.session,
                ErrorCode::StaleState,
                rng.u64(..Sequence::MAX.get()),
                "a lie",
            ))),
            1 => Message::Overrule(Box::new(Overrule {
                pid: Pid::new(pid).unwrap(),
                incarnation: rng.u128(..),
                session,
                above: Sequence::MAX.get(),
            })),
            2 => Message::Goodbye(Goodbye {
                pid: Pid::new(pid).unwrap(),
                session,
                served: rng.bool(),
            }),
            3 => Message::Alive(Probe {
                pid: Pid::new(pid).unwrap(),
                session,
                nonce: hearer.session.wrapping_add(rng.u64(..100)),
            }),
            4 => Message::Probe(Probe {
                pid: Pid::new(hearer.pid).unwrap(),
                session: hearer.session,
                nonce: rng.u64(..),
            }),
            _ => Message::SyncRequest(Box::new(SyncMessage {
                cluster: self.template.cluster.clone(),
                incarnation: match rng.bool() {
                    true => incarnation,
                    false => rng.u128(..),
                },
                boot: boot + rng.u64(..3),
                session: rng.u64(..),
                sequence: rng.u64(..1 << 40),
                told: Told {
                    stage: Stage::ALL[rng.usize(..Stage::ALL.len())],
                    ceiling: rng.u64(..1 << 40),
                    ..Told::default()
                },
                ..peer_says(match rng.bool() {
                    true => Pid::new(pid).unwrap(),
                    false => Pid::new(rng.u16(..=Pid::MAX.get())).unwrap(),
                })
            })),
        }
    }

    /// Somebody who is believed repeats what a server has said, with a boot that no server can have come to.
    pub fn jump_boot(&mut self, seed: u64) -> bool {
        let mut rng = stream(seed, 0);
        let server = rng.usize(..self.plan.servers.len());
        let heard = &self.judge.remembered;
        if heard.is_empty() {
            return false;
        }
        let mut decoder = FrameDecoder::new();
        decoder.restore(&heard[rng.usize(..heard.len())]);
        let Ok(Some(Message::SyncRequest(mut sync))) = decoder.next(Receiver::Server) else {
            return false;
        };
        sync.boot += match rng.bool() {
            // Nobody here has so many boots that less than the bound would remain.
            true => BOOT_JUMP_MAX * 2,
            false => u64::MAX - sync.boot,
        };
        sync.session = rng.u64(..);
        let mut bytes = Vec::new();
        encode(&Message::SyncRequest(sync), &mut bytes);
        let home = SocketAddr::from(([192, 168, BELIEVED, 3], rng.u16(1024..)));
        let speaks = self.speak(home, server, &bytes);
        if speaks {
            self.fault(Fault::BootJump);
        }
        speaks
    }
}
