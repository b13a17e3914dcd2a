//! Everything that the samples of all datasets become, with what the transformer can add to it.

use std::fs;
use std::sync::Arc;

use serde_json::Value;
use tahoe_schemas::enrich::{Database, Enrichment, Networks};
use tahoe_schemas::rules::EventRules;
use tahoe_schemas::{datasets, frame_all};
use tahoe_seams::{Conditions, Events, Origin, Record, RecordId};
use tahoe_tests::program::repository;

use super::places;

/// Each with an id of its own.
pub fn events() -> Events {
    let city = Arc::new(Database::read(places::city("Madrid")).expect("it is sound"));
    let enrichment = Enrichment { networks: Networks::new([city]), ..Enrichment::all() };
    let rules = EventRules { enrichment, ..EventRules::default() };
    let given = Conditions { rules: rules.given(), ..Conditions::default() };
    let mut all = Events::default();
    let mut number = 0u128;
    for dataset in datasets::ALL {
        let folder = repository().join("schemas").join(dataset.name.replace('.', "/"));
        for file in fs::read_dir(folder.join("samples")).expect("samples") {
            let path = file.expect("readable").path();
            let name = path.file_name().expect("a name").to_string_lossy();
            if !name.ends_with(".log") || name.starts_with("rejected_") {
                continue;
            }
            let bytes = fs::read(&path).expect("readable");
            frame_all(dataset.framer, &bytes, &mut |frame| {
                number += 1;
                let record = Record {
                    bytes: frame.bytes,
                    id: RecordId(number.to_be_bytes()),
                    origin: &Origin::default(),
                    start: frame.start,
                    read_at_ms: 1_795_262_400_000,
                    context: frame.context,
                    part: frame.part,
                };
                let done = dataset.normalizer.normalize(&record, &given, &mut all);
                assert!(done.is_ok(), "{}", path.display());
            });
        }
    }
    all
}

/// The same as documents.
pub fn documents() -> Vec<Value> {
    let parse = |document| serde_json::from_slice(document).expect("JSON");
    events().documents().map(parse).collect()
}
