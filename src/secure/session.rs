//! One TLS session: sealed bytes in, opened bytes out, and the other way round. It never sees a socket.
//!
//! rustls keeps some bytes of its own: a record that has not arrived completely, opened bytes that were not taken, and
//! records that have to be written although nobody has said anything (handshakes, alerts, new keys). So whoever uses a
//! session asks it for all three: after every read whether it [holds more](Session::holds_more), and at the end of every
//! turn for its [output](Session::seal).

use std::{
    io::{self, Read, Write},
    sync::Arc,
};

use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::{CertificateDer, ServerName};

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Session {
    tls: rustls::Connection,
    /// Opened bytes that rustls holds.
    opened: usize,
    /// Sealed bytes that rustls takes only once the opened bytes before them were taken.
    unfed: Vec<u8>,
    /// Where in the records the bytes that were read end.
    place: Place,
    /// How many bytes have arrived before the session is open. A message of a handshake may come in many records, and
    /// rustls does not tell how many of them it holds.
    shaken: usize,
    /// How many bytes have arrived in the open session since something was last opened. They may be parts of a message of TLS
    /// itself, which rustls holds until it is complete.
    quiet: usize,
    /// How many bytes of the output of the connection are sealed. What stands behind them is not.
    sealed: usize,
    /// The other side has said that nothing more comes.
    has_ended: bool,
    /// The other side has sent what a handshake begins with, and was answered.
    is_answered: bool,
    phase: Phase,
    /// The other side is told, in the open session, that it is not let in, and why.
    refusal: Option<String>,
    /// The name of the server that was dialed.
    name: Option<ServerName<'static>>,
    /// How often the settings had been renewed when it was made.
    renewals: u64,
}

/// The length of the head of a record: its kind, a version, and the length of what follows.
const RECORD_HEAD_BYTES: usize = 5;

/// The most bytes that a message of TLS itself has, with its head. rustls takes no longer one.
const MESSAGE_BYTES_MAX: usize = 0xffff + 4;

/// A place in a stream of records: behind so many bytes of a head, or so many bytes before the end of a record. rustls
/// does not tell whether it holds a part of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    /// The bytes of the head that have arrived; only the length in it matters.
    head: [u8; RECORD_HEAD_BYTES],
    head_bytes: usize,
    /// How many bytes of the record are still to come.
    left: usize,
}

impl Place {
    /// Goes on over these bytes.
    fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left == 0 {
                let taken = bytes.len().min(RECORD_HEAD_BYTES - self.head_bytes);
                self.head[self.head_bytes..][..taken].copy_from_slice(&bytes[..taken]);
                self.head_bytes += taken;
                bytes = &bytes[taken..];
                if self.head_bytes < RECORD_HEAD_BYTES {
                    return;
                }
                self.left = length(self.head);
            }
            let taken = bytes.len().min(self.left);
            self.left -= taken;
            bytes = &bytes[taken..];
            if self.left == 0 {
                *self = Place::default();
            }
        }
    }

    /// How many bytes of the record that has begun have arrived.
    fn arrived(&self) -> usize {
        match self.left {
            0 => self.head_bytes,
            left => RECORD_HEAD_BYTES + length(self.head) - left,
        }
    }
}

/// The length in the head of a record.
fn length(head: [u8; RECORD_HEAD_BYTES]) -> usize {
    usize::from(u16::from_be_bytes([head[3], head[4]]))
}

/// How far a session has come.
#[derive(Debug)]
enum Phase {
    Shaking,
    /// The handshake is over, and what it has shown was looked at.
    Open,
    /// It cannot go on, for this reason.
    Broken(String),
}

impl Session {
    /// The session of a connection that was accepted and has sent these bytes. It looks at them with the first step.
    ///
    /// # Errors
    /// The settings do not fit together.
    pub(crate) fn accepted(
        config: Arc<ServerConfig>,
        begun: &[u8],
    ) -> Result<Session, rustls::Error> {
        let mut session = Session::new(rustls::ServerConnection::new(config)?.into());
        session.unfed.extend_from_slice(begun);
        session.note(begun);
        Ok(session)
    }

