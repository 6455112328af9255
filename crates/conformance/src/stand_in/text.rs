//! Text and bytes, for the stand-in.

use ipseity_core::{
    address::{AddressError, HostPort},
    identity::Identity,
    limits::PORT_DEFAULT,
};
use ipseity_frames::Receiver;
use serde_json::{Value, json};

use super::{Failure, faults::has};
use crate::{
    message::{bytes, decode, from_json, hex, to_json, unhex},
    vectors::{action, forms},
};

/// A server.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) given: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_tls: bool,
}

impl Address {
    pub(super) fn parse(text: &str) -> Result<Address, Failure> {
        let wrong = |reason: String| Failure::of("configuration", &reason);
        let (is_tls, place) = match text.strip_prefix("tls://") {
            Some(place) => (true, place),
            None if has("reads-any-scheme") => {
                (false, text.split("://").last().unwrap_or_default())
            }
            None => (false, text),
        };
        let address: HostPort = place.parse().map_err(|error: AddressError| {
            wrong(format!(
                "{text:?} is not an address ([tls://]HOST[:PORT]): {}",
                error.reason()
            ))
        })?;
        match address.port().unwrap_or(PORT_DEFAULT) {
            0 => Err(wrong(format!(
                "{text:?} is not an address ([tls://]HOST[:PORT]): its port is not 1 to 65535"
            ))),
            port => Ok(Address {
                given: text.to_owned(),
                host: address.host().to_owned(),
                port,
                is_tls,
            }),
        }
    }
}

/// What a command about text or bytes answers; `None` if it is another command.
pub(super) fn answer(what: &str, command: &Value) -> Option<Result<Value, Failure>> {
    let text = command["text"].as_str().unwrap_or_default();
    Some(match what {
        "identity" => {
            let text = if has("reads-blanks") {
                text.trim()
            } else {
                text
            };
            let identity = text.parse::<Identity>();
            identity.map(forms).map_err(|error| wrong(&error))
        }
        "base32" => base32(text).map(forms),
        "address" => Address::parse(text).map(
            |address| json!({"host": address.host, "port": address.port, "tls": address.is_tls}),
        ),
        "encode" => from_json(&command["message"])
            .map_err(|error| wrong(&error))
            .map(|message| {
                let mut bytes = bytes(&message);
                if has("encodes-little") {
                    bytes.reverse();
                }
                json!({"bytes": hex(&bytes)})
            }),
        "decode" => {
            let bytes = unhex(command["bytes"].as_str().unwrap_or_default());
            let message = bytes.and_then(|bytes| decode(&bytes, Receiver::Client));
            let message =
                message.and_then(|message| to_json(&message).ok_or("nobody asked".to_owned()));
            match message {
                Err(_) if has("decodes-anything") => Ok(json!({"kind": "identityReply"})),
                message => message.map_err(|reason| Failure::of("protocol", &reason)),
            }
        }
        "code" => {
            let code = command["code"].as_u64().unwrap_or_default() as u16;
            let asked = if has("mixes-codes") { code + 1 } else { code };
            Ok(json!({"action": action(asked), "closes": !(32..64).contains(&code)}))
        }
        _ => return None,
    })
}

fn wrong(reason: &impl ToString) -> Failure {
    Failure::of("configuration", &reason.to_string())
}

/// Reads the 13 characters of an identity.
fn base32(text: &str) -> Result<Identity, Failure> {
    let mut value: u128 = 0;
    let mut count = 0;
    for c in text.chars() {
        if c == '-' && has("reads-hyphens") {
            continue;
        }
        let c = match c.to_ascii_uppercase() {
            'I' | 'L' => '1',
            'O' => '0',
            c => c,
        };
        let place = "0123456789ABCDEFGHJKMNPQRSTVWXYZ".find(c);
        let place = place.ok_or_else(|| wrong(&format!("{c:?} is not in the alphabet")))?;
        value = ((value << 5) | place as u128) & ((1 << 100) - 1);
        count += 1;
    }
    let identity = u64::try_from(value).ok().and_then(Identity::from_u64);
    match identity.filter(|_| count == 13 || has("reads-hyphens")) {
        Some(identity) => Ok(identity),
        None => Err(wrong(&format!("{text:?} is no identity in base32"))),
    }
}
