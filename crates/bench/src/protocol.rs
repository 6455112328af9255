//! Replies, as each kind of server writes them: where they end, and which identities are in them. The replies that a
//! busy server nearly always sends are read fast. Everything else takes the slow way.

use ipseity_core::{
    identity::{IDENTITY_STRIDE, Sequence},
    words::Message,
};
use ipseity_frames::{FrameDecoder, Receiver};

use crate::check::CounterKey;
use ipseity_console::{code_name, plain};

/// The length of an identityReply, and of everything that a raw target answers.
const REPLY_BYTES: usize = 15;

/// The longest line that Redis or memcached may answer a count with.
const LINE_BYTES_MAX: usize = 1024;

/// How the replies of one kind of server are read, and which identities are in them.
pub trait Protocol {
    /// How far one identity is from the next of the same counter: a power of two.
    const STRIDE: u64;

    /// Whether there are identities in replies.
    const CHECKED: bool = true;

    /// The first identity of the reply at the front of `bytes`, and the length of the reply. `None` if the reply is not
    /// whole, or needs [`slowly`](Self::slowly).
    fn quickly(&self, bytes: &[u8]) -> Option<(u64, usize)>;

    /// The distance from the first identity of a reply to the first that may follow the reply.
    fn block(&self) -> u64;

    /// What is at the front of `bytes`, if [`quickly`](Self::quickly) returned `None`.
    fn slowly(&mut self, bytes: &[u8]) -> Slow;

    /// The counter that `identity` comes from, on a connection to the server at this place in the list.
    ///
    /// # Errors
    /// What is wrong with the identity, in words.
    fn counter(&self, identity: u64, server: usize) -> Result<CounterKey, String>;

    /// Whether `last`, the end of a run, exists.
    fn exists(&self, last: u64) -> bool;
}

/// What else can stand where a reply is expected.
#[derive(Debug, PartialEq, Eq)]
pub enum Slow {
    /// The beginning of a reply.
    Partial,
    /// The server answers that it does not serve the request.
    Error {
        /// How many bytes this answer has.
        bytes: usize,
        /// Which errors are counted together.
        code: String,
        /// Its text, in one line that a terminal can be trusted with.
        text: String,
    },
    /// Bytes that are not a reply of this protocol, and why not.
    Broken(String),
}

/// Replies of Ipseity: identityReply of one count, or errorReply.
pub struct Ipseity {
    count: u32,
    /// Reads anything but an identityReply with the count that was asked for.
    decoder: FrameDecoder,
}

impl Ipseity {
    /// Replies to requests for `count` identities.
    pub fn new(count: u32) -> Ipseity {
        Ipseity {
            count,
            decoder: FrameDecoder::new(),
        }
    }
}

impl Protocol for Ipseity {
    const STRIDE: u64 = IDENTITY_STRIDE;

    fn block(&self) -> u64 {
        u64::from(self.count) * IDENTITY_STRIDE
    }

    #[inline(always)]
    fn quickly(&self, bytes: &[u8]) -> Option<(u64, usize)> {
        let reply: &[u8; REPLY_BYTES] = bytes.first_chunk()?;
        let [0, 13, 2, first @ .., c0, c1, c2, c3] = *reply else {
            return None;
        };
        let count = u32::from_be_bytes([c0, c1, c2, c3]);
        (count == self.count).then_some((u64::from_be_bytes(first), REPLY_BYTES))
    }

    #[cold]
    fn slowly(&mut self, bytes: &[u8]) -> Slow {
        self.decoder.restore(bytes);
        match self.decoder.next(Receiver::Client) {
            Ok(None) => Slow::Partial,
            Ok(Some(Message::ErrorReply(reply))) => Slow::Error {
                bytes: bytes.len() - self.decoder.rest().len(),
                code: code_name(reply.code),
                text: plain(&reply.message),
            },
            Ok(Some(Message::IdentityReply { count, .. })) => {
                Slow::Broken(format!("asked for {} identities, {count} came", self.count))
            }
            Ok(Some(other)) => Slow::Broken(format!("{} came instead of identities", other.name())),
            Err(error) => Slow::Broken(format!(
                "{error} (check that it is an Ipseity server, and its version)"
            )),
        }
    }

    fn counter(&self, identity: u64, _server: usize) -> Result<CounterKey, String> {
        match identity >= IDENTITY_STRIDE {
            true => Ok(CounterKey((identity % IDENTITY_STRIDE) as u32)),
            false => Err(format!("{identity} is before sequence 1")),
        }
    }

