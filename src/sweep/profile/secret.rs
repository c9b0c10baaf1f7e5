//! Secrets by reference: never in a profile, never in a log.

use std::fmt;

use thiserror::Error;

/// Where a secret is kept: `env:NAME` or `file:PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    Env(String),
    File(String),
}

/// A secret's octets. It prints as `…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

#[derive(Debug, Error)]
pub enum Unresolved {
    #[error("the environment has no {0}")]
    NoSuchVariable(String),
    #[error("{path}: {cause}")]
    Unreadable { path: String, cause: std::io::Error },
    #[error("{0}: larger than a secret may be")]
    TooLarge(String),
}

impl SecretRef {
    /// `None` where the text names neither place: it may be the secret itself, so it is not kept.
    pub fn of(text: &str) -> Option<SecretRef> {
        match text.split_once(':')? {
            ("env", name) if !name.is_empty() => Some(SecretRef::Env(name.to_owned())),
            ("file", path) if !path.is_empty() => Some(SecretRef::File(path.to_owned())),
            _ => None,
        }
    }

    /// The secret, without the line end that editors leave behind it.
    pub fn resolve(&self) -> Result<Secret, Unresolved> {
        /// A key or a password; a chain of certificates with its key is some kilobytes of PEM.
        const MOST: u64 = 64 << 10;
        let mut octets = match self {
            SecretRef::Env(name) => std::env::var(name)
                .map_err(|_| Unresolved::NoSuchVariable(name.clone()))?
                .into_bytes(),
            SecretRef::File(path) => {
                let unreadable = |cause| Unresolved::Unreadable { path: path.clone(), cause };
                let length = std::fs::metadata(path).map_err(unreadable)?.len();
                if length > MOST {
                    return Err(Unresolved::TooLarge(path.clone()));
                }
                std::fs::read(path).map_err(unreadable)?
            }
        };
        while matches!(octets.last(), Some(b'\n' | b'\r')) {
            octets.pop();
        }
        Ok(Secret(octets))
    }
}

/// The reference, never the secret.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretRef::Env(name) => write!(f, "env:{name}"),
            SecretRef::File(path) => write!(f, "file:{path}"),
        }
    }
}

impl Secret {
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_references_are_taken() {
        assert_eq!(SecretRef::of("env:KEY"), Some(SecretRef::Env("KEY".into())));
        assert_eq!(SecretRef::of("public"), None);
        assert_eq!(SecretRef::of("env:"), None);
        assert_eq!(format!("{:?}", Secret(b"hush".to_vec())), "…");
    }
}
