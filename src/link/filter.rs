//! What the kernel lets through to a receiving half: classic BPF, built here.

use libc::sock_filter;

/// Which frames a link hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Every frame: listening runs beside the sending, and the port may be a mirror.
    Everything,
    /// What finds devices and answers probes, without the segment's bulk traffic: see
    /// [`Filter::program`].
    Sweep { tcp_ports: (u16, u16) },
}

impl Filter {
    pub(super) fn program(self, snap: u32) -> Vec<sock_filter> {
        todo!()
    }
}