    /// The session of a connection to `name`, which this server has dialed.
    ///
    /// # Errors
    /// The settings do not fit together.
    pub(crate) fn dialed(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Session, rustls::Error> {
        let tls = rustls::ClientConnection::new(config, name.clone())?;
        Ok(Session {
            name: Some(name),
            ..Session::new(tls.into())
        })
    }

    fn new(tls: rustls::Connection) -> Session {
        Session {
            tls,
            opened: 0,
            unfed: Vec::new(),
            place: Place::default(),
            shaken: 0,
            quiet: 0,
            sealed: 0,
            has_ended: false,
            is_answered: false,
            phase: Phase::Shaking,
            refusal: None,
            name: None,
            renewals: 0,
        }
    }

    /// It is made with settings that have been renewed so often.
    pub(crate) fn made_after(self, renewals: u64) -> Session {
        Session { renewals, ..self }
    }

    /// How often the settings had been renewed when it was made.
    pub(crate) fn renewals(&self) -> u64 {
        self.renewals
    }

    /// Whether bytes can be sealed and opened: the handshake is over, and it was accepted.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Whether the other side has sent what a handshake begins with, and was answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// The first message of the other side was answered. Returns whether that is news.
    pub(crate) fn set_answered(&mut self) -> bool {
        !std::mem::replace(&mut self.is_answered, true)
    }

    /// The handshake is over, and what the other side has shown is accepted.
    pub(crate) fn set_open(&mut self) {
        self.phase = Phase::Open;
    }

    /// The session is good, but the other side is not let in.
    pub(crate) fn set_refused(&mut self, why: String) {
        self.refusal = Some(why);
    }

    /// It cannot go on. The other side was told by an alert.
    pub(crate) fn set_broken(&mut self, why: String) {
        self.phase = Phase::Broken(why);
    }

    /// Whether it cannot go on.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self.phase, Phase::Broken(_))
    }

    /// Why it cannot go on, or the other side was not let in. It is asked once.
    pub(crate) fn take_fault(&mut self) -> Option<String> {
        match &mut self.phase {
            Phase::Broken(why) => Some(std::mem::take(why)),
            Phase::Shaking | Phase::Open => self.refusal.take(),
        }
    }

    /// Whether the handshake has yet to end.
    pub(crate) fn is_shaking(&self) -> bool {
        matches!(self.phase, Phase::Shaking)
    }

