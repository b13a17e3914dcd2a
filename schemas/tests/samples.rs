//! Every dataset against its samples: `samples/<name>.log` gives `<name>.ndjson`, and every record
//! of `samples/rejected_<name>.log` is rejected with its line of `<name>.codes`, its code and the byte. `<name>.zone`
//! holds the zone of the source, if it is not UTC. `UPDATE_GOLDEN=1` writes what is expected.

mod database;
mod strict;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;
use tahoe_schemas::enrich::{Database, Enrichment, Networks};
use tahoe_schemas::rules::EventRules;
use tahoe_schemas::{Dataset, Frames, datasets, frame_all, shared_fields, templates};
use tahoe_seams::{Conditions, Cut, Events, Origin, Part, Record, Rejection};

/// 2026-11-21T12:00:00Z
const READ_AT_MS: i64 = 1_795_262_400_000;

fn folder(dataset: &Dataset) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(dataset.name.replace('.', "/"))
}

/// The samples of a dataset, sorted.
fn samples(dataset: &Dataset, rejected: bool) -> Vec<PathBuf> {
    let folder = folder(dataset).join("samples");
    let mut found: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("every dataset has samples/")
        .map(|entry| entry.expect("the folder can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .filter(|path| name(path).starts_with("rejected_") == rejected)
        .collect();
    found.sort();
    found
}

fn name(path: &Path) -> String {
    path.file_stem().expect("it is a file").to_string_lossy().into_owned()
}

fn normalize(
    dataset: &Dataset,
    bytes: &[u8],
    zone: &str,
    given: &Conditions,
) -> Vec<(u64, Result<Vec<String>, Rejection>)> {
    let origin = Origin { time_zone: zone.to_owned(), ..Origin::default() };
    let mut results = Vec::new();
    frame_all(dataset.framer, bytes, &mut |frame| {
        let record = Record {
            start: frame.start,
            read_at_ms: READ_AT_MS,
            context: frame.context,
            part: frame.part,
            ..Record::new(frame.bytes, &origin)
        };
        let mut events = Events::default();
        let done = dataset.normalizer.normalize(&record, given, &mut events);
        let text = |document: &[u8]| String::from_utf8(document.to_vec()).expect("it is UTF-8");
        results.push((frame.line, done.map(|()| events.documents().map(text).collect())));
    });
    results
}

fn run_with(
    dataset: &Dataset,
    sample: &Path,
    given: &Conditions,
) -> Vec<(u64, Result<Vec<String>, Rejection>)> {
    let bytes = fs::read(sample).expect("a sample can be read");
    let zone = fs::read_to_string(sample.with_extension("zone")).unwrap_or_default();
    normalize(dataset, &bytes, zone.trim(), given)
}

fn run(dataset: &Dataset, sample: &Path) -> Vec<(u64, Result<Vec<String>, Rejection>)> {
    run_with(dataset, sample, &Conditions::default())
}

/// With everything that events can be given beyond what their records say; every address is
/// somewhere.
fn enriched() -> Conditions {
    let city = database::city("Madrid");
    let database = Arc::new(Database::read(city).expect("it is sound"));
    let enrichment = Enrichment { networks: Networks::new([database]), ..Enrichment::all() };
    let rules = EventRules { enrichment, ..EventRules::default() };
    Conditions { rules: rules.given(), ..Conditions::default() }
}

/// The documents of a sample, as they are and enriched.
fn documents(dataset: &Dataset, sample: &Path) -> impl Iterator<Item = String> {
    let run =
        |given| run_with(dataset, sample, &given).into_iter().filter_map(|(_, made)| made.ok());
    run(Conditions::default()).chain(run(enriched())).flatten()
}

/// Compares with the file, or writes it when asked to.
fn expect(golden: &Path, made: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(golden, made).expect("the golden file can be written");
        return;
    }
    let kept = fs::read_to_string(golden).unwrap_or_default();
    for (number, (made, kept)) in made.lines().zip(kept.lines()).enumerate() {
        assert_eq!(made, kept, "{}:{} (UPDATE_GOLDEN=1 rewrites)", golden.display(), number + 1);
    }
    let lines = (made.lines().count(), kept.lines().count());
    assert_eq!(lines.0, lines.1, "{} lines (UPDATE_GOLDEN=1 rewrites)", golden.display());
}

#[test]
fn every_sample_gives_its_golden_events() {
    for dataset in datasets::ALL {
        let samples = samples(dataset, false);
        assert!(!samples.is_empty(), "{dataset:?} has no samples/*.log");
        for sample in samples {
            let mut made = String::new();
            for (line, result) in run(dataset, &sample) {
                let at = format!("{}:{line}", sample.display());
                let documents = result.unwrap_or_else(|rejection| panic!("{at}: {rejection}"));
                for document in documents {
                    made.push_str(&document);
                    made.push('\n');
                }
            }
            expect(&sample.with_extension("ndjson"), &made);
        }
    }
}

#[test]
fn every_rejected_sample_is_rejected_with_its_code_and_byte() {
    for dataset in datasets::ALL {
        let samples = samples(dataset, true);
        assert!(!samples.is_empty(), "{dataset:?} has no samples/rejected_*.log");
        for sample in samples {
            let mut made = String::new();
            for (line, result) in run(dataset, &sample) {
                let Err(rejection) = result else {
                    panic!("{}:{line} is not rejected", sample.display());
                };
                let byte = rejection.byte.expect("a parser says where");
                let _ = writeln!(made, "{} {byte}", rejection.code);
            }
            expect(&sample.with_extension("codes"), &made);
        }
    }
}

/// Paths that a dataset may write, and whether what is below them is free.
fn declared(dataset: &Dataset) -> BTreeMap<String, bool> {
    let ecs = include_str!("../ecs/fields-9.4.0.tsv").lines().skip(2).map(|line| {
        let mut columns = line.split('\t');
        let path = columns.next().expect("a path").to_owned();
        (path, columns.next().expect("a type").to_owned())
    });
    let own = shared_fields().iter().chain(dataset.declared().fields);
    let own = own.map(|field| (field.name.to_owned(), field.kind.to_owned()));
    let free = |kind: &str| matches!(kind, "object" | "nested" | "flattened" | "geo_point");
    ecs.chain(own).map(|(path, kind)| (path, free(&kind))).collect()
}

fn check_paths(declared: &BTreeMap<String, bool>, at: &str, value: &Value) {
    match (declared.get(at), value) {
        (Some(true), _) => {}
        (None, Value::Object(fields)) => {
            for (key, value) in fields {
                let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                check_paths(declared, &path, value);
            }
        }
        (Some(false), value) => assert!(!value.is_object(), "{at} is an object"),
        (None, _) => panic!("{at} is neither ECS nor declared in its dataset.yaml"),
    }
}

#[test]
fn every_field_of_every_sample_is_declared_by_the_dataset_that_its_event_is_of() {
    for dataset in datasets::ALL {
        let routes = dataset.declared().routes;
        for sample in samples(dataset, false) {
            for document in documents(dataset, &sample) {
                let value = strict::parse(&document);
                let of = value["event"]["dataset"].as_str().expect("every event says its dataset");
                assert!(of == dataset.name || routes.contains(&of), "{of}");
                let of = datasets::find(of).expect("a route leads to a dataset");
                check_paths(&declared(of), "", &value);
                assert!(value["@timestamp"].is_string(), "{document}");
            }
        }
    }
}

/// Whether a template maps a field, or an object that it is in as a whole.
fn maps(properties: &Value, path: &str) -> bool {
    let (name, rest) = path.split_once('.').unwrap_or((path, ""));
    let field = &properties[name];
    match field["properties"].is_object() {
        _ if field.is_null() => false,
        true if rest.is_empty() => true,
        true => maps(&field["properties"], rest),
        false => true,
    }
}

fn check_mapped(properties: &Value, at: &str, value: &Value, missing: &mut BTreeSet<String>) {
    if let (Value::Object(fields), true) = (value, at.is_empty() || maps(properties, at)) {
        for (key, value) in fields {
            let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            check_mapped(properties, &path, value, missing);
        }
    } else if !maps(properties, at) {
        missing.insert(at.to_owned());
    }
}

#[test]
fn every_field_of_every_sample_can_be_searched() {
    let templates: BTreeMap<String, Value> = templates::index_templates().collect();
    let mut missing = BTreeSet::new();
    for dataset in datasets::ALL {
        for sample in samples(dataset, false) {
            for document in documents(dataset, &sample) {
                let value = strict::parse(&document);
                let of = value["event"]["dataset"].as_str().expect("every event says its dataset");
                let of = datasets::find(of).expect("it is one of the list");
                let name = templates::template_name(of);
                let properties = &templates[&name]["template"]["mappings"]["properties"];
                check_mapped(properties, "", &value, &mut missing);
            }
        }
    }
    assert!(missing.is_empty(), "no template maps {missing:?}");
}

#[test]
fn declarations_and_the_list_agree() {
    let mut of_topic: BTreeMap<&str, Vec<bool>> = BTreeMap::new();
    for declared in datasets::ALL.iter().map(|dataset| dataset.declared()) {
        of_topic.entry(declared.topic).or_default().push(declared.topic_default);
    }
    for (topic, defaults) in of_topic.iter().filter(|(_, defaults)| defaults.len() > 1) {
        let count = defaults.iter().filter(|is_default| **is_default).count();
        assert_eq!(count, 1, "one of the datasets of {topic} must say topic_default");
    }
    let names: BTreeSet<&str> = datasets::ALL.iter().map(|dataset| dataset.name).collect();
    assert_eq!(names.len(), datasets::ALL.len(), "a name is used twice");
    for dataset in datasets::ALL {
        let declared = dataset.declared();
        let package = dataset.name.split('.').next();
        assert_eq!((declared.name, package), (dataset.name, Some(dataset.module)));
        assert!(declared.routes.iter().all(|route| names.contains(route)), "{dataset:?}");
    }
}

/// Where each record stands, its bytes and its context, of a text that comes in pieces which end at
/// these places, and at last as a whole.
fn cut_in_pieces(
    dataset: &Dataset,
    text: &[u8],
    ends: impl Iterator<Item = usize>,
) -> Vec<(u64, Vec<u8>, Vec<u8>)> {
    let (mut frames, mut used, mut cut) = (Frames::new(dataset.framer), 0, Vec::new());
    let ends = ends.filter(|end| *end < text.len()).map(|end| (end, false));
    for (end, ended) in ends.chain([(text.len(), true)]) {
        used += frames.feed(&text[used..end], ended, &mut |frame| {
            cut.push((frame.start, frame.bytes.to_vec(), frame.context.to_vec()));
        });
    }
    cut
}

#[test]
fn every_sample_is_cut_the_same_in_pieces_as_at_once() {
    for dataset in datasets::ALL {
        let both = [false, true].map(|rejected| samples(dataset, rejected));
        for sample in both.into_iter().flatten() {
            let text = fs::read(&sample).expect("a sample can be read");
            let whole = cut_in_pieces(dataset, &text, std::iter::empty());
            // Byte by byte takes a time that grows with the square of a record's length.
            let steps: &[usize] = if text.len() < 8 << 10 { &[1, 7, 100] } else { &[97] };
            for &step in steps {
                let pieces = cut_in_pieces(dataset, &text, (0..text.len()).step_by(step));
                assert_eq!(pieces, whole, "{} {step} bytes at a time", sample.display());
            }
        }
    }
}

#[test]
fn a_restart_behind_any_record_of_a_sample_leaves_the_context_that_going_on_leaves() {
    for dataset in datasets::ALL {
        let both = [false, true].map(|rejected| samples(dataset, rejected));
        for sample in both.into_iter().flatten() {
            let text = fs::read(&sample).expect("a sample can be read");
            // Read on, a beginning may say what the record leaves; after a restart the framer does.
            let (mut going_on, mut restarted, mut at) = (Vec::new(), Vec::new(), 0);
            while at < text.len() {
                let rest = &text[at..];
                match dataset.framer.cut(rest, 0, true) {
                    Cut::Record { text, end, head } | Cut::Open { text, end, head } => {
                        head.leave_by(dataset.framer, &rest[..text], &mut going_on);
                        dataset.framer.carry(&rest[..text], &mut restarted);
                        at += end;
                    }
                    Cut::Blank { end } => at += end,
                    Cut::Partial => break,
                }
                assert_eq!(going_on, restarted, "{} at byte {at}", sample.display());
            }
        }
    }
}

#[test]
fn a_part_of_a_longer_text_is_a_message_with_a_time() {
    for dataset in datasets::ALL {
        let origin = Origin::default();
        let record = Record {
            start: 9,
            read_at_ms: READ_AT_MS,
            part: Some(Part { index: 1, last: true }),
            ..Record::new(b"the \xff rest", &origin)
        };
        let mut events = Events::default();
        let done = dataset.normalizer.normalize(&record, &Conditions::default(), &mut events);
        done.expect("a part is never rejected");
        let document = events.documents().next().expect("one event");
        let value = strict::parse(std::str::from_utf8(document).expect("it is UTF-8"));
        assert_eq!(value["message"], "the \u{fffd} rest");
        assert_eq!(value["@timestamp"], "2026-11-21T12:00:00.000Z");
        let done = value["tahoe"]["transformations"].to_string();
        assert!(done.contains("time_assumed:read") && done.contains("utf8_repaired"), "{done}");
    }
}

/// Lines of the samples with a few bytes overwritten: most of the way is valid.
fn damaged_lines() -> impl Strategy<Value = Vec<u8>> {
    let lines: Vec<Vec<u8>> = datasets::ALL
        .iter()
        .flat_map(|dataset| samples(dataset, false))
        .flat_map(|sample| {
            let bytes = fs::read(sample).expect("a sample can be read");
            bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>()
        })
        .filter(|line| !line.is_empty())
        .collect();
    let damage = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (prop::sample::select(lines), damage, any::<prop::sample::Index>()).prop_map(
        |(mut line, damage, cut)| {
            for (at, byte) in damage {
                let at = at.index(line.len());
                line[at] = byte;
            }
            line.truncate(cut.index(line.len()) + 1);
            line
        },
    )
}

/// Some of them, with what may stand between lines.
fn damaged_texts() -> impl Strategy<Value = Vec<u8>> {
    let between = ["\n", "\r\n", "\n\n", "\n \t\n", "\n\t", "\n ", "\n{", "\n\0", ""];
    let piece = (damaged_lines(), prop::sample::select(between.to_vec()));
    proptest::collection::vec(piece, 1..6).prop_map(|pieces| {
        pieces.iter().flat_map(|(line, end)| [line.as_slice(), end.as_bytes()].concat()).collect()
    })
}

fn survives(bytes: &[u8]) {
    let given = enriched();
    for dataset in datasets::ALL {
        for (_, result) in normalize(dataset, bytes, "Europe/Berlin", &given) {
            for document in result.into_iter().flatten() {
                strict::parse(&document);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_give_valid_documents_or_rejections(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        survives(&bytes);
    }

    #[test]
    fn damaged_samples_give_valid_documents_or_rejections(bytes in damaged_lines()) {
        survives(&bytes);
    }

    #[test]
    fn damaged_texts_are_cut_the_same_in_pieces_as_at_once(
        text in damaged_texts(), first: prop::sample::Index, second: prop::sample::Index,
    ) {
        let mut ends = [first.index(text.len() + 1), second.index(text.len() + 1)];
        ends.sort_unstable();
        for dataset in datasets::ALL {
            let whole = cut_in_pieces(dataset, &text, std::iter::empty());
            let pieces = cut_in_pieces(dataset, &text, ends.into_iter());
            prop_assert_eq!(&pieces, &whole, "{} in pieces up to {:?}", dataset.name, ends);
        }
    }
}
