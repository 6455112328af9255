//! Where a store in etcd is, as `--store` names it: [`Target`].

use std::{fmt, str::FromStr};

use ipseity_core::{
    address::HostPort,
    text::{Plain, is_plain},
};

/// The port of etcd for clients.
pub const DEFAULT_PORT: u16 = 2379;

/// Below which keys everything is, if nothing else was said.
pub const DEFAULT_PREFIX: &str = "ipseity";

/// The most endpoints. etcd itself advises against more than seven members.
pub const ENDPOINTS_MAX: usize = 16;

/// The longest prefix in bytes. Every key begins with it, and an answer to a list has every key.
pub const PREFIX_BYTES_MAX: usize = 128;

/// A store in etcd: `etcd://HOST[:PORT][,HOST...][/PREFIX]`, or `etcds://` for TLS.
///
/// ```
/// use ipseity_etcd::Target;
///
/// let target: Target = "etcd://one,two:4000/shop/ids".parse().unwrap();
/// assert_eq!(target.to_string(), "etcd://one:2379,two:4000/shop/ids");
/// assert_eq!(target.prefix(), "shop/ids");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    endpoints: Vec<Endpoint>,
    uses_tls: bool,
    prefix: String,
}

/// One of the places where the same etcd is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
    uses_tls: bool,
}

impl Target {
    /// Where it is asked. There is at least one.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Whether it is asked over TLS.
    pub fn uses_tls(&self) -> bool {
        self.uses_tls
    }

    /// What all keys begin with, without a slash at its begin or end. Never empty.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl Endpoint {
    /// A name, or an address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is asked over TLS.
    pub fn uses_tls(&self) -> bool {
        self.uses_tls
    }

    /// What its paths begin with.
    pub(crate) fn url(&self) -> String {
        match self.uses_tls {
            true => format!("https://{self}"),
            false => format!("http://{self}"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.uses_tls { "etcds://" } else { "etcd://" })?;
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{endpoint}")?;
        }
        write!(f, "/{}", self.prefix)
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Target, TargetError> {
        parse(text).map_err(|reason| TargetError {
            // It may have a password, and this is shown.
            text: match text.contains('@') {
                true => "this".to_owned(),
                false => format!("{text:?}"),
            },
            reason,
        })
    }
}

fn parse(text: &str) -> Result<Target, String> {
    let (scheme, rest) = text
        .split_once("://")
        .ok_or("it must begin with etcd:// or etcds://")?;
    let uses_tls = match scheme {
        "etcd" => false,
        "etcds" => true,
        _ => return Err("it must begin with etcd:// or etcds://".to_owned()),
    };
    if rest.contains('@') {
        return Err(
            "everybody on this machine can see a password in an argument: write USER:PASSWORD to a file, and name that \
             with --etcd-user"
                .to_owned(),
        );
    }
    let (hosts, prefix) = match rest.split_once('/') {
        Some((hosts, "")) => (hosts, DEFAULT_PREFIX),
        Some((hosts, prefix)) => (hosts, prefix),
        None => (rest, DEFAULT_PREFIX),
    };
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for host in hosts.split(',') {
        let endpoint = parse_endpoint(host, uses_tls)?;
        if endpoints.contains(&endpoint) {
            return Err(format!("{endpoint} is in it twice"));
        }
        endpoints.push(endpoint);
    }
    if endpoints.len() > ENDPOINTS_MAX {
        return Err(format!("it has more than {ENDPOINTS_MAX} hosts"));
    }
    Ok(Target {
        endpoints,
        uses_tls,
        prefix: parse_prefix(prefix)?.to_owned(),
    })
}

fn parse_endpoint(text: &str, uses_tls: bool) -> Result<Endpoint, String> {
    if text.is_empty() {
        return Err("a host is missing".to_owned());
    }
    let address: HostPort = text.parse().map_err(|error| format!("{error}"))?;
    if address.host().contains('%') {
        return Err(format!(
            "{text} has a zone, which HTTP does not know: use another address"
        ));
    }
    let is_name = address.host().parse::<std::net::IpAddr>().is_err();
    if is_name && !address.host().bytes().all(is_of_a_name) {
        return Err(format!("{} is no name of a host", Plain(text)));
    }
    let port = address.port().unwrap_or(DEFAULT_PORT);
    if port == 0 {
        return Err(format!("{text}: no server has port 0"));
    }
    Ok(Endpoint {
        host: address.host().to_owned(),
        port,
        uses_tls,
    })
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._".contains(&byte)
}

fn parse_prefix(text: &str) -> Result<&str, String> {
    let prefix = text.strip_suffix('/').unwrap_or(text);
    if prefix.len() > PREFIX_BYTES_MAX {
        return Err(format!("its prefix has more than {PREFIX_BYTES_MAX} bytes"));
    }
    if prefix.split('/').any(str::is_empty) {
        return Err("a part of its prefix is empty: write it without a slash too many".to_owned());
    }
    // What a URL would mean by these is not meant here.
    let is_odd = |c: char| !is_plain(c) || c.is_whitespace() || "?#%\\\"'".contains(c);
    match prefix.chars().find(|&c| is_odd(c)) {
        Some(odd) => Err(format!("its prefix must not have the character {odd:?}")),
        None => Ok(prefix),
    }
}

/// A text that names no store in etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetError {
    text: String,
    reason: String,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TargetError { text, reason } = self;
        write!(
            f,
            "{text} names no store: {reason}. A store is etcd://HOST[:PORT][,HOST...][/PREFIX], or etcds:// for TLS"
        )
    }
}

