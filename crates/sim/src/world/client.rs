//! A client in a world: it sends anything that a test wants, and keeps what comes back.

use std::{cell::RefCell, io::Read, rc::Rc};

use ipseity_core::words::Message;
use ipseity_frames::{FrameDecoder, Receiver, encode};

use super::edge::{Shared, SimSocket};

/// One side of a connection that a test holds.
pub struct Client {
    socket: SimSocket,
    receiver: Receiver,
    decoder: RefCell<FrameDecoder>,
}

impl Client {
    pub fn new(net: &Shared, end: usize, receiver: Receiver) -> Client {
        // Bytes that it sends wait here until the server takes them.
        net.borrow_mut().ends[end].set_unbounded();
        Client {
            socket: SimSocket::new(net, end),
            receiver,
            decoder: RefCell::default(),
        }
    }

    pub fn send(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let sent = self.socket.net.borrow_mut().write(self.socket.end, bytes);
        assert_eq!(sent.unwrap(), bytes.len());
    }

    pub fn send_message(&self, message: &Message) {
        let mut bytes = Vec::new();
        encode(message, &mut bytes);
        self.send(&bytes);
    }

    /// Asks for one identity, this many times.
    pub fn ask(&self, requests: usize) {
        self.send(&[0, 1, 1].repeat(requests));
    }

    /// Everything that has arrived since the last call, as messages.
    pub fn replies(&mut self) -> Vec<Message> {
        self.messages(self.receiver)
    }

    /// The same for a client that has sent the requests of a peer.
    pub fn peer_replies(&mut self) -> Vec<Message> {
        self.messages(Receiver::Dialer)
    }

    fn messages(&mut self, receiver: Receiver) -> Vec<Message> {
        let decoder = &mut *self.decoder.borrow_mut();
        let mut messages = Vec::new();
        loop {
            while let Some(message) = decoder.next(receiver).unwrap() {
                messages.push(message);
            }
            match self.socket.read(decoder.space()) {
                Ok(0) | Err(_) => return messages,
                Ok(bytes) => decoder.filled(bytes),
            }
        }
    }

    /// Everything that has arrived since the last call, as bytes.
    pub fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // The end of the stream, or a reset, after the last byte has a function of its own.
        let _ = self.socket.read_to_end(&mut bytes);
        bytes
    }

    /// The sequences of everything that has arrived. Each message must be an identityReply with one identity.
    pub fn sequences(&mut self) -> Vec<u64> {
        let sequence = |message| match message {
            Message::IdentityReply { first, count: 1 } => first >> 10,
            other => panic!("{other:?}"),
        };
        self.replies().into_iter().map(sequence).collect()
    }

    /// The codes of the error replies that have arrived, with 0 for every other message.
    pub fn codes(&mut self) -> Vec<u16> {
        let code = |message| match message {
            Message::ErrorReply(error) => error.code,
            _ => 0,
        };
        self.replies().into_iter().map(code).collect()
    }

    /// Sends nothing more.
    pub fn finish(&self) {
        self.socket
            .net
            .borrow_mut()
            .shutdown(self.socket.end)
            .unwrap();
    }

    /// Cuts the connection.
    pub fn reset(self) {
        self.socket.net.borrow_mut().reset(self.socket.end);
    }

    /// In how many pieces the server's bytes have arrived.
    pub fn pieces(&self) -> u64 {
        self.socket.net.borrow().ends[self.socket.end].pieces
    }

    /// Whether the server has closed its side, and everything before that was read.
    pub fn has_ended(&self) -> bool {
        self.socket.net.borrow().ends[self.socket.end].has_ended()
    }

    /// Whether the server has cut the connection.
    pub fn is_reset(&self) -> bool {
        self.socket.net.borrow().ends[self.socket.end].is_reset()
    }

    /// Whether the connection is established.
    pub fn is_connected(&self) -> bool {
        let net = Rc::clone(&self.socket.net);
        let connected = net.borrow().is_connected(self.socket.end);
        connected.is_ok_and(|connected| connected)
    }
}
