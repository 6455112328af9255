//! Identities, addresses, frames and codes.

use ipseity_client::{
    Client, ClientError, ClientOptions, ErrorCode, ErrorReply, Identity, ServerAddress,
};
use ipseity_core::words::{Hello, Message};
use ipseity_frames::{FrameDecoder, Receiver, encode};
use ipseity_harness::fake::{Fake, Step};
use serde_json::{Value, json};

use crate::told::{Answer, Failure, number, text_of};

pub fn identity(text: &str) -> Answer {
    text.parse().map(forms).map_err(Failure::configuration)
}

pub fn base32(text: &str) -> Answer {
    let identity = Identity::from_base32(text);
    identity.map(forms).map_err(Failure::configuration)
}

fn forms(identity: Identity) -> Value {
    json!({
        "decimal": identity.to_string(),
        "hex": format!("{identity:#x}"),
        "pair": identity.to_pair(),
        "base32": identity.to_base32(),
        "sequence": identity.sequence().to_string(),
        "pid": identity.pid().get(),
    })
}

pub fn address(text: &str) -> Answer {
    let address: ServerAddress = text.parse().map_err(Failure::configuration)?;
    Ok(json!({
        "host": address.host(),
        "port": address.port(),
        "tls": address.is_tls(),
    }))
}

pub fn encoded(message: &Value) -> Answer {
    let message = match text_of(message, "kind")? {
        "identityRequest" => Message::IdentityRequest {
            count: number(message, "count")?,
            after: text_of(message, "after")?.parse().map_err(Failure::told)?,
        },
        "helloRequest" => {
            let cluster = match text_of(message, "cluster")? {
                "" => None,
                name => Some(name.parse().map_err(Failure::configuration)?),
            };
            Message::HelloRequest(Box::new(Hello { cluster }))
        }
        other => return Err(Failure::told(format!("{other:?} is not sent by clients"))),
    };
    let mut bytes = Vec::new();
    encode(&message, &mut bytes);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(json!({ "bytes": hex }))
}

pub fn decoded(hex: &str) -> Answer {
    let bytes: Result<Vec<u8>, _> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(hex.get(at..at + 2).unwrap_or(""), 16))
        .collect();
    let bytes = bytes.map_err(Failure::told)?;
    let mut decoder = FrameDecoder::new();
    let space = decoder.space().get_mut(..bytes.len());
    let space = space.ok_or_else(|| Failure::protocol("no frame is so long"))?;
    space.copy_from_slice(&bytes);
    decoder.filled(bytes.len());
    let message = decoder.next(Receiver::Client).map_err(Failure::protocol)?;
    let message = message.ok_or_else(|| Failure::protocol("the frame is not complete"))?;
    if !decoder.is_empty() {
        return Err(Failure::protocol("bytes are left over"));
    }
    match message {
        Message::IdentityReply { first, count } => Ok(json!({
            "kind": "identityReply",
            "first": first.to_string(),
            "count": count,
        })),
        Message::HelloReply(reply) => Ok(json!({
            "kind": "helloReply",
            "cluster": reply.cluster.as_str(),
            "version": reply.version,
            "wireVersion": reply.wire_version,
            "countMax": reply.count_max,
            "pid": reply.pid.get(),
            "standing": reply.standing as u8,
        })),
        Message::ErrorReply(reply) => Ok(json!({
            "kind": "errorReply",
            "code": reply.code,
            "message": reply.message,
        })),
        other => Err(Failure::protocol(format!("nothing asks for {other:?}"))),
    }
}

/// What the client does on a code is asked of the client itself, before a server that answers with it.
pub fn code(code: u16) -> Answer {
    let reply = ErrorReply {
        code,
        message: "by the kit".to_owned(),
    };
    let reply = Message::ErrorReply(Box::new(reply));
    let server = Fake::scripted(1, [Step::Reply(reply)]);
    let client = Client::with_options([server.address()], ClientOptions::one_round())?;
    let action = match client.next() {
        Err(ClientError::Unavailable(_)) => "elsewhere",
        Err(ClientError::Refused { .. }) => "refused",
        Err(ClientError::WrongCluster { .. }) => "wrongCluster",
        other => return Err(Failure::told(format!("{other:?} after code {code}"))),
    };
    let known = ErrorCode::from_u16(code).map(ErrorCode::closes);
    let closes = known.unwrap_or(!(32..64).contains(&code));
    Ok(json!({ "action": action, "closes": closes }))
}
