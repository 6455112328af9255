//! The edge to a world: it takes the place of a server's operating system.

use std::{
    cell::RefCell,
    io::{self, Read},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use ipseity::{
    edge::{Edge, Socket, on_disk},
    limits::POLL_EVENTS_MAX,
    mailbox::{Entry, Mailbox},
    secure::Settings,
};
use ipseity_core::{
    actor::Write,
    ids::{ConnectionId, ListenerId, NameId},
    time::Instant,
    words::{Standing, StorageStatus, StoreStatus, WriteTimes},
};

use super::{
    end::EndId,
    net::{HTTP, Net, WorldEvent},
    node::{DiskMode, Polled, Wake},
    setup::http_address,
};

/// The network that servers and clients share.
pub type Shared = Rc<RefCell<Net>>;

/// The error of Linux when a process has no descriptors left.
pub const EMFILE: i32 = 24;

/// One end of a connection, in the hands of a server or a client.
pub struct SimSocket {
    pub(super) net: Shared,
    pub(super) end: EndId,
}

impl SimSocket {
    pub fn new(net: &Shared, end: EndId) -> SimSocket {
        SimSocket {
            net: Rc::clone(net),
            end,
        }
    }

    /// Which end it is.
    pub fn end(&self) -> EndId {
        self.end
    }
}

impl Drop for SimSocket {
    fn drop(&mut self) {
        match self.net.try_borrow_mut() {
            Ok(mut net) => net.drop_end(self.end),
            // If nobody closed the connection, the other side would keep it for ever.
            Err(_) if !std::thread::panicking() => panic!("a connection is dropped by its network"),
            // The test has failed, and this does not matter any more.
            Err(_) => {}
        }
    }
}

impl Read for SimSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.net.borrow_mut().read(self.end, buffer)
    }
}

