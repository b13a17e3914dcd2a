//! What records were read from, each known by a number.

use std::collections::BTreeMap;

use tahoe_pipeline::telemetry::SourceName;

/// The sources that were seen.
#[derive(Default)]
pub struct Sources {
    /// By their numbers.
    pub names: Vec<SourceName>,
    numbers: BTreeMap<SourceName, u32>,
    /// That of the last record, of which the next one mostly is too.
    last: u32,
}

impl Sources {
    /// The number of a source; it is given one when it is seen first.
    pub(super) fn number(&mut self, dataset: &str, path: &str) -> u32 {
        let last = self.names.get(self.last as usize);
        if last.is_some_and(|last| last.path == path && last.dataset == dataset) {
            return self.last;
        }
        let name = SourceName::among(&self.numbers, dataset, path);
        let next = self.names.len() as u32;
        let number = *self.numbers.entry(name.clone()).or_insert(next);
        if number == next {
            self.names.push(name);
        }
        self.last = number;
        number
    }
}
