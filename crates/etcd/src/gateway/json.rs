//! Calls and answers in the JSON of etcd's gateway. Numbers of 64 bits are texts there, what is zero or false is left out,
//! and keys and values are in base64.

use std::{fmt::Display, str::FromStr, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, json};

use super::fault::{Complaint, ErrorBody, Fault};
use crate::call::{Answer, Answered, Call, Compare, Header, KeyRange, KeyValue, LeaseId, Op, Txn};

/// The path and the body of a call.
pub fn request(call: &Call) -> (&'static str, String) {
    let (path, body) = match call {
        Call::Range(range) => ("/v3/kv/range", range_json(range)),
        Call::Txn(txn) => ("/v3/kv/txn", txn_json(txn)),
        Call::Grant { lease, ttl } => {
            let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
            let body = json!({ "ID": lease.to_string(), "TTL": seconds.max(1).to_string() });
            ("/v3/lease/grant", body)
        }
        Call::KeepAlive(lease) => ("/v3/lease/keepalive", lease_json(*lease)),
        Call::Revoke(lease) => ("/v3/lease/revoke", lease_json(*lease)),
    };
    (path, body.to_string())
}

/// The path and the body that show who somebody is.
pub fn login(name: &str, password: &str) -> (&'static str, String) {
    let body = json!({ "name": name, "password": password });
    ("/v3/auth/authenticate", body.to_string())
}

/// The token in the answer to that.
pub fn token(body: &[u8]) -> Result<String, Fault> {
    parse::<TokenBody>(body).map(|body| body.token)
}

/// The answer to a call.
pub fn answer(call: &Call, body: &[u8]) -> Result<Answer, Fault> {
    let (header, answered) = match call {
        Call::Range(_) => {
            let body: RangeBody = parse(body)?;
            (body.header, Answered::Range(values(body.kvs)?))
        }
        Call::Txn(txn) => {
            let body: TxnBody = parse(body)?;
            let ops = match body.succeeded {
                true => &txn.then,
                false => &txn.otherwise,
            };
            let answered = Answered::Txn {
                succeeded: body.succeeded,
                ranges: ranges(ops, body.responses)?,
            };
            (body.header, answered)
        }
        Call::Grant { lease, .. } => {
            let body: LeaseBody = parse(body)?;
            let ttl = body.ttl_of(*lease)?;
            let ttl = ttl.ok_or_else(|| odd("a lease that lasts for no time"))?;
            (body.header, Answered::Granted { ttl })
        }
        Call::KeepAlive(lease) => {
            let body: Streamed = parse_first(body)?;
            let body = match (body.result, body.error) {
                (Some(result), None) => result,
                (_, Some(error)) => return Err(Complaint::in_stream(error).fault()),
                (None, None) => return Err(odd("neither a result nor an error")),
            };
            let ttl = body.ttl_of(*lease)?;
            (body.header, Answered::KeptAlive(ttl))
        }
        Call::Revoke(_) => {
            let body: HeaderOnly = parse(body)?;
            (body.header, Answered::Revoked)
        }
    };
    header.check(&answered)?;
    let header = Header {
        cluster_id: header.cluster_id,
        revision: header.revision,
        term: header.raft_term,
    };
    Ok(Answer { header, answered })
}

fn lease_json(lease: LeaseId) -> Value {
    json!({ "ID": lease.to_string() })
}

fn range_json(range: &KeyRange) -> Value {
    match range {
        KeyRange::Key(key) => json!({ "key": encoded(key) }),
        KeyRange::Prefix(prefix) => {
            let (from, to) = bounds(prefix);
            json!({ "key": STANDARD.encode(from), "range_end": STANDARD.encode(to) })
        }
    }
}

/// The first key with this prefix, and the first behind all that have it.
fn bounds(prefix: &str) -> (Vec<u8>, Vec<u8>) {
    let from = prefix.as_bytes().to_vec();
    let mut to = from.clone();
    // No byte of a text in UTF-8 is 0xff, so every last byte has a next one.
    match to.last_mut() {
        Some(last) => *last += 1,
        // A zero byte stands for the first of all keys, and for their end.
        None => return (vec![0], vec![0]),
    }
    (from, to)
}

fn txn_json(txn: &Txn) -> Value {
    let compare: Vec<Value> = txn.compare.iter().map(compare_json).collect();
    let success: Vec<Value> = txn.then.iter().map(op_json).collect();
    let failure: Vec<Value> = txn.otherwise.iter().map(op_json).collect();
    json!({ "compare": compare, "success": success, "failure": failure })
}

fn compare_json(compare: &Compare) -> Value {
    match compare {
        Compare::Revision { key, is } => json!({
            "key": encoded(key), "target": "MOD", "result": "EQUAL", "mod_revision": is.to_string(),
        }),
        Compare::Value { key, is } => json!({
            "key": encoded(key), "target": "VALUE", "result": "EQUAL", "value": encoded(is),
        }),
    }
}

fn op_json(op: &Op) -> Value {
    match op {
        Op::Put { key, value, lease } => {
            let mut put = json!({ "key": encoded(key), "value": encoded(value) });
            if let Some(lease) = lease {
                put["lease"] = json!(lease.to_string());
            }
            json!({ "request_put": put })
        }
        Op::Delete(key) => json!({ "request_delete_range": { "key": encoded(key) } }),
        Op::Range(range) => json!({ "request_range": range_json(range) }),
    }
}

fn encoded(text: &str) -> String {
    STANDARD.encode(text)
}

