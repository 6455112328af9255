//! What is in the bytes that a server or a stranger has sent.

use ipseity_core::words::Message;
use ipseity_frames::{FrameDecoder, Receiver};

/// Whether the first byte begins a handshake. No frame begins so.
pub(super) fn begins_tls(stream: &[u8]) -> bool {
    stream.first() == Some(&0x16)
}

/// Whatever a server says over TLS, these are whole records. The last may be cut off.
pub(super) fn are_records(bytes: &[u8], may_be_cut: bool) {
    let mut rest = bytes;
    while let [kind, 3, _, high, low, behind @ ..] = rest {
        assert!((0x14..=0x17).contains(kind), "{rest:?}");
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        assert!(may_be_cut || behind.len() >= length, "half a record");
        rest = behind.get(length..).unwrap_or_default();
    }
    assert!(may_be_cut || rest.is_empty(), "{rest:?}");
}

/// The messages in a stream of frames for any receiver.
pub(super) fn decoded(bytes: &[u8], may_be_cut: bool) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut rest = bytes;
    while let [high, low, kind, ..] = rest {
        let length = 2 + usize::from(u16::from_be_bytes([*high, *low]));
        let Some((frame, behind)) = rest.split_at_checked(length) else {
            break;
        };
        let mut decoder = FrameDecoder::new();
        decoder.restore(frame);
        let receiver = match kind {
            1 | 3 | 5 | 9 | 11 | 12 => Receiver::Server,
            4 | 7 | 8 => Receiver::Dialer,
            _ => Receiver::Client,
        };
        messages.push(decoder.next(receiver).unwrap().expect("it is whole"));
        rest = behind;
    }
    assert!(rest.is_empty() || may_be_cut, "half a frame");
    messages
}
