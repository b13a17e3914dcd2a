//! A server restarts while records flow. Each of these tests takes a server away from all others,
//! so `tests/all` runs them alone.

use tahoe_tests::documents::Documents as _;
use tahoe_tests::feed::{self, Feed};
use tahoe_tests::pipeline::Pipeline;
use tahoe_tests::servers::{free_port, http_get, services, setting};
use tahoe_tests::wait::until;

/// Lines a second while a server takes its time to come back.
const CALM: u32 = 50;

/// Visible before the server goes, and again after it has come back.
const STORED: usize = 200;

/// While `server` is away the services in `unready` say so, and the others do not.
fn restart_in_mid_stream(server: &str, unready: &[&str]) {
    // Without it there is no telling which servers this run may stop.
    if setting("TAHOE_SERVICES").is_none() {
        return;
    }
    let Some(pipeline) = Pipeline::set_up(&format!("restart_{}", &server[..5])) else { return };
    let metrics = ["tahoe-laravel", "tahoe-transformer"]
        .map(|service| (service, format!("127.0.0.1:{}", free_port())));
    let feed = Feed::into_file(&pipeline.path("laravel.log"), CALM, feed::laravel);
    let files = pipeline.flag("laravel.log");
    let producer =
        pipeline.start("tahoe-laravel", &["--laravel", &files, "--metrics", &metrics[0].1]);
    let transformer = pipeline.start("tahoe-transformer", &["--metrics", &metrics[1].1]);
    let ready = |address: &str| http_get(&format!("http://{address}/readyz"));
    pipeline.documents.wait_for("*", STORED);

    services(&["down", server]);
    for (service, address) in &metrics {
        if unready.contains(service) {
            until("it is not ready", || ready(address).map_or_else(|_| Ok(()), Err));
        } else {
            assert_eq!(ready(address).as_deref(), Ok("ready\n"), "{service}");
        }
    }
    let written = feed.written();
    until("lines are written meanwhile", || match feed.written() {
        now if now > written + 100 => Ok(()),
        now => Err(now.to_string()),
    });
    services(&["up", server]);
    for (_, address) in &metrics {
        until("it is ready again", || ready(address).map(drop));
    }

    pipeline.documents.wait_for("*", 2 * STORED);
    let lines = feed.finish();
    pipeline.documents.wait_for("*", usize::try_from(lines).expect("few"));
    producer.stop();
    pipeline.assert_each_once(0..lines);
    transformer.stop();
}

#[test]
fn elasticsearch_restarts_in_mid_stream_and_nothing_is_lost_or_doubled() {
    restart_in_mid_stream("elasticsearch", &["tahoe-transformer"]);
}

#[test]
fn kafka_restarts_in_mid_stream_and_nothing_is_lost_or_doubled() {
    restart_in_mid_stream("kafka", &["tahoe-laravel", "tahoe-transformer"]);
}
