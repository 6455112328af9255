//! A small deterministic world for servers: virtual time, a virtual network, virtual disks.
//!
//! The servers in it are real, with their loop; only their edge is simulated. Nothing here reads a clock, and the
//! only randomness comes from the seed of a test, so a test that passes once passes always.
//!
//! Three functions move a world: [`World::step`] gives one server one turn, [`World::drive`] gives turns until
//! nobody has anything to do at this moment, and [`World::advance`] lets time pass, from one event to the next.
//!
//! - `node`: what the world keeps for one machine: its disk, its lookups. `clock`: its clock.
//! - `net`: the network, and the events that are scheduled. `end`: one end of a connection. `stream`: what
//!   the two ends of a connection do.
//! - `edge`: takes the place of a server's operating system.
//! - `pid_storage`: the pid of a server whose state is in a simulated etcd.
//! - `medium`: the blocks of a disk. `storage`: a state directory on them, with the real logic of the slots.
//! - `client`: the clients of a test. `setup`: how a server is configured. `lines`: a trace as text.
//!   `log_lines`: what the servers log.

mod client;
mod clock;
mod edge;
mod end;
mod lines;
mod log_lines;
mod medium;
mod net;
mod node;
mod pid_storage;
mod setup;
mod storage;
mod stream;

use std::{
    cell::{RefCell, RefMut},
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use ipseity::{
    limits::JOIN_TIMEOUT_DEFAULT,
    listeners::Listener,
    mailbox::Entry,
    server::{Exit, Server, ServerConfig},
    trace::Trace,
};
use ipseity_core::{
    actor::Life,
    identity::Sequence,
    limits::STEP_MIN,
    time::Instant,
    words::{Message, Status},
};
use ipseity_frames::Receiver;

pub use self::{
    client::Client,
    clock::Clock,
    edge::{EMFILE, Shared, SimEdge, SimSocket},
    end::{Came, End, EndId},
    lines::Lines,
    log_lines::{count_log_lines, keep_log_lines, take_log_lines},
    medium::{Medium, WriteFate},
    net::{Fate, Net, NetworkConditions, Route, Sent, Wiretap, WorldEvent},
    node::{DiskMode, Node, Polled, Wake},
    pid_storage::{PidStorage, World as PidWorld, counted},
    setup::{Setup, address, http_address},
    storage::{DiskFault, StartFault, Storage, sessions},
};

/// A world that is still busy after this many turns at one moment will never be idle.
const TURNS_MAX: u64 = 20_000;

/// How long a look of a server takes that spins.
const LOOK: Duration = Duration::from_micros(1);

/// How many lines of each server's trace are shown when a test fails.
const TRACE_LINES: usize = 25;

/// One machine: the server process that runs on it, and how it ended.
struct Machine {
    setup: Setup,
    server: Option<Server<SimEdge>>,
    exit: Option<Exit>,
    /// Turns in which it had something to do.
    turns: u64,
    trace: Lines,
}

/// See the head of this file.
pub struct World {
    net: Shared,
    machines: Vec<Machine>,
    clients: u16,
}

impl World {
    pub fn new() -> World {
        World {
            net: Rc::new(RefCell::new(Net::new())),
            machines: Vec::new(),
            clients: 0,
        }
    }

    /// A world with one server.
    pub fn with(setup: Setup) -> World {
        let mut world = World::new();
        world.start(setup);
        world
    }

    /// The network, for a test to change.
    pub fn net(&self) -> RefMut<'_, Net> {
        self.net.borrow_mut()
    }

    /// The machine of one server, for a test to change.
    pub fn node(&self, server: usize) -> RefMut<'_, Node> {
        RefMut::map(self.net.borrow_mut(), |net| &mut net.nodes[server])
    }

    /// Starts another server. Returns its number.
    pub fn start(&mut self, setup: Setup) -> usize {
        let number = self.machines.len();
        let node = Node::new(address(number), setup.disk, setup.actor.ceiling);
        self.net().nodes.push(node);
        self.machines.push(Machine {
            setup,
            server: None,
            exit: None,
            turns: 0,
            trace: Lines::default(),
        });
        self.begin_process(number);
        number
    }

    fn begin_process(&mut self, number: usize) {
        self.net().start_server(address(number), number);
        let machine = &mut self.machines[number];
        let config = ServerConfig {
            actor: machine.setup.actor.clone(),
            limits: machine.setup.limits.clone(),
            listeners: vec![Listener::PLAIN, Listener::HTTP],
            peers: machine.setup.peers.clone(),
            remembered: machine.setup.remembered.clone(),
            owners: Vec::new(),
            sync_interval: machine.setup.sync_interval,
            join_timeout: JOIN_TIMEOUT_DEFAULT,
            skipped: 0,
            tls: machine.setup.tls.clone(),
            spin: machine.setup.spin,
            cpus: machine.setup.cpus,
        };
        let lines = machine.setup.is_traced.then(|| machine.trace.clone());
        let trace = lines.map(|lines| Trace::new(Box::new(lines)));
        let edge = SimEdge::new(&self.net, number);
        machine.server = Some(Server::new(edge, config, trace));
        machine.exit = None;
    }

    /// The process dies: its connections are closed, and its disk remains.
    pub fn kill(&mut self, server: usize) {
        self.machines[server].server = None;
        self.net().stop_server(address(server));
        self.node(server).die();
    }

    /// Starts a server again that was killed or has exited, from the contents of its disk.
    pub fn restart(&mut self, server: usize) {
        let mut node = self.node(server);
        let (sequence, ceiling) = match node.disk.mode {
            DiskMode::Ephemeral => (Sequence::ZERO, Sequence::MAX),
            _ => {
                let durable = node.disk.durable;
                (durable, durable.saturating_add(STEP_MIN))
            }
        };
        let was_durable = node.disk.durable;
        node.disk.durable = ceiling;
        let (remembered, objected) = (node.disk.members.clone(), node.disk.objected);
        drop(node);
        let actor = &mut self.machines[server].setup.actor;
        let actor_ceiling = std::mem::replace(&mut actor.ceiling, ceiling);
        actor.sequence = sequence;
        actor.remembered = remembered;
        actor.objected = objected;
        // It is the same directory, so it knows the life before.
        actor.lives.push(Life {
            boot: actor.boot,
            session: actor.session,
            ceiling: actor_ceiling.max(was_durable),
        });
        actor.boot += 1;
        actor.session += 1000;
        self.begin_process(server);
    }

    /// Connects a client to a server.
    pub fn connect(&mut self, server: usize) -> Client {
        self.connect_from(server, [192, 168, 0, 1].into())
    }

    /// The same, from a given address.
    pub fn connect_from(&mut self, server: usize, ip: IpAddr) -> Client {
        self.connect_to(address(server), ip)
    }

    /// Connects a client to a server, to speak HTTP.
    pub fn connect_by_http(&mut self, server: usize) -> Client {
        self.connect_by_http_from(server, [192, 168, 0, 1].into())
    }

    /// The same, from a given address.
    pub fn connect_by_http_from(&mut self, server: usize, ip: IpAddr) -> Client {
        self.connect_to(http_address(address(server)), ip)
    }

    fn connect_to(&mut self, remote: SocketAddr, ip: IpAddr) -> Client {
        self.clients += 1;
        let own = SocketAddr::from((ip, self.clients));
        let end = self.net().connect(own, remote).unwrap();
        Client::new(&self.net, end, Receiver::Client)
    }

    /// From now on the test accepts connections to `address`.
    pub fn listen(&mut self, address: SocketAddr) {
        self.net().listen(address);
    }

    /// The next connection that a server has made to an address at which the test listens. The test is its peer.
    pub fn accept(&mut self, address: SocketAddr) -> Option<Client> {
        let end = self.net().accept(address)?;
        Some(Client::new(&self.net, end, Receiver::Server))
    }

    /// Asks a server to stop.
    pub fn signal(&mut self, server: usize) {
        self.node(server).wake(Wake::Entry(Entry::Signal));
    }

    /// Tells a server who owns the other pids now, as a store would.
    pub fn say_owners(&mut self, server: usize, owners: &[&str]) {
        let mut node = self.node(server);
        node.owners = owners.iter().map(|owner| (*owner).to_owned()).collect();
        node.wake(Wake::Entry(Entry::Owners));
    }

    /// Asks a server to open its files again.
    pub fn hang_up(&mut self, server: usize) {
        self.node(server).wake(Wake::Entry(Entry::Hangup));
    }

    /// Ends the write that a disk keeps waiting.
    pub fn end_write(&mut self, server: usize, succeeds: bool) {
        self.node(server).end_write(succeeds);
    }

    /// One turn of one server. Returns whether it had anything to do.
    pub fn step(&mut self, server: usize) -> bool {
        let machine = &mut self.machines[server];
        let Some(running) = &mut machine.server else {
            return false;
        };
        self.net.borrow_mut().nodes[server].polled = None;
        machine.exit = running.turn().unwrap();
        let net = self.net.borrow();
        // When a server waits, its poll has brought nothing and its mailbox is empty.
        let waits = net.nodes[server].polled.is_some_and(|polled| {
            polled.dispatched == 0 && polled.deadline.is_none_or(|deadline| deadline > net.now)
        });
        // One that spins looks again, but not at the same moment.
        let spins = machine.setup.spin.is_some()
            && net.nodes[server]
                .polled
                .is_some_and(|polled| polled.waiting + polled.dispatched == 0);
        let waits = waits || spins;
        drop(net);
        machine.turns += u64::from(!waits);
        if machine.exit.is_some() {
            self.kill(server);
        }
        !waits
    }

    /// Turns until nobody has anything to do at this moment.
    pub fn drive(&mut self) {
        for _ in 0..TURNS_MAX {
            self.net().run_due_events();
            let mut busy = false;
            for server in 0..self.machines.len() {
                busy |= self.step(server);
            }
            let now = self.now();
            if !busy && self.net().next_event_at().is_none_or(|at| at > now) {
                return;
            }
        }
        panic!("the world is never idle");
    }

    /// Lets time pass, with everything that happens in it.
    pub fn advance(&mut self, wait: Duration) {
        let end = self.now().after(wait);
        self.drive();
        while let Some(next) = self.next_moment().filter(|next| *next <= end) {
            assert!(next > self.now(), "time stands still");
            self.net().now = next;
            self.drive();
        }
        self.net().now = end;
        self.drive();
    }

    /// Lets time pass until something is true. Returns how long it took.
    pub fn advance_until(
        &mut self,
        wait_max: Duration,
        mut is_so: impl FnMut(&mut World) -> bool,
    ) -> Duration {
        let start = self.now();
        self.drive();
        while !is_so(self) {
            let next = self.next_moment();
            let next = next.filter(|next| next.since(start) <= wait_max);
            self.net().now = next.expect("it comes true in time");
            self.drive();
        }
        self.now().since(start)
    }

    /// The next moment at which something happens or somebody wants to wake.
    fn next_moment(&self) -> Option<Instant> {
        let net = self.net.borrow();
        let looks_at = net.now.after(LOOK);
        let deadlines = net.nodes.iter().filter_map(|node| node.polled?.deadline);
        // A deadline that has come is a look of a server that spins.
        let deadlines = deadlines.map(|at| if at > net.now { at } else { looks_at });
        deadlines.chain(net.next_event_at()).min()
    }

    pub fn now(&self) -> Instant {
        self.net.borrow().now
    }

    /// How a server ended, if it has.
    pub fn exit(&self, server: usize) -> Option<Exit> {
        self.machines[server].exit
    }

    /// Whether a server spins: it looks, and nothing was there.
    pub fn spins(&self, server: usize) -> bool {
        let net = self.net.borrow();
        let polled = net.nodes[server].polled;
        polled.is_some_and(|polled| polled.deadline.is_some_and(|at| at <= net.now))
    }

    /// Turns in which a server had something to do.
    pub fn turns(&self, server: usize) -> u64 {
        self.machines[server].turns
    }

    /// The status of a server, requested by a new client.
    pub fn status(&mut self, server: usize) -> Status {
        let mut client = self.connect(server);
        client.send_message(&Message::StatusRequest);
        let reply = self.reply_of(&mut client);
        drop(client);
        self.drive();
        match reply {
            Message::StatusReply(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// The one reply that a client gets, however long it takes to arrive.
    pub fn reply_of(&mut self, client: &mut Client) -> Message {
        let mut replies = Vec::new();
        self.advance_until(Duration::from_secs(60), |_| {
            replies.extend(client.replies());
            !replies.is_empty()
        });
        assert_eq!(replies.len(), 1, "{replies:?}");
        replies.remove(0)
    }

    /// The sequences of all identities that come for a client that keeps reading at this moment.
    pub fn collect(&mut self, client: &mut Client) -> Vec<u64> {
        let mut sequences = Vec::new();
        loop {
            self.drive();
            let more = client.sequences();
            if more.is_empty() {
                return sequences;
            }
            sequences.extend(more);
        }
    }

    /// The lines of a server's trace that contain `what`, without their serial numbers and moments.
    pub fn trace(&self, server: usize, what: &str) -> Vec<String> {
        self.machines[server].trace.with(what)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (number, machine) in self.machines.iter().enumerate() {
                eprintln!("the last of server {number}:");
                machine.trace.show_last(TRACE_LINES);
            }
        }
    }
}
