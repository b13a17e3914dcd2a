//! From the log's records to events: decode the header, find the dataset, normalise.

mod rules;
mod sealed;
mod select;
mod sources;
mod taken;

use std::collections::HashMap;
use std::sync::Arc;

use tahoe_pipeline::header::{Content, Decoder, Header, HeaderError, Privacy};
use tahoe_pipeline::produce::each_record;
use tahoe_schemas::rules::EventRules;
use tahoe_schemas::time::{Time, time_of};
use tahoe_schemas::{Dataset, Foreign, datasets};
use tahoe_seams::{
    Conditions, Events, LogRecord, Normalizer, Origin, Record, RecordId, Rejection, SourceId,
};

use crate::rules::Renewal;
use rules::CurrentRules;
use sealed::Unsealed;
use sources::Sources;

pub use select::Select;
pub use taken::{Place, Reach, Taken};

/// Of a record that does not say its dataset.
pub(crate) const UNKNOWN: &str = "unknown";

fn from(origin: &Origin) -> (&str, &str) {
    (&origin.dataset, &origin.path)
}

/// The dataset that a topic's records are taken for when they do not say.
pub(crate) fn datasets_by_topic() -> HashMap<String, Arc<Foreign>> {
    let mut by_topic = HashMap::new();
    for dataset in datasets::ALL {
        let declared = dataset.declared();
        if declared.topic_default || !by_topic.contains_key(declared.topic) {
            by_topic.insert(declared.topic.to_owned(), Arc::new(Foreign::new(dataset)));
        }
    }
    by_topic
}

/// Fills events from records, batch after batch.
pub struct Intake {
    decoder: Decoder,
    /// Topics and partitions seen.
    pub partitions: Vec<(String, u32)>,
    /// That of the last record, of which the next one mostly is too; and its dataset.
    last_partition: usize,
    last_dataset: Option<&'static Dataset>,
    /// What records were read from.
    pub sources: Sources,
    /// Events of the batch that is being filled.
    pub events: Events,
    /// Records of the batch that is being filled; [`tahoe_seams::EventMeta::record`] counts in it.
    pub taken: Vec<Taken>,
    /// How far the batch that is being filled reaches in each partition.
    reached: Vec<Reach>,
    /// Bytes of the log's records in it.
    bytes_read: usize,
    /// `event.ingested` and what to keep.
    pub given: Conditions,
    /// Which records are taken in, and as whose.
    pub select: Select,
    /// When the record that is being taken was sent to the log.
    sent_at_ms: i64,
    foreign: HashMap<String, Arc<Origin>>,
    by_topic: HashMap<String, Arc<Foreign>>,
    rules: CurrentRules,
}

impl Intake {
    /// Nothing taken in yet. The time in `given` is set with every look at the log.
    pub fn new(given: Conditions, rules: &EventRules, renewal: Renewal) -> Self {
        let rules = CurrentRules::new(rules, renewal);
        Self {
            decoder: Decoder::default(),
            partitions: Vec::new(),
            last_partition: 0,
            last_dataset: None,
            sources: Sources::default(),
            events: Events::default(),
            taken: Vec::new(),
            reached: Vec::new(),
            bytes_read: 0,
            given: Conditions { rules: rules.given(), ..given },
            select: Select::default(),
            sent_at_ms: 0,
            foreign: HashMap::new(),
            by_topic: datasets_by_topic(),
            rules,
        }
    }

    /// From here on the rules ask the databases that are there now, and the policy is that of now.
    pub fn renew(&mut self) {
        if let Some(rules) = self.rules.renew() {
            self.given.rules = rules;
        }
    }

    /// Bytes of the records of the batch that is being filled, with what is remembered of each.
    pub fn record_bytes(&self) -> usize {
        self.bytes_read + self.taken.len() * size_of::<Taken>()
    }

    /// Hands over how far the batch reaches that was being filled: another begins.
    pub fn take_reached(&mut self) -> Vec<Reach> {
        self.bytes_read = 0;
        std::mem::take(&mut self.reached)
    }

    /// Nothing is waiting to be sent or committed.
    pub fn is_empty(&self) -> bool {
        self.reached.is_empty()
    }

