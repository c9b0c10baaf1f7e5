//! A result's folder on disk: each file replaced whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

use super::v1::FileDigest;

/// Gives a new file to whom it shall belong: the user who called sudo.
pub type Own<'a> = &'a dyn Fn(&File) -> io::Result<()>;

/// Where a result is written.
pub struct Folder<'a> {
    path: PathBuf,
    own: Option<Own<'a>>,
}

impl<'a> Folder<'a> {
    /// The folder, made if it is not there.
    pub fn open(path: &Path, own: Option<Own<'a>>) -> io::Result<Folder<'a>> {
        if !path.is_dir() {
            fs::create_dir_all(path)?;
            if let Some(own) = own {
                own(&File::open(path)?)?;
            }
        }
        Ok(Folder { path: path.to_owned(), own })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one file. Until `write` has come to its end and the disk has it, the old file stays.
    pub fn put(
        &self,
        name: &str,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<FileDigest> {
        let mut digest = None;
        replace(&self.path.join(name), self.own, &mut |out| {
            let mut hashed = Hashed { out, context: Context::new(&SHA256), bytes: 0 };
            write(&mut hashed)?;
            digest = Some(FileDigest {
                name: name.to_owned(),
                bytes: hashed.bytes,
                sha256: hex(hashed.context.finish().as_ref()),
            });
            Ok(())
        })?;
        digest.ok_or_else(|| io::Error::other("nothing was written"))
    }
}

/// Writes beside `path`, then puts the new file in the old one's place.
pub(super) fn replace(
    path: &Path,
    own: Option<Own<'_>>,
    write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("result");
    let temporary = tempfile::Builder::new().prefix(&format!(".{name}.")).tempfile_in(folder)?;
    {
        let mut out = BufWriter::with_capacity(1 << 16, temporary.as_file());
        write(&mut out)?;
        out.flush()?;
    }
    // A temporary file is for its maker alone; a result is for whoever may read the folder.
    use std::os::unix::fs::PermissionsExt;
    temporary.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    if let Some(own) = own {
        own(temporary.as_file())?;
    }
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|fault| fault.error)?;
    // The new name lasts only once the folder is on disk too. Some file systems cannot do this.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// The SHA-256 of a file as [`FileDigest`] holds it.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Hashed<'a> {
    out: &'a mut dyn Write,
    context: Context,
    bytes: u64,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.context.update(bytes.get(..written).unwrap_or_default());
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Folder::open(&folder.path().join("out"), None).unwrap();
        let digest = folder.put("a.txt", &mut |out| out.write_all(b"abc")).unwrap();
        assert_eq!(
            digest.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let failed = folder.put("a.txt", &mut |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("disk full"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(folder.path().join("a.txt")).unwrap(), b"abc");
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "no temporary file stays behind");
    }

    #[test]
    fn files_are_handed_over() {
        let folder = tempfile::tempdir().unwrap();
        let count = std::cell::Cell::new(0);
        let own = |_: &File| {
            count.set(count.get() + 1);
            Ok(())
        };
        let folder = Folder::open(&folder.path().join("new"), Some(&own)).unwrap();
        folder.put("a", &mut |_| Ok(())).unwrap();
        assert_eq!(count.get(), 2, "the folder and the file");
    }
}