    fn exists(&self, last: u64) -> bool {
        last / IDENTITY_STRIDE <= Sequence::MAX.get()
    }
}

/// A line of Redis or memcached. Both answer with the last number of the block in decimal.
struct Line<'a> {
    text: &'a [u8],
    bytes: usize,
}

impl Line<'_> {
    fn of(bytes: &[u8]) -> Result<Line<'_>, Slow> {
        match bytes.windows(2).position(|two| two == b"\r\n") {
            Some(end) => Ok(Line {
                text: &bytes[..end],
                bytes: end + 2,
            }),
            None if bytes.len() < LINE_BYTES_MAX => Err(Slow::Partial),
            None => Err(Slow::Broken(format!(
                "{LINE_BYTES_MAX} bytes came without the end of a line"
            ))),
        }
    }

    fn error(&self, text: &[u8]) -> Slow {
        let text = plain(&String::from_utf8_lossy(text));
        Slow::Error {
            bytes: self.bytes,
            code: text.split(' ').next().unwrap_or_default().to_owned(),
            text,
        }
    }

    fn broken(&self) -> Slow {
        let text = String::from_utf8_lossy(self.text);
        Slow::Broken(format!("{:?} came instead of a number", plain(&text)))
    }
}

/// The decimal number at the front of `bytes`, which a line end must follow, and the length of both.
#[inline(always)]
fn decimal_line(bytes: &[u8]) -> Option<(u64, usize)> {
    /// A number with this many digits is never too large.
    const DIGITS_MAX: usize = 19;
    let mut number: u64 = 0;
    for (place, byte) in bytes.iter().enumerate().take(DIGITS_MAX + 1) {
        match byte.wrapping_sub(b'0') {
            digit @ 0..=9 if place < DIGITS_MAX => number = number * 10 + u64::from(digit),
            _ if place > 0 && *byte == b'\r' && bytes.get(place + 1) == Some(&b'\n') => {
                return Some((number, place + 2));
            }
            _ => return None,
        }
    }
    None
}

/// The first of a block of `count` that ends at `last`. 0, which is never handed out, if there is no such
/// block.
#[inline(always)]
fn first_of_block(last: u64, count: u32) -> u64 {
    (last + 1).saturating_sub(u64::from(count))
}

fn counted_by(identity: u64, server: usize) -> Result<CounterKey, String> {
    match identity {
        0 => Err("the count began again".to_owned()),
        _ => Ok(CounterKey(server as u32)),
    }
}

/// The replies of Redis, in RESP.
pub struct Redis {
    /// How much each request adds.
    pub count: u32,
}

impl Protocol for Redis {
    const STRIDE: u64 = 1;

    fn block(&self) -> u64 {
        u64::from(self.count)
    }

    #[inline(always)]
    fn quickly(&self, bytes: &[u8]) -> Option<(u64, usize)> {
        let (b':', number) = bytes.split_first()? else {
            return None;
        };
        let (last, length) = decimal_line(number)?;
        Some((first_of_block(last, self.count), 1 + length))
    }

    #[cold]
    fn slowly(&mut self, bytes: &[u8]) -> Slow {
        match Line::of(bytes) {
            Err(slow) => slow,
            Ok(line) => match line.text {
                [b'-', text @ ..] => line.error(text),
                _ => line.broken(),
            },
        }
    }

    fn counter(&self, identity: u64, server: usize) -> Result<CounterKey, String> {
        counted_by(identity, server)
    }

    fn exists(&self, _last: u64) -> bool {
        true
    }
}

/// The replies of memcached, as text.
pub struct Memcached {
    /// How much each request adds.
    pub count: u32,
}

impl Protocol for Memcached {
    const STRIDE: u64 = 1;

    fn block(&self) -> u64 {
        u64::from(self.count)
    }

    #[inline(always)]
    fn quickly(&self, bytes: &[u8]) -> Option<(u64, usize)> {
        let (last, length) = decimal_line(bytes)?;
        Some((first_of_block(last, self.count), length))
    }

    #[cold]
    fn slowly(&mut self, bytes: &[u8]) -> Slow {
        match Line::of(bytes) {
            Err(slow) => slow,
            Ok(line) => match line.text {
                [b'A'..=b'Z', ..] => line.error(line.text),
                _ => line.broken(),
            },
        }
    }

    fn counter(&self, identity: u64, server: usize) -> Result<CounterKey, String> {
        counted_by(identity, server)
    }

    fn exists(&self, _last: u64) -> bool {
        true
    }
}

