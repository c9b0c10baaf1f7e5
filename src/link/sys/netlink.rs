//! A route netlink socket.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};

pub struct NetlinkSocket {
    fd: OwnedFd,
}

impl NetlinkSocket {
    /// Opened and bound to a port of its own in the namespace of the calling thread. Receiving
    /// gives up after two seconds.
    pub fn open() -> io::Result<NetlinkSocket> {
        // SAFETY: socket(2) takes three numbers.
        let fd = super::owned(unsafe {
            libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE)
        })?;
        let patience = libc::timeval { tv_sec: 2, tv_usec: 0 };
        // SAFETY: the option's value is a timeval of the size that is said.
        super::check(unsafe {
            libc::setsockopt(
                fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVTIMEO,
                (&raw const patience).cast(),
                mem::size_of_val(&patience) as libc::socklen_t,
            )
        })?;
        Ok(NetlinkSocket { fd })
    }

    /// Sends one message to the kernel: an unconnected netlink socket sends to port 0, which it is.
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        // SAFETY: the pointer and the length are those of one slice.
        let sent = super::counted(unsafe {
            libc::send(self.fd.as_raw_fd(), message.as_ptr().cast(), message.len(), 0)
        })?;
        if sent == message.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// Receives one datagram from the kernel. Says its whole length, also where `into` was shorter.
    pub fn receive(&self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            // SAFETY: an all-zero sockaddr_nl is a valid one.
            let mut from: libc::sockaddr_nl = unsafe { mem::zeroed() };
            let mut from_length = mem::size_of_val(&from) as libc::socklen_t;
            // SAFETY: the kernel writes at most `into.len()` octets into the slice and at most
            // `from_length` into the address; both outlive the call.
            let received = super::counted(unsafe {
                libc::recvfrom(
                    self.fd.as_raw_fd(),
                    into.as_mut_ptr().cast(),
                    into.len(),
                    libc::MSG_TRUNC,
                    (&raw mut from).cast(),
                    &raw mut from_length,
                )
            })?;
            // Other processes may send to our port too; port 0 is the kernel alone.
            if from.nl_pid == 0 {
                return Ok(received);
            }
        }
    }
}