    /// The indices of those of `partitions` that were seen.
    pub fn indices(&self, partitions: &[(String, u32)]) -> Vec<u32> {
        let known = self.partitions.iter().enumerate();
        let named = known.filter(|(_, known)| partitions.contains(known));
        named.map(|(index, _)| index as u32).collect()
    }

    /// Takes one record of the log, which may be a fence, a record, or a pack of them.
    ///
    /// # Errors
    /// Why nothing of it was taken: a newer producer wrote it, and a newer transformer can read it.
    pub fn take(&mut self, found: &LogRecord<'_>) -> Result<(), String> {
        let partition = self.partition(found);
        if let Some(rules) = self.rules.of_topic(found.topic) {
            self.given.rules = rules;
        }
        let before = self.events.bytes();
        self.take_at(partition, found).map_err(|newer| {
            let LogRecord { topic, partition, offset, .. } = found;
            format!("{topic}, partition {partition}, offset {offset}: {newer}")
        })?;
        let (offset, bytes) = (found.offset, self.events.bytes() - before);
        self.bytes_read += found.key.len() + found.value.len();
        match self.reached.iter_mut().find(|reach| reach.partition == partition) {
            Some(reach) => {
                reach.next = offset + 1;
                reach.bytes += bytes;
            }
            None => self.reached.push(Reach { partition, first: offset, next: offset + 1, bytes }),
        }
        Ok(())
    }

    fn take_at(&mut self, partition: u32, found: &LogRecord<'_>) -> Result<(), HeaderError> {
        let place = Place { partition, offset: found.offset, ordinal: 0 };
        self.sent_at_ms = found.timestamp_ms;
        match found.header {
            // A fence: no record.
            _ if found.value.is_empty() => {}
            Some(bytes) => match self.decoder.decode(bytes) {
                Err(newer @ HeaderError::Newer(_)) => return Err(newer),
                Ok(header) if !self.select.takes(&header.origin.dataset) => {}
                Ok(header) => self.take_own(place, &header, found),
                Err(error) => {
                    let rejection = Rejection::whole("header", error.to_string());
                    self.reject(place, (UNKNOWN, found.topic), rejection);
                }
            },
            None => self.take_foreign(place, found),
        }
        Ok(())
    }

    /// A record that one of our producers wrote, or a pack of them.
    fn take_own(&mut self, place: Place, header: &Header<'_>, found: &LogRecord<'_>) {
        let (context, privacy) = match header.content {
            Content::Single { context, privacy, .. } => (context, privacy),
            Content::Pack { .. } => (&[][..], Privacy::Plain),
        };
        let origin = &self.select.origin(&header.origin);
        let opened = match sealed::open(privacy, (found.value, context), self.rules.privacy()) {
            Ok(opened) => opened,
            Err(reason) => {
                return self.reject(place, from(origin), Rejection::whole("sealed", reason));
            }
        };
        let (value, context) = match &opened {
            Some(Unsealed { bytes, context }) => (&bytes[..], &context[..]),
            None => (found.value, context),
        };
        if let Privacy::Hidden(done) = privacy {
            self.given.done.push_str(done);
        }
        let read_at_ms = header.read_at_ms.unwrap_or(found.timestamp_ms);
        for (ordinal, each) in each_record(header, value).enumerate() {
            let place = Place { ordinal: ordinal as u32, ..place };
            if self.select.ordinal.is_some_and(|only| only != place.ordinal) {
                continue;
            }
            match each {
                Ok((id, part, (start, _), bytes)) => {
                    let record = Record { bytes, id, origin, start, read_at_ms, context, part };
                    self.normalize(place, &record);
                }
                Err(error) => {
                    let rejection = Rejection::whole("header", error.to_string());
                    self.reject(place, from(origin), rejection);
                }
            }
        }
        self.given.done.clear();
    }