impl std::error::Error for TargetError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_has_hosts_and_perhaps_a_prefix() {
        for (text, shown) in [
            ("etcd://one", "etcd://one:2379/ipseity"),
            ("etcd://one/", "etcd://one:2379/ipseity"),
            ("etcds://one:1,two", "etcds://one:1,two:2379/ipseity"),
            ("etcd://10.0.0.1/a/b/", "etcd://10.0.0.1:2379/a/b"),
            ("etcd://[::1]:1,[::2]", "etcd://[::1]:1,[::2]:2379/ipseity"),
            ("etcd://one/kürzel", "etcd://one:2379/kürzel"),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.to_string(), shown);
            assert_eq!(shown.parse(), Ok(target));
        }
        let target: Target = "etcds://[::1]".parse().unwrap();
        let endpoint = &target.endpoints()[0];
        assert_eq!((endpoint.host(), endpoint.port()), ("::1", 2379));
        assert_eq!(endpoint.url(), "https://[::1]:2379");
        let plain: Target = "etcd://one:2".parse().unwrap();
        assert_eq!(plain.endpoints()[0].url(), "http://one:2");
    }

    #[test]
    fn everything_else_is_refused_with_the_reason() {
        let many = (0..17)
            .map(|n| format!("h{n}"))
            .collect::<Vec<_>>()
            .join(",");
        for (text, says) in [
            ("one:2379", "must begin with etcd://"),
            ("http://one", "must begin with etcd://"),
            ("etcd://", "a host is missing"),
            ("etcd:///prefix", "a host is missing"),
            ("etcd://one,,two", "a host is missing"),
            ("etcd://one,one:2379", "one:2379 is in it twice"),
            ("etcd://one:0", "no server has port 0"),
            ("etcd://one:70000", "70000"),
            ("etcd://fe80::1%eth0", "has a zone"),
            ("etcd://a b", "it names no host"),
            ("etcd://bücher.example", "is no name of a host"),
            ("etcd://ann:secret@one", "--etcd-user"),
            ("etcd://one//a", "a part of its prefix is empty"),
            ("etcd://one/a//b", "a part of its prefix is empty"),
            ("etcd://one/a?b", "must not have the character '?'"),
            ("etcd://one/a b", "must not have the character ' '"),
            (&format!("etcd://{many}"), "more than 16 hosts"),
            (
                &format!("etcd://one/{}", "x".repeat(129)),
                "more than 128 bytes",
            ),
        ] {
            let error = text.parse::<Target>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
