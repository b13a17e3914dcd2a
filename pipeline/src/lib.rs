//! How records move, whatever they are: the loops over the seams, the logs, the readers that
//! sources are made of, and the one shape in which every service starts and stops.

pub mod clock;
pub mod header;
pub mod host;
pub mod journal;
pub mod listen;
mod lock;
pub mod log;
pub mod partition;
pub mod poll;
pub mod positions;
pub mod produce;
pub mod renewed;
pub mod replicate;
pub mod retry;
pub mod secret;
pub mod service;
pub mod stop;
pub mod tail;
pub mod telemetry;
pub mod verify;

pub use tahoe_seams as seams;
