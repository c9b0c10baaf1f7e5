//! Attributes of the calling thread and process.

use std::io;
use std::mem;
use std::ptr;
use std::time::Duration;

/// Makes execve(2) grant nothing from now on (PR_SET_NO_NEW_PRIVS). Of this thread and its children.
pub fn forbid_new_privileges() -> io::Result<()> {
    // The call has no prototype for its numbers: they must come as wide as the kernel reads them.
    let (yes, unused): (libc::c_ulong, libc::c_ulong) = (1, 0);
    // SAFETY: prctl with this option reads its four numbers and no memory.
    super::check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, yes, unused, unused, unused) })
}

/// Does something, such as starting a thread, while this thread has every signal blocked.
pub fn with_signals_blocked<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: an all-zero sigset_t is a valid one, and sigfillset fills it.
    let mut all: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: the pointer is to a set that lives through the call.
    let _ = unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: as above; it is filled in by the call.
    let mut before: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: both sets live through the call; only this thread's mask changes.
    let blocked =
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before) };
    let done = work();
    if blocked == 0 {
        // SAFETY: the set is the one that the call above filled in.
        let _ =
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut()) };
    }
    done
}

/// Lets other threads go first where there are not cores enough, this thread alone: on Linux a nice value is a thread's.
pub fn give_way() -> io::Result<()> {
    // SAFETY: setpriority takes three numbers and no memory; 0 is the calling thread.
    super::check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 10) })
}

/// CLOCK_MONOTONIC, which service managers reckon by; [`std::time::Instant`] does not show its number.
pub fn monotonic() -> Duration {
    // SAFETY: an all-zero timespec is a valid one.
    let mut now: libc::timespec = unsafe { mem::zeroed() };
    // SAFETY: the pointer is to a timespec that lives through the call; the clock is there on every Linux.
    let _ = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
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
