//! The faults that strike at a moment: crashes, stops, pauses, failing disks, partitions, and what operators do wrong.

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use ipseity::{mailbox::Entry, store::slots::RecoverError};
use ipseity_core::{actor::JoinMode, identity::Sequence};

use super::{
    calls::{Call, Undo},
    cluster::Cluster,
    fault::{Fault, stream},
    judge::{Life, sync_fields},
    machine::storage,
    network::Partition,
    plan::{Act, BELIEVED, Beside, DirectoryLoss, Downtime, Meanwhile},
    restores::OPERATOR_LOOKS,
};
use crate::world::{
    DiskFault, EMFILE, Route, SimSocket, StartFault, Storage, Wake, WriteFate, address,
};
use byteorder::{BigEndian, ByteOrder};

impl Cluster {
    pub fn on_act(&mut self, index: usize) {
        if self.is_recovering {
            return;
        }
        let now = self.now();
        let act = self.plan.acts[index].1.clone();
        let counted = act.fault();
        let has_struck = match act {
            Act::Crash {
                server,
                power,
                fate,
                downtime,
            } => {
                let runs = self.machines[server].server.is_some() || self.claims_pid(server);
                if runs {
                    self.end(server, fate, power);
                    self.machines[server].is_clean = false;
                    let at = now.after(downtime.wait);
                    self.machines[server].downtime = Some(downtime);
                    self.call(at, Call::Restart(server));
                }
                runs
            }
            Act::Stop {
                server,
                again,
                downtime,
            } => {
                let runs = self.machines[server].server.is_some();
                if runs {
                    self.machines[server].downtime = Some(downtime);
                    self.signal(server);
                    if let Some(wait) = again {
                        // The disk hangs, so the server is still there when the second signal comes.
                        let hangs = DiskFault::Hangs(Duration::from_secs(3));
                        self.disk(server, |disk| disk.fault = Some(hangs));
                        self.call(now.after(wait), Call::Signal(server));
                    }
                }
                runs
            }
            Act::Pause { server, wait } => {
                let machine = &mut self.machines[server];
                machine.ready_at = machine.ready_at.max(now.after(wait));
                let (runs, until) = (machine.server.is_some(), machine.ready_at);
                if runs {
                    self.pause_pid(server, until);
                    // And somebody rotates its files meanwhile.
                    let hangup = Wake::Entry(Entry::Hangup);
                    self.net.borrow_mut().nodes[server].wake(hangup);
                }
                runs
            }
            Act::Disk { server, fault } => {
                let mut net = self.net.borrow_mut();
                let disk = net.nodes[server].storage.as_mut();
                disk.expect("every server here has one").fault = Some(fault);
                drop(net);
                match fault {
                    DiskFault::Hangs(_) => self.fault(Fault::DiskHangs),
                    DiskFault::SaveFails => self.fault(Fault::SaveFails),
                    // Counted when the server meets it.
                    DiskFault::Fails(..) => {}
                }
                true
            }
            Act::Partition {
                seed,
                both_ways,
                wait,
            } => {
                self.begin_partition(seed, both_ways, wait);
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
                self.net.borrow_mut().nodes[server].accept_error = Some(EMFILE);
                self.undo(wait, Undo::Accept(server));
                true
            }
            Act::Copy { server, meanwhile } => self.start_copy(server, meanwhile),
            Act::WrongPid { server } => self.start_wrong_pid(server),
            Act::Share { server, start } => self.start_sharing(server, start),
            Act::Backup { server } => {
                let copy = storage(&self.net.borrow().nodes[server]).copy(now);
                self.machines[server].backup = Some(copy);
                true
            }
            Act::Replay { seed } => self.replay(seed),
            Act::Claim { server, seed } => self.claim(server, seed),
            Act::BootJump { seed } => self.jump_boot(seed),
            Act::Flood { server, wait, kind } => self.begin_flood(server, wait, kind),
            Act::LogStalls { server, wait } => {
                let machine = &mut self.machines[server];
                machine.log_stalls_until = machine.log_stalls_until.max(now.after(wait));
                machine.server.is_some()
            }
            Act::BackUpEtcd => {
                self.back_up_etcd();
                true
            }
            Act::RestoreEtcd(restore) => self.restore_etcd(restore),
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
                net.names = super::plan::names(servers);
                for node in &mut net.nodes {
                    node.lookup_delay = Duration::ZERO;
                }
            }
            Undo::Accept(server) => net.nodes[*server].accept_error = None,
        }
    }

    fn begin_partition(&mut self, seed: u64, both_ways: bool, wait: Duration) {
        let mut rng = stream(seed, 0);
        let (from, to): (Vec<IpAddr>, Vec<IpAddr>) = self.hosts().partition(|_| rng.bool());
        let until = self.now().after(wait);
        let mut network = self.network.borrow_mut();
        if both_ways {
            let (from, to) = (to.clone(), from.clone());
            network.partitions.push(Partition { from, to, until });
        }
        network.partitions.push(Partition { from, to, until });
        let now = self.net.borrow().now;
        network.partitions.retain(|partition| partition.until > now);
    }

    fn confuse_names(&mut self, kind: u32) {
        let net = &mut *self.net.borrow_mut();
        match kind {
            0 => net.names.clear(),
            1 => {
                for addresses in net.names.values_mut() {
                    addresses.insert(0, super::plan::nobody());
                }
            }
            _ => {
                for node in &mut net.nodes {
                    node.lookup_delay = Duration::from_millis(700);
                }
            }
        }
    }

    /// Somebody copies a directory while its server runs, and starts the copy on another machine.
    fn start_copy(&mut self, server: usize, meanwhile: Meanwhile) -> bool {
        if self.machines.len() > self.plan.servers.len() || self.machines[server].server.is_none() {
            return false;
        }
        let now = self.now();
        let copy = storage(&self.net.borrow().nodes[server]).copy(now);
        match meanwhile {
            Meanwhile::Runs => {}
            Meanwhile::Starts => self.end(server, WriteFate::Old, false),
            Meanwhile::Pauses(wait) => {
                let machine = &mut self.machines[server];
                machine.ready_at = machine.ready_at.max(now.after(wait));
            }
            Meanwhile::IsCutOff(wait) => self.cut_off(server, wait),
            Meanwhile::CopyIsCutOff(wait) => self.cut_off(self.machines.len(), wait),
        }
        self.start_rival(server, copy);
        if meanwhile == Meanwhile::Starts {
            self.start(server);
        }
        true
    }

    /// A server reaches no other host for a while.
    fn cut_off(&mut self, server: usize, wait: Duration) {
        let until = self.now().after(wait);
        let own = address(server).ip();
        let others: Vec<IpAddr> = self.hosts().filter(|host| *host != own).collect();
        let mut network = self.network.borrow_mut();
        for (from, to) in [(vec![own], others.clone()), (others, vec![own])] {
            network.partitions.push(Partition { from, to, until });
        }
    }

    /// The hosts of all servers and clients. A machine that may be added meanwhile is one of them.
    fn hosts(&self) -> impl Iterator<Item = IpAddr> {
        let servers = self.machines.iter().map(|machine| machine.address.ip());
        let clients = self.clients.iter().map(|client| client.home.ip());
        let added = self.machines.len()..=self.plan.servers.len();
        let added = added.map(|number| address(number).ip());
        servers.chain(clients).chain(added)
    }

    /// A new server starts with a new directory and the pid of another server.
    fn start_wrong_pid(&mut self, server: usize) -> bool {
        if self.machines.len() > self.plan.servers.len() {
            return false;
        }
        let incarnation = self.rng.u128(..);
        let directory = Storage::new(self.machines[server].owner(), incarnation);
        self.start_rival(server, directory);
        true
    }

    fn start_rival(&mut self, server: usize, directory: Storage) {
        let mut plan = self.machines[server].plan.clone();
        let servers = 0..self.plan.servers.len();
        // Either the two meet, or only other servers can notice them.
        let meets = servers.len() == 1 || self.rng.bool();
        let named = servers.filter(|other| meets || *other != server);
        plan.peers = named.map(|other| address(other).to_string()).collect();
        plan.recover_above = None;
        self.judge.breach(plan.pid);
        let pid = plan.pid;
        let number = self.add_machine(plan);
        self.judge.breaches.begin(number, pid);
        self.machines[number].rival = Some(server);
        self.machines[server].rival = Some(number);
        self.attach_storage(number, directory);
        self.start(number);
    }

    /// A second server is started on the directory of another one, and does not see its lock. It has no peers, so
    /// only the disk can show that there are two.
    fn start_sharing(&mut self, server: usize, start: Beside) -> bool {
        if self.machines.len() > self.plan.servers.len() || self.machines[server].server.is_none() {
            return false;
        }
        let now = self.now();
        let directory = self.disk(server, Storage::share);
        let mut plan = self.machines[server].plan.clone();
        plan.peers.clear();
        plan.join = JoinMode::Prefer;
        plan.recover_above = None;
        self.judge.share(plan.pid);
        let number = self.add_machine(plan);
        self.machines[number].rival = Some(server);
        self.machines[server].rival = Some(number);
        self.attach_storage(number, directory);
        match start {
            Beside::Later => self.start(number),
            Beside::Slowly(wait) => {
                self.disk(number, |disk| disk.read_for_start(now));
                self.machines[number].downtime = Some(Downtime::default());
                self.call(now.after(wait), Call::Restart(number));
            }
            Beside::AtOnce => {
                self.end(server, WriteFate::Old, false);
                for each in [server, number] {
                    self.disk(each, |disk| disk.read_for_start(now));
                }
                self.start(server);
                self.start(number);
            }
        }
        true
    }

    /// Somebody sends a server an old message of another one.
    fn replay(&mut self, seed: u64) -> bool {
        let mut rng = stream(seed, 0);
        let server = rng.usize(..self.plan.servers.len());
        let heard = &self.judge.remembered;
        if heard.is_empty() {
            return false;
        }
        let frame = heard[rng.usize(..heard.len())].clone();
        let tail = sync_fields(&frame[3..]);
        // A message with the server's own pid would look like one of another server with that pid.
        if BigEndian::read_u16(tail) == self.machines[server].plan.pid {
            return false;
        }
        let home = SocketAddr::from(([192, 168, BELIEVED, 1], rng.u16(1024..)));
        if !self.speak(home, server, &frame) {
            return false;
        }
        self.judge
            .told(server, BigEndian::read_u64(&tail[34..]), false);
        self.fault(Fault::Replay);
        true
    }

    /// Somebody connects to a server and says something. Returns whether it could.
    pub fn speak(&mut self, home: SocketAddr, server: usize, bytes: &[u8]) -> bool {
        let address = self.machines[server].address;
        let connected = self.net.borrow_mut().connect(home, address);
        let Ok(end) = connected else { return false };
        self.net.borrow_mut().set_unbounded(end);
        let mut socket = SimSocket::new(&self.net, end);
        // It may be cut already.
        let _ = socket.write_all(bytes);
        self.speakers.push(socket);
        true
    }

    /// It is time to start a server again.
    pub fn on_restart(&mut self, number: usize) {
        let is_begun = self.machines[number].server.is_some() || self.claims_pid(number);
        if is_begun || self.machines[number].is_gone {
            return;
        }
        if self.is_held_down(number) {
            let at = self.now().after(OPERATOR_LOOKS);
            return self.call(at, Call::Restart(number));
        }
        let Some(downtime) = self.machines[number].downtime.take() else {
            return;
        };
        if self.machines[number].plan.etcd.is_none() {
            self.prepare(number, &downtime);
        }
        self.start(number);
    }

    /// Damages, loses or restores a directory, as planned, while no server runs on it.
    fn prepare(&mut self, number: usize, downtime: &Downtime) {
        let pid = self.machines[number].plan.pid;
        // Two servers may share the directory. Rot could hide from one of them what the other has written.
        let is_shared = self.disk(number, |disk| disk.is_shared);
        for (block, bit) in downtime.rot.iter().filter(|_| !is_shared) {
            self.disk(number, |disk| disk.medium().rot(*block, *bit));
            self.fault(Fault::Rot);
            self.machines[number].is_clean = false;
        }
        if downtime.amnesia {
            self.judge.forget(number);
            self.disk(number, |disk| disk.members = None);
            self.fault(Fault::Amnesia);
        }
        let lost = match downtime.loss {
            DirectoryLoss::Nothing => None,
            DirectoryLoss::Lost => {
                let incarnation = self.rng.u128(..);
                self.fault(Fault::Lost);
                Some(Storage::new(self.machines[number].owner(), incarnation))
            }
            DirectoryLoss::RolledBack => {
                let backup = self.machines[number].backup.take();
                if backup.is_some() {
                    self.fault(Fault::Rollback);
                }
                backup
            }
        };
        if let Some(directory) = lost {
            self.machines[number].was_objected = false;
            self.machines[number].was_in_conflict = false;
            self.machines[number].recovered = Sequence::ZERO;
            self.machines[number].is_clean = false;
            self.judge.lose(number, pid);
            self.attach_storage(number, directory);
            if downtime.recovers {
                self.recover_above(number);
            }
        }
        if let Some((after, fate)) = downtime.cut_short {
            self.fault(Fault::KillInStart);
            self.machines[number].is_clean = false;
            self.disk(number, |disk| {
                disk.fault = Some(DiskFault::Fails(after, fate))
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

    /// An operator says that no server with this pid has handed out anything above a sequence, and is right.
    fn recover_above(&mut self, number: usize) {
        let pid = self.machines[number].plan.pid;
        if self.machines[number].rival.is_some() {
            return;
        }
        let state = self.judge.pid(pid);
        let above = state.left.max(state.told) + 1;
        let Some(above) = Sequence::new(above) else {
            return;
        };
        state.is_breached = state.known.has_open_claim();
        state.is_vouched = true;
        self.judge.breaches.vouch(number);
        let before = self.machines[number].recover_above;
        self.machines[number].recover_above = before.max(Some(above));
    }

    /// A start failed. Does what docs/operations.md tells an operator to do then.
    pub fn on_start_failed(&mut self, number: usize, above: Option<Sequence>, fault: &StartFault) {
        let now = self.now();
        self.machines[number].recover_above = above;
        self.machines[number].is_clean = false;
        match fault {
            // The process died on the way, or the disk failed. The start is tried again.
            StartFault::Boot(_) => {}
            StartFault::Recover(RecoverError::NoneGood { .. }) => {
                let incarnation = self.rng.u128(..);
                let directory = Storage::new(self.machines[number].owner(), incarnation);
                self.machines[number].was_objected = false;
                self.machines[number].was_in_conflict = false;
                self.machines[number].recovered = Sequence::ZERO;
                self.judge.lose(number, self.machines[number].plan.pid);
                self.attach_storage(number, directory);
                self.recover_above(number);
            }
            StartFault::Recover(error) => {
                self.judge
                    .note_violation(|| format!("server {number} cannot start: {error:?}"));
            }
        }
        self.machines[number].downtime = Some(Downtime::default());
        self.call(now.after(Duration::from_millis(300)), Call::Restart(number));
    }

    /// Finds the servers that can tell that a directory is not the newest, after it was lost or rolled back.
    pub fn find_witnesses(&mut self, number: usize, life: &Life) {
        let pid = life.pid;
        self.machines[number].witnesses.clear();
        if !self.judge.is_breached(pid) {
            return;
        }
        // The sequence that an operator vouched for stays in the directory. It overrules every server that remembers
        // no higher one.
        let recovered = self.machines[number].recovered.get();
        let is_overruled = |sequence: u64| recovered > 0 && sequence <= recovered;
        let mut witnesses = Vec::new();
        for (who, machine) in self.machines.iter().enumerate() {
            if let Some(heard) = self.judge.knows.get(&(who, pid))
                // A sequence that is too low shows it too, unless another server raises it first.
                && (heard.incarnation != life.incarnation || life.boot <= heard.boot)
                && !is_overruled(heard.sequence)
            {
                witnesses.push((who, machine.began));
            }
        }
        self.machines[number].witnesses = witnesses;
    }
}