    /// The name of the server that was dialed.
    pub(crate) fn name(&self) -> Option<&ServerName<'static>> {
        self.name.as_ref()
    }

    /// Whether the two sides still have to say something before bytes can be exchanged.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// The certificate of the other side, and those that it has sent to prove it.
    pub(crate) fn certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.tls.peer_certificates()
    }

    /// Takes sealed bytes that were read, and puts opened ones into `space`. Returns how many. What does not fit comes
    /// with the next call.
    ///
    /// # Errors
    /// The bytes are not a record that is allowed now. The output may then hold an alert for the other side.
    #[inline]
    pub(crate) fn open(&mut self, sealed: &[u8], space: &mut [u8]) -> Result<usize, rustls::Error> {
        self.note(sealed);
        if self.unfed.is_empty() {
            let (taken, opened) = self.feed_and_drain(sealed, space)?;
            self.unfed.extend_from_slice(&sealed[taken..]);
            return Ok(opened);
        }
        let mut unfed = std::mem::take(&mut self.unfed);
        unfed.extend_from_slice(sealed);
        let (taken, opened) = self.feed_and_drain(&unfed, space)?;
        unfed.drain(..taken);
        // Nothing is left of it in most cases, and then its memory is given back.
        if !unfed.is_empty() {
            self.unfed = unfed;
        }
        Ok(opened)
    }

    /// These bytes have arrived.
    fn note(&mut self, sealed: &[u8]) {
        self.place.pass(sealed);
        match self.is_shaking() {
            true => self.shaken += sealed.len(),
            // It holds no more than one such message.
            false => self.quiet = (self.quiet + sealed.len()).min(MESSAGE_BYTES_MAX),
        }
    }

    fn feed_and_drain(
        &mut self,
        sealed: &[u8],
        space: &mut [u8],
    ) -> Result<(usize, usize), rustls::Error> {
        let mut rest = sealed;
        let mut filled = 0;
        loop {
            filled += self.drain(&mut space[filled..])?;
            if self.opened > 0 || rest.is_empty() {
                break;
            }
            // It takes a few kilobytes at a time. Behind the end of the other side it takes nothing, and what comes
            // there is dropped.
            match self.tls.read_tls(&mut rest) {
                Ok(0) => rest = &[],
                Ok(_) => {}
                Err(error) => return Err(rustls::Error::General(error.to_string())),
            }
            let state = self.tls.process_new_packets()?;
            self.opened = state.plaintext_bytes_to_read();
            if self.opened > 0 {
                self.quiet = 0;
            }
            self.has_ended = state.peer_has_closed();
        }
        Ok((sealed.len() - rest.len(), filled))
    }

    /// Takes opened bytes out of rustls, as many as there is space for.
    fn drain(&mut self, space: &mut [u8]) -> Result<usize, rustls::Error> {
        let mut filled = 0;
        while self.opened > 0 && filled < space.len() {
            match self.tls.reader().read(&mut space[filled..]) {
                Ok(bytes) => {
                    filled += bytes;
                    self.opened -= bytes;
                }
                Err(error) => return Err(rustls::Error::General(error.to_string())),
            }
        }
        Ok(filled)
    }

    /// Whether a record has begun to arrive and is not complete.
    #[inline]
    pub(crate) fn is_within_record(&self) -> bool {
        self.place != Place::default()
    }

    /// Whether bytes can be opened without reading from the socket.
    #[inline]
    pub(crate) fn holds_more(&self) -> bool {
        // bug OpenedForgotten: return false;
        self.opened > 0 || !self.unfed.is_empty()
    }

    /// How much memory holds what has arrived. rustls keeps that in a buffer which may be half as large again.
    pub(crate) fn held_bytes(&self) -> usize {
        let held = match self.phase {
            Phase::Shaking => self.shaken,
            Phase::Open | Phase::Broken(_) => {
                self.place.arrived().max(self.quiet) + self.unfed.len() + self.opened
            }
        };
        held + held / 2
    }

    /// Whether the other side has said that nothing more comes, and all before that was taken.
    #[inline]
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended && !self.holds_more()
    }

    /// Whether it has something to write, even if nobody has said anything.
    #[inline]
    pub(crate) fn has_output(&self) -> bool {
        self.tls.wants_write()
    }

    /// Seals what was appended to `output` since the last call, and appends the records that TLS itself has to send. What
    /// was appended before the session is open is dropped: the other side could not read it. `room` is memory to work
    /// with.
    #[inline]
    pub(crate) fn seal(&mut self, output: &mut Vec<u8>, room: &mut Vec<u8>) {
        if output.len() > self.sealed {
            room.clear();
            room.extend_from_slice(&output[self.sealed..]);
            output.truncate(self.sealed);
            let mut rest = match self.phase {
                Phase::Open => &room[..],
                Phase::Shaking | Phase::Broken(_) => &[],
            };
            while !rest.is_empty() {
                // It takes up to the limit of its own buffer, which is emptied each time. It never fails, and 0 would
                // be an endless loop.
                match self.tls.writer().write(rest) {
                    Ok(bytes) if bytes > 0 => rest = &rest[bytes..],
                    Ok(_) | Err(_) => break,
                }
                self.write_records(output);
            }
        }
        self.write_records(output);
        self.sealed = output.len();
    }

    /// Appends the records that wait. A `Vec` takes all of them.
    fn write_records(&mut self, output: &mut Vec<u8>) {
        while self.tls.wants_write() {
            let written: io::Result<usize> = self.tls.write_tls(output);
            debug_assert!(matches!(written, Ok(bytes) if bytes > 0));
            if !matches!(written, Ok(bytes) if bytes > 0) {
                break;
            }
        }
    }

    /// So many bytes of the output are left, and all of them are sealed.
    #[inline]
    pub(crate) fn left(&mut self, bytes: usize) {
        self.sealed = bytes;
    }

    /// Tells the other side, with the next output, that nothing more comes.
    pub(crate) fn end(&mut self) {
        self.tls.send_close_notify();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_end_where_their_heads_say_however_they_are_cut() {
        // Three records; the second is empty.
        let records = [
            &[0x16, 3, 3, 0, 4, 1, 2, 3, 4][..],
            &[0x17, 3, 3, 0, 0],
            &[0x17, 3, 3, 1, 0],
        ];
        let stream = [&records.concat()[..], &[9; 256]].concat();
        let ends = [0, 9, 14, stream.len()];
        for cut in 0..=stream.len() {
            let mut place = Place::default();
            place.pass(&stream[..cut]);
            assert_eq!(place == Place::default(), ends.contains(&cut), "{cut}");
            let last = ends.iter().rev().find(|end| **end <= cut).unwrap();
            assert_eq!(place.arrived(), cut - last);
            place.pass(&stream[cut..]);
            assert_eq!(place, Place::default(), "{cut}");
        }
        let mut place = Place::default();
        for byte in &stream {
            place.pass(&[*byte]);
        }
        assert_eq!(place, Place::default());
    }
}