    /// A record that none of our producers wrote: its topic says the dataset, its place who it is.
    fn take_foreign(&mut self, place: Place, found: &LogRecord<'_>) {
        let Some(normalizer) = self.by_topic.get(found.topic).cloned() else {
            let reason = format!("topic {} belongs to no dataset", found.topic);
            let rejection = Rejection::whole("no_dataset", reason);
            return self.reject(place, (UNKNOWN, found.topic), rejection);
        };
        if !self.select.takes(normalizer.dataset().name) {
            return;
        }
        let key = format!("{}/{}", found.topic, found.partition);
        let origin = self.foreign.entry(key).or_insert_with_key(|key| {
            let mut source = SourceId::default();
            let name = RecordId::new(0, SourceId::default(), 0, (0, 0), key.as_bytes());
            source.0.copy_from_slice(&name.0);
            Arc::new(Origin {
                source,
                dataset: normalizer.dataset().name.to_owned(),
                namespace: "default".to_owned(),
                path: format!("kafka:{key}"),
                ..Origin::default()
            })
        });
        let origin = self.select.origin(origin);
        let span = (found.offset, found.offset + 1);
        let id = RecordId::new(found.timestamp_ms, origin.source, 0, span, found.value);
        let (start, read_at_ms) = (found.offset, found.timestamp_ms);
        let record = Record { id, start, read_at_ms, ..Record::new(found.value, &origin) };
        self.normalize_by(normalizer.as_ref(), place, &record);
    }

    fn normalize(&mut self, place: Place, record: &Record<'_>) {
        let name = record.origin.dataset.as_str();
        let known = self.last_dataset.filter(|last| last.name == name);
        let Some(dataset) = known.or_else(|| datasets::find(name)) else {
            let reason =
                format!("this version knows no dataset {name}: update it, then `tahoe dlq replay`");
            let rejection = Rejection::whole("no_dataset", reason);
            return self.reject(place, from(record.origin), rejection);
        };
        self.last_dataset = Some(dataset);
        self.normalize_by(dataset.normalizer, place, record);
    }

    fn normalize_by(&mut self, normalizer: &dyn Normalizer, place: Place, record: &Record<'_>) {
        self.events.begin_record(self.taken.len() as u32);
        let before = self.events.len();
        match normalizer.normalize(record, &self.given, &mut self.events) {
            Ok(()) => {
                let (dataset, path) = from(record.origin);
                let source = self.sources.number(dataset, path);
                let first = self.events.document(before);
                let event_ms = first.and_then(time_of).map(Time::ms);
                self.taken.push(Taken {
                    place,
                    id: record.id,
                    source,
                    read_at_ms: self.sent_at_ms,
                    event_ms,
                    rejection: None,
                    left_out: self.events.left_out().cloned(),
                });
            }
            Err(rejection) => {
                self.events.undo_record();
                self.reject(place, from(record.origin), rejection);
            }
        }
    }

    /// `from` is the dataset and the path of the record's origin.
    fn reject(&mut self, place: Place, from: (&str, &str), rejection: Rejection) {
        let source = self.sources.number(from.0, from.1);
        self.taken.push(Taken {
            place,
            id: RecordId::default(),
            source,
            read_at_ms: self.sent_at_ms,
            event_ms: None,
            rejection: Some(rejection),
            left_out: None,
        });
    }

    fn partition(&mut self, found: &LogRecord<'_>) -> u32 {
        let is_it = |(topic, partition): &(String, u32)| {
            *partition == found.partition && topic == found.topic
        };
        if !self.partitions.get(self.last_partition).is_some_and(is_it) {
            let known = self.partitions.iter().position(is_it);
            self.last_partition = known.unwrap_or(self.partitions.len());
            if known.is_none() {
                self.partitions.push((found.topic.to_owned(), found.partition));
            }
        }
        self.last_partition as u32
    }
}

#[cfg(test)]
mod tests {
    use tahoe_pipeline::header::{encode_origin, encode_pack};
    use tahoe_schemas::rules::{Allowed, Companies};
    use tahoe_seams::MoreHeaders;

    use super::*;

    fn intake(rules: &EventRules) -> Intake {
        Intake::new(Conditions::default(), rules, Renewal::default())
    }

