//! A parser under libFuzzer: whatever the bytes, each record becomes events that are JSON or is
//! rejected, and its dataset's framer cuts the same records from pieces as from the whole.
//!
//! Which parser it is, `TAHOE_FUZZ` says, since the list of datasets is the list of targets.
//! `fuzz/run` builds this with the coverage that libFuzzer goes by, gives it the samples, and limits
//! its time and memory.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tahoe_schemas::enrich::Enrichment;
use tahoe_schemas::rules::EventRules;
use tahoe_schemas::{Dataset, Frames, datasets};
use tahoe_seams::{Conditions, Events, Origin, Part, Record};

/// A record and where it stood.
type Cut = (Vec<u8>, Vec<u8>, u64, Option<Part>);

/// What the parser is given besides bytes.
struct Target {
    dataset: &'static Dataset,
    origin: Origin,
    given: Conditions,
}

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("TAHOE_FUZZ").expect("TAHOE_FUZZ names a dataset");
    let dataset = datasets::find(&name).expect("TAHOE_FUZZ is one of the datasets");
    let origin = Origin { time_zone: "Europe/Madrid".to_owned(), ..Origin::default() };
    let rules = EventRules { enrichment: Enrichment::all(), ..EventRules::default() }.given();
    let given = Conditions { keep_original: true, rules, ..Conditions::default() };
    Target { dataset, origin, given }
});

fuzz_target!(|bytes: &[u8]| {
    let target = &*TARGET;
    let whole = target.cut(bytes, 0);
    if let Some(last) = bytes.last() {
        let middle = bytes.len() * usize::from(*last) / 256;
        assert_eq!(whole, target.cut(bytes, middle), "cut in two at byte {middle}");
    }
    for (bytes, context, start, part) in &whole {
        target.normalize(bytes, context, *start, *part);
    }
});

impl Target {
    /// The records of bytes that come in two pieces.
    fn cut(&self, bytes: &[u8], middle: usize) -> Vec<Cut> {
        let (mut frames, mut used, mut cut) = (Frames::new(self.dataset.framer), 0, Vec::new());
        for end in [middle, bytes.len()] {
            used += frames.feed(&bytes[used..end], end == bytes.len(), &mut |frame| {
                cut.push((frame.bytes.to_vec(), frame.context.to_vec(), frame.start, frame.part));
            });
        }
        cut
    }

    fn normalize(&self, bytes: &[u8], context: &[u8], start: u64, part: Option<Part>) {
        let record = Record {
            start,
            read_at_ms: 1_795_262_400_000,
            context,
            part,
            ..Record::new(bytes, &self.origin)
        };
        let mut events = Events::default();
        if self.dataset.normalizer.normalize(&record, &self.given, &mut events).is_err() {
            return;
        }
        for document in events.documents() {
            let read = serde_json::from_slice::<serde::de::IgnoredAny>(document);
            assert!(read.is_ok(), "{}", String::from_utf8_lossy(document));
        }
    }
}
