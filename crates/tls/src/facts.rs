//! What a certificate says: [`Facts`].

use std::{fmt, net::IpAddr};

use ipseity_core::text::Plain;
use rustls_pki_types::CertificateDer;
use x509_cert::{
    Certificate,
    der::{Decode, oid::ObjectIdentifier},
    ext::pkix::{BasicConstraints, ExtendedKeyUsage, SubjectAltName, name::GeneralName},
    name::Name,
};

use crate::{date::Date, limits::NAME_SHOWN_MAX, role::Role};

const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// What a certificate says. It does not say whether it is true: that is judged in the handshake.
///
/// The texts are as they stand in the certificate, of any length and with any character in them. `Display`, [`name`](Self::name)
/// and [`issuer_name`](Self::issuer_name) give them in a form that fits into a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The common name of the holder.
    pub common_name: Option<String>,
    /// The whole name of the holder: `CN=one,O=Example`.
    pub subject: String,
    /// The common name of the CA that signed it.
    pub issuer_common_name: Option<String>,
    /// The whole name of the CA that signed it.
    pub issuer: String,
    /// The names of the DNS that it is for; `*.example.org` among them.
    pub dns_names: Vec<String>,
    /// The addresses that it is for.
    pub ip_addresses: Vec<IpAddr>,
    /// Its URI names.
    pub uris: Vec<String>,
    /// Since when it is valid, in seconds since 1970.
    pub not_before: u64,
    /// Until when it is valid, in seconds since 1970.
    pub not_after: u64,
    /// Whether it is the certificate of a CA.
    pub is_ca: bool,
    /// Whether a server may show it.
    pub for_servers: bool,
    /// Whether a client may show it.
    pub for_clients: bool,
}

impl Facts {
    /// Reads a certificate.
    ///
    /// # Errors
    /// The bytes are no X.509 certificate; the text says why.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Facts, String> {
        Facts::read(certificate)
            .map_err(|error| format!("it is damaged, or no certificate of X.509 ({error})"))
    }

    fn read(certificate: &CertificateDer<'_>) -> Result<Facts, x509_cert::der::Error> {
        let certificate = Certificate::from_der(certificate)?;
        let content = certificate.tbs_certificate();
        let validity = content.validity();
        let constraints = content.get_extension::<BasicConstraints>()?;
        let purposes = content.get_extension::<ExtendedKeyUsage>()?;
        // Without the extension it is for everything.
        let is_for = |purpose| {
            purposes
                .as_ref()
                .is_none_or(|(_, purposes)| purposes.0.contains(&purpose))
        };
        let mut facts = Facts {
            common_name: common_name(content.subject()),
            subject: content.subject().to_string(),
            issuer_common_name: common_name(content.issuer()),
            issuer: content.issuer().to_string(),
            dns_names: Vec::new(),
            ip_addresses: Vec::new(),
            uris: Vec::new(),
            not_before: validity.not_before.to_unix_duration().as_secs(),
            not_after: validity.not_after.to_unix_duration().as_secs(),
            is_ca: constraints.is_some_and(|(_, constraints)| constraints.ca),
            for_servers: is_for(SERVER_AUTH),
            for_clients: is_for(CLIENT_AUTH),
        };
        if let Some((_, names)) = content.get_extension::<SubjectAltName>()? {
            for name in names.0 {
                match name {
                    GeneralName::DnsName(name) => facts.dns_names.push(name.to_string()),
                    GeneralName::UniformResourceIdentifier(uri) => facts.uris.push(uri.to_string()),
                    GeneralName::IpAddress(bytes) => {
                        facts.ip_addresses.extend(address(bytes.as_bytes()))
                    }
                    // Names of mail, of directories and the like mean nothing here.
                    _ => {}
                }
            }
        }
        Ok(facts)
    }

    /// The first of its URI names that should be a role and is none: a misspelt one, say. Nobody knows what was meant, so
    /// whoever shows such a certificate is nobody.
    pub fn unknown_role(&self) -> Option<&str> {
        let mut uris = self.uris.iter().map(String::as_str);
        uris.find(|uri| Role::is_meant_by(uri) && Role::from_uri(uri).is_none())
    }

    /// Refuses a certificate with an [unknown role](Facts::unknown_role).
    ///
    /// # Errors
    /// It has one. The text says so, as the rest of a sentence about the certificate.
    pub fn check_roles(&self) -> Result<(), String> {
        match self.unknown_role() {
            None => Ok(()),
            Some(uri) => Err(format!(
                "names the unknown role {:?}: the roles are ipseity:role:client, ipseity:role:operator and \
                 ipseity:role:peer, in small letters and with nothing behind them",
                shown(uri)
            )),
        }
    }

    /// The roles that it gives, each once.
    pub fn roles(&self) -> Vec<Role> {
        Role::ALL
            .into_iter()
            .filter(|role| self.uris.iter().any(|uri| uri == role.uri()))
            .collect()
    }

    /// Who holds it, in a few words: the common name, or the first of its other names.
    pub fn name(&self) -> String {
        match (
            &self.common_name,
            self.dns_names.first(),
            self.ip_addresses.first(),
        ) {
            (Some(name), ..) if !name.is_empty() => shown(name),
            (_, Some(name), _) => shown(name),
            (_, _, Some(address)) => address.to_string(),
            _ if self.subject.is_empty() => "a certificate without a name".to_owned(),
            _ => shown(&self.subject),
        }
    }

    /// Who signed it, in a few words.
    pub fn issuer_name(&self) -> String {
        match &self.issuer_common_name {
            Some(name) if !name.is_empty() => shown(name),
            _ if self.issuer.is_empty() => "a CA without a name".to_owned(),
            _ => shown(&self.issuer),
        }
    }

    /// The names and addresses that a server may have with it, in a few words; empty if there are none.
    pub fn hosts(&self) -> String {
        let names = self.dns_names.iter().cloned();
        let addresses = self.ip_addresses.iter().map(IpAddr::to_string);
        let all: Vec<String> = names.chain(addresses).collect();
        shown(&all.join(", "))
    }

    /// How many whole days are left until it expires; 0 on its last day, and negative when it has expired.
    pub fn days_left(&self, now: u64) -> i64 {
        let days = |seconds: u64| i64::try_from(seconds / DAY_SECONDS).unwrap_or(i64::MAX);
        match self.not_after.checked_sub(now) {
            Some(left) => days(left),
            None => -1 - days(now - self.not_after - 1),
        }
    }

    /// Whether it is valid at this time, as far as its dates say.
    pub fn is_valid_at(&self, now: u64) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// The last moment at which it is valid.
    pub fn until(&self) -> Date {
        Date(self.not_after)
    }
}

