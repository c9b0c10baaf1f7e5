//! The arrows between the rooms, and what must be absent from them, read from the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each room with what it may use. `texts` and `net` stand at the bottom.
const ARROWS: &[(&str, &[&str])] = &[
    ("net", &[]),
    ("texts", &[]),
    ("wire", &["net"]),
    ("link", &["net", "wire"]),
    ("observe", &["net"]),
    ("scope", &["net", "wire", "link", "observe"]),
    ("scan", &["net", "wire", "link", "observe", "scope"]),
    ("passive", &["net", "wire", "observe"]),
    ("registry", &["net", "observe", "texts"]),
    ("egress", &["net", "wire", "link", "observe", "scope", "scan"]),
    ("inventory", &["net", "observe"]),
    ("audit", &["net", "observe", "registry", "inventory", "texts", "result"]),
    ("result", &["net", "wire", "link", "observe", "inventory", "audit", "texts"]),
    ("report", &["net", "observe", "audit", "result", "texts"]),
    (
        "sweep",
        &[
            "net",
            "wire",
            "link",
            "observe",
            "scope",
            "scan",
            "passive",
            "registry",
            "egress",
            "inventory",
            "audit",
            "egress",
            "result",
            "report",
            "texts",
        ],
    ),
    (
        "cli",
        &[
            "net",
            "link",
            "observe",
            "scan",
            "registry",
            "egress",
            "inventory",
            "audit",
            "egress",
            "result",
            "report",
            "sweep",
            "texts",
        ],
    ),
];

/// What a pure room cannot have: a socket, a file, a thread, a clock, a print.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::thread",
    "TcpStream",
    "UdpSocket",
    "TcpListener",
    "Timestamp::now",
    "Instant::now",
    "SystemTime",
    "Zoned::now",
    "println!",
    "print!(",
    "std::env",
];

const PURE: &[&str] = &["net", "wire", "inventory", "audit", "report", "passive"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the crate") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The code of each room, without comments and without tests.
fn rooms() -> BTreeMap<String, Vec<(PathBuf, String)>> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut rooms: BTreeMap<String, Vec<(PathBuf, String)>> = BTreeMap::new();
    let mut files = Vec::new();
    sources(&src, &mut files);
    for file in files {
        let inside = file.strip_prefix(&src).expect("inside of src");
        if inside.components().count() < 2 || inside.ends_with("tests.rs") {
            continue;
        }
        let room = inside.components().next().expect("a room").as_os_str().to_string_lossy();
        let text = fs::read_to_string(&file).expect("readable source");
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let code: String = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .map(|line| format!("{line}\n"))
            .collect();
        rooms.entry(room.into_owned()).or_default().push((inside.to_owned(), code));
    }
    rooms
}

#[test]
fn arrows_point_down() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ARROWS.iter().map(|(room, below)| (*room, below.iter().copied().collect())).collect();
    let mut wrong = Vec::new();
    for (room, files) in rooms() {
        let below = allowed.get(room.as_str()).unwrap_or_else(|| panic!("no arrows for {room}"));
        for (file, code) in files {
            for used in code.split("crate::").skip(1) {
                let used: String =
                    used.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                let is_room = allowed.contains_key(used.as_str());
                if is_room && used != room && !below.contains(used.as_str()) {
                    wrong.push(format!("{} uses {used}", file.display()));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// `audit` says severities and confidences in the published words; of the rest of `result` it knows nothing.
#[test]
fn audit_knows_only_the_published_words_of_result() {
    for (file, code) in &rooms()["audit"] {
        for used in code.split("crate::result").skip(1) {
            assert!(used.starts_with("::v1"), "{}", file.display());
        }
    }
}

#[test]
fn pure_rooms_have_no_socket_file_thread_or_clock() {
    let rooms = rooms();
    let mut wrong = Vec::new();
    for room in PURE {
        for (file, code) in &rooms[*room] {
            for word in IMPURE {
                if code.contains(word) {
                    wrong.push(format!("{}: {word}", file.display()));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_listener_cannot_send() {
    for (file, code) in &rooms()["passive"] {
        for word in ["Transmit", "crate::scan", "crate::scope", "Fence"] {
            assert!(!code.contains(word), "{}: {word}", file.display());
        }
    }
    for (file, code) in &rooms()["sweep"] {
        if file.ends_with("watch.rs") {
            for word in ["Transmit", "link::open(", "Fence", "scan::run"] {
                assert!(!code.contains(word), "{}: {word}", file.display());
            }
        }
    }
}

#[test]
fn unsafe_stands_in_one_room() {
    for (file, code) in rooms().into_values().flatten() {
        let allowed = file.starts_with("link/sys");
        let is_unsafe = code.contains("unsafe {") || code.contains("unsafe fn");
        assert!(allowed || !is_unsafe, "{}", file.display());
    }
}

/// A sending half is handed to the fence, and to nobody else.
#[test]
fn only_the_fence_holds_a_sending_half() {
    for (room, files) in rooms() {
        for (file, code) in files {
            if !matches!(room.as_str(), "link" | "scope") {
                assert!(!code.contains("Transmit"), "{}", file.display());
                assert!(!code.contains(".queue("), "{}", file.display());
            }
        }
    }
}

/// Who talks to a device has a permit. The collector listens on the internet side and is no part of a sweep.
#[test]
fn only_a_permit_opens_a_socket() {
    for (file, code) in rooms().into_values().flatten() {
        // The source ports of a sweep are kept from others by sockets that never send.
        let allowed = ["scope", "egress/witness", "scan/source_ports.rs"];
        let allowed = allowed.iter().any(|place| file.starts_with(place));
        for word in ["TcpStream::connect", "TcpSocket::new", "UdpSocket::bind", "Socket::new("] {
            assert!(allowed || !code.contains(word), "{}: {word}", file.display());
        }
    }
}

#[test]
fn only_the_command_line_speaks() {
    for (room, files) in rooms() {
        for (file, code) in files {
            for word in ["println!", "eprintln!", "std::process::exit"] {
                assert!(room == "cli" || !code.contains(word), "{}: {word}", file.display());
            }
        }
    }
}

#[test]
fn the_architecture_page_has_every_room_in_order() {
    let page = include_str!("../ARCHITECTURE.md");
    let headings: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("### ")).map(str::trim).collect();
    let rooms: BTreeSet<String> = rooms().into_keys().collect();
    let told: BTreeSet<String> = headings.iter().map(|heading| (*heading).to_owned()).collect();
    assert_eq!(told, rooms);
}
