//! Network namespaces, for tests that stand in one they made.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

/// Moves the calling thread into the network namespace behind a path (`/run/netns/NAME`). Sockets
/// that were opened before stay where they are.
pub fn enter(path: &Path) -> io::Result<()> {
    let namespace = File::open(path)?;
    // SAFETY: setns takes two numbers; the descriptor is open for the length of the call.
    super::check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) })
}
