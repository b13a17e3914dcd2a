//! How records move, whatever they are: the loops over the seams, the logs, the readers that
//! sources are made of, and the one shape in which every service starts and stops.

pub mod header;
pub mod journal;
pub mod listen;
pub mod log;
pub mod secret;
pub mod tail;

pub use tahoe_seams as seams;
