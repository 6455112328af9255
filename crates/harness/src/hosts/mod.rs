//! Hosts that are network namespaces, each with its own cable to the router between them, and faults for the packets
//! on their way. For tests that run in a [`cage`].
//!
//! The router is the namespace of the test. It forwards from host to host, so one nftables rule there affects all
//! packets from one host to another. The test itself reaches every host, whatever happens between them.

pub mod cage;

use std::{
    fs::{self, File},
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    os::fd::AsFd as _,
    process::{Command, Stdio},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::command::run;

/// Where `ip netns` keeps the names. The cage has its own copy of this directory.
const NAMES: &str = "/run/netns";

/// The port of every server: each host has its own.
const PORT: u16 = 3264;

/// How many bytes a slow cable takes at once: more than one packet.
const SLOW_BURST_BYTES: u32 = 2000;

/// How many bytes wait in front of a slow cable. More are lost.
const SLOW_QUEUE_BYTES: u32 = 16_000;

/// What happens to the packets from one host to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// They are lost, and nobody is told.
    Drop,
    /// This many of a hundred are lost.
    Lose(u32),
    /// They are lost, and the sender is told that the connection is broken.
    Reset,
}

/// A treatment that is in force, until it is lifted.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault(u32);

/// The hosts 0, 1, ... and the router.
#[derive(Debug)]
pub struct Network {
    faults_so_far: u32,
}

impl Network {
    /// Makes this many hosts that reach each other, or returns why that is not possible here.
    pub fn new(hosts: usize) -> Result<Network, String> {
        fs::create_dir_all(NAMES).map_err(|error| format!("{NAMES}: {error}"))?;
        feed(Command::new("ip").args(["-batch", "-"]), "link set lo up\n")?;
        for host in 0..hosts {
            let (name, cable) = (name(host), cable(host));
            run(Command::new("ip").args(["netns", "add", &name]))?;
            let router = router(host);
            let outside = format!(
                "link add {cable} type veth peer name eth0 netns {name}\n\
                 addr add {router}/24 dev {cable}\nlink set {cable} up\n"
            );
            feed(Command::new("ip").args(["-batch", "-"]), &outside)?;
            let inside = format!(
                "link set lo up\naddr add {}/24 dev eth0\nlink set eth0 up\nroute add default via {router}\n",
                address(host)
            );
            feed(
                Command::new("ip").args(["-netns", &name, "-batch", "-"]),
                &inside,
            )?;
        }
        let forwarding = "/proc/sys/net/ipv4/ip_forward";
        fs::write(forwarding, "1").map_err(|error| format!("{forwarding}: {error}"))?;
        nft("add table ip faults")?;
        let mut network = Network { faults_so_far: 0 };
        network.try_everything()?;
        Ok(network)
    }

    /// Tries each fault once, because a kernel may lack a part that only a later fault needs.
    fn try_everything(&mut self) -> Result<(), String> {
        for treatment in [Treatment::Drop, Treatment::Lose(50), Treatment::Reset] {
            let fault = self.try_treat(&[(0, 1)], treatment)?;
            self.lift(&fault);
        }
        try_slow(0, 1000)?;
        quicken(0);
        Ok(())
    }

    /// From now on packets get this treatment on each of these ways, from one host to another.
    pub fn treat(&mut self, ways: &[(usize, usize)], treatment: Treatment) -> Fault {
        self.try_treat(ways, treatment).unwrap()
    }

    fn try_treat(
        &mut self,
        ways: &[(usize, usize)],
        treatment: Treatment,
    ) -> Result<Fault, String> {
        self.faults_so_far += 1;
        let fault = Fault(self.faults_so_far);
        let chain = fault.chain();
        let mut script = format!(
            "add chain {chain} {{ type filter hook forward priority 0; policy accept; }}\n"
        );
        let end = match treatment {
            Treatment::Drop => "counter drop".to_owned(),
            Treatment::Lose(percent) => {
                format!("numgen random mod 100 < {percent} counter drop")
            }
            Treatment::Reset => "meta l4proto tcp counter reject with tcp reset".to_owned(),
        };
        for (from, to) in ways {
            let (from, to) = (address(*from), address(*to));
            script += &format!("add rule {chain} ip saddr {from} ip daddr {to} {end}\n");
        }
        nft(&script)?;
        Ok(fault)
    }

