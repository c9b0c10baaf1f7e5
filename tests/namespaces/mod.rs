//! Two network namespaces of a test's own, joined by a veth pair, gone with the value.
//!
//! The scanner stands in one, at `va` with 10.9.0.1 and fd09::1; the peer in the other, at `vb` with 10.9.0.2
//! and fd09::2. Nothing in them leads out.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Whether namespaces can be made. Says "not run" where they cannot.
pub fn privileged() -> bool {
    let root = caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_SYS_ADMIN);
    let root = root.unwrap_or(false);
    if !root {
        eprintln!("not run: network namespaces take root");
    }
    root
}

pub struct Pair {
    pub scanner: String,
    pub peer: String,
    pub folder: tempfile::TempDir,
    children: Vec<Child>,
}

impl Pair {
    pub fn new() -> Pair {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = |side| format!("jb{}-{number}{side}", std::process::id());
        let pair = Pair {
            scanner: name("a"),
            peer: name("b"),
            folder: tempfile::tempdir().expect("a folder"),
            children: Vec::new(),
        };
        let (a, b) = (&pair.scanner, &pair.peer);
        for namespace in [a, b] {
            run(&format!("ip netns add {namespace}"));
            run(&format!("ip -n {namespace} link set lo up"));
        }
        run(&format!(
            "ip -n {a} link add va address 02:00:00:00:00:0a type veth peer name vb netns {b} \
             address 02:00:00:00:00:0b"
        ));
        for (namespace, link, last) in [(a, "va", 1), (b, "vb", 2)] {
            run(&format!("ip -n {namespace} addr add 10.9.0.{last}/24 dev {link}"));
            run(&format!("ip -n {namespace} addr add fd09::{last}/64 dev {link} nodad"));
            run(&format!("ip -n {namespace} link set {link} up"));
        }
        // The peer knows the scanner: what it would have to resolve first it would throw away in part.
        for address in ["10.9.0.1", "fd09::1"] {
            run(&format!(
                "ip -n {b} neigh replace {address} lladdr 02:00:00:00:00:0a dev vb nud permanent"
            ));
        }
        // What a whole range of hosts needs that are one kernel.
        for setting in [
            "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.vb.rp_filter=0",
            "net.ipv4.icmp_ratelimit=0",
            "net.ipv4.icmp_msgs_per_sec=1000000",
            "net.ipv4.icmp_msgs_burst=1000000",
            "net.ipv4.tcp_syncookies=2",
        ] {
            let _ = pair.inside(b, "sysctl").args(["-qw", setting]).status();
        }
        pair
    }

    /// The peer is every host of this prefix, which the scanner reaches through it.
    pub fn hosts_behind(&self, prefix: &str) {
        let (a, b) = (&self.scanner, &self.peer);
        run(&format!("ip -n {b} route add local {prefix} dev lo"));
        let gateway = if prefix.contains(':') { "fd09::2" } else { "10.9.0.2" };
        run(&format!("ip -n {a} route add {prefix} via {gateway}"));
        run(&format!(
            "ip -n {a} neigh replace {gateway} lladdr 02:00:00:00:00:0b dev va nud permanent"
        ));
    }

    /// The scanner's route, and nobody behind it.
    pub fn nobody_behind(&self, prefix: &str) {
        let a = &self.scanner;
        let gateway = if prefix.contains(':') { "fd09::2" } else { "10.9.0.2" };
        run(&format!("ip -n {a} route add {prefix} via {gateway}"));
        run(&format!(
            "ip -n {a} neigh replace {gateway} lladdr 02:00:00:00:00:0b dev va nud permanent"
        ));
    }

    pub fn inside(&self, namespace: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(program).stdin(Stdio::null());
        command
    }

    pub fn peer(&self, command: &str) -> Output {
        let output = self.inside(&self.peer, "sh").args(["-c", command]).output();
        let output = output.expect("sh runs");
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// Something of the peer's that runs until the end.
    pub fn keep(&mut self, mut command: Command) {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.children.push(child.expect("it runs"));
    }

    /// TCP port 80 open on every address of the peer.
    pub fn serve(&mut self) {
        let script = "import socket,time\n\
            s=socket.socket(socket.AF_INET6); s.setsockopt(socket.IPPROTO_IPV6,socket.IPV6_V6ONLY,0)\n\
            s.bind(('::',80)); s.listen(4096); time.sleep(600)";
        let mut python = self.inside(&self.peer, "python3");
        python.args(["-c", script]);
        self.keep(python);
        for _ in 0..200 {
            let listening =
                self.inside(&self.peer, "ss").args(["-Hltn", "sport", "=", "80"]).output();
            if !listening.expect("ss runs").stdout.is_empty() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("nobody listens on port 80");
    }

    /// Everything that comes to the peer's end, written by tcpdump until [`Witness::end`].
    pub fn witness(&self, filter: &str) -> Witness {
        let file = self.folder.path().join("peer.pcap");
        let mut tcpdump = self.inside(&self.peer, "tcpdump");
        tcpdump.args([
            "-i",
            "vb",
            "-n",
            "-Z",
            "root",
            "-B",
            "65536",
            "-s",
            "96",
            "--immediate-mode",
            "-U",
            "-w",
        ]);
        tcpdump.arg(&file).arg(filter).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = tcpdump.spawn().expect("tcpdump runs");
        // It says where it listens when it does.
        let mut said = [0; 1];
        let stderr = child.stderr.as_mut().expect("its stderr");
        std::io::Read::read_exact(stderr, &mut said).expect("tcpdump says something");
        std::thread::sleep(std::time::Duration::from_millis(300));
        Witness { child, file }
    }

    pub fn jiebei(&self, words: &[&str]) -> Command {
        let mut command = self.inside(&self.scanner, env!("CARGO_BIN_EXE_jiebei"));
        command.args(words).args(["--lang", "en"]).env("NO_COLOR", "1");
        command
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        for namespace in [&self.scanner, &self.peer] {
            let deleted = Command::new("ip").args(["netns", "del", namespace]).status();
            if !deleted.is_ok_and(|status| status.success()) {
                eprintln!("the namespace {namespace} is left over");
            }
        }
    }
}

pub struct Witness {
    child: Child,
    file: PathBuf,
}

impl Witness {
    /// One line a frame: `tcpdump -tt -n`.
    pub fn end(mut self) -> Vec<String> {
        std::thread::sleep(std::time::Duration::from_millis(500));
        run(&format!("kill -INT {}", self.child.id()));
        let _ = self.child.wait();
        let output = Command::new("tcpdump").args(["-tt", "-n", "-r"]).arg(&self.file).output();
        let output = output.expect("tcpdump runs");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }
}

pub fn run(line: &str) {
    let mut words = line.split_whitespace();
    let program = words.next().expect("a program");
    let output = Command::new(program).args(words).output().expect("it runs");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}
