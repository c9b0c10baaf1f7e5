//! Attributes of the calling thread and process.

use std::io;

/// Makes execve(2) grant nothing from now on (PR_SET_NO_NEW_PRIVS). Of this thread and its children.
pub fn forbid_new_privileges() -> io::Result<()> {
    // The call has no prototype for its numbers: they must come as wide as the kernel reads them.
    let (yes, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: prctl with this option reads its four numbers and no memory.
    super::check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, yes, unused, unused, unused) })
}

/// The effective user id.
pub fn effective_user() -> u32 {
    // SAFETY: geteuid has no arguments and always succeeds.
    unsafe { libc::geteuid() }
}

/// Becomes this user and group for good: real, effective and saved ids, in every thread; the
/// supplementary groups go.
///
/// # Errors
/// Those of the kernel: who is not root may not become another.
pub fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: a count of zero groups, so that the pointer is not read.
    super::check(unsafe { libc::setgroups(0, std::ptr::null()) })?;
    // SAFETY: the calls take numbers alone; the group goes first, while there is the right to.
    super::check(unsafe { libc::setresgid(gid, gid, gid) })?;
    // SAFETY: as above.
    super::check(unsafe { libc::setresuid(uid, uid, uid) })
}
