//! After a crash: what the log already holds beyond the stored positions.
//!
//! A fence goes into each partition that the last run may have used. What is before it is read and
//! counts; what a dead process's socket still delivers behind it has the same ids, and the store
//! drops it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

use tahoe_schemas::rules::Screen;
use tahoe_seams::{Log, LogError, LogRecord, Part, Record, RecordId, Source, SourceId};

use crate::header::{Boundaries, Content, Decoder, Header, HeaderError, Privacy};
use crate::positions::{self, Position};

/// Positions as they really are, and what the log held beyond the stored ones.
#[derive(Default)]
pub(super) struct Recovery {
    pub(super) positions: HashMap<SourceId, Position>,
    /// Streams whose position was not moved though the log has records behind it.
    pub(super) held: HashSet<SourceId>,
    /// What stood for streams that have another id today.
    pub(super) renamed: Vec<SourceId>,
    pub(super) records: u64,
    /// Of each partition that was read: nothing sent from now on is before it.
    pub(super) fences: HashMap<(String, u32), u64>,
}

/// Positions that an earlier version stored become those of the streams that took over, unless
/// these have their own already; what they stood under can then be forgotten.
fn rename(stored: &mut Vec<Position>, source: &dyn Source) -> Vec<SourceId> {
    let today: HashSet<_> = stored.iter().map(|position| position.source).collect();
    let mut renamed = Vec::new();
    stored.retain_mut(|position| {
        let Some(successor) = source.successor(position.source) else { return true };
        renamed.push(position.source);
        position.source = successor;
        !today.contains(&successor)
    });
    renamed
}

pub(super) fn recover(
    log: &dyn Log,
    owner: &str,
    source: &mut dyn Source,
    screen: Option<&Screen>,
) -> Result<Recovery, LogError> {
    let mut stored = positions::of_owner(owner, &log.positions()?, screen)?;
    let renamed = rename(&mut stored, source);
    let mut scans: BTreeMap<(String, u32), u64> = BTreeMap::new();
    for position in stored.iter().filter(|position| !position.clean) {
        let from =
            scans.entry((position.topic.clone(), position.partition)).or_insert(position.scan_from);
        *from = (*from).min(position.scan_from);
    }
    let mut recovery = Recovery {
        positions: stored.into_iter().map(|position| (position.source, position)).collect(),
        renamed,
        held: HashSet::new(),
        records: 0,
        fences: HashMap::new(),
    };
    let mut decoder = Decoder::default();
    for ((topic, partition), from) in scans {
        let fence = log.fence(&topic, partition)?;
        let mut failure = None;
        log.scan(&topic, partition, from, fence, &mut |found| match recovery.take(
            &mut decoder,
            &found,
            source,
            screen,
        ) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        })
        .map_err(of_recovery)?;
        if let Some(error) = failure {
            return Err(error);
        }
        tracing::info!(topic, partition, from, fence, "log read after an unclean stop");
        let Recovery { positions, held, .. } = &mut recovery;
        let here = positions.values_mut().filter(|position| !held.contains(&position.source));
        for position in here.filter(|p| p.topic == topic && p.partition == partition) {
            position.scan_from = fence;
        }
        recovery.fences.insert((topic, partition), fence);
    }
    Ok(recovery)
}

/// Says what was read, and what it means to go on.
fn of_recovery(error: LogError) -> LogError {
    match error {
        LogError::Stop(text, cause) => {
            let text = format!(
                "reading the log after an unclean stop: {text}; what is not found is sent again"
            );
            LogError::Stop(text, cause)
        }
        other => other,
    }
}

