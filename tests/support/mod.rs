//! What tests of the clients share. `fake` stands in for a server that misbehaves in every way that a test
//! can name; a real one never would.

#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test binary uses its own part, and a panic is the report"
)]
mod fake;

#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "not every test binary runs it, and a panic is the report"
)]
pub mod program;

use socket2::{Domain, Socket, Type};

pub use fake::{Fake, Step};

/// An address where nobody listens, and where nobody else can while this lives.
pub struct Nobody(Socket);

impl Nobody {
    /// A port of 127.0.0.1.
    pub fn new() -> Nobody {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any: std::net::SocketAddr = ([127, 0, 0, 1], 0).into();
        socket.bind(&any.into()).unwrap();
        Nobody(socket)
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        let address = self.0.local_addr().unwrap().as_socket().unwrap();
        address.to_string()
    }
}