/// Replies that are not checked.
pub struct Raw;

impl Protocol for Raw {
    const STRIDE: u64 = 1;
    const CHECKED: bool = false;

    fn block(&self) -> u64 {
        1
    }

    #[inline(always)]
    fn quickly(&self, bytes: &[u8]) -> Option<(u64, usize)> {
        (bytes.len() >= REPLY_BYTES).then_some((0, REPLY_BYTES))
    }

    #[cold]
    fn slowly(&mut self, _bytes: &[u8]) -> Slow {
        Slow::Partial
    }

    fn counter(&self, _identity: u64, server: usize) -> Result<CounterKey, String> {
        Ok(CounterKey(server as u32))
    }

    fn exists(&self, _last: u64) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use ipseity_core::words::{ErrorCode, ErrorReply};
    use ipseity_frames::encode;

    use super::*;

    fn frame(message: &Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(message, &mut bytes);
        bytes
    }

    #[test]
    fn identities_are_read_fast_and_everything_else_slowly() {
        let mut protocol = Ipseity::new(3);
        let mut bytes = frame(&Message::IdentityReply {
            first: 5000,
            count: 3,
        });
        assert_eq!(protocol.quickly(&bytes[..14]), None);
        assert_eq!(protocol.slowly(&bytes[..14]), Slow::Partial);
        bytes.push(0);
        assert_eq!(protocol.quickly(&bytes), Some((5000, 15)));

        let wrong = frame(&Message::IdentityReply { first: 5, count: 2 });
        assert_eq!(protocol.quickly(&wrong), None);
        let text = "asked for 3 identities, 2 came".to_owned();
        assert_eq!(protocol.slowly(&wrong), Slow::Broken(text));

        let refusal = ErrorReply::new(ErrorCode::BadCount, "too\nmany");
        let refusal = frame(&Message::ErrorReply(Box::new(refusal)));
        assert_eq!(protocol.quickly(&refusal), None);
        let error = Slow::Error {
            bytes: refusal.len(),
            code: "badCount".to_owned(),
            text: "too\\nmany".to_owned(),
        };
        assert_eq!(protocol.slowly(&[&refusal[..], &bytes].concat()), error);
        match protocol.slowly(b"HTTP/1.1 400") {
            Slow::Broken(text) => assert!(
                text.ends_with("(check that it is an Ipseity server, and its version)"),
                "{text}"
            ),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers_in_lines_are_read_only_when_they_are_whole() {
        let redis = Redis { count: 1 };
        assert_eq!(redis.quickly(b":17\r\n:18\r\n"), Some((17, 5)));
        assert_eq!(Redis { count: 10 }.quickly(b":17\r\n"), Some((8, 5)));
        assert_eq!(Redis { count: 20 }.quickly(b":17\r\n"), Some((0, 5)));
        let memcached = Memcached { count: 1 };
        assert_eq!(memcached.quickly(b"17\r\n"), Some((17, 4)));
        let most = format!("{}\r\n", i64::MAX);
        assert_eq!(
            memcached.quickly(most.as_bytes()),
            Some((i64::MAX as u64, 21))
        );
        for bytes in [
            "",
            "1",
            "17",
            "17\r",
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "99999999999999999999\r\n",
        ] {
            assert_eq!(memcached.quickly(bytes.as_bytes()), None, "{bytes:?}");
            let bytes = format!(":{bytes}");
            assert_eq!(redis.quickly(bytes.as_bytes()), None, "{bytes:?}");
        }
    }

    #[test]
    fn lines_without_a_number_are_errors_or_malformed() {
        let error = |bytes, code: &str, text: &str| Slow::Error {
            bytes,
            code: code.to_owned(),
            text: text.to_owned(),
        };
        let mut redis = Redis { count: 1 };
        assert_eq!(redis.slowly(b":1"), Slow::Partial);
        assert_eq!(
            redis.slowly(b"-ERR no\r\n:1\r\n"),
            error(9, "ERR", "ERR no")
        );
        assert!(matches!(redis.slowly(b"+OK\r\n"), Slow::Broken(_)));
        let mut memcached = Memcached { count: 1 };
        assert_eq!(
            memcached.slowly(b"NOT_FOUND\r\n"),
            error(11, "NOT_FOUND", "NOT_FOUND")
        );
        assert!(matches!(memcached.slowly(b"x\r\n"), Slow::Broken(_)));
        let endless = [b'1'; LINE_BYTES_MAX];
        assert!(matches!(memcached.slowly(&endless), Slow::Broken(_)));
    }
}
