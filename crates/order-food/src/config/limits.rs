//! Rate limits, and whom to believe about addresses.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// Rate limits, and whom to believe about addresses.
#[derive(Debug, Clone, clap::Args)]
pub struct LimitArgs {
    /// Requests a second for each client and each address; 0 for no limits
    #[arg(long, env = "RATE_LIMIT_PER_SECOND", default_value_t = 0, value_parser = per_second)]
    pub rate_limit_per_second: u32,
    /// Networks of proxies whose X-Forwarded-For is believed, e.g. 10.0.0.0/8,192.168.1.7 [default: none]
    #[arg(long, env = "TRUSTED_PROXIES", default_value = "", hide_default_value = true, value_parser = networks)]
    pub trusted_proxies: TrustedProxies,
}

/// Networks of proxies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// The address a request came from: the peer's, or, if that is a proxy of ours, the last one in `X-Forwarded-For`
    /// that is not. What stands further left may have been written by anybody.
    pub fn client_address<'h>(
        &self,
        peer: IpAddr,
        forwarded_for: impl Iterator<Item = &'h str>,
    ) -> ClientAddress {
        if !self.contains(peer) {
            return ClientAddress { address: peer, is_cut: false };
        }
        let hops: Vec<_> = forwarded_for.flat_map(|value| value.split(',')).collect();
        let mut client = peer;
        for hop in hops.into_iter().rev().map(str::trim).filter(|hop| !hop.is_empty()) {
            // Anything but an address ends the chain: the one before it is the last that a proxy of ours vouches for.
            let Some(address) = hop_address(hop) else {
                return ClientAddress { address: client, is_cut: true };
            };
            client = address;
            if !self.contains(address) {
                break;
            }
        }
        ClientAddress { address: client, is_cut: false }
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address.to_canonical()))
    }
}

/// Where a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress {
    /// The last address that can be believed.
    pub address: IpAddr,
    /// Whether the chain ended at something that is not an address.
    pub is_cut: bool,
}

/// An address as proxies write it: alone, with a port, in brackets or quotes, with a zone.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim_matches('"').trim();
    let without_zone = |text: &str| text.split('%').next().unwrap_or_default().parse::<IpAddr>().ok();
    if let Some(rest) = hop.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        let is_port =
            port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
        return without_zone(address).filter(|address| address.is_ipv6() && is_port);
    }
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    without_zone(hop).or_else(with_port)
}

fn per_second(text: &str) -> Result<u32, &'static str> {
    let rate = text.parse().ok().filter(|rate| *rate <= 1_000_000);
    rate.ok_or("is not a number from 0 to 1000000; example: RATE_LIMIT_PER_SECOND=50")
}

fn networks(text: &str) -> Result<TrustedProxies, &'static str> {
    let network = |part: &str| part.parse::<IpNet>().or_else(|_| part.parse::<IpAddr>().map(IpNet::from));
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let networks = parts.map(network).collect::<Result<_, _>>();
    networks.map(TrustedProxies).map_err(|_| "is not a list of networks; example: TRUSTED_PROXIES=10.0.0.0/8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded_for: &[&str]) -> String {
        let proxies = networks("10.0.0.0/8, 192.168.1.7").unwrap();
        let client = proxies.client_address(peer.parse().unwrap(), forwarded_for.iter().copied());
        format!("{}{}", client.address, if client.is_cut { " cut" } else { "" })
    }

    #[test]
    fn only_our_proxies_are_believed() {
        assert_eq!(client("203.0.113.5", &["198.51.100.1"]), "203.0.113.5");
        assert_eq!(client("10.1.2.3", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("10.1.2.3", &["6.6.6.6, 198.51.100.1, 192.168.1.7"]), "198.51.100.1");
        assert_eq!(client("10.1.2.3", &["6.6.6.6", "198.51.100.1,10.9.9.9"]), "198.51.100.1");
        assert_eq!(client("10.1.2.3", &[]), "10.1.2.3");
        assert_eq!(client("10.1.2.3", &["nonsense"]), "10.1.2.3 cut");
        assert_eq!(client("10.1.2.3", &["198.51.100.1, unknown, 10.9.9.9"]), "10.9.9.9 cut");
        assert_eq!(client("10.1.2.3", &["10.5.5.5"]), "10.5.5.5");
        assert_eq!(client("203.0.113.5", &["nonsense"]), "203.0.113.5", "not of our proxies");
        assert!(networks("10.0.0.0/33").is_err() && networks("proxy").is_err());
    }

    #[test]
    fn addresses_are_read_as_proxies_write_them() {
        for (hop, address) in [
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7:49152", "203.0.113.7"),
            (" \"203.0.113.7:80\" ", "203.0.113.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:443", "2001:db8::7"),
            ("\"[2001:db8::7]:443\"", "2001:db8::7"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%eth0]:8080", "fe80::1"),
            ("::ffff:203.0.113.7", "::ffff:203.0.113.7"),
            ("203.0.113.7,", "203.0.113.7"),
            (", 203.0.113.7 , ,", "203.0.113.7"),
        ] {
            assert_eq!(client("10.1.2.3", &[hop]), address, "{hop}");
        }
        for hop in [
            "unknown",
            "_hidden",
            "203.0.113.7:port",
            "203.0.113",
            "[203.0.113.7]",
            "[2001:db8::7",
            "for=203.0.113.7",
            "shop.example",
        ] {
            assert_eq!(client("10.1.2.3", &[hop]), "10.1.2.3 cut", "{hop}");
        }
    }
}
