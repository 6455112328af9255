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
use crate::failure::Failure;

const DAYS_DEFAULT: u64 = 365;

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
    let stem = stem(&matches.opt_str("out").unwrap_or_else(|| names[0].clone()))?;
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
            "cert {0} needs the names or addresses that others use for it: cert {0} one.example 10.0.0.1",
            kind.word()
        )));
    }
    names
        .iter()
        .map(|name| {
            Host::read(name).ok_or_else(|| {
                Failure::Usage(format!(
                    "{name:?} is neither the name nor the address of a machine; it stands here without a port"
                ))
            })
        })
        .collect()
}

fn common_name(kind: Kind, names: &[String]) -> Result<&str, Failure> {
    match names {
        // The names that count are the alternative ones, so a long one may be missing here.
        [first, ..] if kind.is_reached() => Ok(match first.len() <= COMMON_NAME_MAX {
            true => first,
            false => kind.word(),
        }),
        [name] if name.is_empty() || name.chars().any(char::is_control) => Err(Failure::Usage(
            format!("{name:?} is not a name for a certificate"),
        )),
        [name] if name.chars().count() > COMMON_NAME_MAX => Err(Failure::Usage(format!(
            "{name:?} is too long: a name in a certificate has at most {COMMON_NAME_MAX} characters"
        ))),
        [name] => Ok(name),
        _ => Err(Failure::Usage(format!(
            "cert {0} needs one name: cert {0} alice",
            kind.word()
        ))),
    }
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
        .ok_or_else(|| {
            let text = format!(
                "is not the key of any CA in {}: the two files must have been made together",
                shown(roots.file())
            );
            files::failed(key_file, &text)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

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
