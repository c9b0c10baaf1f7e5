//! Attributes of the calling thread and process.

use std::io;

/// Makes execve(2) grant nothing from now on (PR_SET_NO_NEW_PRIVS). Of this thread and its children.
pub fn forbid_new_privileges() -> io::Result<()> {
    // SAFETY: prctl with this option reads its four numbers and no memory.
    super::check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })
}

/// The effective user id.
pub fn effective_user() -> u32 {
    // SAFETY: geteuid has no arguments and always succeeds.
    unsafe { libc::geteuid() }
}
