//! The one way in which this room reads bytes: forward, and never past the end.

use std::net::{Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use crate::net::Mac;

/// Why a reader stopped. Malformed traffic is data: callers count it and keep what came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WireError {
    #[error("{what} ends early: {needed} octets needed, {had} left")]
    Short { what: &'static str, needed: usize, had: usize },
    #[error("{what}: {why}")]
    Wrong { what: &'static str, why: &'static str },
}

impl WireError {
    /// The format that was being read.
    pub const fn what(self) -> &'static str {
        match self {
            WireError::Short { what, .. } | WireError::Wrong { what, .. } => what,
        }
    }

    /// The fault in words that do not depend on the bytes, so that equal faults stay equal facts.
    pub const fn why(self) -> &'static str {
        match self {
            WireError::Short { .. } => "ends early",
            WireError::Wrong { why, .. } => why,
        }
    }
}

/// What was read, and the fault that ended the reading, if one did.
pub type Kept<T> = (T, Result<(), WireError>);

/// Bytes not yet read, and the name of what they are, for the error.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub const fn new(what: &'static str, bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { what, rest: bytes }
    }

    /// What is left, without reading it.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub const fn left(&self) -> usize {
        self.rest.len()
    }

    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The error of a field that was read whole and says what cannot be.
    pub const fn wrong(&self, why: &'static str) -> WireError {
        WireError::Wrong { what: self.what, why }
    }

    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        match self.rest.split_first_chunk::<N>() {
            Some((chunk, rest)) => {
                self.rest = rest;
                Ok(*chunk)
            }
            None => Err(WireError::Short { what: self.what, needed: N, had: self.rest.len() }),
        }
    }

    #[inline]
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        match self.rest.split_at_checked(length) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(WireError::Short { what: self.what, needed: length, had: self.rest.len() }),
        }
    }

    /// As many of the bytes as there are.
    pub fn take_up_to(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) =
            self.rest.split_at_checked(length).unwrap_or((self.rest, Default::default()));
        self.rest = rest;
        taken
    }

    /// A cursor over the next bytes, which this one passes.
    pub fn part(&mut self, length: usize) -> Result<Cursor<'a>, WireError> {
        Ok(Cursor { what: self.what, rest: self.take(length)? })
    }

    pub fn skip(&mut self, length: usize) -> Result<(), WireError> {
        self.take(length).map(|_| ())
    }

    #[inline]
    pub fn u8(&mut self) -> Result<u8, WireError> {
        self.array::<1>().map(|[octet]| octet)
    }

    #[inline]
    pub fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    pub fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline]
    pub fn mac(&mut self) -> Result<Mac, WireError> {
        self.array().map(Mac)
    }

    #[inline]
    pub fn ipv4(&mut self) -> Result<Ipv4Addr, WireError> {
        self.array::<4>().map(Ipv4Addr::from)
    }

    #[inline]
    pub fn ipv6(&mut self) -> Result<Ipv6Addr, WireError> {
        self.array::<16>().map(Ipv6Addr::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_stops_at_the_end_and_stays_where_it_was() {
        let mut cursor = Cursor::new("test", &[1, 2, 3]);
        assert_eq!(cursor.u16(), Ok(0x0102));
        assert_eq!(cursor.u32(), Err(WireError::Short { what: "test", needed: 4, had: 1 }));
        assert_eq!(cursor.u8(), Ok(3));
        assert!(cursor.is_empty());
        assert_eq!(cursor.take(usize::MAX).unwrap_err().why(), "ends early");
        assert!(cursor.take_up_to(9).is_empty());
    }
}
