//! CARP, version 2, as OpenBSD and FreeBSD send it (`ip_carp.h`). It shares VRRP's number, version and type.

use super::cursor::{Cursor, WireError};

/// Header, counter and digest.
const LENGTH: usize = 36;
/// The words of counter and digest, where VRRP has its number of addresses.
const WORDS: u8 = 7;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carp {
    pub version: u8,
    pub group: u8,
    /// Lower is preferred.
    pub skew: u8,
}

impl Carp {
    /// `None` for what is VRRP: with seven addresses it is longer than this, with its authentication data.
    pub fn read(bytes: &[u8]) -> Result<Option<Carp>, WireError> {
        let mut cursor = Cursor::new("carp", bytes);
        let [head, group, skew, words] = cursor.array()?;
        let is_carp = head == 0x21 && words == WORDS && (LENGTH..LENGTH + 8).contains(&bytes.len());
        Ok(is_carp.then_some(Carp { version: 2, group, skew }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn told_from_vrrp_by_its_form() {
        let mut bytes = vec![0x21, 5, 100, 7, 0, 1, 0, 0];
        bytes.resize(36, 9);
        assert_eq!(Carp::read(&bytes), Ok(Some(Carp { version: 2, group: 5, skew: 100 })));
        bytes.resize(44, 9);
        assert_eq!(Carp::read(&bytes), Ok(None));
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Carp::read(&octets);
        }
    }
}
