//! What is in a certificate: its names, its dates and what it may be used for. It reads and writes no file.

use std::net::IpAddr;

use ipseity_tls::{Date, Facts, Role};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// A new certificate is valid from an hour ago on, because the clocks of machines differ.
const BEFORE_SECONDS: u64 = 60 * 60;

/// How many bytes of its key a CA has in its name.
const CA_NAME_KEY_BYTES: usize = 4;

/// The longest common name that X.509 allows, in characters.
pub const COMMON_NAME_MAX: usize = 64;

/// Whom a certificate is for, except a CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Server,
    Peer,
    Client,
    Operator,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Server, Kind::Peer, Kind::Client, Kind::Operator];

    pub const fn word(self) -> &'static str {
        match self {
            Kind::Server => "server",
            Kind::Peer => "peer",
            Kind::Client => "client",
            Kind::Operator => "operator",
        }
    }

    pub fn from_word(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// Whether others connect to it, so that it needs names and addresses.
    pub const fn is_reached(self) -> bool {
        match self {
            Kind::Server | Kind::Peer => true,
            Kind::Client | Kind::Operator => false,
        }
    }

    const fn role(self) -> Option<Role> {
        match self {
            Kind::Server => None,
            Kind::Peer => Some(Role::Peer),
            Kind::Client => Some(Role::Client),
            Kind::Operator => Some(Role::Operator),
        }
    }

    fn purposes(self) -> Vec<ExtendedKeyUsagePurpose> {
        match self {
            Kind::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            // Peers call each other.
            Kind::Peer => vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ],
            Kind::Client | Kind::Operator => vec![ExtendedKeyUsagePurpose::ClientAuth],
        }
    }
}

/// A name or an address that others use to reach a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Name(String),
    Address(IpAddr),
}

