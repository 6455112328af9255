//! What is done to a cluster, by nature and by operators.

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use ipseity::store::slots::RecoverError;
use ipseity_core::identity::Sequence;

use super::{
    cluster::{Call, Cluster},
    fault::{Fault, stream},
    judge::SeatState,
    plan::{Act, Beside, Between, Loss},
    seat::storage,
    weather::Wall,
};
use crate::world::{DiskFault, Effect, Route, SimSocket, StartFault, Storage, address};
use byteorder::{BigEndian, ByteOrder};

/// What ends a fault that lasts.
#[derive(Clone, Debug)]
pub enum Undo {
    Route(SocketAddr),
    Names,
    Accept(usize),
}

impl Cluster {
    pub fn on_act(&mut self, index: usize) {
        if self.is_calm {
            return;
        }
        let now = self.now();
        let act = self.plan.acts[index].1.clone();
        let counted = act.fault();
        let has_struck = match act {
            Act::Crash {
                server,
                power,
                effect,
                between,
            } => {
                let runs = self.seats[server].server.is_some();
                if runs {
                    self.end(server, effect, power);
                    self.seats[server].is_clean = false;
                    let at = now.after(between.wait);
                    self.seats[server].between = Some(between);
                    self.call(at, Call::Restart(server));
                }
                runs
            }
            Act::Stop {
                server,
                again,
                between,
            } => {
                let runs = self.seats[server].server.is_some();
                if runs {
                    self.seats[server].between = Some(between);
                    self.signal(server);
                    if let Some(wait) = again {
                        // Else it would long be gone.
                        let hangs = DiskFault::Hangs(Duration::from_secs(3));
                        self.disk(server, |disk| disk.fault = Some(hangs));
                        self.call(now.after(wait), Call::Signal(server));
                    }
                }
                runs
            }
            Act::Pause { server, wait } => {
                let seat = &mut self.seats[server];
                seat.ready_at = seat.ready_at.max(now.after(wait));
                seat.server.is_some()
            }
            Act::Disk { server, fault } => {
                let mut net = self.net.borrow_mut();
                let disk = net.nodes[server].storage.as_mut();
                disk.expect("every server here has one").fault = Some(fault);
                drop(net);
                match fault {
                    DiskFault::Hangs(_) => self.fault(Fault::DiskHangs),
                    DiskFault::SaveFails => self.fault(Fault::SaveFails),
                    // Counted when it is met.
                    DiskFault::Fails(..) => {}
                }
                true
            }
            Act::Wall {
                seed,
                both_ways,
                wait,
            } => {
                self.raise_wall(seed, both_ways, wait);
                true
            }
            Act::Unreachable {
                server,
                hangs,
                wait,
            } => {
                let route = if hangs {
                    Route::Hangs
                } else {
                    Route::Unreachable
                };
                let at = address(server);
                self.net.borrow_mut().routes.insert(at, route);
                self.undo(wait, Undo::Route(at));
                true
            }
            Act::Lookup { kind, wait } => {
                self.confuse_names(kind);
                self.undo(wait, Undo::Names);
                true
            }
            Act::Accept { server, wait } => {
                // EMFILE: too many open files.
                self.net.borrow_mut().nodes[server].accept_error = Some(24);
                self.undo(wait, Undo::Accept(server));
                true
            }
            Act::Copy { server } => self.start_copy(server),
            Act::WrongPid { server } => self.start_wrong_pid(server),
            Act::Share { server, start } => self.start_sharing(server, start),
            Act::Backup { server } => {
                let copy = storage(&self.net.borrow().nodes[server]).copy(now);
                self.seats[server].backup = Some(copy);
                true
            }
            Act::Replay { seed } => self.replay(seed),
        };
        if has_struck && let Some(fault) = counted {
            self.fault(fault);
        }
    }

    fn undo(&mut self, wait: Duration, undo: Undo) {
        self.undos.push(undo);
        let at = self.now().after(wait);
        self.call(at, Call::Undo(self.undos.len() - 1));
    }

    pub fn on_undo(&mut self, index: usize) {
        let net = &mut *self.net.borrow_mut();
        match &self.undos[index] {
            Undo::Route(at) => {
                net.routes.remove(at);
            }
            Undo::Names => {
                let servers = self.plan.servers.len();
                net.names = super::plan::names(servers)
                    .map(|(name, at)| (name, vec![at]))
                    .collect();
                for node in &mut net.nodes {
                    node.lookup_delay = Duration::ZERO;
                }
            }
            Undo::Accept(server) => net.nodes[*server].accept_error = None,
        }
    }

