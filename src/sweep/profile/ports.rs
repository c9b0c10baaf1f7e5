//! Port lists of a profile: `top:N`, numbers and ranges.

use thiserror::Error;

/// The ranking behind `top:N`, best first. How it was made: `docs/ports.md`.
const TCP_RANKING: &str = include_str!("../../../profiles/ports/tcp.csv");
const UDP_RANKING: &str = include_str!("../../../profiles/ports/udp.csv");

/// Port numbers in the order in which they are asked, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortList(pub Vec<u16>);

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadPortList {
    #[error("not a port or a range of ports: {0:?}")]
    Unreadable(String),
    #[error("the ranking has {has} ports, not {asked}")]
    PastRanking { asked: usize, has: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ranking {
    Tcp,
    Udp,
}

impl Ranking {
    /// The ports of the ranking, best first.
    pub fn ports(self) -> Vec<u16> {
        let text = match self {
            Ranking::Tcp => TCP_RANKING,
            Ranking::Udp => UDP_RANKING,
        };
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split(',').next()?.parse().ok())
            .collect()
    }
}

/// The first `count` TCP ports of the ranking, fewer where it has fewer.
pub fn top_tcp(count: usize) -> PortList {
    let mut ports = Ranking::Tcp.ports();
    ports.truncate(count);
    PortList(ports)
}

impl PortList {
    /// `top:100`, `22,80,8000-8010`, or both mixed. Empty text is an empty list.
    pub fn read(text: &str, ranking: Ranking) -> Result<PortList, BadPortList> {
        let mut seen = vec![false; 65_536];
        let mut ports = Vec::new();
        let mut add = |number: u16| {
            if !std::mem::replace(&mut seen[number as usize], true) {
                ports.push(number);
            }
        };
        for item in text.split([',', ' ', ';']).map(str::trim).filter(|item| !item.is_empty()) {
            let bad = || BadPortList::Unreadable(item.chars().take(32).collect());
            if let Some(count) = item.strip_prefix("top:") {
                let asked: usize = count.parse().map_err(|_| bad())?;
                let ranked = ranking.ports();
                if asked > ranked.len() {
                    return Err(BadPortList::PastRanking { asked, has: ranked.len() });
                }
                ranked.into_iter().take(asked).for_each(&mut add);
                continue;
            }
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let number = |text: &str| match text.trim().parse::<u16>() {
                Ok(number) if number > 0 => Ok(number),
                _ => Err(bad()),
            };
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(bad());
            }
            (first..=last).for_each(&mut add);
        }
        Ok(PortList(ports))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_ranges_and_ranks() {
        let read = |text: &str| PortList::read(text, Ranking::Tcp);
        assert_eq!(read("22, 80,8000-8002,80"), Ok(PortList(vec![22, 80, 8000, 8001, 8002])));
        assert_eq!(read("top:100").unwrap().0.len(), 100);
        assert_eq!(read(""), Ok(PortList::default()));
        for bad in ["0", "65536", "9-3", "ssh", "top:x", "top:100000"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_ranking_names_no_port_twice() {
        for ranking in [Ranking::Tcp, Ranking::Udp] {
            let ports = ranking.ports();
            let mut unique = ports.clone();
            unique.sort_unstable();
            unique.dedup();
            assert_eq!(unique.len(), ports.len(), "{ranking:?}");
        }
        assert!(Ranking::Tcp.ports().len() >= 1000);
    }
}
