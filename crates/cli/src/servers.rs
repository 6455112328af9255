//! Which servers are asked, and how long: the options and the environment variable that all commands have
//! in common.

use std::{env, time::Duration};

use getopts::{Matches, Options};
use ipseity_client::{Client, ClientOptions, ServerAddress};
use ipseity_core::words::ClusterName;

use crate::{failure::Failure, values};

const SERVER_DEFAULT: &str = "127.0.0.1:3264";

/// Names the servers when no `--server` does.
const ENVIRONMENT: &str = "IPSEITY_SERVER";

const TIMEOUT_MIN: Duration = Duration::from_millis(1);
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// Declares `--server`, `--cluster` and `--timeout`, which every command takes.
pub fn options(options: &mut Options) {
    options.optmulti(
        "s",
        "server",
        "a server to ask, HOST[:PORT]; repeat the flag for several, or put commas between them; \
         all addresses of a name are tried, and the first that accepts is asked \
         (default: $IPSEITY_SERVER, or 127.0.0.1:3264 if that is not set)",
        "ADDR",
    );
    options.optopt(
        "",
        "cluster",
        "the cluster that the servers must be of; one of another cluster is refused (default: any)",
        "NAME",
    );
    options.optopt(
        "",
        "timeout",
        "how long to look up a name and connect, and how long to wait for each reply: 250ms, 2s; a \
         bare number means milliseconds (default: 2s and 5s)",
        "DURATION",
    );
}

/// The servers that the command line, or else the environment, names.
pub fn addresses(matches: &Matches) -> Result<Vec<ServerAddress>, Failure> {
    let given = matches.opt_strs("server");
    if !given.is_empty() {
        return given
            .iter()
            .map(|list| parse_list("--server", list))
            .collect::<Result<Vec<_>, _>>()
            .map(|lists| lists.concat());
    }
    match env::var(ENVIRONMENT) {
        Ok(list) if !list.is_empty() => parse_list(ENVIRONMENT, &list),
        Ok(_) | Err(env::VarError::NotPresent) => parse_list("--server", SERVER_DEFAULT),
        Err(env::VarError::NotUnicode(_)) => {
            Err(Failure::Usage(format!("{ENVIRONMENT} is not UTF-8")))
        }
    }
}

/// How long to wait: what `--timeout` says, or else `default`.
pub fn client_options(matches: &Matches, default: ClientOptions) -> Result<ClientOptions, Failure> {
    let timeout = values::duration(matches, "timeout", TIMEOUT_MIN..=TIMEOUT_MAX)?;
    Ok(timeout.map_or(default, |timeout| ClientOptions {
        connect_timeout: timeout,
        reply_timeout: timeout,
    }))
}

/// One client that tries each server until one answers.
pub fn client(matches: &Matches) -> Result<Client, Failure> {
    let addresses = addresses(matches)?;
    let options = client_options(matches, ClientOptions::default())?;
    let addresses = addresses.iter().map(ToString::to_string);
    let client = Client::with_options(addresses, options)?;
    Ok(of_cluster(client, cluster(matches)?))
}

/// A client for each server, for the commands that show each.
pub fn clients(matches: &Matches, default: ClientOptions) -> Result<Vec<Client>, Failure> {
    let options = client_options(matches, default)?;
    let cluster = cluster(matches)?;
    addresses(matches)?
        .iter()
        .map(|address| {
            let client = Client::with_options([address.to_string()], options)?;
            Ok(of_cluster(client, cluster.clone()))
        })
        .collect()
}

/// The cluster that `--cluster` names.
fn cluster(matches: &Matches) -> Result<Option<ClusterName>, Failure> {
    let name = matches.opt_str("cluster").map(ClusterName::try_from);
    name.transpose()
        .map_err(|error| Failure::Usage(format!("--cluster: {error}")))
}

fn of_cluster(client: Client, cluster: Option<ClusterName>) -> Client {
    match cluster {
        Some(name) => client.cluster(name),
        None => client,
    }
}

fn parse_list(source: &str, list: &str) -> Result<Vec<ServerAddress>, Failure> {
    list.split(',')
        .map(|text| {
            text.trim()
                .parse()
                .map_err(|error| Failure::Usage(format!("{source}: {error}")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_commas_and_may_have_spaces() {
        let list = parse_list("--server", "a:1, b,[::1]:2").unwrap();
        let texts: Vec<String> = list.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["a:1", "b:3264", "[::1]:2"]);
    }

    #[test]
    fn a_hole_in_a_list_is_an_error_that_names_its_source() {
        for list in ["a,", ",a", "a,,b", ""] {
            match parse_list("IPSEITY_SERVER", list) {
                Err(Failure::Usage(text)) => {
                    assert!(text.starts_with("IPSEITY_SERVER: "), "{text}");
                }
                other => panic!("{list:?}: {other:?}"),
            }
        }
    }
}