    fn raise_wall(&mut self, seed: u64, both_ways: bool, wait: Duration) {
        let mut rng = stream(seed, 0);
        let servers = self.seats.iter().map(|seat| seat.address.ip());
        let hosts = servers.chain(self.clients.iter().map(|client| client.home.ip()));
        let (from, to): (Vec<IpAddr>, Vec<IpAddr>) = hosts.partition(|_| rng.bool());
        let until = self.now().after(wait);
        let mut sky = self.sky.borrow_mut();
        if both_ways {
            let (from, to) = (to.clone(), from.clone());
            sky.walls.push(Wall { from, to, until });
        }
        sky.walls.push(Wall { from, to, until });
        let now = self.net.borrow().now;
        sky.walls.retain(|wall| wall.until > now);
    }

    fn confuse_names(&mut self, kind: u32) {
        let net = &mut *self.net.borrow_mut();
        match kind {
            0 => net.names.clear(),
            1 => {
                for addresses in net.names.values_mut() {
                    addresses.insert(0, SocketAddr::from(([10, 9, 9, 9], 3264)));
                }
            }
            _ => {
                for node in &mut net.nodes {
                    node.lookup_delay = Duration::from_millis(700);
                }
            }
        }
    }

    /// A copy of a directory, which somebody has made while the server ran, is started in another place.
    fn start_copy(&mut self, server: usize) -> bool {
        if self.seats.len() > self.plan.servers.len() || self.seats[server].server.is_none() {
            return false;
        }
        let now = self.now();
        let copy = storage(&self.net.borrow().nodes[server]).copy(now);
        self.start_rival(server, copy);
        true
    }

    /// A server is given the pid of another one, with a new directory.
    fn start_wrong_pid(&mut self, server: usize) -> bool {
        if self.seats.len() > self.plan.servers.len() {
            return false;
        }
        let incarnation = self.rng.u128(..);
        let directory = Storage::new(self.seats[server].owner(), incarnation);
        self.start_rival(server, directory);
        true
    }

    fn start_rival(&mut self, server: usize, directory: Storage) {
        let mut plan = self.seats[server].plan.clone();
        let servers = 0..self.plan.servers.len();
        // The two meet, or only others can tell.
        let meets = servers.len() == 1 || self.rng.bool();
        let named = servers.filter(|other| meets || *other != server);
        plan.peers = named.map(|other| address(other).to_string()).collect();
        plan.above = None;
        self.judge.breach(plan.pid);
        let number = self.add_seat(plan);
        self.seats[number].rival = Some(server);
        self.seats[server].rival = Some(number);
        self.furnish(number, directory);
        self.start(number);
    }

    /// A second server is started on the directory of another one, whose lock it does not see. It has no peers, so
    /// that only the disk can tell.
    fn start_sharing(&mut self, server: usize, start: Beside) -> bool {
        if self.seats.len() > self.plan.servers.len() || self.seats[server].server.is_none() {
            return false;
        }
        let now = self.now();
        let directory = self.disk(server, Storage::share);
        let mut plan = self.seats[server].plan.clone();
        plan.peers.clear();
        plan.requires = false;
        plan.above = None;
        self.judge.share(plan.pid);
        let number = self.add_seat(plan);
        self.seats[number].rival = Some(server);
        self.seats[server].rival = Some(number);
        self.furnish(number, directory);
        match start {
            Beside::Later => self.start(number),
            Beside::Slowly(wait) => {
                self.disk(number, |disk| disk.read_for_start(now));
                self.seats[number].between = Some(Between::default());
                self.call(now.after(wait), Call::Restart(number));
            }
            Beside::AtOnce => {
                self.end(server, Effect::Old, false);
                for seat in [server, number] {
                    self.disk(seat, |disk| disk.read_for_start(now));
                }
                self.start(server);
                self.start(number);
            }
        }
        true
    }

    /// Somebody repeats to a server what another one had said.
    fn replay(&mut self, seed: u64) -> bool {
        let mut rng = stream(seed, 0);
        let seat = rng.usize(..self.plan.servers.len());
        let heard = &self.judge.remembered;
        if heard.is_empty() {
            return false;
        }
        let frame = heard[rng.usize(..heard.len())].clone();
        let tail = &frame[frame.len() - 42..];
        // Whoever speaks with the pid of the one that hears it is another server of that pid, and not an echo.
        if BigEndian::read_u16(tail) == self.seats[seat].plan.pid {
            return false;
        }
        let home = SocketAddr::from(([192, 168, 100, 1], rng.u16(1024..)));
        let connected = self
            .net
            .borrow_mut()
            .connect(home, self.seats[seat].address);
        let Ok(end) = connected else { return false };
        self.net.borrow_mut().set_unbounded(end);
        let mut socket = SimSocket::new(&self.net, end);
        let _ = socket.write_all(&frame);
        self.ghosts.push(socket);
        self.judge
            .told(seat, BigEndian::read_u64(&tail[34..]), false);
        self.fault(Fault::Replay);
        true
    }

