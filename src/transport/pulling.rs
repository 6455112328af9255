//! Pulling: one read from a socket into the decoder, with TLS or without, and a note of what may be left.

use std::io;

use ipseity_frames::FrameDecoder;

use crate::{
    connection::{Connection, Inflow},
    edge::Socket,
};

/// The result of one read.
pub(super) enum Pulled {
    /// Some bytes, and the socket is now empty, except perhaps for its end.
    Part,
    /// There may be more. Some bytes came, or a signal came before them.
    Full,
    /// No bytes.
    Nothing,
    /// The connection is broken.
    Failed(io::Error),
    /// The bytes are not what TLS allows.
    Unsealed(rustls::Error),
}

/// Reads once into the decoder, at most `most` bytes, and notes what the socket may still hold.
#[inline(always)]
pub(super) fn pull<S: Socket>(
    c: &mut Connection<S>,
    decoder: &mut FrameDecoder,
    most: usize,
) -> Pulled {
    let Some(socket) = &mut c.socket else {
        c.inflow = Inflow::Empty;
        return Pulled::Nothing;
    };
    let space = decoder.space();
    let wanted = space.len().min(most);
    match socket.read(&mut space[..wanted]) {
        Ok(bytes) if bytes > 0 => {
            decoder.filled(bytes);
            match bytes < wanted {
                true => emptied(c),
                false => filled(c),
            }
        }
        outcome => brought_nothing(c, outcome),
    }
}

/// A read has brought no bytes.
#[cold]
#[inline(never)]
fn brought_nothing<S>(c: &mut Connection<S>, outcome: io::Result<usize>) -> Pulled {
    match outcome {
        Ok(_) => {
            c.inflow = Inflow::Ended;
            Pulled::Nothing
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            c.inflow = Inflow::Empty;
            Pulled::Nothing
        }
        // It is read again in its turn.
        Err(error) if error.kind() == io::ErrorKind::Interrupted => filled(c),
        Err(error) => Pulled::Failed(error),
    }
}

/// The socket holds no more bytes. Reading again to find that out would cost a system call for each request. It may
/// still hold the end: the poll has reported that once and will not report it again.
#[inline(always)]
pub(super) fn emptied<S>(c: &mut Connection<S>) -> Pulled {
    // bug EdgeLost: c.inflow = Inflow::Empty;
    if c.inflow != Inflow::Ending {
        c.inflow = Inflow::Empty;
    }
    Pulled::Part
}

#[inline(always)]
pub(super) fn filled<S>(c: &mut Connection<S>) -> Pulled {
    if c.inflow != Inflow::Ending {
        c.inflow = Inflow::More;
    }
    Pulled::Full
}

/// Reads sealed bytes once into `read`, unless the session still has some, and opens them into the decoder, at most `most`
/// bytes.
pub(super) fn pull_sealed<S: Socket>(
    c: &mut Connection<S>,
    decoder: &mut FrameDecoder,
    most: usize,
    read: &mut [u8],
    read_most: usize,
) -> Pulled {
    let (Some(session), Some(socket)) = (&mut c.session, &mut c.socket) else {
        c.inflow = Inflow::Empty;
        return Pulled::Nothing;
    };
    if session.has_ended() {
        c.inflow = Inflow::Ended;
        return Pulled::Nothing;
    }
    let mut sealed = 0;
    let mut is_emptied = false;
    while sealed == 0 && !session.holds_more() {
        // No more than can be used, so that those that wait hold little. A step of a handshake uses no opened byte.
        let wanted = match most {
            0 => read.len().min(read_most),
            most => read.len().min(read_most).min(most),
        };
        match socket.read(&mut read[..wanted]) {
            Ok(0) => {
                c.inflow = Inflow::Ended;
                return Pulled::Nothing;
            }
            Ok(bytes) => {
                sealed = bytes;
                is_emptied = bytes < wanted;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                c.inflow = Inflow::Empty;
                return Pulled::Nothing;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Pulled::Failed(error),
        }
    }
    let space = decoder.space();
    let wanted = space.len().min(most);
    match session.open(&read[..sealed], &mut space[..wanted]) {
        Ok(bytes) => decoder.filled(bytes),
        Err(error) => return Pulled::Unsealed(error),
    }
    if session.has_ended() {
        c.inflow = Inflow::Ending;
        Pulled::Part
    } else if is_emptied && !session.holds_more() {
        emptied(c)
    } else {
        filled(c)
    }
}
