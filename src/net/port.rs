//! Transport ports, written `tcp/443`, and lists of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Tcp,
    Udp,
}

/// A transport and a port number from 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port {
    pub transport: Transport,
    pub number: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a port: {0:?}")]
pub struct BadPort(pub String);

impl Port {
    pub const fn tcp(number: u16) -> Port {
        Port { transport: Transport::Tcp, number }
    }

    pub const fn udp(number: u16) -> Port {
        Port { transport: Transport::Udp, number }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        })
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.transport, self.number)
    }
}

/// `tcp/443`, in any case; zero is no port.
impl FromStr for Port {
    type Err = BadPort;

    fn from_str(text: &str) -> Result<Port, BadPort> {
        let bad = || BadPort(text.chars().take(64).collect());
        let (transport, number) = text.trim().split_once('/').ok_or_else(bad)?;
        let transport = match transport.trim().to_ascii_lowercase().as_str() {
            "tcp" => Transport::Tcp,
            "udp" => Transport::Udp,
            _ => return Err(bad()),
        };
        match number.trim().parse() {
            Ok(number) if number != 0 => Ok(Port { transport, number }),
            _ => Err(bad()),
        }
    }
}

/// A list of ports in one transport with ranges drawn together: `22,80,8000-8010`.
pub fn ranges(numbers: &[u16]) -> String {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut text = String::new();
    let mut rest = sorted.as_slice();
    while let Some((&first, _)) = rest.split_first() {
        let run = rest.windows(2).take_while(|pair| pair[1] == pair[0] + 1).count();
        if !text.is_empty() {
            text.push(',');
        }
        text += &first.to_string();
        if run > 0 {
            text += &format!("-{}", rest[run]);
        }
        rest = &rest[run + 1..];
    }
    text
}

impl Serialize for Port {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Port, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        assert_eq!("TCP/443".parse(), Ok(Port::tcp(443)));
        assert_eq!(Port::udp(161).to_string(), "udp/161");
        for text in ["443", "tcp/0", "tcp/65536", "sctp/1", "tcp/", "tcp/-1"] {
            assert!(text.parse::<Port>().is_err(), "{text}");
        }
    }

    #[test]
    fn draws_ranges_together() {
        assert_eq!(ranges(&[80, 22, 8001, 8000, 8002, 80]), "22,80,8000-8002");
        assert_eq!(ranges(&[]), "");
        assert_eq!(ranges(&[65535, 65534]), "65534-65535");
    }
}
