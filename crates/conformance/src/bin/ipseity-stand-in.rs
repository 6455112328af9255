//! The adapter of the stand-in, which tests the kit itself.

fn main() {
    ipseity_conformance::stand_in::run();
}
