//! How coupon files are read, from the command line and its environment.

use crate::{MemoryBudget, SpillLimit};

/// How to read coupon files.
#[derive(Debug, Clone, Copy)]
pub struct CouponOptions {
    /// In how many files a code must stand to be valid.
    pub min_files: u32,
    /// How much memory to use.
    pub memory_budget: MemoryBudget,
    /// How much disk to use for what does not fit into memory.
    pub spill_limit: SpillLimit,
    /// Whether files that hold the same codes count as several.
    pub allow_same_files: bool,
}

impl Default for CouponOptions {
    fn default() -> Self {
        Self {
            min_files: 2,
            memory_budget: MemoryBudget::default(),
            spill_limit: SpillLimit::default(),
            allow_same_files: false,
        }
    }
}

/// What `MEMORY_BUDGET` and its like say.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct CouponArgs {
    /// Memory for reading coupon files, from 32MiB [default: the smaller of 512MiB and 60 % of the control group's limit]
    #[arg(long, env = "MEMORY_BUDGET", global = true)]
    memory_budget: Option<MemoryBudget>,
    /// Disk in TMPDIR for what does not fit into memory, such as 10Mi or 4G; the load fails before it would use more
    /// [default: 16GiB]
    #[arg(long, env = "SPILL_SIZE_LIMIT", global = true)]
    spill_size_limit: Option<SpillLimit>,
    /// Load coupon files though some of them hold the same codes, so that one list counts as several files
    #[arg(long, env = "ALLOW_SAME_FILES", global = true, value_parser = allow_same_files)]
    allow_same_files: bool,
}

fn allow_same_files(text: &str) -> Result<bool, &'static str> {
    text.parse().map_err(|_| "is neither true nor false; example: ALLOW_SAME_FILES=true")
}

impl CouponArgs {
    /// The options meant; what is not given is as by default.
    pub fn options(&self) -> CouponOptions {
        let default = CouponOptions::default();
        CouponOptions {
            memory_budget: self.memory_budget.unwrap_or(default.memory_budget),
            spill_limit: self.spill_size_limit.unwrap_or(default.spill_limit),
            allow_same_files: self.allow_same_files,
            ..default
        }
    }
}
