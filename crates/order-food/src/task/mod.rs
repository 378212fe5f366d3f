//! What the process does beside answering requests.

mod follower;
mod housekeeping;
mod supervisor;

pub use follower::Follower;
pub use housekeeping::Housekeeping;
pub use supervisor::Supervisor;
