//! `cert show`: what the certificates in files say.

use std::{
    io::Write,
    net::IpAddr,
    path::{Path, PathBuf},
};

use ipseity_tls::{Date, Facts, read_certificates};
use serde::Serialize;

use super::{ca::shown, clock, files};
use crate::{failure::Failure, json};

pub fn run(as_json: bool, names: &[String], out: &mut dyn Write) -> Result<(), Failure> {
    if names.is_empty() {
        return Err(Failure::Usage(
            "FILE is missing: cert show ca.pem".to_owned(),
        ));
    }
    let now = clock::now()?;
    let mut is_first = true;
    for file in names.iter().map(PathBuf::from) {
        let certificates =
            read_certificates(&file).map_err(|error| Failure::Failed(error.to_string()))?;
        for (place, certificate) in certificates.iter().enumerate() {
            let facts = Facts::of(certificate).map_err(|reason| {
                let text = format!("certificate {} cannot be used: {reason}", place + 1);
                files::failed(&file, &text)
            })?;
            if as_json {
                write_json(&file, &facts, now, out)?;
                continue;
            }
            if !is_first {
                writeln!(out)?;
            }
            is_first = false;
            write_text(&file, &facts, now, out)?;
        }
    }
    Ok(())
}

fn write_text(file: &Path, facts: &Facts, now: u64, out: &mut dyn Write) -> Result<(), Failure> {
    let mut line = |label: &str, text: &str| writeln!(out, "{label:<13}{text}");
    line("file", &shown(file))?;
    line("name", &facts.name())?;
    if facts.is_ca {
        line("kind", "CA")?;
    } else {
        let hosts = facts.hosts();
        if !hosts.is_empty() {
            line("hosts", &hosts)?;
        }
        let roles: Vec<&str> = facts.roles().iter().map(|role| role.word()).collect();
        if !roles.is_empty() {
            line("role", &roles.join(", "))?;
        }
        if let Err(fault) = facts.check_roles() {
            line("refused", &format!("it {fault}"))?;
        }
        line(
            "shown by",
            match (facts.for_servers, facts.for_clients) {
                (true, true) => "servers and clients",
                (true, false) => "servers",
                (false, true) => "clients",
                (false, false) => "neither servers nor clients",
            },
        )?;
    }
    line("signed by", &facts.issuer_name())?;
    line("valid from", &from(facts, now))?;
    line("valid until", &until(facts, now))?;
    Ok(())
}

fn from(facts: &Facts, now: u64) -> String {
    let date = Date(facts.not_before);
    match facts.not_before > now {
        true => format!("{date} (not yet)"),
        false => date.to_string(),
    }
}

fn until(facts: &Facts, now: u64) -> String {
    let date = facts.until();
    match facts.days_left(now) {
        ..0 => format!("{date} (expired)"),
        0 => format!("{date} (less than a day left)"),
        1 => format!("{date} (1 day left)"),
        days => format!("{date} ({days} days left)"),
    }
}

/// A certificate in JSON.
#[derive(Serialize)]
struct Certificate<'a> {
    file: &'a str,
    name: Option<&'a str>,
    subject: &'a str,
    issuer: &'a str,
    ca: bool,
    dns_names: &'a [String],
    ip_addresses: &'a [IpAddr],
    uris: &'a [String],
    roles: Vec<&'static str>,
    /// A URI name that should be a role and is none. Servers refuse such a certificate.
    unknown_role: Option<&'a str>,
    for_servers: bool,
    for_clients: bool,
    not_before: u64,
    not_after: u64,
    days_left: i64,
}

fn write_json(file: &Path, facts: &Facts, now: u64, out: &mut dyn Write) -> Result<(), Failure> {
    let certificate = Certificate {
        file: &file.to_string_lossy(),
        name: facts.common_name.as_deref(),
        subject: &facts.subject,
        issuer: &facts.issuer,
        ca: facts.is_ca,
        dns_names: &facts.dns_names,
        ip_addresses: &facts.ip_addresses,
        uris: &facts.uris,
        roles: facts.roles().iter().map(|role| role.word()).collect(),
        unknown_role: facts.unknown_role(),
        for_servers: facts.for_servers,
        for_clients: facts.for_clients,
        not_before: facts.not_before,
        not_after: facts.not_after,
        days_left: facts.days_left(now),
    };
    Ok(json::write_line(out, &certificate)?)
}
