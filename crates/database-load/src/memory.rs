//! How much memory the digest of coupon files may use.

use std::fs;
use std::str::FromStr;

use coupon_corpus::Settings;

use crate::amount;

/// An amount of memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBudget(pub u64);

/// The text is not a usable amount.
#[derive(Debug, thiserror::Error)]
#[error("is not an amount of memory from 32MiB; example: 512MiB")]
pub struct MemoryBudgetError;

impl FromStr for MemoryBudget {
    type Err = MemoryBudgetError;

    fn from_str(text: &str) -> Result<Self, MemoryBudgetError> {
        let bytes = amount::bytes(text).filter(|bytes| *bytes >= Settings::LEAST_BUDGET_BYTES);
        bytes.map(Self).ok_or(MemoryBudgetError)
    }
}

/// The smaller of 512 MiB and 60 % of what the control group allows, so that the rest of the process has room.
impl Default for MemoryBudget {
    fn default() -> Self {
        const MOST_BYTES: u64 = 512 * 1024 * 1024;
        // Version 2 of control groups, and version 1.
        let files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
        let limits = files.iter().filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok());
        Self(limits.map(Self::part_of).fold(MOST_BYTES, u64::min))
    }
}

impl MemoryBudget {
    fn part_of(limit_bytes: u64) -> u64 {
        (limit_bytes / 5 * 3).max(Settings::LEAST_BUDGET_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_from_32_mib_will_do() {
        for (text, bytes) in [
            ("512MiB", Some(512 << 20)),
            ("64Mi", Some(64 << 20)),
            ("1 GiB", Some(1 << 30)),
            ("32768KiB", Some(32 << 20)),
            ("67108864", Some(64 << 20)),
            ("600M", Some(600_000_000)),
            ("32Mi", Some(32 << 20)),
            ("33554431", None),
            ("31MiB", None),
            ("512MB", None),
            ("MiB", None),
            ("-1GiB", None),
            ("99999999999GiB", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<MemoryBudget>().ok().map(|budget| budget.0), bytes, "{text}");
        }
    }

    #[test]
    fn a_small_group_leaves_room() {
        assert_eq!(MemoryBudget::part_of(256 << 20), 161_061_273);
        assert_eq!(MemoryBudget::part_of(1 << 20), 32 << 20);
    }
}
