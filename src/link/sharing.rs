//! Who else sweeps by the same interface, so that all together stay within the ceilings of one.
//!
//! Each sweep binds a datagram socket to an abstract name, `jiebei/INTERFACE/SLOT`, the first of [`SLOTS`] that is free, and counts
//! those that somebody has by connecting to each: no file, no right, no daemon. Abstract names belong to a network namespace,
//! as interface numbers do, and vanish with the process that has them (unix(7)), however it ends. Connecting is asked rather
//! than `/proc/net/unix` read because it takes the same few microseconds on a machine with a hundred thousand sockets, and where there
//! is no `/proc`.
//!
//! **Why the sum holds.** With `n` sweeps each takes an n-th. One that comes sees the others at once, and sends nothing for
//! [`SETTLING`]: by then each of them has looked ([`BETWEEN_LOOKS`]) and has been within its smaller part for a second. Of
//! two that come at once, the later sees the earlier, because both bind before they look. When one goes, the others take its part
//! a second later, when its last frame is out of every window ([`MOURNING`]).
//! Conversations that had begun go on with the places that they have; they are few.
//!
//! Anybody on the machine can take the names and make sweeps slow, down to two frames a second; nobody can make them fast.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// More sweeps by one interface than anybody runs.
const SLOTS: u32 = 32;
/// How often the others are counted, at least, while frames go.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);
/// A look of the others, a second and a slice of theirs, and what a batch may take.
pub const SETTLING: Duration = Duration::from_millis(1_700);
/// A second, and what clocks and queues are off.
const MOURNING: Duration = Duration::from_millis(1_100);

/// The places that a sweep has among those of its interfaces.
#[derive(Debug)]
pub struct Sharing {
    interfaces: Vec<u32>,
    /// Keep the names taken.
    _taken: Vec<UnixDatagram>,
    /// What is connected to see whether a name is taken.
    probe: UnixDatagram,
    /// Names that are asked for on behalf of a sweep that found none free.
    nameless: u32,
    looked: Duration,
    sweeps: Sweeps,
}

fn name(interface: u32, slot: u32) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("jiebei/{interface}/{slot}"))
}

impl Sharing {
    /// Takes a place on each interface (by number), and counts the others.
    ///
    /// # Errors
    ///
    /// Where the kernel gives no such sockets: then nothing is known of others.
    pub fn join(interfaces: &[u32]) -> io::Result<Sharing> {
        let mut taken = Vec::new();
        let mut nameless = 0;
        for interface in interfaces {
            match take(*interface)? {
                Some(socket) => taken.push(socket),
                None => nameless = 1,
            }
        }
        let mut sharing = Sharing {
            interfaces: interfaces.to_vec(),
            _taken: taken,
            probe: UnixDatagram::unbound()?,
            nameless,
            looked: Duration::ZERO,
            sweeps: Sweeps::default(),
        };
        let count = sharing.count();
        sharing.sweeps.see(count, Duration::ZERO);
        Ok(sharing)
    }

    /// By how many the ceilings are to be divided.
    pub fn sweeps(&self) -> u32 {
        self.sweeps.all
    }

    /// The most that there were.
    pub fn most(&self) -> u32 {
        self.sweeps.most
    }

    /// Counts the others if it is time to. The number, if it is another now.
    pub fn look(&mut self, now: Duration) -> Option<u32> {
        if now.saturating_sub(self.looked) < BETWEEN_LOOKS {
            return None;
        }
        self.looked = now;
        let before = self.sweeps.all;
        let count = self.count();
        self.sweeps.see(count, now);
        (self.sweeps.all != before).then_some(self.sweeps.all)
    }

    /// The sweeps of the interface that has the most.
    fn count(&self) -> u32 {
        let on = |interface: &u32| {
            (0..SLOTS).filter(|slot| self.is_taken(*interface, *slot)).count() as u32
        };
        let most = self.interfaces.iter().map(on).max().unwrap_or(1);
        (most + self.nameless).max(1)
    }

    fn is_taken(&self, interface: u32, slot: u32) -> bool {
        let Ok(name) = name(interface, slot) else { return false };
        match self.probe.connect_addr(&name) {
            Ok(()) => true,
            // Whoever may not be spoken to is there.
            Err(error) => error.kind() != io::ErrorKind::ConnectionRefused,
        }
    }
}

/// The first free name of an interface; none where all are taken.
fn take(interface: u32) -> io::Result<Option<UnixDatagram>> {
    for slot in 0..SLOTS {
        match UnixDatagram::bind_addr(&name(interface, slot)?) {
            Ok(socket) => return Ok(Some(socket)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// How many take part: more at once, fewer only after a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sweeps {
    all: u32,
    most: u32,
    /// Since when fewer were seen, and the most of those.
    fewer: Option<(Duration, u32)>,
}

impl Default for Sweeps {
    fn default() -> Sweeps {
        Sweeps { all: 1, most: 1, fewer: None }
    }
}

impl Sweeps {
    fn see(&mut self, count: u32, now: Duration) {
        self.most = self.most.max(count);
        if count >= self.all {
            self.all = count;
            self.fewer = None;
            return;
        }
        let (since, most) = self.fewer.unwrap_or((now, count));
        let most = most.max(count);
        if now.saturating_sub(since) >= MOURNING {
            self.all = most;
            // Who left meanwhile is waited for from its own leaving on.
            self.fewer = (count < most).then_some((now, count));
        } else {
            self.fewer = Some((since, most));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn more_are_believed_at_once_and_fewer_after_a_second() {
        let mut sweeps = Sweeps::default();
        let seen = [
            (0, 1, 1),
            (500, 3, 3),
            (1000, 2, 3),
            (1500, 1, 3),
            // Two are the most that were seen since: the one that left in between may have sent a moment before.
            (2100, 1, 2),
            (2600, 1, 2),
            (3200, 1, 1),
            (3700, 2, 2),
            (4200, 1, 2),
            (4700, 2, 2),
            (5200, 1, 2),
            (5700, 1, 2),
            (6300, 1, 1),
        ];
        for (at, count, all) in seen {
            sweeps.see(count, millis(at));
            assert_eq!(sweeps.all, all, "at {at} ms");
        }
        assert_eq!(sweeps.most, 3);
    }

    #[test]
    fn a_name_is_a_place_until_its_process_or_its_socket_ends() {
        // Numbers that no interface has.
        let (one, other) = (4_000_000_001, 4_000_000_002);
        let mut first = Sharing::join(&[one]).unwrap();
        assert_eq!(first.sweeps(), 1);
        let second = Sharing::join(&[other, one]).unwrap();
        assert_eq!(second.sweeps(), 2);
        assert_eq!(first.look(millis(100)), None, "it is not time yet");
        assert_eq!(first.look(millis(600)), Some(2));
        assert_eq!(Sharing::join(&[other]).unwrap().sweeps(), 2);
        drop(second);
        assert_eq!(first.look(millis(1200)), None);
        assert_eq!(first.look(millis(2400)), Some(1));
        assert_eq!((first.sweeps(), first.most()), (1, 2));
    }

    #[test]
    fn who_finds_no_name_counts_itself_all_the_same() {
        let interface = 4_000_000_003;
        let all: Vec<_> = (0..SLOTS).map(|_| take(interface).unwrap().unwrap()).collect();
        assert_eq!(Sharing::join(&[interface]).unwrap().sweeps(), SLOTS + 1);
        drop(all);
    }
}
