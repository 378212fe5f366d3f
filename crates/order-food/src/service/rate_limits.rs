//! Rate limits: token buckets in this process, for each client and for each address, and tighter ones for what only
//! an attacker or a broken client does often: wrong keys, unknown codes.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::ClientId;

/// What a request did to its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether the request may go on.
    pub is_allowed: bool,
    /// How many requests the bucket holds when full.
    pub quota: u32,
    /// How many are left.
    pub remaining: u32,
    /// When the next one will be there, or for one that may go on, when the bucket is full again.
    pub reset: Duration,
}

/// All limits of a process. Off altogether at a rate of 0.
pub struct RateLimits {
    clients: Option<Buckets<ClientId>>,
    addresses: Option<Buckets<IpAddr>>,
    wrong_keys: Option<Buckets<IpAddr>>,
    wrong_codes: Option<Buckets<IpAddr>>,
}

impl RateLimits {
    /// A bucket holds what comes in this many seconds.
    pub const BURST_SECONDS: u32 = 2;
    /// Failures are allowed at this part of the rate.
    const FAILURE_PART: u32 = 10;

    /// Limits of `per_second` requests for each client and each address; 0 switches them off.
    pub fn new(per_second: u32) -> Self {
        let rate = (per_second > 0).then_some(per_second);
        let failure_rate = rate.map(|rate| rate.div_ceil(Self::FAILURE_PART));
        let capacity = |rate: u32| rate.saturating_mul(Self::BURST_SECONDS);
        Self {
            clients: rate.map(|rate| Buckets::new(rate, capacity(rate))),
            addresses: rate.map(|rate| Buckets::new(rate, capacity(rate))),
            wrong_keys: failure_rate.map(|rate| Buckets::new(rate, capacity(rate))),
            wrong_codes: failure_rate.map(|rate| Buckets::new(rate, capacity(rate))),
        }
    }

    /// Whether there are any limits.
    pub const fn are_on(&self) -> bool {
        self.addresses.is_some()
    }

    /// One more request from an address. `None`: no limit.
    pub fn address(&self, address: IpAddr) -> Option<Decision> {
        self.addresses.as_ref().map(|buckets| buckets.take(network(address), 1))
    }

    /// One more request of a client.
    pub fn client(&self, client_id: ClientId) -> Option<Decision> {
        self.clients.as_ref().map(|buckets| buckets.take(client_id, 1))
    }

    /// Whether an address may try another key.
    pub fn may_try_key(&self, address: IpAddr) -> Option<Decision> {
        self.wrong_keys.as_ref().map(|buckets| buckets.take(network(address), 0))
    }

    /// An address sent a wrong key.
    pub fn record_wrong_key(&self, address: IpAddr) {
        if let Some(buckets) = &self.wrong_keys {
            buckets.take(network(address), 1);
        }
    }

    /// Whether an address may try another code.
    pub fn may_try_code(&self, address: IpAddr) -> Option<Decision> {
        self.wrong_codes.as_ref().map(|buckets| buckets.take(network(address), 0))
    }

    /// An address sent a code that is none.
    pub fn record_wrong_code(&self, address: IpAddr) {
        if let Some(buckets) = &self.wrong_codes {
            buckets.take(network(address), 1);
        }
    }
}

/// Who shares a bucket: an IPv4 address, or an IPv6 /64, which one customer has whole.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

/// Buckets by name, in shards that are locked one at a time. Memory is bounded: a shard that is full forgets the older
/// half of its buckets at once, and a forgotten bucket is a full one.
struct Buckets<K> {
    per_second: f64,
    capacity: u32,
    hasher: RandomState,
    shards: Vec<Mutex<Shard<K>>>,
}

struct Shard<K> {
    recent: HashMap<K, Bucket>,
    older: HashMap<K, Bucket>,
}

impl<K: Hash + Eq + Copy> Buckets<K> {
    const SHARDS: usize = 16;
    /// Buckets in each half of a shard; all together at most 2 × 16 × 4096 of some 60 bytes.
    const HALF: usize = 4096;

    fn new(per_second: u32, capacity: u32) -> Self {
        let shard = || Mutex::new(Shard { recent: HashMap::new(), older: HashMap::new() });
        let shards = std::iter::repeat_with(shard).take(Self::SHARDS).collect();
        Self { per_second: per_second.into(), capacity: capacity.max(1), hasher: RandomState::new(), shards }
    }

