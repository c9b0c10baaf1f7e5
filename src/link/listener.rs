//! What a listening socket answers before anybody accepts.

use std::io;
use std::os::fd::AsFd;

/// Makes a TCP listener repeat an unanswered SYN-ACK once instead of five times (TCP_SYNCNT; zero is not to be had).
pub fn answer_sparingly(listener: impl AsFd) -> io::Result<()> {
    super::sys::listener::limit_answers(listener.as_fd(), 1)
}
