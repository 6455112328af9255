//! An address where nothing listens.

use socket2::{Domain, Socket, Type};

/// An address where nothing listens, and where nothing else can listen while this lives.
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
