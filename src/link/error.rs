//! What stops a link.

use std::io;

use thiserror::Error;

use super::Io;

#[derive(Debug, Error)]
pub enum LinkError {
    #[error("there is no interface {interface}")]
    NoInterface { interface: String },
    #[error("the interface {interface} is down")]
    Down { interface: String },
    #[error("the interface {interface} is gone")]
    Gone { interface: String },
    /// The interface is not any more what the sweep began with: an address that frames go out from is not its
    /// own, and may be somebody else's by now.
    #[error("{interface} changed: {what} is not there any more")]
    Changed { interface: String, what: String },
    #[error("{interface} has no carrier")]
    NoCarrier { interface: String },
    #[error("{interface}: no right to {what} (CAP_NET_RAW is needed)")]
    Denied { interface: String, what: &'static str },
    #[error("{interface} carries no Ethernet frames (hardware type {hardware})")]
    NotEthernet { interface: String, hardware: u16 },
    #[error("this build has no {io}")]
    NotBuilt { io: Io },
    /// The device's queue stayed full through all retries.
    #[error("{interface} takes no more frames; {waiting} wait")]
    Congested { interface: String, waiting: usize },
    #[error("a frame of {length} octets does not fit on {interface} ({least} to {most})")]
    Length { interface: String, length: usize, least: usize, most: usize },
    #[error("{interface}: {what}: {source}")]
    System { interface: String, what: &'static str, source: io::Error },
}

impl LinkError {
    /// What a failed system call says about the link.
    pub(super) fn of(interface: &str, what: &'static str, source: io::Error) -> LinkError {
        let interface = interface.to_owned();
        match source.raw_os_error() {
            Some(libc::ENETDOWN) => LinkError::Down { interface },
            Some(libc::ENODEV | libc::ENXIO) => LinkError::Gone { interface },
            Some(libc::EPERM | libc::EACCES) => LinkError::Denied { interface, what },
            _ => LinkError::System { interface, what, source },
        }
    }

    /// Whether the interface, not the program, ended the link: keep what there is and stop.
    pub fn is_lost(&self) -> bool {
        matches!(
            self,
            LinkError::Down { .. }
                | LinkError::Gone { .. }
                | LinkError::Changed { .. }
                | LinkError::NoCarrier { .. }
        )
    }
}
