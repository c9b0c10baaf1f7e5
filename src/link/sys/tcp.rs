//! What the kernel knows of a TCP connection (tcp(7), `TCP_INFO`).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// `struct tcp_info` up to `tcpi_segs_out`, which Linux 4.2 appended: 136 octets and it.
const NEEDED: usize = 140;

/// Segments that the connection sent so far: its SYN, data, acknowledgements, retransmissions.
pub(in crate::link) fn segments_sent(socket: impl AsFd) -> io::Result<u32> {
    let mut info = [0u8; NEEDED];
    let mut length = NEEDED as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` octets to `info`, which has as many, and their number
    // to `length`; the descriptor is borrowed and stays open for the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    super::check(result)?;
    match info.last_chunk::<4>() {
        Some(octets) if length as usize >= NEEDED => Ok(u32::from_ne_bytes(*octets)),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}
