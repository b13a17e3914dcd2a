//! Which sources the settings ask for.

use clap::Command;
use tahoe_pipeline::poll::Trigger;
use tahoe_pipeline::service::{Place, Producer as _};
use tahoe_pipeline::tail::TailSettings;
use tahoe_syslog::Syslog;

fn planned(flags: &[&str]) -> Vec<(String, String)> {
    let command = Syslog.arguments(Command::new("test").no_binary_name(true));
    let matches = command.get_matches_from(flags);
    let place = Place {
        host: "web-1".to_owned(),
        namespace: "default".to_owned(),
        time_zone: String::new(),
        topic: None,
        tail: TailSettings::default(),
        labels: Vec::new(),
        tags: Vec::new(),
        once: false,
        trigger: Trigger::default(),
        screen: None,
        log_record_bytes_max: 20 << 20,
    };
    let planned = Syslog.plan(&matches, &place).expect("the settings are valid");
    planned.into_iter().map(|plan| (plan.name, plan.notes.concat())).collect()
}

#[test]
fn the_journal_is_a_source_of_its_own_beside_the_listener() {
    let found = planned(&["--no-system", "--journal", "--syslog", "127.0.0.1:0"]);
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["journal", "syslog"]);
    let found = planned(&["--no-system", "--journal-file", "/x/a.journal"]);
    assert_eq!(found, [("journal".to_owned(), "reading journal:/x/a.journal".to_owned())]);
}

#[test]
fn the_machines_own_journal_takes_the_place_of_its_files() {
    let found = planned(&["--journal"]);
    assert!(found.iter().all(|(name, _)| name != "system"), "{found:?}");
    assert!(found[0].1.contains("in place of the files"), "{found:?}");
    assert!(planned(&["--no-system"]).is_empty());
}

#[test]
fn files_of_syslog_are_named_beside_the_machines_own() {
    let found = planned(&["--no-system", "--syslog-file", "/x/*.log", "--syslog-file", "/y.log"]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "syslog-file");
    assert!(found[0].1.contains("/x/*.log") && found[0].1.contains("/y.log"), "{found:?}");
}
