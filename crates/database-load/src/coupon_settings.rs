//! The settings for reading coupon files, from the command line and its environment.

use database::settings::truth;

use crate::{MemoryBudget, SpillLimit};

/// The settings for reading coupon files.
#[derive(Debug, Clone, Copy)]
pub struct CouponOptions {
    /// The number of files that must hold a code to make it valid.
    pub min_files: u32,
    /// The memory to use at most.
    pub memory_budget: MemoryBudget,
    /// The disk to use at most for codes that do not fit into memory.
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

/// The arguments and variables for reading coupon files.
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
    #[arg(long, env = "ALLOW_SAME_FILES", global = true, value_parser = truth("ALLOW_SAME_FILES=true"))]
    allow_same_files: bool,
}

impl CouponArgs {
    /// The options of these arguments. Options that are not given have their default values.
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
