//! The order writer: what shares a batch, and what does not fit into the queue.

mod batch;
mod queue;
mod told;
