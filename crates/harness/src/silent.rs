//! An address where nobody answers.

use std::{io, net::SocketAddr};

use socket2::{Domain, Socket, Type};

/// More than a listener without a backlog takes.
const CALLERS: usize = 4;

/// An address where connecting takes for ever, as behind a firewall that drops every packet: the kernel's list of
/// connections for this listener is full, and nothing is accepted.
pub struct Silent {
    listener: Socket,
    /// They fill the list.
    _callers: Vec<Socket>,
}

impl Silent {
    /// A port of 127.0.0.1.
    pub fn new() -> Silent {
        Silent::at(([127, 0, 0, 1], 0).into())
    }

    /// At this address.
    pub fn at(address: SocketAddr) -> Silent {
        Silent::try_at(address).unwrap()
    }

    /// At this address, if it is free.
    pub fn try_at(address: SocketAddr) -> io::Result<Silent> {
        let listener = socket(address);
        if address.is_ipv6() {
            listener.set_only_v6(true)?;
        }
        listener.bind(&address.into())?;
        listener.listen(0).unwrap();
        let full = listener.local_addr().unwrap();
        let caller = |_| {
            let caller = socket(address);
            caller.set_nonblocking(true).unwrap();
            // It is under way, or the list is full already.
            let _ = caller.connect(&full);
            caller
        };
        Ok(Silent {
            _callers: (0..CALLERS).map(caller).collect(),
            listener,
        })
    }

    /// Where it is.
    pub fn socket_address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap().as_socket().unwrap()
    }

    /// From now on connections are accepted, also those that have been under way for long.
    pub fn accept_again(&self) {
        self.listener.listen(128).unwrap();
    }
}

fn socket(address: SocketAddr) -> Socket {
    Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap()
}
