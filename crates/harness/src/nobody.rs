//! An address where nothing listens.

use std::{io, net::SocketAddr};

use socket2::{Domain, Socket, Type};

/// An address where nothing listens, and where nothing else can listen while this lives.
pub struct Nobody(Socket);

impl Nobody {
    /// A port of 127.0.0.1.
    pub fn new() -> Nobody {
        Nobody::at(([127, 0, 0, 1], 0).into()).unwrap()
    }

    /// This address, if it is free.
    pub fn at(address: SocketAddr) -> io::Result<Nobody> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.bind(&address.into())?;
        Ok(Nobody(socket))
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        let address = self.0.local_addr().unwrap().as_socket().unwrap();
        address.to_string()
    }
}
