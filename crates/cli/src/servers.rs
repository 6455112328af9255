//! Which servers are asked, and how long: the flags and the variables that all commands have in common which ask
//! servers.

use std::{env, path::PathBuf, time::Duration};

use getopts::Matches;
use ipseity_client::{Client, ClientOptions, Credentials, Dialer, Roots, ServerAddress, TlsError};
use ipseity_console::{Flags, dashed};
use ipseity_core::words::ClusterName;

use crate::{failure::Failure, values};

const SERVER_DEFAULT: &str = "127.0.0.1:3264";

/// Names the servers when no `--server` does.
const ENVIRONMENT: &str = "IPSEITY_SERVER";

/// The files for TLS: each with its flag, and the variable that counts without the flag.
const TLS_CA: (&str, &str) = ("tls-ca", "IPSEITY_TLS_CA");
const TLS_CERT: (&str, &str) = ("tls-cert", "IPSEITY_TLS_CERT");
const TLS_KEY: (&str, &str) = ("tls-key", "IPSEITY_TLS_KEY");

const TIMEOUT_MIN: Duration = Duration::from_millis(1);
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// Declares `--server`, `--cluster`, `--timeout` and the files for TLS, for a command that asks servers.
pub fn options(options: &mut Flags) {
    server_option(options);
    cluster_option(options);
    connection_options(options);
}

/// The same without `--cluster`, for a command that takes servers of any.
pub fn options_of_any_cluster(options: &mut Flags) {
    server_option(options);
    connection_options(options);
}

fn server_option(options: &mut Flags) {
    options.optmulti(
        "s",
        "server",
        "a server to ask, [tls://]HOST[:PORT]; repeat the flag for several, or put commas between them; \
         all addresses of a name are tried, and the first that accepts is asked \
         (default: $IPSEITY_SERVER, or 127.0.0.1:3264 if that is not set)",
        "ADDR",
    );
}

fn cluster_option(options: &mut Flags) {
    options.optopt(
        "",
        "cluster",
        "the cluster that the servers must be of; one of another cluster is refused (default: any)",
        "NAME",
    );
}

fn connection_options(options: &mut Flags) {
    options.optopt(
        "",
        "tls-ca",
        "the certificates of the CAs that are believed, for servers at tls:// (default: $IPSEITY_TLS_CA)",
        "FILE",
    );
    options.optopt(
        "",
        "tls-cert",
        "the certificate to show to servers that want one (default: $IPSEITY_TLS_CERT)",
        "FILE",
    );
    options.optopt(
        "",
        "tls-key",
        "the private key of that certificate (default: $IPSEITY_TLS_KEY)",
        "FILE",
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
        ..default
    }))
}

/// One client that tries each server until one answers.
pub fn client(matches: &Matches) -> Result<Client, Failure> {
    let addresses = addresses(matches)?;
    let options = client_options(matches, ClientOptions::one_round())?;
    let dialer = dialer(matches, &addresses)?;
    let addresses = addresses.iter().map(ToString::to_string);
    let client = Client::with_options(addresses, options)?;
    Ok(prepared(client, cluster(matches)?, dialer))
}

/// A client for each server, for the commands that show each.
pub fn clients(matches: &Matches, default: ClientOptions) -> Result<Vec<Client>, Failure> {
    let options = client_options(matches, default)?;
    let cluster = cluster(matches)?;
    let addresses = addresses(matches)?;
    let dialer = dialer(matches, &addresses)?;
    addresses
        .iter()
        .map(|address| {
            let client = Client::with_options([address.to_string()], options)?;
            Ok(prepared(client, cluster.clone(), dialer.clone()))
        })
        .collect()
}

/// The cluster that `--cluster` names.
pub fn cluster(matches: &Matches) -> Result<Option<ClusterName>, Failure> {
    let name = matches.opt_str("cluster").map(ClusterName::try_from);
    name.transpose()
        .map_err(|error| Failure::Usage(format!("--cluster: {error}")))
}

fn prepared(client: Client, cluster: Option<ClusterName>, dialer: Option<Dialer>) -> Client {
    let client = match cluster {
        Some(name) => client.cluster(name),
        None => client,
    };
    match dialer {
        Some(dialer) => client.tls(dialer),
        None => client,
    }
}

/// What is needed for those of the servers that are spoken to by TLS; `None` if none is.
pub fn dialer(matches: &Matches, servers: &[ServerAddress]) -> Result<Option<Dialer>, Failure> {
    let Some(server) = servers.iter().find(|server| server.is_tls()) else {
        // Somebody who names these files does not want a plain connection.
        let given = [TLS_CA, TLS_CERT, TLS_KEY].map(|(flag, _)| flag);
        return match given.iter().find(|flag| matches.opt_present(flag)) {
            None => Ok(None),
            Some(flag) => Err(Failure::Usage(format!(
                "{} is for servers at tls://, and none is named: write tls:// before the address",
                dashed(flag)
            ))),
        };
    };
    let unreadable = |error: TlsError| Failure::Failed(error.to_string());
    let Some(ca) = file(matches, TLS_CA) else {
        return Err(Failure::Usage(format!(
            "{server} needs --tls-ca FILE, or IPSEITY_TLS_CA: the certificate of the CA that signed that of the server"
        )));
    };
    let own = match (file(matches, TLS_CERT), file(matches, TLS_KEY)) {
        (Some(certificate), Some(key)) => {
            Some(Credentials::read(&certificate, &key).map_err(unreadable)?)
        }
        (None, None) => None,
        (Some(_), None) => return Err(half(TLS_CERT, TLS_KEY)),
        (None, Some(_)) => return Err(half(TLS_KEY, TLS_CERT)),
    };
    let roots = Roots::read(&ca).map_err(unreadable)?;
    Ok(Some(Dialer::new(roots, own)))
}

fn half(given: (&str, &str), missing: (&str, &str)) -> Failure {
    Failure::Usage(format!(
        "{} needs {}: a certificate and its private key go together",
        dashed(given.0),
        dashed(missing.0)
    ))
}

/// The file that the flag, or else the variable names.
fn file(matches: &Matches, (flag, variable): (&str, &str)) -> Option<PathBuf> {
    let given = matches.opt_str(flag).map(PathBuf::from);
    let file = given.or_else(|| env::var_os(variable).map(PathBuf::from));
    file.filter(|file| !file.as_os_str().is_empty())
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
