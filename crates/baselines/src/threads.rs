//! A thread for each connection: it reads, decodes, lets a [`Service`] answer, and writes.

use std::{
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use ipseity::limits::READ_BYTES_MAX;
use ipseity_core::words::Message;
use ipseity_frames::{FrameDecoder, Kind, Receiver, WireError, encode};

use super::Request;

/// How requests reach the one counter.
pub trait Service: Send + Sync + 'static {
    /// The state of a connection.
    type Session;

    /// A connection has come, the `serial`-th.
    fn open(&self, serial: u32) -> Self::Session;

    /// Takes one request. Its reply is appended to `out` now or at the next [`finish`](Self::finish).
    fn take(&self, session: &mut Self::Session, request: Request, out: &mut Vec<u8>);

    /// All requests of a batch have been taken: appends the replies that are still owed.
    fn finish(&self, _session: &mut Self::Session, _out: &mut Vec<u8>) {}

    /// A connection has gone.
    fn close(&self, _session: Self::Session) {}
}

/// Serves clients until accepting fails.
pub fn serve(listener: &TcpListener, service: impl Service) -> io::Error {
    let service = Arc::new(service);
    let mut serial = 0;
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => return error,
        };
        let service = Arc::clone(&service);
        let started = thread::Builder::new().spawn(move || {
            let mut session = service.open(serial);
            // A client that resets its connection is treated like one that closes it.
            let _ = converse(stream, &*service, &mut session);
            service.close(session);
        });
        if let Err(error) = started {
            return error;
        }
        serial += 1;
    }
}

/// Answers one client until it closes.
fn converse<S: Service>(
    mut stream: TcpStream,
    service: &S,
    session: &mut S::Session,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut decoder = FrameDecoder::new();
    let mut out = Vec::new();
    loop {
        let mut space = decoder.space();
        // The most bytes at a time, as in the real server.
        let most = space.len().min(READ_BYTES_MAX);
        space = &mut space[..most];
        match stream.read(space)? {
            0 => return Ok(()),
            bytes => decoder.filled(bytes),
        }
        for (count, after) in decoder.identity_requests() {
            service.take(session, Request { count, after }, &mut out);
        }
        // The rest is not a whole identityRequest.
        let end = match decoder.next(Receiver::Server) {
            Ok(None) => None,
            Ok(Some(other)) => Some(WireError::UnexpectedKind(Kind::from(&other))),
            Err(error) => Some(error),
        };
        service.finish(session, &mut out);
        if let Some(error) = &end {
            encode(&Message::ErrorReply(Box::new(error.reply())), &mut out);
        }
        stream.write_all(&out)?;
        out.clear();
        if end.is_some() {
            return Ok(());
        }
    }
}