    /// How many packets the fault has affected so far.
    pub fn hits(&self, fault: &Fault) -> u64 {
        let shown =
            run(Command::new("nft").args(format!("list chain {}", fault.chain()).split(' ')));
        sum_behind(&shown.unwrap(), "packets")
    }

    /// Ends a treatment.
    pub fn lift(&mut self, fault: &Fault) {
        let chain = fault.chain();
        nft(&format!("flush chain {chain}\ndelete chain {chain}\n")).unwrap();
    }
}

impl Fault {
    fn chain(&self) -> String {
        format!("ip faults fault{}", self.0)
    }
}

/// Where the server of a host listens.
pub fn socket_address(host: usize) -> SocketAddr {
    (address(host), PORT).into()
}

/// Begins a command line that runs on a host.
pub fn runner(host: usize) -> Vec<String> {
    vec!["nsenter".to_owned(), format!("--net={}", path(host))]
}

/// Takes the calling thread to a host: from now on its sockets are there.
pub fn enter(host: usize) {
    let namespace = File::open(path(host)).unwrap();
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
}

/// Lets only this many bits a second go to a host. Packets that come faster wait in a queue, and are lost if it is
/// full.
pub fn slow(host: usize, bits_per_second: u32) {
    try_slow(host, bits_per_second).unwrap();
}

fn try_slow(host: usize, bits_per_second: u32) -> Result<(), String> {
    let line = format!(
        "qdisc add dev {} root tbf rate {bits_per_second}bit burst {SLOW_BURST_BYTES} limit {SLOW_QUEUE_BYTES}",
        cable(host)
    );
    run(Command::new("tc").args(line.split(' '))).map(drop)
}

/// How often a packet to a slow host had to wait.
pub fn waits(host: usize) -> u64 {
    let shown = run(Command::new("tc").args(["-statistics", "qdisc", "show", "dev", &cable(host)]));
    sum_behind(&shown.unwrap(), "overlimits")
}

/// Makes the cable fast again. Packets that were waiting are lost.
pub fn quicken(host: usize) {
    run(Command::new("tc").args(["qdisc", "delete", "dev", &cable(host), "root"])).unwrap();
}

fn name(host: usize) -> String {
    format!("host{host}")
}

fn path(host: usize) -> String {
    format!("{NAMES}/{}", name(host))
}

/// The name of the router's end of a host's cable.
fn cable(host: usize) -> String {
    format!("cable{host}")
}

fn address(host: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 47, u8::try_from(host).unwrap(), 1)
}

fn router(host: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 47, u8::try_from(host).unwrap(), 254)
}

/// The sum of all numbers that come after this word.
fn sum_behind(text: &str, word: &str) -> u64 {
    let mut words = text.split_whitespace();
    let mut sum = 0;
    while words.any(|other| other == word) {
        let number = words.next().unwrap();
        sum += number.parse::<u64>().unwrap();
    }
    sum
}

fn nft(script: &str) -> Result<(), String> {
    feed(Command::new("nft").args(["-f", "-"]), script)
}

/// Runs a command with this input.
fn feed(command: &mut Command, input: &str) -> Result<(), String> {
    let spawned = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let why = match spawned {
        Ok(mut child) => {
            // A command that has failed may not read its input.
            let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
            let output = child.wait_with_output().unwrap();
            if output.status.success() {
                return Ok(());
            }
            String::from_utf8_lossy(&output.stderr).trim().to_owned()
        }
        Err(error) => error.to_string(),
    };
    Err(format!("{command:?}: {why}, for\n{input}"))
}