impl io::Write for SimSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.net.borrow_mut().write(self.end, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for SimSocket {
    fn is_connected(&self) -> io::Result<bool> {
        self.net.borrow().is_connected(self.end)
    }

    fn peer_address(&self) -> io::Result<SocketAddr> {
        Ok(self.net.borrow().ends[self.end].remote)
    }

    fn watch(&self) {
        self.net.borrow_mut().keep_alive(self.end);
    }

    fn held_bytes(&self) -> usize {
        self.net.borrow().ends[self.end].unsent.len()
    }

    fn has_input(&self) -> bool {
        !self.net.borrow().ends[self.end].arrived.is_empty()
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.net.borrow_mut().shutdown(self.end)
    }
}

/// See the head of this file.
pub struct SimEdge {
    net: Shared,
    node: usize,
}

impl SimEdge {
    pub fn new(net: &Shared, node: usize) -> SimEdge {
        SimEdge {
            net: Rc::clone(net),
            node,
        }
    }
}

impl Edge for SimEdge {
    type Socket = SimSocket;

    fn now(&self) -> Instant {
        let net = self.net.borrow();
        net.nodes[self.node].clock.shows(net.now)
    }

    /// Never waits: the world decides whose turn it is, and when.
    fn poll(&mut self, deadline: Option<Instant>, mailbox: &mut Mailbox) -> io::Result<()> {
        let net = &mut *self.net.borrow_mut();
        net.run_due_events();
        let node = &mut net.nodes[self.node];
        let waiting = count(mailbox);
        let mut dispatched = 0;
        while dispatched < POLL_EVENTS_MAX {
            let entry = match node.take_wake() {
                None => break,
                Some(Wake::Acceptable(listener)) => Entry::Acceptable(listener),
                Some(Wake::Entry(entry)) => entry,
                Some(Wake::Ready(end)) => {
                    let end = &net.ends[end];
                    // Looked up only now: the change may be over, and so may the connection.
                    match (end.registered, end.readiness()) {
                        (Some((_, connection)), Some(readiness)) => Entry::Ready {
                            connection,
                            readiness,
                        },
                        _ => continue,
                    }
                }
            };
            mailbox.dispatch(entry);
            dispatched += 1;
        }
        node.polled = Some(Polled {
            deadline,
            waiting,
            dispatched,
        });
        Ok(())
    }

    fn accept(&mut self, listener: ListenerId) -> io::Result<(SimSocket, SocketAddr)> {
        let net = &mut *self.net.borrow_mut();
        let node = &mut net.nodes[self.node];
        node.accepts += 1;
        let is_open = |held: &&EndId| !net.ends[**held].is_dropped;
        let is_full = |most| node.accepted.iter().filter(is_open).count() >= most;
        let too_many = node.descriptors_max.is_some_and(is_full);
        if let Some(error) = node.accept_error.or(too_many.then_some(EMFILE)) {
            node.ran_out = true;
            return Err(io::Error::from_raw_os_error(error));
        }
        let address = match listener {
            HTTP => http_address(node.address),
            _ => node.address,
        };
        let end = net.accept(address).ok_or(io::ErrorKind::WouldBlock)?;
        net.note_accepted(self.node, end);
        Ok((SimSocket::new(&self.net, end), net.ends[end].remote))
    }

    fn stop_accepting(&mut self) {
        let net = &mut *self.net.borrow_mut();
        let address = net.nodes[self.node].address;
        net.stop_server(address);
    }

    fn connect(&mut self, address: SocketAddr) -> io::Result<SimSocket> {
        let net = &mut *self.net.borrow_mut();
        let node = &mut net.nodes[self.node];
        node.dialed.insert(address.ip());
        let own = node.address;
        let end = net.connect(own, address)?;
        Ok(SimSocket::new(&self.net, end))
    }

    fn register(&mut self, socket: &mut SimSocket, connection: ConnectionId) -> io::Result<()> {
        let net = &mut *self.net.borrow_mut();
        net.register(socket.end, self.node, connection);
        Ok(())
    }

    fn resolve(&mut self, name: NameId, text: &str) {
        let net = &mut *self.net.borrow_mut();
        let node = &mut net.nodes[self.node];
        node.lookups.push(text.to_owned());
        node.resolving.insert(name, text.to_owned());
        let (at, life) = (net.now.after(node.lookup_delay), node.life);
        let (node, entry) = (self.node, Entry::Resolved(name));
        net.schedule(at, WorldEvent::Lookup { node, life, entry });
    }

    fn resolved(&mut self, name: NameId) -> io::Result<Vec<SocketAddr>> {
        let net = &mut *self.net.borrow_mut();
        let text = net.nodes[self.node].resolving.remove(&name);
        let text = text.expect("each outcome is taken only once");
        let host = text
            .rsplit_once(':')
            .map_or(text.as_str(), |(host, _)| host);
        let addresses = net.names.get(host).cloned();
        addresses.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn write(&mut self, write: Write) {
        let net = &mut *self.net.borrow_mut();
        let node = &mut net.nodes[self.node];
        node.saves += u64::from(matches!(write, Write::Members(_)));
        if let Some(pid) = &mut node.pid_storage {
            pid.write(write);
            return net.run_etcd();
        }
        let done_at = match &mut node.storage {
            Some(storage) => storage.write(write, net.now),
            None => node.write(write).map(|wait| net.now.after(wait)),
        };
        let (node, life) = (self.node, node.life);
        if let Some(done_at) = done_at {
            net.schedule(done_at, WorldEvent::Disk { node, life });
        }
    }

    fn storage(&self) -> StorageStatus {
        let net = self.net.borrow();
        if let Some(pid) = &net.nodes[self.node].pid_storage {
            return pid.status(net.now);
        }
        if let Some(storage) = &net.nodes[self.node].storage {
            return storage.status(net.now);
        }
        let disk = &net.nodes[self.node].disk;
        StorageStatus {
            durable: disk.mode != DiskMode::Ephemeral,
            writes: disk.writes,
            ..StorageStatus::default()
        }
    }

    fn store(&self) -> StoreStatus {
        let net = self.net.borrow();
        match &net.nodes[self.node].pid_storage {
            Some(pid) => pid.store(net.now),
            None => on_disk(&self.storage()),
        }
    }

    fn writes(&self) -> WriteTimes {
        let net = self.net.borrow();
        if let Some(pid) = &net.nodes[self.node].pid_storage {
            return pid.times();
        }
        let storage = &net.nodes[self.node].storage;
        storage
            .as_ref()
            .map_or_else(WriteTimes::default, |storage| storage.times().clone())
    }

    fn log_lines_dropped(&self) -> u64 {
        self.net.borrow().nodes[self.node].log_lines_dropped
    }

    fn reopen(&mut self, is_told: bool) {
        self.net.borrow_mut().nodes[self.node].reopened += 1;
        if is_told {
            // As the thread of the trace does it.
            log::info!("the trace was opened again");
        }
    }

    fn read_tls(&mut self) {
        // A simulated server has no files: its certificates stay as they are.
    }

    fn tls_read(&mut self) -> Result<Settings, String> {
        Err("a simulated server has no files".to_owned())
    }

    fn owners(&mut self) -> Vec<String> {
        self.net.borrow().nodes[self.node].owners.clone()
    }

    fn notify(&mut self, standing: Standing) -> Option<Duration> {
        let node = &mut self.net.borrow_mut().nodes[self.node];
        node.notices.push(standing);
        node.notify_every
    }

    fn random(&mut self) -> u64 {
        let node = &mut self.net.borrow_mut().nodes[self.node];
        match &mut node.chance {
            Some(chance) => chance.u64(..),
            None => node.random,
        }
    }
}

/// How many entries wait. A server never needs this number, so all entries are taken out and put back in order.
fn count(mailbox: &mut Mailbox) -> usize {
    let mut entries = Vec::new();
    while let Some(entry) = mailbox.take() {
        entries.push(entry);
    }
    let waiting = entries.len();
    for entry in entries {
        mailbox.dispatch(entry);
    }
    waiting
}