    fn take(&self, key: K, tokens: u32) -> Decision {
        self.take_at(key, tokens, Instant::now())
    }

    /// Takes `tokens` if the bucket holds so many; taking none asks whether it holds one.
    fn take_at(&self, key: K, tokens: u32, now: Instant) -> Decision {
        #[expect(clippy::cast_possible_truncation, reason = "the remainder of a division by 16")]
        let at = (self.hasher.hash_one(key) % Self::SHARDS as u64) as usize;
        let mut shard = self.shards[at].lock().unwrap_or_else(PoisonError::into_inner);
        let capacity = f64::from(self.capacity);
        let known = shard.recent.get(&key).copied().or_else(|| shard.older.remove(&key));
        let mut bucket = known.unwrap_or(Bucket { tokens: capacity, filled_at: now });
        let elapsed = now.saturating_duration_since(bucket.filled_at).as_secs_f64();
        bucket.tokens = (bucket.tokens + elapsed * self.per_second).min(capacity);
        bucket.filled_at = now;
        let needed = f64::from(tokens.max(1));
        let is_allowed = bucket.tokens >= needed;
        if is_allowed {
            bucket.tokens -= f64::from(tokens);
        }
        if shard.recent.len() >= Self::HALF && !shard.recent.contains_key(&key) {
            shard.older = std::mem::take(&mut shard.recent);
        }
        shard.recent.insert(key, bucket);
        let missing = if is_allowed { capacity - bucket.tokens } else { needed - bucket.tokens };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the capacity"
        )]
        let remaining = bucket.tokens as u32;
        let reset = Duration::from_secs_f64(missing / self.per_second);
        Decision { is_allowed, quota: self.capacity, remaining, reset }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let len = |shard: &Mutex<Shard<K>>| {
            let shard = shard.lock().unwrap();
            shard.recent.len() + shard.older.len()
        };
        self.shards.iter().map(len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills() {
        let buckets = Buckets::new(10, 20);
        let start = Instant::now();
        for left in (0..20).rev() {
            let decision = buckets.take_at(1, 1, start);
            assert!(decision.is_allowed);
            assert_eq!(decision.remaining, left);
        }
        let refused = buckets.take_at(1, 1, start);
        assert!(!refused.is_allowed);
        assert_eq!(refused.reset, Duration::from_millis(100));
        assert!(buckets.take_at(2, 1, start).is_allowed, "another one's bucket is full");
        assert!(buckets.take_at(1, 1, start + Duration::from_millis(101)).is_allowed);
        assert!(!buckets.take_at(1, 1, start + Duration::from_millis(102)).is_allowed);
        let later = start + Duration::from_secs(3600);
        assert_eq!(buckets.take_at(1, 0, later).remaining, 20, "asking takes nothing");
    }

    #[test]
    fn a_clock_that_goes_back_takes_nothing_away() {
        let buckets = Buckets::new(1, 2);
        let start = Instant::now() + Duration::from_secs(10);
        assert!(buckets.take_at(1, 1, start).is_allowed);
        assert!(buckets.take_at(1, 1, start.checked_sub(Duration::from_secs(5)).unwrap()).is_allowed);
    }

    #[test]
    fn memory_is_bounded_however_many_come() {
        let buckets = Buckets::new(1, 2);
        for address in 0..500_000u32 {
            buckets.take(address, 1);
        }
        assert!(buckets.len() <= 2 * 16 * 4096, "{}", buckets.len());
    }

    #[test]
    fn zero_is_off() {
        let limits = RateLimits::new(0);
        let address = IpAddr::from([192, 0, 2, 1]);
        limits.record_wrong_key(address);
        assert_eq!(limits.address(address), None);
        assert_eq!(limits.client(ClientId::new(1)), None);
        assert_eq!(limits.may_try_key(address), None);
        assert_eq!(limits.may_try_code(address), None);
    }

    #[test]
    fn a_network_shares_a_bucket() {
        let same = |one: &str, other: &str| network(one.parse().unwrap()) == network(other.parse().unwrap());
        assert!(same("2001:db8::1", "2001:db8::ffff:1"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
    }
}
