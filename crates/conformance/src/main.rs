//! `ipseity-conformance`: see conformance/README.md.

fn main() {
    ipseity_conformance::vectors::write().expect("the vectors can be written");
}
