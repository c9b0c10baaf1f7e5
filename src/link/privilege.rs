//! Rights: whether raw sockets may be opened, and how to be left with none once they are.
//!
//! Linux keeps capabilities per thread: drop them before the first thread is started.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, fchown};
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

/// A user and a group to whom output files are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// Who called sudo, if we are root by it. `None`: files stay with who runs us.
pub fn owner() -> Option<Owner> {
    if super::sys::process::effective_user() != 0 {
        return None;
    }
    let id = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    Some(Owner { uid: id("SUDO_UID")?, gid: id("SUDO_GID")? })
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
    let folder = File::open(path)?;
    if owner().is_some_and(|owner| folder.metadata().is_ok_and(|m| m.uid() != owner.uid)) {
        give_to_owner(&folder)?;
    }
    Ok(())
}
