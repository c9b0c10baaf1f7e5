//! The service manager, told what a long run does: sd_notify(3), and the watchdog.
//!
//! A few lines instead of a crate: the protocol is one datagram of `KEY=value` lines to the socket that `NOTIFY_SOCKET` names, by path
//! or, with `@` before it, by abstract name. Without that variable nothing is said to anybody.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use crate::link;

/// Who is told, if somebody is.
#[derive(Debug, Default)]
pub struct Manager {
    socket: Option<UnixDatagram>,
}

impl Manager {
    /// By the environment. A socket that cannot be reached is an error: the manager would kill us for our silence.
    pub fn from_environment() -> io::Result<Manager> {
        match std::env::var("NOTIFY_SOCKET") {
            Ok(name) if !name.is_empty() => Manager::at(&name),
            _ => Ok(Manager::default()),
        }
    }

    fn at(name: &str) -> io::Result<Manager> {
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        // A manager that does not read must not hold us up.
        socket.set_write_timeout(Some(Duration::from_millis(100)))?;
        Ok(Manager { socket: Some(socket) })
    }

    /// Lines of `KEY=value`. What is not taken is lost: the manager asks for nothing again.
    pub fn tell(&self, lines: &str) {
        if let Some(socket) = &self.socket {
            let _ = socket.send(lines.as_bytes());
        }
    }

    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={}", line(status)));
    }

    pub fn status(&self, status: &str) {
        self.tell(&format!("STATUS={}", line(status)));
    }

    /// The instant tells the manager that the `READY=1` after it is the answer to this one.
    pub fn reloading(&self) {
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}", link::monotonic().as_micros()));
    }

    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// For the thread whose life shall be watched.
    pub fn watchdog(&self) -> io::Result<Watchdog> {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let of_another =
            number("WATCHDOG_PID").is_some_and(|pid| pid != u64::from(std::process::id()));
        let every = number("WATCHDOG_USEC").filter(|_| !of_another).map(Duration::from_micros);
        let socket = self.socket.as_ref().map(UnixDatagram::try_clone).transpose()?;
        // Half of the time that is left to us, as sd_watchdog_enabled(3) advises.
        let every = every.map(|every| every / 2);
        Ok(Watchdog { manager: Manager { socket }, every, last: None })
    }
}

/// What a status line may hold.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Says that we are alive, as often as the manager wants to hear it.
#[derive(Debug)]
pub struct Watchdog {
    manager: Manager,
    every: Option<Duration>,
    last: Option<Instant>,
}

impl Watchdog {
    /// To be called often, by who does the work.
    pub fn alive(&mut self) {
        let Some(every) = self.every else { return };
        if self.last.is_none_or(|last| last.elapsed() >= every) {
            self.last = Some(Instant::now());
            self.manager.tell("WATCHDOG=1");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut message = [0; 512];
        let length = socket.recv(&mut message).unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    }

    #[test]
    fn sockets_by_path_and_by_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("jiebei-test-{}", std::process::id());
        let abstractly =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for (socket, name) in
            [(by_path, path.to_str().unwrap().to_owned()), (abstractly, format!("@{name}"))]
        {
            let manager = Manager::at(&name).unwrap();
            manager.ready("one\ntwo");
            assert_eq!(heard(&socket), "READY=1\nSTATUS=one two");
            manager.reloading();
            assert!(heard(&socket).starts_with("RELOADING=1\nMONOTONIC_USEC="));
        }
        assert!(Manager::at("/nowhere/at/all").is_err());
        Manager::default().stopping();
    }

    #[test]
    fn a_watchdog_speaks_at_half_of_its_time() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let manager = Manager { socket: Some(ours) };
        let mut watchdog = Watchdog { manager, every: Some(Duration::from_secs(60)), last: None };
        watchdog.alive();
        watchdog.alive();
        assert_eq!(heard(&theirs), "WATCHDOG=1");
        theirs.set_nonblocking(true).unwrap();
        assert!(theirs.recv(&mut [0; 16]).is_err(), "only once in its time");
    }
}
