//! What is measured: Ipseity, or another server in its place, over the same connections and by the same loop.

use std::{
    fmt,
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use ipseity_client::ServerAddress;
use ipseity_core::words::Message;
use ipseity_frames::encode;

/// The key that Redis and memcached count under.
const KEY: &str = "ipseity-bench";

/// The longest line that memcached answers with to the preparation, and more.
const LINE_BYTES_MAX: usize = 512;

/// What kind of server is measured, and so which protocol is spoken to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Ipseity, asked with identityRequest.
    Ipseity,
    /// Redis: `INCR`, or `INCRBY` for a block.
    Redis,
    /// memcached, by its text protocol: `incr`.
    Memcached,
    /// Any server that answers each request of Ipseity's length with 15 bytes. They are not checked.
    Raw,
}

impl Target {
    /// The targets that a URL can name, each with its scheme and its usual port.
    pub const BY_URL: [(Target, &'static str, u16); 3] = [
        (Target::Redis, "redis", 6379),
        (Target::Memcached, "memcached", 11211),
        (Target::Raw, "raw", 3264),
    ];

    /// The bytes of a request for `count` identities.
    pub fn request(self, count: u32) -> Vec<u8> {
        match self {
            Target::Ipseity | Target::Raw => {
                let mut bytes = Vec::new();
                encode(&Message::IdentityRequest { count, after: 0 }, &mut bytes);
                bytes
            }
            Target::Redis if count == 1 => redis_command(&["INCR", KEY]),
            Target::Redis => redis_command(&["INCRBY", KEY, &count.to_string()]),
            Target::Memcached => format!("incr {KEY} {count}\r\n").into_bytes(),
        }
    }

    /// Whether its identities are checked.
    pub fn is_checked(self) -> bool {
        self != Target::Raw
    }

    /// Prepares the server, once, before the first request.
    pub fn prepare(self, stream: TcpStream, timeout: Duration) -> Result<(), String> {
        match self {
            Target::Ipseity | Target::Redis | Target::Raw => Ok(()),
            Target::Memcached => prepare_memcached(stream, timeout),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Target::Ipseity => "ipseity",
            Target::Redis => "redis",
            Target::Memcached => "memcached",
            Target::Raw => "raw",
        })
    }
}

/// Reads `redis://HOST[:PORT]`, `memcached://HOST[:PORT]` or `raw://HOST[:PORT]`.
pub fn parse_url(text: &str) -> Result<(Target, ServerAddress), String> {
    let wrong = || {
        format!(
            "{text:?} is not a target: give redis://HOST[:PORT], memcached://HOST[:PORT] or \
             raw://HOST[:PORT]"
        )
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let (target, _, port) = Target::BY_URL
        .into_iter()
        .find(|(_, name, _)| *name == scheme)
        .ok_or_else(wrong)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let address =
        ServerAddress::with_default_port(rest, port).map_err(|error| error.to_string())?;
    match address.is_tls() {
        true => Err(wrong()),
        false => Ok((target, address)),
    }
}

fn redis_command(words: &[&str]) -> Vec<u8> {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text += &format!("${}\r\n{word}\r\n", word.len());
    }
    text.into_bytes()
}

/// memcached counts only under a key that exists.
fn prepare_memcached(mut stream: TcpStream, timeout: Duration) -> Result<(), String> {
    let mut ask = || -> io::Result<String> {
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        stream.write_all(format!("add {KEY} 0 0 1\r\n0\r\n").as_bytes())?;
        let mut line = Vec::new();
        let mut byte = [0];
        while line.len() < LINE_BYTES_MAX && !line.ends_with(b"\r\n") {
            match stream.read(&mut byte)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => line.push(byte[0]),
            }
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    };
    match ask() {
        // If the key exists, it counts on from where an earlier run has left it.
        Ok(answer) if answer == "STORED" || answer == "NOT_STORED" => Ok(()),
        Ok(answer) => Err(format!(
            "the key {KEY} cannot be added: {}",
            ipseity_console::plain(&answer)
        )),
        Err(error) => Err(format!("the key {KEY} cannot be added: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_a_scheme_and_may_have_a_port() {
        for (text, target, address) in [
            ("redis://127.0.0.1:1", Target::Redis, "127.0.0.1:1"),
            ("redis://cache", Target::Redis, "cache:6379"),
            ("redis://cache/", Target::Redis, "cache:6379"),
            ("memcached://[::1]:5", Target::Memcached, "[::1]:5"),
            ("memcached://[::1]", Target::Memcached, "[::1]:11211"),
            ("raw://::1", Target::Raw, "[::1]:3264"),
        ] {
            let (parsed, server) = parse_url(text).unwrap();
            assert_eq!((parsed, server.to_string().as_str()), (target, address));
        }
        for text in [
            "127.0.0.1:1",
            "http://a",
            "redis:/a",
            "redis://",
            "redis://a:b",
            "redis://tls://a",
        ] {
            assert!(parse_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn requests_are_what_each_server_reads() {
        assert_eq!(Target::Ipseity.request(1), [0, 1, 1]);
        assert_eq!(Target::Ipseity.request(1000).len(), 15);
        assert_eq!(Target::Raw.request(1), [0, 1, 1]);
        assert_eq!(
            Target::Redis.request(1),
            b"*2\r\n$4\r\nINCR\r\n$13\r\nipseity-bench\r\n"
        );
        assert_eq!(
            Target::Redis.request(20),
            b"*3\r\n$6\r\nINCRBY\r\n$13\r\nipseity-bench\r\n$2\r\n20\r\n"
        );
        assert_eq!(Target::Memcached.request(1), b"incr ipseity-bench 1\r\n");
    }
}