impl Recovery {
    fn take(
        &mut self,
        decoder: &mut Decoder,
        found: &LogRecord<'_>,
        source: &mut dyn Source,
        screen: Option<&Screen>,
    ) -> Result<(), LogError> {
        // Fences and the records of other programs are not ours.
        let Some(bytes) = found.header.filter(|_| !found.value.is_empty()) else { return Ok(()) };
        let stop = |error: String| {
            let place = (found.topic, found.partition, found.offset);
            LogError::Stop(format!("record at {place:?}: {error}"), None)
        };
        let header = decoder.decode(bytes).map_err(|error| stop(error.to_string()))?;
        let stream = source.stream_of(&header.origin);
        let position = stream.and_then(|stream| self.positions.get_mut(&stream));
        let Some(position) = position else { return Ok(()) };
        let known = (position.generation, position.next);
        // Records that may change have other numbers at every reading.
        let may_change = source.may_change(position.source);
        if !may_change && (header.origin.generation, header.start) < known {
            return Ok(());
        }
        let is_sealed = matches!(header.content, Content::Single { privacy: Privacy::Sealed, .. });
        let opened = match (is_sealed, screen) {
            (false, _) => None,
            (true, Some(screen)) => Some(screen.opened(found.value).map_err(stop)?),
            (true, None) => {
                let text = "it is encrypted: TAHOE_PRIVACY_KEY or TAHOE_PRIVACY_KEY_FILE";
                return Err(stop(text.to_owned()));
            }
        };
        let value = opened.as_deref().unwrap_or(found.value);
        for each in each(&header, value) {
            let (id, part, span, bytes) = each.map_err(|error| stop(error.to_string()))?;
            let record = Record {
                bytes,
                id,
                origin: &header.origin,
                start: span.0,
                read_at_ms: found.timestamp_ms,
                context: &[],
                part,
            };
            source.recover(&record, &mut position.context);
            self.records += 1;
        }
        if may_change {
            self.held.insert(position.source);
            return Ok(());
        }
        position.generation = header.origin.generation;
        position.next = header.end;
        Ok(())
    }
}

type Each<'a> = (RecordId, Option<Part>, (u64, u64), &'a [u8]);

/// The records in one Kafka record, a pack's one by one. The last item is an error if the value is
/// not what the header's boundaries say: nothing tells the records in the rest of it apart.
pub fn each<'h, 'v: 'h>(
    header: &'h Header<'h>,
    value: &'v [u8],
) -> Box<dyn Iterator<Item = Result<Each<'v>, HeaderError>> + 'h> {
    match header.content {
        Content::Single { id, part, .. } => {
            Box::new(std::iter::once(Ok((id, part, (header.start, header.end), value))))
        }
        Content::Pack { segment_ms, boundaries, .. } => {
            let (boundaries, start) = (Boundaries::new(boundaries), header.start);
            Box::new(Packed { header, segment_ms, boundaries, value, at: Some(0), start })
        }
    }
}

/// The records of a pack.
struct Packed<'h, 'v> {
    header: &'h Header<'h>,
    segment_ms: i64,
    boundaries: Boundaries<'h>,
    value: &'v [u8],
    /// First byte of the next record; none once the end or an error was told.
    at: Option<usize>,
    start: u64,
}

impl<'v> Iterator for Packed<'_, 'v> {
    type Item = Result<Each<'v>, HeaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at.take()?;
        let bytes = self.value.len();
        let Some((text, span)) = self.boundaries.next() else {
            // A newline stands between two records, and none after the last.
            let reach = at.saturating_sub(1);
            return (reach != bytes).then_some(Err(HeaderError::Boundaries { reach, bytes }));
        };
        let reach = at.saturating_add(text);
        let Some(record) = self.value.get(at..reach) else {
            return Some(Err(HeaderError::Boundaries { reach, bytes }));
        };
        let place = (self.start, self.start.saturating_add(span));
        (self.at, self.start) = (Some(reach + 1), place.1);
        let origin = &self.header.origin;
        let id = RecordId::new(self.segment_ms, origin.source, origin.generation, place, record);
        Some(Ok((id, None, place, record)))
    }
}

#[cfg(test)]
mod tests {
    use tahoe_seams::Origin;

    use super::*;
    use crate::header::{encode_origin, encode_pack};

    fn records(value: &[u8]) -> Vec<Result<Vec<u8>, HeaderError>> {
        let (mut bytes, lengths) = (Vec::new(), [(3, 4), (0, 1), (2, 3)]);
        encode_pack(
            &mut bytes,
            1_700_000_000_000,
            10,
            &lengths,
            &encode_origin(&Origin::default()),
        );
        let header = Decoder::default().decode(&bytes).expect("a header");
        each(&header, value).map(|each| each.map(|(.., record)| record.to_vec())).collect()
    }

    #[test]
    fn a_pack_whose_value_is_shorter_or_longer_than_its_boundaries_ends_with_an_error() {
        let whole = |texts: &[&str]| texts.iter().map(|t| Ok(t.as_bytes().to_vec())).collect();
        let all: Vec<_> = whole(&["abc", "", "de"]);
        assert_eq!(records(b"abc\n\nde"), all);
        let error = |reach, bytes| Err(HeaderError::Boundaries { reach, bytes });
        assert_eq!(records(b"abc\n\nd"), [&whole(&["abc", ""])[..], &[error(7, 6)]].concat());
        assert_eq!(records(b"ab"), [error(3, 2)]);
        assert_eq!(records(b"abc\n\ndef"), [&all[..], &[error(7, 8)]].concat());
    }
}
