//! Rights: whether raw sockets may be opened, and how to be left with none once they are.
//!
//! Linux keeps capabilities per thread: drop them before the first thread is started.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use caps::{CapSet, Capability};
use thiserror::Error;

#[derive(Debug, Error)]
pub enum PrivilegeError {
    #[error("the capability sets cannot be read or changed: {0}")]
    Caps(#[from] caps::errors::CapsError),
    #[error("capabilities are left after dropping them: {0}")]
    Left(String),
    #[error("new privileges cannot be forbidden: {0}")]
    NoNewPrivileges(io::Error),
    #[error("the output folder's owner is not known: {0}")]
    Folder(io::Error),
    #[error("the output folder's owner cannot be become: {0}")]
    Become(io::Error),
    #[error("there is no user {0}")]
    NoSuchUser(String),
    #[error("the list of users cannot be read: {0}")]
    Users(io::Error),
}

/// Whether this thread may open packet sockets.
pub fn has_net_raw() -> bool {
    caps::has_cap(None, CapSet::Effective, Capability::CAP_NET_RAW).unwrap_or(false)
}

/// Gives up every capability of this thread for good: ambient, bounding, inheritable, effective
/// and permitted; and forbids that a program we start gets any back. Open sockets go on working.
///
/// The bounding set needs CAP_SETPCAP to be emptied; without it nothing is lost, since
/// no_new_privs already bars the way that the bounding set guards.
pub fn drop_all() -> Result<(), PrivilegeError> {
    super::sys::process::forbid_new_privileges().map_err(PrivilegeError::NoNewPrivileges)?;
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        for capability in caps::all() {
            // A kernel older than the list does not know the last ones.
            if caps::has_cap(None, CapSet::Bounding, capability).unwrap_or(false) {
                caps::drop(None, CapSet::Bounding, capability)?;
            }
        }
    }
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        caps::clear(None, set)?;
    }
    let left: Vec<String> = [CapSet::Effective, CapSet::Permitted]
        .into_iter()
        .map(|set| caps::read(None, set))
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .flatten()
        .map(|capability| capability.to_string())
        .collect();
    if left.is_empty() { Ok(()) } else { Err(PrivilegeError::Left(left.join(" "))) }
}

/// Gives up every capability, and root as well where the output folder belongs to somebody else: then the
/// sweep goes on as that user, whose files its results become.
///
/// Root without capabilities cannot create files in another user's folder, and a result that
/// cannot be written is worth nothing.
pub fn drop_for(folder: &Path) -> Result<(), PrivilegeError> {
    if super::sys::process::effective_user() == 0 {
        let metadata = std::fs::metadata(folder).map_err(PrivilegeError::Folder)?;
        if metadata.uid() != 0 {
            super::sys::process::become_user(metadata.uid(), metadata.gid())
                .map_err(PrivilegeError::Become)?;
        }
    }
    drop_all()
}

/// Whether we are root, and may become another.
pub fn is_root() -> bool {
    super::sys::process::effective_user() == 0
}

/// The ids of a user of this machine, by `/etc/passwd` (passwd(5)).
pub fn user(name: &str) -> Result<Owner, PrivilegeError> {
    let users = std::fs::read_to_string("/etc/passwd").map_err(PrivilegeError::Users)?;
    users
        .lines()
        .find_map(|line| {
            let mut cells = line.split(':');
            let is_named = cells.next() == Some(name);
            let ids = (cells.nth(1)?.parse().ok()?, cells.next()?.parse().ok()?);
            is_named.then_some(Owner { uid: ids.0, gid: ids.1 })
        })
        .ok_or_else(|| PrivilegeError::NoSuchUser(name.chars().take(64).collect()))
}

/// Becomes this user, where we are root, and gives up every capability.
pub fn become_and_drop(user: Owner) -> Result<(), PrivilegeError> {
    if is_root() {
        super::sys::process::become_user(user.uid, user.gid).map_err(PrivilegeError::Become)?;
    }
    drop_all()
}

/// A user and a group to whom output files are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// Who called sudo, if we are root by it. `None`: files stay with who runs us.
pub fn owner() -> Option<Owner> {
    let read = |name: &str| std::env::var(name).ok();
    owner_from(super::sys::process::effective_user(), read("SUDO_UID"), read("SUDO_GID"))
}

/// Both ids or none: half an owner would give a file to a group that is nobody's choice.
fn owner_from(user: u32, uid: Option<String>, gid: Option<String>) -> Option<Owner> {
    if user != 0 {
        return None;
    }
    Some(Owner { uid: uid?.parse().ok()?, gid: gid?.parse().ok()? })
}

/// Gives an open file to who called sudo; does nothing where nobody did.
///
/// By descriptor, not by name: a name in a folder of that user could be swapped for a link to
/// something else between our making it and our giving it away.
pub fn give_to_owner(file: impl AsFd) -> io::Result<()> {
    match owner() {
        Some(owner) => fchown(file, Some(owner.uid), Some(owner.gid)),
        None => Ok(()),
    }
}

/// Makes a folder with those above it that are missing, and gives the new ones to who called sudo.
pub fn create_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_folder(parent)?;
    }
    std::fs::create_dir(path)?;
    // Not through a link that has meanwhile taken its place, and only what is ours to give.
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let folder = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if folder.metadata()?.uid() == super::sys::process::effective_user() {
        give_to_owner(&folder)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_whole_and_only_root_has_one() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(owner_from(0, some("1000"), some("1001")), Some(Owner { uid: 1000, gid: 1001 }));
        assert_eq!(owner_from(1000, some("1000"), some("1000")), None);
        assert_eq!(owner_from(0, some("1000"), None), None);
        assert_eq!(owner_from(0, some("-1"), some("0")), None);
        assert_eq!(owner_from(0, None, None), None);
    }
}