impl fmt::Display for Facts {
    /// Who holds it, who signed it and until when it is valid, in a part of a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, issuer, until) = (self.name(), self.issuer_name(), self.until());
        write!(f, "{name}, signed by {issuer}, valid until {until}")
    }
}

fn common_name(name: &Name) -> Option<String> {
    let name = name.common_name().ok().flatten()?;
    Some(name.value().into_owned())
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

/// A text of somebody else, for a line: no character of control, and not too long.
pub fn shown(text: &str) -> String {
    match text.char_indices().nth(NAME_SHOWN_MAX) {
        None => Plain(text).to_string(),
        Some((end, _)) => format!("{}...", Plain(&text[..end])),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{DnType, ExtendedKeyUsagePurpose, SanType};

    use super::*;
    use crate::tests::{Ca, EARLY, LATE, der, parameters, signed};

    #[test]
    fn what_a_certificate_says_is_read() {
        let ca = Ca::new("Example CA");
        let mut wanted = parameters("one.example");
        wanted
            .distinguished_name
            .push(DnType::OrganizationName, "Example");
        wanted.subject_alt_names.extend([
            SanType::IpAddress("10.0.0.1".parse().unwrap()),
            SanType::IpAddress("::1".parse().unwrap()),
            SanType::URI(Role::Peer.uri().try_into().unwrap()),
            SanType::URI("spiffe://x/y".try_into().unwrap()),
            SanType::Rfc822Name("a@example.org".try_into().unwrap()),
        ]);
        wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let facts = Facts::of(&der(&signed(&ca, wanted).0)).unwrap();
        assert_eq!(facts.common_name.as_deref(), Some("one.example"));
        assert!(facts.subject.contains("O=Example"), "{}", facts.subject);
        assert_eq!(facts.issuer_common_name.as_deref(), Some("Example CA"));
        assert_eq!(facts.dns_names, ["one.example"]);
        assert_eq!(facts.ip_addresses.len(), 2);
        assert_eq!(facts.hosts(), "one.example, 10.0.0.1, ::1");
        assert_eq!(facts.uris.len(), 2);
        assert_eq!(facts.roles(), [Role::Peer]);
        assert_eq!((facts.not_before, facts.not_after), (EARLY, LATE));
        assert!(!facts.is_ca && facts.for_servers && !facts.for_clients);
        assert_eq!(
            facts.to_string(),
            "one.example, signed by Example CA, valid until 2050-01-01 00:00 UTC"
        );
        let own = Facts::of(&der(&ca.pem())).unwrap();
        assert!(own.is_ca && own.for_servers && own.for_clients);
        assert_eq!(
            (own.issuer_name(), own.hosts()),
            ("Example CA".to_owned(), String::new())
        );
    }

    #[test]
    fn a_role_that_is_misspelt_is_found_and_named() {
        let ca = Ca::new("ca");
        let facts = |uris: &[&str]| {
            let mut wanted = parameters("one.example");
            let uris = uris.iter().map(|uri| (*uri).try_into().unwrap());
            wanted.subject_alt_names.extend(uris.map(SanType::URI));
            Facts::of(&der(&signed(&ca, wanted).0)).unwrap()
        };
        for uri in [
            "ipseity:role:admin",
            "ipseity:role:Operator",
            "IPSEITY:ROLE:CLIENT",
            "ipseity:role:client,operator",
            "ipseity:role:operator ",
            " ipseity:role:operator",
            "ipseity:role:",
        ] {
            // One that is known beside it does not help.
            let facts = facts(&["ipseity:role:client", uri]);
            assert_eq!(facts.unknown_role(), Some(uri));
            let said = facts.check_roles().unwrap_err();
            let says =
                format!("names the unknown role {uri:?}: the roles are ipseity:role:client, ");
            assert!(said.starts_with(&says), "{said}");
        }
        let odd = facts(&["ipseity:role:\u{1b}[2J"]).check_roles();
        let said = odd.unwrap_err();
        assert!(!said.contains(char::is_control), "{said}");
        for uris in [
            &[][..],
            &["ipseity:role:client", "ipseity:role:peer"],
            &["spiffe://x/ipseity:role:admin", "ipseity"],
        ] {
            assert_eq!(facts(uris).check_roles(), Ok(()), "{uris:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_certificate_are_an_error() {
        let good = der(&Ca::new("ca").pem());
        for end in [0, 1, 10, good.len() - 1] {
            let error = Facts::of(&CertificateDer::from(&good[..end])).unwrap_err();
            assert!(
                error.starts_with("it is damaged, or no certificate"),
                "{end}: {error}"
            );
        }
        let longer = [&good[..], &[0]].concat();
        assert!(Facts::of(&CertificateDer::from(longer)).is_err());
    }

    #[test]
    fn days_are_counted_down_to_zero_and_below() {
        let mut facts = Facts::of(&der(&Ca::new("ca").pem())).unwrap();
        facts.not_after = 10 * DAY_SECONDS;
        for (now, left) in [
            (0, 10),
            (1, 9),
            (9 * DAY_SECONDS, 1),
            (9 * DAY_SECONDS + 1, 0),
            (10 * DAY_SECONDS, 0),
            (10 * DAY_SECONDS + 1, -1),
            (11 * DAY_SECONDS, -1),
            (11 * DAY_SECONDS + 1, -2),
        ] {
            assert_eq!(facts.days_left(now), left, "{now}");
        }
        facts.not_after = u64::MAX;
        assert!(facts.days_left(0) > 0);
    }

    #[test]
    fn a_name_cannot_forge_a_line_or_fill_one() {
        let mut facts = Facts::of(&der(&Ca::new("evil\nname\u{1b}[2J").pem())).unwrap();
        assert_eq!(facts.name(), r"evil\nname\u{1b}[2J");
        facts.common_name = Some("x".repeat(NAME_SHOWN_MAX + 1));
        assert_eq!(facts.name().len(), NAME_SHOWN_MAX + 3);
        facts.common_name = None;
        facts.subject.clear();
        assert_eq!(facts.name(), "a certificate without a name");
        facts.ip_addresses.push("10.0.0.1".parse().unwrap());
        assert_eq!(facts.name(), "10.0.0.1");
    }
}
