//! A cluster under faults. It runs the events of the world in order and gives every server its turns. It ends
//! when the faults are over and every server works again, or when a promise is broken.

use std::{
    cell::RefCell,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use fastrand::Rng;
use ipseity::{
    limits::{FRAMES_IN_FLIGHT_MAX, POLL_EVENTS_MAX, READ_BYTES_MAX, TURN_ENTRIES_MAX},
    server::Exit,
    store::Started,
};
use ipseity_core::{
    actor::{ActorConfig, JoinMode},
    identity::Sequence,
    limits::JOIN_WAIT,
    time::Instant,
    words::Standing,
};
use ipseity_frames::FrameDecoder;

use super::{
    Options,
    bounds::{filled_max, lines_max, saves_max},
    calls::{Call, Check, Flood, Undo},
    client::Client,
    coverage::Coverage,
    fault::{Fault, stream},
    judge::{Judge, Life},
    kept::kept,
    machine::{Machine, actor_template, storage},
    network::FaultyNetwork,
    plan::{BEGIN, Plan, names},
    restored::Restored,
    sealed::set_seed,
};
use crate::world::{
    Clock, DiskMode, EndId, Net, Node, Shared, SimSocket, Storage, Wiretap, WorldEvent, WriteFate,
    count_log_lines,
};

/// How long the recovery may take after the faults have ended. The longest wait of all is the one after a
/// refusal, and the slowest clock doubles it.
pub const LIVENESS: Duration = Duration::from_secs(100);

/// How long a supervisor waits before it starts a server again that was refused.
const REFUSED_WAIT: Duration = Duration::from_secs(1);

/// The most entries in a mailbox, which has no limit of its own: the entries of a poll, those that a turn leaves
/// behind, and the frames that may be in flight. Each connection that is read adds at most one frame that is
/// owed no answer.
const MAILBOX_MAX: usize =
    POLL_EVENTS_MAX + TURN_ENTRIES_MAX + FRAMES_IN_FLIGHT_MAX + READ_BYTES_MAX;

/// Which server has this address.
fn server_at(address: SocketAddr) -> Option<usize> {
    match address.ip() {
        IpAddr::V4(ip) if ip.octets()[..3] == [10, 0, 0] => Some(usize::from(ip.octets()[3]) - 1),
        _ => None,
    }
}

/// See the head of this file.
pub struct Cluster {
    pub plan: Plan,
    pub net: Shared,
    pub network: Rc<RefCell<FaultyNetwork>>,
    pub machines: Vec<Machine>,
    pub clients: Vec<Client>,
    pub judge: Judge,
    pub undos: Vec<Undo>,
    pub checks: Vec<Check>,
    /// Connections of those who say something once: an old message of a peer again, or a lie.
    pub speakers: Vec<SimSocket>,
    pub floods: Vec<Flood>,
    /// What becomes of the etcd in which the pids are, if it is restored.
    pub restore: Restored,
    pub rng: Rng,
    pub template: ActorConfig,
    pub decoder: FrameDecoder,
    pub is_recovering: bool,
    pub is_done: bool,
    /// Whether the servers that an objection had stopped were started again.
    pub has_restarted: bool,
    with_trace: bool,
    disks_lie: bool,
}

impl Cluster {
    pub fn new(plan: Plan, options: &Options) -> Cluster {
        set_seed(plan.seed);
        let mut net = Net::new();
        net.now = BEGIN;
        net.wiretap = Some(Wiretap::default());
        net.names = names(plan.servers.len());
        let network = Rc::new(RefCell::new(FaultyNetwork::new(plan.seed, plan.faults)));
        net.conditions = Some(Box::new(Rc::clone(&network)));
        let mut cluster = Cluster {
            judge: Judge::new(&plan),
            net: Rc::new(RefCell::new(net)),
            network,
            machines: Vec::new(),
            clients: Vec::new(),
            undos: Vec::new(),
            checks: Vec::new(),
            speakers: Vec::new(),
            floods: Vec::new(),
            restore: Restored::default(),
            rng: stream(plan.seed, 1),
            template: actor_template(&plan),
            decoder: FrameDecoder::new(),
            is_recovering: false,
            is_done: false,
            has_restarted: false,
            with_trace: options.trace,
            disks_lie: options.disks_lie,
            plan,
        };
        cluster.net.borrow_mut().pids = cluster.plan.etcd.as_ref().map(|plan| plan.world(BEGIN));
        for server in cluster.plan.servers.clone() {
            let server = cluster.add_machine(server);
            match cluster.machines[server].plan.etcd {
                Some(in_etcd) => cluster.attach_pid(server, in_etcd),
                None => {
                    let incarnation = cluster.rng.u128(..);
                    let storage = Storage::new(cluster.machines[server].owner(), incarnation);
                    cluster.attach_storage(server, storage);
                }
            }
            cluster.start(server);
        }
        for fault in cluster.plan.standing_faults() {
            cluster.fault(fault);
        }
        for (number, plan) in cluster.plan.clients.clone().into_iter().enumerate() {
            let client = Client::new(cluster.plan.seed, number, plan, BEGIN);
            cluster.call(client.due, Call::Client(number));
            cluster.clients.push(client);
        }
        for index in 0..cluster.plan.acts.len() {
            cluster.call(cluster.plan.acts[index].0, Call::Act(index));
        }
        cluster.call(cluster.plan.end, Call::Recover);
        cluster
    }

    pub fn now(&self) -> Instant {
        self.net.borrow().now
    }

    pub fn call(&mut self, at: Instant, call: Call) {
        self.net
            .borrow_mut()
            .schedule(at, WorldEvent::Call(call.token()));
    }

    pub fn fault(&mut self, fault: Fault) {
        self.judge.coverage.fault(fault);
    }

    /// Runs until everybody works again, or a promise is broken.
    pub fn run(&mut self) {
        let end = self.plan.end.after(LIVENESS);
        while self.judge.violation.is_none() && !self.is_done {
            if self.step() {
                continue;
            }
            let next = self.next_moment();
            if next.is_none_or(|next| next > end) {
                let left = self.what_is_left();
                self.judge.note_violation(|| left);
                return;
            }
            self.net.borrow_mut().now = next.expect("it was looked at");
        }
    }

    /// Does everything that is due. Returns whether there was anything.
    fn step(&mut self) -> bool {
        self.net.borrow_mut().run_due_events();
        let mut busy = false;
        loop {
            let call = self.net.borrow_mut().calls.pop_front();
            let Some(token) = call else { break };
            busy = true;
            match Call::from_token(token) {
                Call::Client(client) => self.on_client_due(client),
                Call::Act(act) => self.on_act(act),
                Call::Undo(undo) => self.on_undo(undo),
                Call::Restart(server) => self.on_restart(server),
                Call::Signal(server) => self.signal(server),
                Call::Flood(flood) => self.on_flood(flood),
                Call::Check(check) => self.on_check(check),
                Call::Claimed(server) => self.on_claimed(server),
                Call::Operator => self.on_operator(),
                Call::Recover => self.begin_recovery(),
            }
        }
        loop {
            let ready_clients = self.net.borrow_mut().ready_clients.pop_front();
            let Some(client) = ready_clients else { break };
            busy = true;
            self.on_client_ready(client);
        }
        let now = self.now();
        for server in 0..self.machines.len() {
            if self.is_due(server, now) {
                busy = true;
                self.turn(server);
            }
        }
        busy
    }

    fn is_due(&self, server: usize, now: Instant) -> bool {
        let s = &self.machines[server];
        s.server.is_some()
            && s.ready_at <= now
            && (s.wakes_at.is_some_and(|at| at <= now)
                || self.net.borrow().nodes[server].is_awake())
    }

    /// The next moment at which anything happens.
    fn next_moment(&self) -> Option<Instant> {
        let net = self.net.borrow();
        let mut next = net.next_event_at();
        for (number, machine) in self.machines.iter().enumerate() {
            if machine.server.is_some() {
                let at = match net.nodes[number].is_awake() {
                    true => Some(machine.ready_at),
                    false => machine.wakes_at.map(|at| at.max(machine.ready_at)),
                };
                next = [next, at].into_iter().flatten().min();
            }
        }
        next
    }

    /// One turn of one server.
    fn turn(&mut self, number: usize) {
        let now = self.now();
        // Those that it remembers have a share of the lines too.
        let remembered = match self.plan.advertises {
            true => self.machines.len(),
            false => 0,
        };
        let machine = &mut self.machines[number];
        let server = machine.server.as_mut().expect("it is due");
        self.net.borrow_mut().nodes[number].polled = None;
        let lines_before = count_log_lines();
        let exit = server.turn().expect("a poll here never fails");
        let logged = count_log_lines() - lines_before;
        machine.log_lines += logged;
        if now < machine.log_stalls_until {
            // As if earlier lines had filled the queue.
            self.net.borrow_mut().nodes[number].log_lines_dropped += logged;
        }
        self.judge.coverage.turns += 1;
        let mut net = self.net.borrow_mut();
        let mut wiretap = net.wiretap.take().expect("somebody listens");
        let node = &net.nodes[number];
        let polled = node.polled.expect("a turn polls");
        machine.ready_at = now.after(self.plan.turn);
        // It waits only if the poll brought nothing, and then its mailbox is empty.
        let local = node.clock.shows(now);
        let waits = polled.dispatched == 0 && polled.deadline.is_none_or(|at| at > local);
        machine.wakes_at = match waits {
            true => polled.deadline.map(|at| node.clock.when(at)),
            false => Some(machine.ready_at),
        };
        let (lines, saves) = (machine.log_lines, node.saves);
        let age = local.since(Instant::START);
        let named = machine.plan.addresses_max(self.plan.servers.len()) + remembered;
        if lines > lines_max(named, age) {
            self.judge
                .note_violation(|| format!("server {number} has logged {lines} lines in {age:?}"));
        }
        if saves > saves_max(age) {
            self.judge.note_violation(|| {
                format!("server {number} has saved its peers {saves} times in {age:?}")
            });
        }
        let waiting = polled.waiting;
        if waiting > MAILBOX_MAX {
            self.judge
                .note_violation(|| format!("{waiting} entries in the mailbox of server {number}"));
        }
        let kept = kept(&net, number, &self.judge.lives[number], now);
        let life = &mut self.judge.lives[number];
        life.let_go_at = kept.is_let_go.then(|| life.let_go_at.unwrap_or(now));
        life.disk_failed = kept.faults_met > machine.faults_before;
        if life.disk_failed {
            machine.has_failed = true;
            self.judge.failed.insert((number, machine.began));
        }
        if life.disk_failed {
            life.advances.give_up();
        }
        if !wiretap.parts.is_empty() || life.advances.waits() {
            life.allowed = kept.allowed.get();
            life.grants = kept.granted.0;
            let budgets = self.plan.budgets;
            // Both budgets share the rate, and later starts begin with an empty budget for clients.
            let after_burst = if life.is_first {
                budgets.after_burst
            } else {
                0
            };
            life.budget_of_clients =
                after_burst.saturating_add(filled_max(budgets.rate_per_second, age));
            life.budget = life
                .budget_of_clients
                .saturating_add(budgets.peer_burst / life.boot.max(1));
            let machines = self.machines.len();
            if let Some((generation, boot)) = kept.overlooked {
                self.judge.note_violation(|| {
                    format!(
                        "server {number} raised its ceiling over generation {generation} of boot {boot}, which \
                         another process had written"
                    )
                });
            }
            self.judge.now = now;
            let other = |end| {
                let (other, at) = net.other_side(end)?;
                Some((other, server_at(at).filter(|server| *server < machines)))
            };
            let is_http = |end: EndId| net.ends[end].is_http();
            self.judge.listen(&mut wiretap, other, is_http);
            // It has handled everything that had come, including the answers of the disk.
            if waiting == 0 && polled.dispatched < POLL_EVENTS_MAX {
                let life = &mut self.judge.lives[number];
                life.advances.settle(kept.granted.1.get());
            }
        }
        net.wiretap = Some(wiretap);
        drop(net);
        // Also in its last turn: what it has done there must not count for another server.
        self.look_at_places(number);
        self.look_at_claims();
        self.look_at_withdrawals();
        if let Some(exit) = exit {
            self.on_exit(number, exit);
        }
    }

    /// Adds a machine for one more server.
    pub fn add_machine(&mut self, plan: super::plan::ServerPlan) -> usize {
        let number = self.machines.len();
        let machine = Machine::new(number, plan, self.now(), self.with_trace);
        let mut node = Node::new(machine.address, DiskMode::Ephemeral, Sequence::ZERO);
        node.chance = Some(stream(self.plan.seed, 600 + number as u64));
        node.descriptors_max = machine.plan.descriptors_max;
        self.net.borrow_mut().nodes.push(node);
        self.machines.push(machine);
        number
    }

    /// Gives a server its directory.
    pub fn attach_storage(&mut self, server: usize, mut storage: Storage) {
        if !storage.is_shared {
            // No other server has this directory.
            self.judge.pid(self.machines[server].plan.pid).is_shared = false;
        }
        storage.latency = self.machines[server].plan.latency;
        storage.medium().lies = self.disks_lie;
        self.net.borrow_mut().nodes[server].storage = Some(storage);
    }

    /// Starts a server on its directory.
    pub fn start(&mut self, number: usize) {
        if self.machines[number].plan.etcd.is_some() {
            return self.claim_pid(number);
        }
        let now = self.now();
        let above = self.machines[number].recover_above.take();
        let session = self.rng.u64(..);
        let mut net = self.net.borrow_mut();
        let node = &mut net.nodes[number];
        let disk = node.storage.as_mut().expect("every server here has one");
        let started = match disk.start(now, session, above) {
            Ok(started) => started,
            Err(fault) => {
                drop(net);
                return self.on_start_failed(number, above, &fault);
            }
        };
        let stale = disk.medium().stale_reads;
        self.machines[number].faults_before = disk.faults_met;
        drop(net);
        self.live(number, &started, session, None);
        if stale > 0 {
            self.judge.note_violation(|| {
                format!("a start of server {number} read what is not on the disk")
            });
        }
    }

    /// A server begins its life: its state is read, and what it may hand out is durable. `confirmed_until` is when its lease
    /// has to be confirmed again, if it has one.
    pub fn live(
        &mut self,
        number: usize,
        started: &Started,
        session: u64,
        confirmed_until: Option<Instant>,
    ) {
        let now = self.now();
        let machine = &mut self.machines[number];
        let mut net = self.net.borrow_mut();
        let node = &mut net.nodes[number];
        let clock = Clock {
            zero: now,
            speed_ppm: machine.plan.speed_ppm,
        };
        node.clock = clock;
        let is_clean = std::mem::take(&mut machine.is_clean);
        let address = machine.address;
        net.down.remove(&address.ip());
        net.start_server(address, number);
        drop(net);
        let has_lost_recovery = started.recovered < machine.recovered;
        machine.recovered = started.recovered;
        if has_lost_recovery {
            // Both blocks that held it have rotted. It has to be given again, or peers may object.
            self.judge.breach(machine.plan.pid);
            self.judge.pid(machine.plan.pid).has_lost = true;
        }
        let life = Life {
            pid: machine.plan.pid,
            boot: started.boot,
            session,
            incarnation: started.incarnation,
            start: started.sequence.get(),
            is_first: started.first_start,
            votes_needed: match machine.plan.join {
                JoinMode::Majority { .. } => machine.plan.join.needed(),
                JoinMode::Prefer | JoinMode::Require => 0,
            },
            ..Life::default()
        };
        let confirmed_until = confirmed_until.map(|until| clock.shows(until));
        let joins = machine.begin(
            number,
            &self.net,
            &self.plan,
            started,
            session,
            confirmed_until,
        );
        // Where nobody is there, no start waits longer for somebody to come.
        let join_timeout = clock.when(Instant::START.after(JOIN_WAIT.min(self.plan.join_timeout)));
        let life = Life {
            joins_until: joins.then_some(join_timeout),
            asks: joins,
            ..life
        };
        let life = self.life_in_etcd(number, life);
        if self.machines[number].was_objected && started.objected.is_none() {
            self.judge.note_violation(|| {
                format!("a start of server {number} has forgotten the objection of a peer")
            });
        }
        let is_conflict = started
            .objected
            .is_some_and(|objected| objected.is_conflict);
        if self.machines[number].was_in_conflict && started.objected.is_some() && !is_conflict {
            self.judge.note_violation(|| {
                format!(
                    "a start of server {number} takes a pid conflict for a state that is not the newest"
                )
            });
        }
        self.machines[number].was_in_conflict = false;
        self.machines[number].is_objected = started.objected.is_some();
        self.machines[number].was_objected = false;
        self.find_witnesses(number, &life);
        self.judge.begin(number, life, is_clean, started.skipped);
        let took_leave = self.machines[number].took_leave.take();
        if is_clean && joins {
            self.expect_no_wait(number, took_leave);
        }
    }

    /// A process is gone, for whatever reason.
    pub fn end(&mut self, number: usize, fate: WriteFate, power: bool) {
        let now = self.now();
        // What it has saved is less than it has heard.
        self.judge.forget(number);
        let machine = &mut self.machines[number];
        let address = machine.address;
        if power {
            self.net.borrow_mut().lose_power(address);
        }
        machine.server = None;
        let mut net = self.net.borrow_mut();
        net.stop_server(address);
        let node = &mut net.nodes[number];
        node.die();
        node.accept_error = None;
        if let Some(world) = &mut net.pids {
            world.hang_up(number);
        }
        net.accepted.clear();
        net.dropped.clear();
        if let Some(disk) = &mut net.nodes[number].storage {
            disk.crash(now, fate, power);
        }
    }

    /// A server has exited by itself. Checks that it had a reason.
    fn on_exit(&mut self, number: usize, exit: Exit) {
        let now = self.now();
        let machine = &self.machines[number];
        let signals = machine.signals.len();
        let pid = machine.plan.pid;
        if machine.plan.etcd.is_some() {
            return self.on_exit_in_etcd(number, exit);
        }
        let net = self.net.borrow();
        let disk = storage(&net.nodes[number]);
        let disk_failed = disk.faults_met > machine.faults_before;
        let is_shared = disk.is_shared;
        let newest = disk.newest(now).expect("a start has left one");
        drop(net);
        let was_breached = self.judge.pids[&pid].was_breached;
        // The other server on the directory may have written since.
        let is_noted = is_shared || newest.clean && newest.boot == self.judge.lives[number].boot;
        let has_reason = match exit {
            Exit::Clean => signals > 0 && is_noted,
            Exit::Objected => signals > 0 && is_noted && was_breached,
            // Another life of the pid runs, or ran a moment ago.
            Exit::Refused => was_breached,
            Exit::Forced => signals > 1,
            Exit::StorageFailed => disk_failed,
            // Its store is a disk, and that fences nobody.
            Exit::Fenced => false,
        };
        if !has_reason {
            self.judge.note_violation(|| {
                format!(
                    "server {number} exits ({exit:?}) after {signals} signals; its disk has failed: {disk_failed}; \
                    the disk says that it stopped cleanly: {is_noted}"
                )
            });
        }
        match exit {
            Exit::StorageFailed if disk_failed => self.fault(Fault::DiskFails),
            Exit::Forced => self.fault(Fault::Force),
            _ => {}
        }
        let fate = if self.rng.bool() {
            WriteFate::Old
        } else {
            WriteFate::New
        };
        if exit == Exit::Clean {
            self.take_leave(number);
        }
        self.end(number, fate, false);
        let machine = &mut self.machines[number];
        machine.is_clean = matches!(exit, Exit::Clean | Exit::Objected) && !is_shared;
        machine.was_objected = exit == Exit::Objected && !is_shared;
        let standing = machine.status.map(|(_, standing, _)| standing);
        machine.was_in_conflict = machine.was_objected && standing == Some(Standing::Conflict);
        let downtime = machine.downtime.get_or_insert_default();
        let mut at = now.after(downtime.wait);
        match exit {
            // Its operators read that another life has the pid.
            Exit::Refused | Exit::Objected => self.judge.breaches.tell(number, pid),
            Exit::Clean | Exit::Forced | Exit::StorageFailed | Exit::Fenced => {}
        }
        let machine = &mut self.machines[number];
        if exit == Exit::Refused {
            // Its operator reads that another one has the pid. A copy is started no more.
            machine.is_gone = number >= self.plan.servers.len();
            machine.is_refused = true;
            at = at.max(now.after(REFUSED_WAIT));
        }
        self.call(at, Call::Restart(number));
    }

    /// Asks a server to stop.
    pub fn signal(&mut self, server: usize) {
        let now = self.now();
        if self.machines[server].server.is_some() {
            self.machines[server].signals.push(now);
            let signal = crate::world::Wake::Entry(ipseity::mailbox::Entry::Signal);
            self.net.borrow_mut().nodes[server].wake(signal);
        }
    }

    /// What happened in this run.
    pub fn coverage(&self) -> Coverage {
        let mut coverage = self.judge.coverage.clone();
        coverage.add(&self.network.borrow().coverage);
        for machine in &self.machines {
            if let Some(lines) = &machine.trace {
                coverage.trace(&lines.text());
            }
        }
        coverage
    }
}
