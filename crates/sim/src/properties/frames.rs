//! The frame decoder. The input: the receiver, how the stream is cut, and the stream.

use ipseity_core::words::Message;
use ipseity_frames::{FrameDecoder, Kind, Receiver, WireError, encode};

use super::input::{Input, pieces};

pub const RECEIVERS: [Receiver; 3] = [Receiver::Server, Receiver::Dialer, Receiver::Client];

/// The result of decoding a stream.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    pub messages: Vec<Message>,
    pub error: Option<WireError>,
    /// How many bytes belong to messages.
    pub consumed: usize,
}

/// A stream decodes to the same messages however it is cut, and whether or not the fast way is tried first. The
/// messages encode to the same bytes again.
pub fn check(input: &[u8]) {
    let mut input = Input::new(input);
    let receiver = RECEIVERS[usize::from(input.byte()) % 3];
    let cut = input.byte();
    let stream = input.rest();
    let outcome = read(receiver, &[stream]);
    let pieces = pieces(stream, cut);
    assert_eq!(read(receiver, &pieces), outcome, "cut {cut}");
    if receiver == Receiver::Server {
        for pieces in [&pieces[..], &[stream]] {
            assert_eq!(read_by(next_quickly, pieces), outcome, "cut {cut}");
        }
    }

    let mut again = Vec::new();
    let mut rest = &stream[..outcome.consumed];
    for message in &outcome.messages {
        assert!(receiver.takes(Kind::from(message)));
        again.clear();
        encode(message, &mut again);
        let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        let frame;
        (frame, rest) = rest.split_at(2 + length);
        match message {
            // A later version may show more behind the fields of this one.
            Message::StatusReply(_) => assert!(frame[2..].starts_with(&again[2..])),
            _ => assert_eq!(again, shortened(frame)),
        }
    }
    assert!(rest.is_empty());
    if let Some(error) = outcome.error {
        // The answer fits into its frame, whatever was wrong.
        encode(&Message::ErrorReply(Box::new(error.reply())), &mut again);
    }
}

/// The outcome of a stream that arrives in these pieces.
pub fn read(receiver: Receiver, pieces: &[&[u8]]) -> Outcome {
    read_by(|decoder| decoder.next(receiver), pieces)
}

/// The next message as a server takes it.
fn next_quickly(decoder: &mut FrameDecoder) -> Result<Option<Message>, WireError> {
    if decoder.take_lone_bare_identity_request() || decoder.take_bare_identity_requests(1) == 1 {
        return Ok(Some(Message::IdentityRequest { count: 1, after: 0 }));
    }
    let first = decoder.identity_requests().next();
    match first {
        Some((count, after)) => Ok(Some(Message::IdentityRequest { count, after })),
        None => decoder.next(Receiver::Server),
    }
}

/// Reads as a server does: all connections share a decoder, and between two pieces a connection keeps only the
/// bytes of an unfinished frame.
fn read_by(
    mut next: impl FnMut(&mut FrameDecoder) -> Result<Option<Message>, WireError>,
    pieces: &[&[u8]],
) -> Outcome {
    let mut decoder = FrameDecoder::new();
    let mut outcome = Outcome::default();
    let (mut arrived, mut rest) = (0, Vec::new());
    for mut piece in pieces.iter().copied() {
        decoder.restore(&rest);
        while !piece.is_empty() && outcome.error.is_none() {
            let space = decoder.space();
            assert!(!space.is_empty(), "it would look like the end");
            let (now, later) = piece.split_at(space.len().min(piece.len()));
            space[..now.len()].copy_from_slice(now);
            decoder.filled(now.len());
            arrived += now.len();
            piece = later;
            loop {
                match next(&mut decoder) {
                    Ok(Some(message)) => outcome.messages.push(message),
                    Ok(None) => break,
                    Err(error) => {
                        assert_eq!(next(&mut decoder), Err(error.clone()));
                        outcome.error = Some(error);
                        break;
                    }
                }
            }
            outcome.consumed = arrived - decoder.rest().len();
            assert_eq!(decoder.is_empty(), outcome.consumed == arrived);
        }
        rest = decoder.rest().to_vec();
        // Bytes of another connection come in between.
        decoder.restore(b"\0\x0d\x01another");
    }
    outcome
}

/// A frame as the encoder writes it: a request for one identity also has a long form, which is made short.
fn shortened(frame: &[u8]) -> &[u8] {
    const LONG: [u8; 15] = [0, 13, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    if frame == LONG { &[0, 1, 1] } else { frame }
}