#[derive(Deserialize)]
struct HeaderBody {
    #[serde(default, deserialize_with = "number")]
    cluster_id: u64,
    #[serde(default, deserialize_with = "number")]
    revision: i64,
    #[serde(default, deserialize_with = "number")]
    raft_term: u64,
}

impl HeaderBody {
    /// Checks that it says what is judged by it: which etcd this is, how new, and under which leader. None of these is
    /// ever zero in etcd, so one that is absent was left out by somebody between.
    fn check(&self, answered: &Answered) -> Result<(), Fault> {
        let (is_store, is_renewal) = match answered {
            Answered::Range(_) | Answered::Txn { .. } => (true, true),
            Answered::KeptAlive(ttl) => (false, ttl.is_some()),
            Answered::Granted { .. } | Answered::Revoked => (false, false),
        };
        let fields = [
            ("cluster_id", is_store && self.cluster_id == 0),
            ("revision", is_store && self.revision <= 0),
            ("raft_term", is_renewal && self.raft_term == 0),
        ];
        let absent = fields.iter().find(|(_, is_absent)| *is_absent);
        absent.map_or(Ok(()), |(field, _)| {
            Err(Fault::Unanswered(format!(
                "its answer has no {field}, which etcd always tells: name the members of etcd themselves, not a proxy \
                 that leaves it out"
            )))
        })
    }
}

#[derive(Deserialize)]
struct HeaderOnly {
    header: HeaderBody,
}

#[derive(Deserialize)]
struct TokenBody {
    token: String,
}

#[derive(Deserialize)]
struct RangeBody {
    header: HeaderBody,
    #[serde(default)]
    kvs: Vec<KeyValueBody>,
}

#[derive(Deserialize)]
struct KeyValueBody {
    #[serde(deserialize_with = "text")]
    key: String,
    #[serde(default, deserialize_with = "text")]
    value: String,
    #[serde(default, deserialize_with = "number")]
    create_revision: i64,
    #[serde(default, deserialize_with = "number")]
    mod_revision: i64,
    #[serde(default, deserialize_with = "number")]
    lease: LeaseId,
}

#[derive(Deserialize)]
struct TxnBody {
    header: HeaderBody,
    #[serde(default)]
    succeeded: bool,
    #[serde(default)]
    responses: Vec<OpBody>,
}

#[derive(Deserialize)]
struct OpBody {
    response_range: Option<RangeOfTxn>,
}

#[derive(Deserialize)]
struct RangeOfTxn {
    #[serde(default)]
    kvs: Vec<KeyValueBody>,
}

#[derive(Deserialize)]
struct LeaseBody {
    header: HeaderBody,
    #[serde(rename = "ID", default, deserialize_with = "number")]
    lease: LeaseId,
    #[serde(rename = "TTL", default, deserialize_with = "number")]
    ttl: i64,
}

/// One of the answers in a stream.
#[derive(Deserialize)]
struct Streamed {
    result: Option<LeaseBody>,
    error: Option<ErrorBody>,
}

impl LeaseBody {
    /// How long the lease lasts, if it is this one. `None` if it is gone.
    fn ttl_of(&self, lease: LeaseId) -> Result<Option<Duration>, Fault> {
        if self.lease != lease {
            return Err(odd("another lease"));
        }
        let seconds = u64::try_from(self.ttl).unwrap_or(0);
        Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
    }
}

fn values(bodies: Vec<KeyValueBody>) -> Result<Vec<KeyValue>, Fault> {
    let value = |body: KeyValueBody| {
        if body.mod_revision <= 0 {
            return Err(odd("a key without a revision"));
        }
        Ok(KeyValue {
            key: body.key,
            value: body.value,
            create_revision: body.create_revision,
            mod_revision: body.mod_revision,
            lease: (body.lease != 0).then_some(body.lease),
        })
    };
    bodies.into_iter().map(value).collect()
}

/// What the ranges among these operations have read.
fn ranges(ops: &[Op], responses: Vec<OpBody>) -> Result<Vec<Vec<KeyValue>>, Fault> {
    if ops.len() != responses.len() {
        return Err(odd("another number of answers than questions"));
    }
    let mut ranges = Vec::new();
    for (op, response) in ops.iter().zip(responses) {
        match (op, response.response_range) {
            (Op::Range(_), Some(range)) => ranges.push(values(range.kvs)?),
            (Op::Put { .. } | Op::Delete(_), None) => {}
            _ => return Err(odd("answers to other questions")),
        }
    }
    Ok(ranges)
}

fn parse<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| odd(&error.to_string()))
}

/// The first object of several.
fn parse_first<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Fault> {
    let mut all = serde_json::Deserializer::from_slice(body).into_iter();
    match all.next() {
        Some(first) => first.map_err(|error| odd(&error.to_string())),
        None => Err(odd("nothing")),
    }
}

/// An answer from which nobody learns whether the call was done.
fn odd(what: &str) -> Fault {
    Fault::Unanswered(format!(
        "its answer cannot be understood ({what}): is this etcd, 3.4 or later?"
    ))
}

/// A number, or a text that is one.
fn number<'de, D: Deserializer<'de>, T>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr<Err: Display>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Number(serde_json::Number),
    }
    let text = match Written::deserialize(deserializer)? {
        Written::Text(text) => text,
        Written::Number(number) => number.to_string(),
    };
    text.parse().map_err(D::Error::custom)
}

/// A text in base64. Other programs may keep bytes there that are no text. They must not hide the keys beside them, so
/// what is no character is shown as U+FFFD. Nothing that is compared with such a text is equal to the bytes.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let encoded = String::deserialize(deserializer)?;
    let bytes = STANDARD.decode(encoded).map_err(D::Error::custom)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
