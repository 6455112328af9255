//! Ports of 127.0.0.1 that nobody else gets while a test uses them, and for a while after it.
//!
//! A port that is free for a moment may be given to a server of another test, also of one that runs in another process. Then
//! two things go wrong. The server that had it cannot start again. And whoever still dials it meets a stranger: servers
//! have mostly the pids 1, 2 and 3 in the same cluster, so a stranger takes the dialed one for another life of a pid, and one
//! of the two gives up.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use socket2::{Domain, Socket, Type};

/// How many ports rest. Those who may still dial one are the servers of the same test, which end with it or soon after, and
/// in this time no more than so many other tests end. It is few beside the descriptors that a process may have.
const RESTING_MAX: usize = 128;

/// The ports whose tests have ended, the oldest first.
static RESTING: Mutex<VecDeque<Socket>> = Mutex::new(VecDeque::new());

/// A port of 127.0.0.1 that nobody else gets while this lives, even while no server listens on it. A bound socket that
/// never listens keeps the port; like the server's socket, it lets others bind the same address if they name it.
#[derive(Debug)]
pub struct Port(Option<Socket>);

impl Port {
    /// Reserves a free port.
    pub fn reserve() -> Port {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        socket.bind(&any.into()).unwrap();
        Port(Some(socket))
    }

    /// Where a server on it listens.
    pub fn address(&self) -> SocketAddr {
        let socket = self.0.as_ref().expect("it is only taken to rest");
        socket.local_addr().unwrap().as_socket().unwrap()
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // A test that panics with the lock has still put its port there.
        let mut resting = RESTING.lock().unwrap_or_else(PoisonError::into_inner);
        resting.extend(self.0.take());
        while resting.len() > RESTING_MAX {
            resting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Whether a server that names the port can listen on it.
    fn can_listen(address: SocketAddr) -> bool {
        TcpListener::bind(address).is_ok()
    }

    #[test]
    fn a_port_is_given_to_nobody_who_does_not_name_it_and_rests_when_its_test_is_over() {
        let port = Port::reserve();
        let address = port.address();
        assert!(can_listen(address), "a server that is told it");
        assert!(can_listen(address), "and again, when that one has ended");
        drop(port);
        let rests = |resting: &VecDeque<Socket>| {
            resting
                .iter()
                .any(|socket| socket.local_addr().unwrap().as_socket() == Some(address))
        };
        assert!(rests(&RESTING.lock().unwrap()));
        for _ in 0..=RESTING_MAX {
            drop(Port::reserve());
        }
        let resting = RESTING.lock().unwrap();
        assert!(resting.len() <= RESTING_MAX && !rests(&resting));
    }
}
