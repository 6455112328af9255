//! Identities by HTTP, beside the fastest answer that nginx has: one that stands in its configuration.

use std::{
    fs,
    net::SocketAddr,
    process::{Command, Stdio},
};

use ipseity_harness::measured::{self, Program, line, succeeds};

use crate::{
    load::Place,
    sample::{Plan, grouped},
    tls::cpu_seconds,
};

/// How many connections are kept open, with one request at a time on each.
const CONNECTIONS: &str = "50";

/// What wrk sends.
const SCRIPT: &str =
    "wrk.method = \"POST\"\nwrk.headers[\"Content-Type\"] = \"application/json\"\n";

/// One run of wrk.
#[derive(Clone, Copy)]
struct Sample {
    requests: f64,
    cpu_us: f64,
}

/// Measures requests a second and the processor time of each.
pub fn http(plan: &Plan) {
    println!("### Identities by HTTP, against nginx\n");
    // wrk has no flag that succeeds without a server.
    let is_here = |program: &str| succeeds(&["sh", "-c", &format!("command -v {program}")]);
    for (program, package) in [("nginx", "nginx"), ("wrk", "wrk")] {
        if !is_here(program) {
            return println!("Not measured, because the package {package} is not installed.\n");
        }
    }
    println!(
        "POST /identities, {CONNECTIONS} connections x 1 in flight, kept open; wrk with one thread, and both ends on one \
         CPU; {} alternating rounds. nginx gives the same JSON each time, from its configuration, so it neither counts nor \
         keeps anything. Ipseity is durable.\n",
        plan.rounds
    );
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::write(file("post.lua"), SCRIPT).unwrap();
    let ours = {
        let address = measured::free_address();
        let mut all = Place::OneCpu.of_server();
        all.extend(line(&[env!("CARGO_BIN_EXE_ipseity"), "--pid", "1"]));
        all.extend(line(&["--data-dir", &file("state")]));
        all.extend(line(&["--listen", "127.0.0.1:0"]));
        all.extend(line(&["--http", &address.to_string()]));
        (Program::start(&all), address)
    };
    let theirs = {
        let address = measured::free_address();
        fs::write(file("nginx.conf"), nginx(address)).unwrap();
        let mut all = Place::OneCpu.of_server();
        all.extend(line(&["nginx", "-p", directory.path().to_str().unwrap()]));
        all.extend(line(&["-c", &file("nginx.conf")]));
        (Program::start_on(address, &all), address)
    };
    let mut rounds = Vec::new();
    for _ in 0..plan.rounds {
        rounds.push(
            [&ours, &theirs]
                .map(|(program, address)| measure(program, *address, &file("post.lua"), plan)),
        );
    }
    println!(
        "| Ipseity, requests/s | nginx, requests/s | ratio | goal | Ipseity, CPU µs | nginx, CPU µs | ratio |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let show = |of: fn(&Sample) -> f64, side: usize, digits| {
        let sorted = sorted(rounds.iter().map(|round| of(&round[side])));
        let [least, median, most] =
            [0, sorted.len() / 2, sorted.len() - 1].map(|place| grouped(sorted[place], digits));
        format!("{median} ({least} to {most})")
    };
    let ratio = |of: fn(&[Sample]) -> f64| {
        let sorted = sorted(rounds.iter().map(|round| of(round)));
        sorted[sorted.len() / 2]
    };
    println!(
        "| {} | {} | {:.2} | 1 | {} | {} | {:.2} |\n",
        show(|sample| sample.requests, 0, 0),
        show(|sample| sample.requests, 1, 0),
        ratio(|round| round[0].requests / round[1].requests),
        show(|sample| sample.cpu_us, 0, 2),
        show(|sample| sample.cpu_us, 1, 2),
        ratio(|round| round[1].cpu_us / round[0].cpu_us),
    );
}

fn sorted(numbers: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sorted: Vec<f64> = numbers.collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn measure(program: &Program, address: SocketAddr, script: &str, plan: &Plan) -> Sample {
    // wrk counts whole seconds.
    let seconds = format!("{}s", plan.sample.as_secs().max(1));
    let mut all = Place::OneCpu.of_clients();
    all.extend(line(&["wrk", "-t", "1", "-c", CONNECTIONS, "-d", &seconds]));
    all.extend(line(&[
        "-s",
        script,
        &format!("http://{address}/identities"),
    ]));
    let before = cpu_seconds(program.pid());
    let output = Command::new(&all[0])
        .args(&all[1..])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let cpu = cpu_seconds(program.pid()) - before;
    let text = String::from_utf8_lossy(&output.stdout);
    // wrk says these only if there were any.
    let is_good = output.status.success() && !text.contains("Non-2xx") && !text.contains("errors");
    assert!(is_good, "{}:\n{text}", all.join(" "));
    let word_before = |what: &str| {
        let line = text.lines().find(|line| line.contains(what));
        line.and_then(|line| line.split_whitespace().next())
            .unwrap()
    };
    let per_second = text
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"));
    let count: f64 = word_before(" requests in ").parse().unwrap();
    Sample {
        requests: per_second.unwrap().trim().parse().unwrap(),
        cpu_us: cpu * 1e6 / count,
    }
}

/// The configuration of an nginx with one process that gives the same answer to everything.
fn nginx(own: SocketAddr) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {what};\n"))
        .concat();
    format!(
        "daemon off;\n\
         master_process off;\n\
         pid nginx.pid;\n\
         error_log stderr crit;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n\
             access_log off;\n\
             keepalive_requests 1000000000;\n\
             {temporary}\
             server {{\n\
                 listen {own};\n\
                 default_type application/json;\n\
                 return 200 '{{\"identities\":[\"1073741825\"]}}';\n\
             }}\n\
         }}\n"
    )
}
