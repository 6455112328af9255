//! `ipseity-cli`: the command line client. All of it is in the crate of that name, but how a state directory is read.

use std::process::ExitCode;

fn main() -> ExitCode {
    ipseity_cli::main(ipseity::store::open_to_move)
}
