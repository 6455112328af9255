//! The messages between a client and a server as JSON, and as bytes.

use ipseity_core::{
    identity::Pid,
    words::{ErrorReply, Hello, Introduction, Message, Standing},
};
use ipseity_frames::{FrameDecoder, Receiver, encode};
use serde_json::{Value, json};

/// A message as the README of the kit has it; `None` for one that no client sends or gets.
pub fn to_json(message: &Message) -> Option<Value> {
    let kind = message.name();
    Some(match message {
        Message::IdentityRequest { count, after } => {
            json!({"kind": kind, "count": count, "after": after.to_string()})
        }
        Message::IdentityReply { first, count } => {
            json!({"kind": kind, "first": first.to_string(), "count": count})
        }
        Message::HelloRequest(hello) => {
            let cluster = hello.cluster.as_ref().map_or("", |name| name.as_str());
            json!({"kind": kind, "cluster": cluster})
        }
        Message::HelloReply(server) => json!({
            "kind": kind,
            "cluster": server.cluster.as_str(),
            "version": server.version,
            "wireVersion": server.wire_version,
            "countMax": server.count_max,
            "pid": server.pid.get(),
            "standing": server.standing as u8,
        }),
        Message::ErrorReply(error) => {
            json!({"kind": kind, "code": error.code, "message": error.message})
        }
        _ => return None,
    })
}

/// The message that this JSON is. A field that is missing has the value of a server with pid 1 in cluster `ipseity`.
///
/// # Errors
/// It is no such message.
pub fn from_json(value: &Value) -> Result<Message, String> {
    let number = |field: &str, default: u64| match value.get(field) {
        None => Ok(default),
        Some(Value::String(text)) => text.parse().map_err(|_| format!("{field}: {text:?}")),
        Some(value) => value.as_u64().ok_or(format!("{field}: {value}")),
    };
    let text = |field: &str, default: &str| match value.get(field) {
        None => Ok(default.to_owned()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(value) => Err(format!("{field}: {value}")),
    };
    let small = |field: &str, default: u64| {
        u32::try_from(number(field, default)?).map_err(|_| format!("{field} is too large"))
    };
    let tiny = |field: &str, default: u64| {
        u16::try_from(number(field, default)?).map_err(|_| format!("{field} is too large"))
    };
    let name = |field: &str, default: &str| {
        let name = text(field, default)?;
        name.parse().map_err(|error| format!("{field}: {error}"))
    };
    let kind = text("kind", "")?;
    Ok(match kind.as_str() {
        "identityRequest" => Message::IdentityRequest {
            count: small("count", 1)?,
            after: number("after", 0)?,
        },
        "identityReply" => Message::IdentityReply {
            first: number("first", 1025)?,
            count: small("count", 1)?,
        },
        "helloRequest" => Message::HelloRequest(Box::new(Hello {
            cluster: match text("cluster", "")?.as_str() {
                "" => None,
                _ => Some(name("cluster", "")?),
            },
        })),
        "helloReply" => Message::HelloReply(Box::new(Introduction {
            cluster: name("cluster", "ipseity")?,
            version: text("version", "0.2.0")?,
            wire_version: tiny("wireVersion", 2)?,
            count_max: small("countMax", 1000)?,
            pid: Pid::new(tiny("pid", 1)?).ok_or("pid is above 1023")?,
            standing: {
                let standing = number("standing", 0)?;
                let known = Standing::ALL
                    .iter()
                    .find(|known| **known as u64 == standing);
                *known.ok_or(format!("there is no standing {standing}"))?
            },
        })),
        "errorReply" => Message::ErrorReply(Box::new(ErrorReply {
            code: tiny("code", 0)?,
            message: text("message", "")?,
        })),
        other => return Err(format!("a script cannot have a message of kind {other:?}")),
    })
}

/// The bytes of a message.
pub fn bytes(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(message, &mut bytes);
    bytes
}

/// The one message that these bytes are, or why not.
///
/// # Errors
/// They are not exactly one message that the receiver takes.
pub fn decode(bytes: &[u8], receiver: Receiver) -> Result<Message, String> {
    let mut decoder = FrameDecoder::new();
    decoder.restore(bytes);
    match decoder.next(receiver) {
        Ok(Some(message)) if decoder.rest().is_empty() => Ok(message),
        Ok(Some(_)) => Err("more follows".to_owned()),
        Ok(None) => Err("it is not complete".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of hexadecimal digits; blanks between them do not count.
///
/// # Errors
/// They are not pairs of hexadecimal digits.
pub fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| {
            c.to_digit(16)
                .ok_or(format!("{c:?} is no hexadecimal digit"))
        })
        .collect::<Result<_, _>>()?;
    match digits.len() % 2 {
        0 => Ok(digits
            .chunks(2)
            .map(|two| (two[0] * 16 + two[1]) as u8)
            .collect()),
        _ => Err(format!("{text:?} has an odd number of digits")),
    }
}