impl Host {
    /// Reads a name (`*.` in front stands for any one label) or an address.
    pub fn read(text: &str) -> Option<Host> {
        if let Ok(address) = text.parse() {
            return Some(Host::Address(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        ipseity_tls::server_name(name.strip_prefix("*.").unwrap_or(name)).ok()?;
        Some(Host::Name(name.to_owned()))
    }

    /// Whether both are reached in the same way. The DNS does not tell large letters from small ones.
    pub fn is_same(&self, other: &Host) -> bool {
        match (self, other) {
            (Host::Name(one), Host::Name(another)) => one.eq_ignore_ascii_case(another),
            (Host::Address(one), Host::Address(another)) => one == another,
            (Host::Name(_), Host::Address(_)) | (Host::Address(_), Host::Name(_)) => false,
        }
    }
}

/// A certificate and its private key, in PEM form.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

/// A CA that signs itself. It has none of these names.
pub fn ca(now: u64, days: u64, taken: &[String]) -> Result<Pair, rcgen::Error> {
    let mut key = KeyPair::generate()?;
    let mut name = ca_name(now, &key);
    // A name has so little of its key that this may happen, though hardly ever.
    while taken.contains(&name) {
        key = KeyPair::generate()?;
        name = ca_name(now, &key);
    }
    let mut wanted = dated(&name, now, not_after(now, days));
    // It signs certificates of servers and clients, and no other CAs.
    wanted.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    wanted.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let signed = CertifiedIssuer::self_signed(wanted, key)?;
    Ok(Pair {
        certificate: signed.pem(),
        key: signed.key().serialize_pem(),
    })
}

/// The name of a CA: the date, for people, and some of its public key. A name that came again, for a CA that was made
/// later, would be taken for that of the CA before: certificates name the CA that signed them.
fn ca_name(now: u64, key: &KeyPair) -> String {
    let date = Date(now).to_string();
    let day = date.split(' ').next().unwrap_or_default();
    // The first byte says only how the two numbers behind it are written.
    let digits = key.public_key_raw().iter().skip(1).take(CA_NAME_KEY_BYTES);
    let digits: String = digits.map(|byte| format!("{byte:02x}")).collect();
    format!("Ipseity CA {day} {digits}")
}

/// What is wanted of a certificate.
pub struct Wanted<'a> {
    pub kind: Kind,
    /// The common name.
    pub name: &'a str,
    pub hosts: &'a [Host],
    pub now: u64,
    /// The last second of its life.
    pub not_after: u64,
}

/// A certificate that a CA has signed.
pub fn leaf(
    wanted: &Wanted<'_>,
    ca: &CertificateDer<'_>,
    ca_key: KeyPair,
) -> Result<Pair, rcgen::Error> {
    let Wanted { kind, .. } = *wanted;
    let mut parameters = dated(wanted.name, wanted.now, wanted.not_after);
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.use_authority_key_identifier_extension = true;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = kind.purposes();
    for host in wanted.hosts {
        parameters.subject_alt_names.push(match host {
            Host::Name(name) => SanType::DnsName(name.as_str().try_into()?),
            Host::Address(address) => SanType::IpAddress(*address),
        });
    }
    if let Some(role) = kind.role() {
        let uri = SanType::URI(role.uri().try_into()?);
        parameters.subject_alt_names.push(uri);
    }
    let key = KeyPair::generate()?;
    let issuer = Issuer::from_ca_cert_der(ca, ca_key)?;
    Ok(Pair {
        certificate: parameters.signed_by(&key, &issuer)?.pem(),
        key: key.serialize_pem(),
    })
}

/// The last second of a life of this many days, and whether it had to be shortened to that of the CA.
pub fn not_after_below(ca: &Facts, now: u64, days: u64) -> (u64, bool) {
    let wanted = not_after(now, days);
    (wanted.min(ca.not_after), wanted > ca.not_after)
}

fn not_after(now: u64, days: u64) -> u64 {
    now.saturating_add(days.saturating_mul(DAY_SECONDS))
}

/// A certificate of somebody with this name, valid for so long. Without dates, rcgen would make it valid from 1975 to
/// 4096.
fn dated(name: &str, now: u64, not_after: u64) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.not_before = date(now.saturating_sub(BEFORE_SECONDS));
    parameters.not_after = date(not_after);
    parameters
}

fn date(seconds: u64) -> OffsetDateTime {
    let last = time::Date::MAX.midnight().assume_utc();
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(last)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A CA with this name.
    pub fn ca_named(name: &str, now: u64) -> Pair {
        let mut wanted = dated(name, now, now + DAY_SECONDS);
        wanted.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let signed = CertifiedIssuer::self_signed(wanted, KeyPair::generate().unwrap()).unwrap();
        Pair {
            certificate: signed.pem(),
            key: signed.key().serialize_pem(),
        }
    }

    #[test]
    fn a_name_that_is_taken_is_not_given_again() {
        let key = KeyPair::generate().unwrap();
        let name = ca_name(1_795_000_000, &key);
        assert!(name.starts_with("Ipseity CA 2026-11-18 "), "{name}");
        assert_eq!(
            name.len(),
            "Ipseity CA 2026-11-18 ".len() + 2 * CA_NAME_KEY_BYTES
        );
        assert_eq!(ca_name(1_795_000_000, &key), name);
        assert_ne!(ca_name(1_795_000_000, &KeyPair::generate().unwrap()), name);
    }

    #[test]
    fn hosts_are_names_and_addresses_and_nothing_else() {
        for (text, host) in [
            ("one.example", Host::Name("one.example".to_owned())),
            ("one.example.", Host::Name("one.example".to_owned())),
            ("*.example.org", Host::Name("*.example.org".to_owned())),
            ("10.0.0.1", Host::Address("10.0.0.1".parse().unwrap())),
            ("::1", Host::Address("::1".parse().unwrap())),
        ] {
            assert_eq!(Host::read(text), Some(host));
        }
        for text in [
            "",
            ".",
            "*",
            "*.",
            "a b",
            "one.example:3264",
            "tls://one",
            "[::1]",
            "a.*.org",
            "-a",
            "größe",
        ] {
            assert_eq!(Host::read(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_life_of_any_length_has_a_date() {
        for seconds in [0, u64::MAX, 253_402_300_799] {
            assert!(date(seconds).year() <= 9999);
        }
    }
}
