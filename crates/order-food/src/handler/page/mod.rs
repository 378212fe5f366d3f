//! Pages and documents, for people and for tools.

pub mod docs;
pub mod welcome;
