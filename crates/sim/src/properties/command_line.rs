//! Text that people type: the command line of the server and its variables, and the arguments of the client. The input:
//! arguments, one on each line; one such as `IPSEITY_PID=3` is a variable of the server, and the last one is the host name too.

use ipseity::{
    limits::{SYNC_INTERVAL_MAX, SYNC_INTERVAL_MIN},
    options::{Command, Options, Surroundings, parse},
};
use ipseity_client::ServerAddress;
use ipseity_console::parse_duration;
use ipseity_core::{
    identity::Identity,
    limits::{CLUSTER_NAME_BYTES_MAX, PEERS_MAX},
    words::ClusterName,
};

use super::is_a_line;

/// No text makes a parser panic. A value that it takes is within its bounds, and is read as the same value when it
/// is printed and parsed again. A text that it refuses is named on one line that is safe for a terminal.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let arguments: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let variables = arguments
        .iter()
        .filter_map(|argument| argument.split_once('='))
        .filter(|(name, _)| name.starts_with("IPSEITY_"));
    let surroundings = Surroundings {
        variables: variables
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        // It can be anything too.
        host_name: arguments.last().cloned().unwrap_or_default(),
    };
    let is_flag = |argument: &&String| !argument.starts_with("IPSEITY_");
    let words: Vec<String> = arguments.iter().filter(is_flag).cloned().collect();
    match parse(&words, &surroundings) {
        Ok(Command::Serve(options) | Command::Check(options, _)) => within_bounds(&options),
        Ok(Command::Help | Command::Version) => {}
        Err(error) => is_a_line(&error.to_string()),
    }
    for argument in &arguments {
        identity(argument);
        address(argument);
        match argument.parse::<ClusterName>() {
            Ok(name) => assert_eq!(name.as_str(), argument),
            Err(error) => is_a_line(&error.to_string()),
        }
        if let Some(duration) = parse_duration(argument) {
            let shown = humantime::format_duration(duration).to_string();
            assert_eq!(parse_duration(&shown), Some(duration));
        }
    }
}

fn within_bounds(options: &Options) {
    assert!((SYNC_INTERVAL_MIN..=SYNC_INTERVAL_MAX).contains(&options.sync_interval));
    assert!(options.connections_max > 0 && options.count_max > 0 && options.advance_max > 0);
    assert!(options.peers.len() <= PEERS_MAX);
    assert!((1..=CLUSTER_NAME_BYTES_MAX).contains(&options.cluster.as_str().len()));
    for address in options.peers.iter().chain(&options.listen) {
        let (host, port) = address.rsplit_once(':').expect("it has a port");
        assert!(!host.is_empty());
        assert!(port.parse::<u16>().is_ok());
        is_a_line(address);
    }
    let trust = &options.trust;
    for network in trust.operators.iter().chain(&trust.peers) {
        let shown = format!("--trust={network}");
        let Ok(Command::Serve(again)) = parse(&[shown], &Surroundings::default()) else {
            panic!("{network} is not taken again");
        };
        assert_eq!(again.trust.operators, [*network]);
    }
}

fn identity(text: &str) {
    match text.parse::<Identity>() {
        Ok(identity) => {
            let (sequence, pid) = (identity.sequence(), identity.pid());
            for shown in [
                identity.to_string(),
                format!("{:#x}", identity.get()),
                format!("{sequence}:{pid}"),
            ] {
                assert_eq!(shown.parse(), Ok(identity), "{shown}");
            }
        }
        Err(error) => is_a_line(&error.to_string()),
    }
}

fn address(text: &str) {
    match text.parse::<ServerAddress>() {
        Ok(address) => {
            assert!(address.port() > 0);
            is_a_line(&address.to_string());
            assert_eq!(address.to_string().parse(), Ok(address));
        }
        Err(error) => is_a_line(&error.to_string()),
    }
}
