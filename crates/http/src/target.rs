//! What a request names: its path, and the parameters behind it.

use std::borrow::Cow;

use ipseity_core::identity::{Identity, IdentityError};

use crate::{
    asked::Asked,
    head::Head,
    host::{HostNames, is_host, name_of},
    limits::HTTP_COUNT_MAX,
    refusal::{Allow, Parameter, Refusal, Shown},
};

/// What a request asks for.
pub(crate) fn look_up(head: &Head<'_>, hosts: &HostNames) -> Result<Asked, Refusal> {
    let (host, target) = host_and_path(head)?;
    let path_bytes = target.bytes().position(|byte| byte == b'?');
    let (path, query) = target.split_at(path_bytes.unwrap_or(target.len()));
    let query = query.strip_prefix('?').unwrap_or_default();
    let asked = match path {
        "/identities" => return look_up_identities(head, host, query, hosts),
        "/status" => Asked::Status,
        "/metrics" => Asked::Metrics,
        "/livez" => Asked::Live,
        "/readyz" => Asked::Ready,
        "/" => Asked::Page,
        _ => return Err(Refusal::NotFound),
    };
    if !matches!(head.method, "GET" | "HEAD") {
        return Err(Refusal::Method(Allow::Get));
    }
    // The others are for probes and monitors, which may send any name.
    if asked == Asked::Page {
        check_host(host, hosts)?;
    }
    Ok(asked)
}

fn look_up_identities(
    head: &Head<'_>,
    host: Option<&str>,
    query: &str,
    hosts: &HostNames,
) -> Result<Asked, Refusal> {
    if head.method != "POST" {
        return Err(Refusal::Method(Allow::Post));
    }
    check_host(host, hosts)?;
    if !head.is_json {
        return Err(Refusal::ContentType);
    }
    identities(query)
}

/// An HTTP/1.0 client may leave the host out. No browser does.
fn check_host(host: Option<&str>, hosts: &HostNames) -> Result<(), Refusal> {
    match host {
        Some(host) if name_of(host).is_empty() => Err(Refusal::HostEmpty),
        Some(host) if !hosts.allow(host) => Err(Refusal::HostNotAllowed(Shown::new(name_of(host)))),
        _ => Ok(()),
    }
}

/// The host and the path with its parameters. `GET http://host/path`, as sent to a proxy, names the host there.
fn host_and_path<'a>(head: &Head<'a>) -> Result<(Option<&'a str>, &'a str), Refusal> {
    let target = head.target;
    if target.starts_with('/') {
        return Ok((head.host, target));
    }
    if target == "*" && head.method == "OPTIONS" {
        return Err(Refusal::Method(Allow::All));
    }
    let scheme_and_rest = target.split_once("://").filter(|(scheme, _)| {
        scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
    });
    let (_, rest) = scheme_and_rest.ok_or(Refusal::Target)?;
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if host.is_empty() || !is_host(host) {
        return Err(Refusal::Target);
    }
    match path.starts_with('/') {
        true => Ok((Some(host), path)),
        false => Ok((Some(host), "/")),
    }
}

/// The request for identities in `count=N&after=ID`.
fn identities(query: &str) -> Result<Asked, Refusal> {
    let (mut count, mut after) = (None, None);
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = decoded(value);
        match decoded(name).as_deref() {
            Some("count") => {
                let value = count_of(value.as_deref().unwrap_or_default())?;
                if count.replace(value).is_some() {
                    return Err(Refusal::ParameterTwice(Parameter::Count));
                }
            }
            Some("after") => {
                let value = value.as_deref().ok_or(IdentityError::NotANumber);
                let value = value.and_then(str::parse::<Identity>);
                if after.replace(value.map_err(Refusal::BadAfter)?).is_some() {
                    return Err(Refusal::ParameterTwice(Parameter::After));
                }
            }
            _ => return Err(Refusal::UnknownParameter(Shown::new(name))),
        }
    }
    Ok(Asked::Identities {
        count: count.unwrap_or(1),
        after: after.map_or(0, Identity::get),
    })
}

fn count_of(text: &str) -> Result<u32, Refusal> {
    // `u32::from_str` would take a leading plus.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::BadCount(Some(Shown::new(text))));
    }
    let count = text
        .parse()
        .ok()
        .filter(|count| (1..=HTTP_COUNT_MAX).contains(count));
    count.ok_or(Refusal::BadCount(None))
}

/// A name or a value without the percents that it may be written with, such as `1%3A1`.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut pieces = text.split('%');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (code, rest) = piece.as_bytes().split_at_checked(2)?;
        let [high, low] = [code[0], code[1]].map(|digit| char::from(digit).to_digit(16));
        bytes.push((high? * 16 + low?) as u8);
        bytes.extend_from_slice(rest);
    }
    Some(Cow::Owned(String::from_utf8(bytes).ok()?))
}
