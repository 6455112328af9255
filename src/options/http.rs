//! The flags of HTTP.

use ipseity_http::HostNames;

use super::{UsageError, address::addresses, given::Given};
use crate::limits::{HOST_NAMES_MAX, LISTENERS_MAX};

/// Where to speak HTTP, each `host:port`. Without the flag, nowhere.
pub(super) fn http(given: &Given, listen: &[String]) -> Result<Vec<String>, UsageError> {
    let count = listen.len() + given.values("http").len();
    if count > LISTENERS_MAX {
        return Err(UsageError(format!(
            "{} and {} name {count} addresses: a server can listen on at most {LISTENERS_MAX}",
            given.name("listen"),
            given.name("http"),
        )));
    }
    let http = addresses(given, "http")?;
    // With port 0 each gets a free one.
    let is_taken = |address: &&String| !address.ends_with(":0") && listen.contains(address);
    if let Some(address) = http.iter().find(is_taken) {
        return Err(UsageError(format!(
            "{} {address} is the address of {} too: HTTP needs a port of its own",
            given.name("http"),
            given.name("listen")
        )));
    }
    Ok(http)
}

/// How the server may be called in requests by HTTP, besides by its addresses and as localhost.
pub(super) fn names(given: &Given) -> Result<HostNames, UsageError> {
    let texts = given.values("http-name");
    if !texts.is_empty() && !given.is_given("http") {
        return Err(UsageError(format!(
            "{} needs {}: without it there is no HTTP",
            given.name("http-name"),
            given.name("http")
        )));
    }
    if texts.len() > HOST_NAMES_MAX {
        return Err(UsageError(format!(
            "{} gives {} names: a server can have at most {HOST_NAMES_MAX}",
            given.name("http-name"),
            texts.len()
        )));
    }
    let mut names = HostNames::default();
    for text in &texts {
        names
            .add(text)
            .map_err(|error| UsageError(format!("{} {error}", given.name("http-name"))))?;
    }
    Ok(names)
}
