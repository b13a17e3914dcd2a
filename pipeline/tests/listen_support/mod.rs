//! What the tests of the listener share.

use std::net::SocketAddr;

use clap::Parser;
use tahoe_pipeline::listen::{Listen, ListenArgs};
use tahoe_pipeline::seams::{Origin, Source, Stream};

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    listen: ListenArgs,
}

pub fn args(flags: &[&str]) -> ListenArgs {
    Flags::parse_from([&["test"], flags].concat()).listen
}

pub fn template() -> Stream {
    let origin = Origin { dataset: "system.syslog".into(), ..Origin::default() };
    Stream { origin, topic: "syslog_logs".into(), key: Vec::new(), resumable: false }
}

pub fn bind(flags: &[&str]) -> Listen {
    Listen::bind(&args(flags), template()).expect("it can listen")
}

pub fn started(flags: &[&str]) -> Listen {
    let mut listen = bind(flags);
    listen.resume(Vec::new()).expect("nothing to resume");
    listen
}

pub fn address(listen: &Listen, index: usize) -> SocketAddr {
    let (_, address) = listen.addresses()[index].split_once("://").expect("a scheme");
    address.parse().expect("an address")
}
