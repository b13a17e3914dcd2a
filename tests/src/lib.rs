//! What the tests share: the contracts that every log and every store keeps, and what an
//! end-to-end test is made of: programs of this workspace, real servers, input that goes on being
//! written, and the judgement "every line exactly once".

pub mod compose;
pub mod database;
pub mod documents;
pub mod feed;
pub mod log_contract;
pub mod mariadb;
pub mod mongodb;
pub mod pipeline;
pub mod postgresql;
pub mod privacy;
pub mod program;
pub mod proxy;
pub mod rsyslog;
pub mod servers;
pub mod sink_contract;
pub mod site;
pub mod wait;
