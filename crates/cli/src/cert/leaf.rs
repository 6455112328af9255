//! `cert server|peer|client|operator`: makes a certificate and its key.

use std::{io::Write, path::Path};

use getopts::Matches;
use ipseity_console::plain;
use ipseity_tls::{Credentials, Roots, read_key};
use rcgen::KeyPair;
use rustls_pki_types::PrivateKeyDer;

use super::{
    ca::{self, shown, unmade},
    clock, days, directory,
    files::{self, New},
    make::{self, COMMON_NAME_MAX, Host, Kind, Wanted},
};
use crate::{command::too_many, failure::Failure};

const DAYS_DEFAULT: u64 = 365;

/// The most names and addresses in one certificate, whatever their length. All of it has to fit into the 64 KiB that a
/// handshake has for it.
const HOSTS_MAX: usize = 100;

/// The longest name of a file, with room for `.pem.new`: most file systems allow 255 bytes.
const FILE_NAME_MAX: usize = 240;

pub fn run(
    kind: Kind,
    names: &[String],
    matches: &Matches,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let hosts = match kind.is_reached() {
        true => hosts(kind, names)?,
        false => Vec::new(),
    };
    let name = common_name(kind, names)?;
    let stem = match matches.opt_str("out") {
        Some(out) => chosen_stem(&out)?,
        None => stem(&names[0])?,
    };
    let days = days(matches, DAYS_DEFAULT)?;
    let directory = directory(matches);
    let now = clock::now()?;

    let roots = ca::read(&directory)?;
    let [_, ca_key_file] = ca::paths(&directory);
    let ca_key = signing_key(&ca_key_file)?;
    let place = place_of(&ca_key, &roots, &ca_key_file)?;
    let (ca, ca_facts) = (&roots.certificates()[place], &roots.facts()[place]);
    if ca_facts.not_after <= now {
        let text = format!(
            "the CA {} expired at {}: cert ca --rotate makes a new one",
            ca_facts.name(),
            ca_facts.until()
        );
        return Err(files::failed(roots.file(), &text));
    }
    let (not_after, is_shortened) = make::not_after_below(ca_facts, now, days);
    let wanted = Wanted {
        kind,
        name,
        hosts: &hosts,
        now,
        not_after,
    };
    let made = make::leaf(&wanted, ca, ca_key).map_err(unmade)?;

    let file = directory.join(format!("{stem}.pem"));
    let key_file = directory.join(format!("{stem}.key"));
    let new = [
        New::key(key_file.clone(), &made.key),
        New::certificate(file.clone(), &made.certificate),
    ];
    match matches.opt_present("force") {
        true => files::replace(&new)?,
        false => files::create(
            &new,
            "--force replaces the certificate and its key, --out chooses another name",
        )?,
    }
    tell(kind, &file, &key_file, is_shortened, out)
}

fn tell(
    kind: Kind,
    file: &Path,
    key_file: &Path,
    is_shortened: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    // What is told is what was written, and not what was meant.
    let made =
        Credentials::read(file, key_file).map_err(|error| Failure::Failed(error.to_string()))?;
    let facts = made.facts();
    let whom = match kind.is_reached() {
        true => facts.hosts(),
        false => facts.name(),
    };
    let shortened = match is_shortened {
        true => ", when its CA expires",
        false => "",
    };
    writeln!(
        out,
        "{}: {} {whom}, signed by {}, valid until {}{shortened}",
        shown(file),
        kind.word(),
        facts.issuer_name(),
        facts.until()
    )?;
    writeln!(out, "{}: its private key", shown(key_file))?;
    Ok(())
}

