//! The order writer: what shares a batch, what does not fit into the queue, and what somebody holds up.

mod batch;
mod queue;
mod told;
