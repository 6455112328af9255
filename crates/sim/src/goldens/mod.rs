//! The golden frames: every message as a value and as its bytes, and every malformed input with the errorReply
//! that answers it. The bytes are written out here by hand. The code under test never makes them.

mod malformed;
mod messages;
mod refusals;

use ipseity_core::{identity::Pid, words::Message};
use ipseity_frames::{Receiver, WireError};

pub use self::{
    malformed::{malformed, malformed_too, unfinished},
    messages::{members, messages, status, sync_message},
    refusals::{Refused, boot_too_far, not_a_peer},
};

/// A message, the side that reads it, and its bytes.
pub struct Golden {
    /// The name that docs/protocol.md shows it under.
    pub name: &'static str,
    pub receiver: Receiver,
    pub message: Message,
    pub bytes: Vec<u8>,
}

/// Bytes that are refused, and the error.
pub struct Malformed {
    /// The name that docs/protocol.md shows it under. The answer is there as `NAME-answer`.
    pub name: &'static str,
    pub receiver: Receiver,
    pub bytes: Vec<u8>,
    pub error: WireError,
    /// How many of the bytes have to arrive before the error is found.
    pub judged_at: usize,
    /// The code and the text of the answer.
    pub code: u16,
    pub text: &'static str,
}

impl Malformed {
    /// The errorReply that answers it, put together without the code under test.
    pub fn answer(&self) -> Vec<u8> {
        error_reply(self.code, self.text)
    }
}

/// An errorReply, put together without the code under test.
pub fn error_reply(code: u16, text: &str) -> Vec<u8> {
    let length = u16::try_from(1 + 2 + 8 + text.len()).unwrap();
    let mut bytes = Vec::new();
    bytes.extend(length.to_be_bytes());
    bytes.push(255);
    bytes.extend(code.to_be_bytes());
    bytes.extend((text.len() as u64).to_be_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

/// Reads hexadecimal digits; spaces and line ends between them are for people.
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    assert!(digits.len().is_multiple_of(2), "half a byte in {text:?}");
    digits
        .chunks(2)
        .map(|pair| {
            let byte = String::from_iter(pair);
            u8::from_str_radix(&byte, 16).unwrap_or_else(|_| panic!("{byte:?} is not a byte"))
        })
        .collect()
}

fn pid(value: u16) -> Pid {
    Pid::new(value).unwrap()
}