fn hosts(kind: Kind, names: &[String]) -> Result<Vec<Host>, Failure> {
    if names.is_empty() {
        return Err(Failure::Usage(format!(
            "HOST is missing, a name or an address that others use for it: cert {0} one.example 10.0.0.1",
            kind.word()
        )));
    }
    let mut hosts: Vec<Host> = Vec::new();
    for name in names {
        let host = Host::read(name).ok_or_else(|| {
            Failure::Usage(match name.is_ascii() {
                true => format!(
                    "{name:?} is neither the name nor the address of a machine; it stands here without a port"
                ),
                false => format!("{name:?} is no name of the DNS: write it in ASCII, as xn--..."),
            })
        })?;
        if !hosts.iter().any(|other| other.is_same(&host)) {
            hosts.push(host);
        }
    }
    if hosts.len() > HOSTS_MAX {
        return Err(Failure::Usage(format!(
            "these are {} names and addresses, and a certificate has at most {HOSTS_MAX}: give each machine its own, or use \
             *.example.org for all names of a domain",
            hosts.len()
        )));
    }
    Ok(hosts)
}

fn common_name(kind: Kind, names: &[String]) -> Result<&str, Failure> {
    match names {
        // The names that count are the alternative ones, so a long one may be missing here.
        [first, ..] if kind.is_reached() => Ok(match first.len() <= COMMON_NAME_MAX {
            true => first,
            false => kind.word(),
        }),
        [name] if name.trim().is_empty() || name.trim() != name || plain(name) != *name => {
            Err(Failure::Usage(format!(
                "{name:?} is not a name for a certificate: it has no blank in front or behind, and no character that \
                 cannot be seen"
            )))
        }
        [name] if name.chars().count() > COMMON_NAME_MAX => Err(Failure::Usage(format!(
            "{name:?} is too long: a name in a certificate has at most {COMMON_NAME_MAX} characters"
        ))),
        [name] => Ok(name),
        [] => Err(Failure::Usage(format!(
            "NAME is missing: cert {} alice",
            kind.word()
        ))),
        [_, extra, ..] => Err(too_many(extra)),
    }
}

/// The name of the files that was chosen. It is taken as it is, or not at all.
fn chosen_stem(out: &str) -> Result<String, Failure> {
    if out.contains('/') {
        return Err(Failure::Usage(format!(
            "--out {out:?} is a path, and --out takes a name only: --dir names the directory, where the CA is too"
        )));
    }
    let stem = stem(out)?;
    if stem != out {
        return Err(Failure::Usage(format!(
            "--out {out:?} is not a name for files: it is made of letters, digits and the characters . - _ @, and does not \
             begin with a dot"
        )));
    }
    Ok(stem)
}

/// The name of the files: what is not a letter, a digit or one of `.-_@` becomes `_`, so that it stays in its directory.
fn stem(name: &str) -> Result<String, Failure> {
    let stem: String = name
        .chars()
        .map(|c| match c.is_ascii_alphanumeric() || ".-_@".contains(c) {
            true => c,
            false => '_',
        })
        .collect();
    let stem = match stem.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None => stem,
    };
    if stem.is_empty() || stem.len() > FILE_NAME_MAX {
        return Err(Failure::Usage(format!(
            "{name:?} gives no name for files: --out chooses one"
        )));
    }
    if stem == "ca" {
        return Err(Failure::Usage(
            "ca.pem and ca.key are the files of the CA: --out chooses another name".to_owned(),
        ));
    }
    Ok(stem)
}

fn signing_key(file: &Path) -> Result<KeyPair, Failure> {
    let key: PrivateKeyDer<'static> = match files::exists(file) {
        true => read_key(file).map_err(|error| Failure::Failed(error.to_string()))?,
        false => {
            let text = "is not there: this is the directory of the CA only where its key is";
            return Err(files::failed(file, text));
        }
    };
    KeyPair::try_from(&key).map_err(|error| {
        let text = format!(
            "this key cannot sign here ({}): bring it into the form PKCS#8 with `openssl pkcs8 -topk8 -nocrypt -in \
             OLD -out NEW`",
            plain(&error.to_string())
        );
        files::failed(file, &text)
    })
}

