//! The databases of networks change under a process that asks them.

#[path = "../../schemas/tests/database/mod.rs"]
mod database;

use std::fs;
use std::path::Path;

use clap::Parser as _;
use database::city;
use tahoe_schemas::datasets;
use tahoe_seams::{Conditions, Events, Origin, Record};
use tahoe_transformer::{GeoFiles, RuleArgs};

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    rules: RuleArgs,
}

fn rules(file: &Path) -> RuleArgs {
    let file = file.to_string_lossy();
    Line::parse_from(["x", "--geoip", &file]).rules
}

/// Where a record's address is by the databases that are asked now.
fn place(rules: &RuleArgs, files: &GeoFiles) -> String {
    let mut given = rules.clone();
    given.geoip.clear();
    let mut given = given.read().expect("no other file is named");
    given.enrichment.networks = files.networks();
    let given = Conditions { rules: given.given(), ..Conditions::default() };
    let origin = Origin::default();
    let line = b"203.0.113.9 - - [21/Nov/2026:09:00:00 +0000] \"GET / HTTP/1.1\" 200 7";
    let record = Record { read_at_ms: 1_795_262_400_000, ..Record::new(line, &origin) };
    let dataset = datasets::find("nginx.access").expect("it is in the list");
    let mut events = Events::default();
    dataset.normalizer.normalize(&record, &given, &mut events).expect("an event");
    let document = String::from_utf8_lossy(events.document(0).expect("one event")).into_owned();
    let (_, rest) = document.split_once("\"city_name\":\"").expect("it is somewhere");
    rest.split('"').next().unwrap_or_default().to_owned()
}

#[test]
fn a_file_that_is_replaced_is_taken_once_it_stays_the_same_and_is_sound() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("city.mmdb");
    fs::write(&path, city("Madrid")).expect("it can be written");
    let rules = rules(&path);
    let (_, renewal) = rules.read_to_renew().expect("it is sound");
    let files = renewal.geoip;
    let files = files.expect("one is named");
    assert_eq!((place(&rules, &files), files.version()), ("Madrid".to_owned(), 0));

    // Renamed into its place, as geoipupdate does.
    let next = folder.path().join("next");
    fs::write(&next, city("Barcelona")).expect("it can be written");
    fs::rename(&next, &path).expect("it can be renamed");
    files.look();
    assert_eq!(files.version(), 0, "it may still be written to");
    files.look();
    assert_eq!((place(&rules, &files), files.version()), ("Barcelona".to_owned(), 1));

    // Written over, and half of it is there.
    let whole = city("Santiago de Compostela");
    fs::write(&path, &whole[..whole.len() / 2]).expect("it can be written");
    files.look();
    files.look();
    assert_eq!(place(&rules, &files), "Barcelona", "what is not sound is not taken");
    fs::remove_file(&path).expect("it is there");
    files.look();
    assert_eq!(place(&rules, &files), "Barcelona", "nor is what is not there");
    fs::write(&path, &whole).expect("it can be written");
    files.look();
    files.look();
    assert_eq!((place(&rules, &files), files.version()), ("Santiago de Compostela".to_owned(), 2));
    files.look();
    assert_eq!(files.version(), 2, "the same file is not read again");
}

#[test]
fn a_file_that_is_missing_or_damaged_at_the_start_is_an_error_that_names_the_setting() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("city.mmdb");
    let refused = || rules(&path).read().expect_err("it is not sound");
    let named = format!("--geoip {}: ", path.display());
    assert!(refused().starts_with(&named), "{}", refused());
    fs::write(&path, b"no database").expect("it can be written");
    assert!(refused().starts_with(&named), "{}", refused());
}
