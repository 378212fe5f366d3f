//! Rate limits, and whom to believe about addresses.

use std::net::IpAddr;

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
    pub fn client_address<'h>(&self, peer: IpAddr, forwarded_for: impl Iterator<Item = &'h str>) -> IpAddr {
        if !self.contains(peer) {
            return peer;
        }
        let hops: Vec<_> = forwarded_for.flat_map(|value| value.split(',')).collect();
        let mut client = peer;
        for hop in hops.into_iter().rev() {
            // Whatever is no address ends the chain: the one before it is the last that a proxy of ours vouches for.
            let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
            client = address;
            if !self.contains(address) {
                break;
            }
        }
        client
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address.to_canonical()))
    }
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
        proxies.client_address(peer.parse().unwrap(), forwarded_for.iter().copied()).to_string()
    }

    #[test]
    fn only_our_proxies_are_believed() {
        assert_eq!(client("203.0.113.5", &["198.51.100.1"]), "203.0.113.5");
        assert_eq!(client("10.1.2.3", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("10.1.2.3", &["6.6.6.6, 198.51.100.1, 192.168.1.7"]), "198.51.100.1");
        assert_eq!(client("10.1.2.3", &["6.6.6.6", "198.51.100.1,10.9.9.9"]), "198.51.100.1");
        assert_eq!(client("10.1.2.3", &[]), "10.1.2.3");
        assert_eq!(client("10.1.2.3", &["nonsense"]), "10.1.2.3");
        assert_eq!(client("10.1.2.3", &["10.5.5.5"]), "10.5.5.5");
        assert!(networks("10.0.0.0/33").is_err() && networks("proxy").is_err());
    }
}
