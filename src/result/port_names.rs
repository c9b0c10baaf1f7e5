//! What a port is registered for: the name that a service has as long as nobody talked to it.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::net::{Port, Transport};

/// The port rankings carry IANA's names beside each port.
const TCP: &str = include_str!("../../profiles/ports/tcp.csv");
const UDP: &str = include_str!("../../profiles/ports/udp.csv");

static NAMES: LazyLock<HashMap<Port, &'static str>> = LazyLock::new(|| {
    let mut names = HashMap::new();
    for (transport, table) in [(Transport::Tcp, TCP), (Transport::Udp, UDP)] {
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let mut cells = line.split(',');
            let number = cells.next().and_then(|cell| cell.parse().ok());
            let name = cells.next().filter(|name| !name.is_empty());
            if let (Some(number), Some(name)) = (number, name) {
                names.insert(Port { transport, number }, name);
            }
        }
    }
    names
});

/// IANA's service name of a port; none where it has none, or where the ranking does not hold it.
pub fn port_name(port: Port) -> Option<&'static str> {
    NAMES.get(&port).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_ports_have_their_names() {
        assert_eq!(port_name(Port::tcp(22)), Some("ssh"));
        assert_eq!(port_name(Port::udp(161)), Some("snmp"));
        assert_eq!(port_name(Port::udp(9)), None);
    }
}
