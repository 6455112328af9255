//! The bytes of a scripted server's connection, with TLS or without.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::Arc,
};

use rustls::{ServerConnection, StreamOwned};

/// A stream that others may hold too.
pub struct Raw(pub Arc<TcpStream>);

impl Read for Raw {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl Write for Raw {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection with TLS or without.
pub enum Wire {
    Plain(Raw),
    Tls(Box<StreamOwned<ServerConnection, Raw>>),
}

impl Wire {
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.read(buffer),
            Wire::Tls(stream) => stream.read(buffer),
        }
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.write_all(bytes),
            Wire::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    /// Says that no more is sent.
    pub fn say_end(&mut self) {
        if let Wire::Tls(stream) = self {
            stream.conn.send_close_notify();
            // The other side may be gone.
            let _ = stream.flush();
        }
    }
}