    /// It is time to start a server again.
    pub fn on_restart(&mut self, number: usize) {
        if self.seats[number].server.is_some() || self.seats[number].is_gone {
            return;
        }
        let Some(between) = self.seats[number].between.take() else {
            return;
        };
        self.prepare(number, &between);
        self.start(number);
    }

    /// Does to a directory what happens to it while no server runs.
    fn prepare(&mut self, number: usize, between: &Between) {
        let pid = self.seats[number].plan.pid;
        // Rot can hide what one of two servers on a directory has written from the other.
        let is_shared = self.disk(number, |disk| disk.is_shared);
        for (block, bit) in between.rot.iter().filter(|_| !is_shared) {
            self.disk(number, |disk| disk.medium().rot(*block, *bit));
            self.fault(Fault::Rot);
            self.seats[number].is_clean = false;
        }
        if between.amnesia {
            self.disk(number, |disk| disk.members.clear());
            self.fault(Fault::Amnesia);
        }
        let lost = match between.loss {
            Loss::Nothing => None,
            Loss::Lost => {
                let incarnation = self.rng.u128(..);
                self.fault(Fault::Lost);
                Some(Storage::new(self.seats[number].owner(), incarnation))
            }
            Loss::RolledBack => {
                let backup = self.seats[number].backup.take();
                if backup.is_some() {
                    self.fault(Fault::Rollback);
                }
                backup
            }
        };
        if let Some(directory) = lost {
            self.seats[number].was_objected = false;
            self.seats[number].word = Sequence::ZERO;
            self.seats[number].is_clean = false;
            self.judge.breach(pid);
            self.furnish(number, directory);
            if between.recovers {
                self.give_word(number);
            }
        }
        if let Some((after, effect)) = between.cut_short {
            self.fault(Fault::KillInStart);
            self.seats[number].is_clean = false;
            self.disk(number, |disk| {
                disk.fault = Some(DiskFault::Fails(after, effect))
            });
        }
    }

    pub fn disk<T>(&mut self, number: usize, act: impl FnOnce(&mut Storage) -> T) -> T {
        let mut net = self.net.borrow_mut();
        act(net.nodes[number]
            .storage
            .as_mut()
            .expect("every server here has one"))
    }

    /// An operator says that nobody with this pid has handed out anything above a sequence, and is right.
    fn give_word(&mut self, number: usize) {
        let pid = self.seats[number].plan.pid;
        if self.seats[number].rival.is_some() {
            return;
        }
        let state = self.judge.pid(pid);
        let above = state.left.max(state.told) + 1;
        let Some(above) = Sequence::new(above) else {
            return;
        };
        state.is_breached = false;
        let before = self.seats[number].above;
        self.seats[number].above = before.max(Some(above));
    }

    /// A start could not be. What an operator does then, the documents say.
    pub fn on_start_failed(&mut self, number: usize, above: Option<Sequence>, fault: &StartFault) {
        let now = self.now();
        self.seats[number].above = above;
        self.seats[number].is_clean = false;
        match fault {
            // The process died on the way, or the disk failed; it is tried again.
            StartFault::Boot(_) => {}
            StartFault::Recover(RecoverError::NoneGood { .. }) => {
                let incarnation = self.rng.u128(..);
                let directory = Storage::new(self.seats[number].owner(), incarnation);
                self.seats[number].was_objected = false;
                self.seats[number].word = Sequence::ZERO;
                self.judge.breach(self.seats[number].plan.pid);
                self.furnish(number, directory);
                self.give_word(number);
            }
            StartFault::Recover(error) => {
                self.judge
                    .object(|| format!("server {number} cannot start: {error:?}"));
            }
        }
        self.seats[number].between = Some(Between::default());
        self.call(now.after(Duration::from_millis(300)), Call::Restart(number));
    }

    /// Who can tell that a directory which was lost or rolled back is not the newest.
    pub fn find_witnesses(&mut self, number: usize, life: &SeatState) {
        let pid = life.pid;
        self.seats[number].witnesses.clear();
        if !self.judge.is_breached(pid) {
            return;
        }
        // An operator's word stays in the directory, and overrules all who remember no more than that.
        let word = self.seats[number].word.get();
        let is_overruled = |sequence: u64| word > 0 && sequence <= word;
        let mut witnesses = Vec::new();
        for (who, seat) in self.seats.iter().enumerate() {
            if let Some(heard) = self.judge.knows.get(&(who, pid))
                // A lower sequence tells too, unless somebody else brings it up first.
                && (heard.incarnation != life.incarnation || life.boot <= heard.boot)
                && !is_overruled(heard.sequence)
            {
                witnesses.push((who, seat.began));
            }
        }
        self.seats[number].witnesses = witnesses;
    }
}
