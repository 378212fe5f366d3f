//! API keys: how they are kept and what they allow.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The number of an API client: whoever owns keys and orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(i64);

impl ClientId {
    /// The client with that number.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number itself.
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// The secret that stands between a stolen table of key hashes and guessing keys from it (`API_KEY_PEPPER`).
#[derive(Clone)]
pub struct Pepper(Hmac<Sha256>);

impl Pepper {
    /// A pepper of these bytes. Empty is allowed and is what an unset pepper means: keys are hashed all the same.
    pub fn new(secret: &[u8]) -> Self {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104, section 2)")]
        Self(Hmac::new_from_slice(secret).expect("HMAC takes keys of any length"))
    }

    /// What is stored of a key: HMAC-SHA-256 under this pepper.
    pub fn hash(&self, key: &str) -> ApiKeyHash {
        let mut mac = self.0.clone();
        mac.update(key.as_bytes());
        ApiKeyHash(mac.finalize().into_bytes().into())
    }

    /// Eight bytes that tell two peppers apart and give neither away.
    pub fn fingerprint(&self) -> [u8; 8] {
        let mut mac = self.0.clone();
        // No key can be this text: keys are visible ASCII.
        mac.update(b"\0fingerprint of the pepper");
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        let mut fingerprint = [0; 8];
        fingerprint.copy_from_slice(&digest[..8]);
        fingerprint
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(…)")
    }
}

/// The stored form of an API key. Comparing takes the same time whatever differs.
#[derive(Clone, Copy, Eq)]
pub struct ApiKeyHash([u8; 32]);

impl ApiKeyHash {
    /// The hash with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for ApiKeyHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for ApiKeyHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for ApiKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyHash(…)")
    }
}

/// One thing a key may allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Place orders.
    CreateOrder,
    /// Read one's own orders.
    ReadOrders,
    /// Change the menu.
    ManageMenu,
    /// Everything, for every client.
    Admin,
}

impl Scope {
    const ALL: [Self; 4] = [Self::CreateOrder, Self::ReadOrders, Self::ManageMenu, Self::Admin];

    /// The name in files, tables and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CreateOrder => "create_order",
            Self::ReadOrders => "read_orders",
            Self::ManageMenu => "manage_menu",
            Self::Admin => "admin",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What a key allows. `admin` allows everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

/// The text names a scope there is none of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("names the unknown scope \"{0}\"; scopes are create_order, read_orders, manage_menu and admin")]
pub struct UnknownScope(String);

impl Scopes {
    /// Whether `scope` is among them.
    pub const fn allow(self, scope: Scope) -> bool {
        self.0 & (scope.bit() | Scope::Admin.bit()) != 0
    }
}

impl Scopes {
    /// The scopes that this release knows, and how many words it does not know: a newer release may have written them.
    pub fn known(text: &str) -> (Self, usize) {
        let mut unknown = 0;
        let mut known = Self::default();
        for word in text.split_ascii_whitespace() {
            match word.parse::<Self>() {
                Ok(scope) => known.0 |= scope.0,
                Err(UnknownScope(_)) => unknown += 1,
            }
        }
        (known, unknown)
    }
}

/// Scope names between blanks; none is allowed and allows nothing.
impl FromStr for Scopes {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        text.split_ascii_whitespace().try_fold(Self(0), |scopes, name| {
            let scope = Scope::ALL.into_iter().find(|scope| scope.as_str() == name);
            scope.map(|scope| Self(scopes.0 | scope.bit())).ok_or_else(|| UnknownScope(name.to_owned()))
        })
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> =
            Scope::ALL.into_iter().filter(|scope| self.0 & scope.bit() != 0).map(Scope::as_str).collect();
        f.write_str(&names.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_pepper_makes_other_hashes() {
        let (one, other) = (Pepper::new(b"one"), Pepper::new(b"other"));
        assert_eq!(one.hash("apitest"), one.hash("apitest"));
        assert_ne!(one.hash("apitest"), other.hash("apitest"));
        assert_ne!(one.hash("apitest"), one.hash("apitesu"));
        assert_ne!(one.fingerprint(), other.fingerprint());
    }

    #[test]
    fn scopes_read_back_as_written() {
        let scopes: Scopes = " read_orders  create_order ".parse().unwrap();
        assert_eq!(scopes.to_string(), "create_order read_orders");
        assert!(scopes.allow(Scope::ReadOrders) && !scopes.allow(Scope::Admin));
        assert!("admin".parse::<Scopes>().unwrap().allow(Scope::ManageMenu));
        assert!(!"".parse::<Scopes>().unwrap().allow(Scope::CreateOrder));
        assert_eq!("orders".parse::<Scopes>(), Err(UnknownScope("orders".into())));
    }

    #[test]
    fn words_of_a_newer_release_are_passed_over() {
        let (scopes, unknown) = Scopes::known("create_order manage_orders manage_shop");
        assert_eq!((scopes.to_string().as_str(), unknown), ("create_order", 2));
        assert_eq!(Scopes::known("").1, 0);
    }
}