/// The CA that the key belongs to. It is the first one, except where a rotation was interrupted.
fn place_of(key: &KeyPair, roots: &Roots, key_file: &Path) -> Result<usize, Failure> {
    use rcgen::PublicKeyData as _;
    roots
        .position_of(&key.subject_public_key_info())
        .ok_or_else(|| ca::wrong_key(key_file, roots.file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_chosen_is_taken_as_it_is_or_refused() {
        for name in ["alice", "alice@example.org", "a-b_c.d"] {
            assert_eq!(chosen_stem(name).unwrap(), name);
        }
        for (name, says) in [
            ("/tmp/x/zzz", "--dir names the directory"),
            ("x/zzz", "--dir names the directory"),
            ("a b", "is not a name for files"),
            (".hidden", "is not a name for files"),
            ("", "gives no name for files"),
            ("ca", "the files of the CA"),
        ] {
            match chosen_stem(name) {
                Err(Failure::Usage(text)) => assert!(text.contains(says), "{text}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_host_counts_once_and_there_is_a_bound() {
        let read = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            hosts(Kind::Peer, &names)
        };
        let names = [
            "a.example",
            "A.Example",
            "a.example.",
            "::1",
            "0:0::1",
            "b.example",
        ];
        let once = read(&names).unwrap();
        let expected = ["a.example", "::1", "b.example"].map(|name| Host::read(name).unwrap());
        assert_eq!(once, expected);
        let many: Vec<String> = (0..=HOSTS_MAX).map(|n| format!("h{n}.example")).collect();
        assert_eq!(hosts(Kind::Peer, &many[1..]).unwrap().len(), HOSTS_MAX);
        match hosts(Kind::Peer, &many) {
            Err(Failure::Usage(text)) => {
                assert!(
                    text.starts_with("these are 101 names and addresses"),
                    "{text}"
                );
            }
            other => panic!("{other:?}"),
        }
        match read(&["bücher.example"]) {
            Err(Failure::Usage(text)) => assert!(text.contains("as xn--..."), "{text}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_longest_names_fit_into_a_certificate() {
        // 253 bytes each, as many as there may be.
        let label = "x".repeat(61);
        let names: Vec<String> = (100..100 + HOSTS_MAX)
            .map(|n| format!("{n}x.{label}.{label}.{label}.{label}"))
            .collect();
        let all = hosts(Kind::Peer, &names).unwrap();
        let now = 1_795_000_000;
        let ca = make::ca(now, 10, &[]).unwrap();
        let ca_key = KeyPair::from_pem(&ca.key).unwrap();
        let wanted = Wanted {
            kind: Kind::Peer,
            name: "many",
            hosts: &all,
            now,
            not_after: now + 1,
        };
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("ca.pem"), &ca.certificate).unwrap();
        let roots = Roots::read(&at("ca.pem")).unwrap();
        let made = make::leaf(&wanted, &roots.certificates()[0], ca_key).unwrap();
        std::fs::write(at("one.pem"), &made.certificate).unwrap();
        std::fs::write(at("one.key"), &made.key).unwrap();
        let credentials = Credentials::read(&at("one.pem"), &at("one.key")).unwrap();
        assert_eq!(credentials.facts().dns_names.len(), HOSTS_MAX);
        assert!(credentials.chain()[0].len() < 32 * 1024);
    }

    #[test]
    fn a_name_never_leads_out_of_the_directory() {
        for (name, files) in [
            ("one.example", "one.example"),
            ("alice@example.org", "alice@example.org"),
            ("::1", "__1"),
            ("*.example.org", "_.example.org"),
            ("../../etc/passwd", "_._.._etc_passwd"),
            ("..", "_."),
            (".hidden", "_hidden"),
            ("a/b", "a_b"),
            ("Ünïcode name", "_n_code_name"),
        ] {
            let stem = stem(name).unwrap();
            assert_eq!(stem, files);
        }
        let long = "x".repeat(FILE_NAME_MAX + 1);
        for name in ["", "ca", &long] {
            assert!(matches!(stem(name), Err(Failure::Usage(_))), "{name}");
        }
    }
}
