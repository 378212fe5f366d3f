//! Data that a newer release may have written.

/// What this release knows of what it read, and how many words it does not know. They are passed over: a newer release,
/// which runs beside this one during an upgrade, may have written them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known<T> {
    pub items: T,
    pub unknown: usize,
}