    /// Without a header, at offset 5.
    fn found<'a>(topic: &'a str, value: &'a [u8]) -> LogRecord<'a> {
        LogRecord {
            topic,
            partition: 0,
            offset: 5,
            timestamp_ms: 1_795_262_400_000,
            key: b"",
            value,
            header: None,
            more_headers: MoreHeaders::default(),
        }
    }

    #[test]
    fn a_record_without_our_header_is_of_the_dataset_that_its_topic_stands_for() {
        let line = b"<13>Nov 21 09:00:00 web-1 cron[7]: (root) CMD (true)";
        let row = br#"{"id": 7, "event_time": "2026-11-21 09:00:00", "argument": "SELECT 1"}"#;
        let cases =
            [("syslog_logs", &line[..], "system.syslog"), ("mysql_logs", row, "mysql.general")];
        for (topic, value, dataset) in cases {
            let mut intake = intake(&EventRules::default());
            intake.take(&found(topic, value)).expect("it has no header of a newer version");
            let documents: Vec<_> =
                intake.events.documents().map(String::from_utf8_lossy).collect();
            let named = format!("\"dataset\":\"{dataset}\"");
            assert!(documents.len() == 1 && documents[0].contains(&named), "{documents:?}");
        }
    }

    #[test]
    fn what_a_packs_boundaries_promise_and_its_value_has_not_is_rejected() {
        let line = "[2026-11-21 09:00:00] local.INFO: paid";
        let value = [line; 3].join("\n");
        let lengths = [(line.len() as u32, line.len() as u32 + 1); 3];
        let origin = Origin { dataset: "laravel.log".to_owned(), ..Origin::default() };
        let (mut header, origin) = (Vec::new(), encode_origin(&origin));
        encode_pack(&mut header, 1_795_262_400_000, 0, &lengths, &origin);
        let mut intake = intake(&EventRules::default());
        let short = found("laravel_logs", &value.as_bytes()[..value.len() - 1]);
        let taken = intake.take(&LogRecord { header: Some(&header), ..short });
        taken.expect("it is of this version");
        let codes = intake.taken.iter().map(|one| one.rejection.as_ref().map(|r| r.code));
        assert_eq!(codes.collect::<Vec<_>>(), [None, None, Some("header")]);
        assert_eq!(intake.taken[2].place, Place { partition: 0, offset: 5, ordinal: 2 });
    }

    fn taken(rules: &EventRules, topic: &str) -> (Vec<RecordId>, Vec<String>) {
        let mut intake = intake(rules);
        for (offset, company) in ["Acme Corp", "globex", "", "initech"].iter().enumerate() {
            let value = format!(
                "[2026-11-21 09:00:00] local.INFO: paid {{\"shop\":{{\"company\":\"{company}\"}}}}"
            );
            let record = LogRecord { offset: offset as u64, ..found(topic, value.as_bytes()) };
            intake.take(&record).expect("it has no header of a newer version");
        }
        let batch = intake.events.take();
        let streams = batch.events.iter().map(|event| batch.data_stream(event).to_owned());
        (batch.events.iter().map(|event| event.id).collect(), streams.collect())
    }

    #[test]
    fn a_rule_gives_each_company_its_data_stream_and_leaves_its_identity_alone() {
        let table = "laravel.log laravel.context.shop.company \"Acme Corp\" acme\n\
                     * laravel.context.shop.company * shop_*\n";
        let mut rules = EventRules {
            companies: Arc::new(Companies::read("rules", table).expect("it is a table")),
            ..EventRules::default()
        };
        let (ids, streams) = taken(&rules, "laravel_logs");
        let names = |names: [&str; 4]| names.map(|name| format!("logs-laravel.log-{name}"));
        assert_eq!(streams, names(["acme", "shop_globex", "default", "shop_initech"]));
        assert_eq!(ids, taken(&EventRules::default(), "laravel_logs").0);

        let mut allowed = Allowed::default();
        for name in ["acme", "laravel_logs=shop_globex"] {
            allowed.add(name).expect("it is a name");
        }
        rules.allowed = Arc::new(allowed);
        let (_, streams) = taken(&rules, "laravel_logs");
        assert_eq!(streams, names(["default", "shop_globex", "default", "default"]));
    }
}
