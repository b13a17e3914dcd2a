//! Tests against real servers, and the contracts that every implementation of a seam has to keep.

pub mod log_contract;
pub mod sink_contract;
