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

pub fn args<S: AsRef<str>>(flags: &[S]) -> ListenArgs {
    let flags = flags.iter().map(|flag| flag.as_ref());
    Flags::parse_from(std::iter::once("test").chain(flags)).listen
}

pub fn template() -> Stream {
    let origin = Origin { dataset: "system.syslog".into(), ..Origin::default() };
    Stream { origin, topic: "syslog_logs".into(), key: Vec::new(), lane: None, resumable: false }
}

pub fn bind<S: AsRef<str>>(flags: &[S]) -> Listen {
    Listen::bind(&args(flags), template()).expect("it can listen")
}

pub fn started<S: AsRef<str>>(flags: &[S]) -> Listen {
    let mut listen = bind(flags);
    listen.resume(Vec::new()).expect("nothing to resume");
    listen
}

pub fn address(listen: &Listen, index: usize) -> SocketAddr {
    let (_, address) = listen.addresses()[index].split_once("://").expect("a scheme");
    address.parse().expect("an address")
}
