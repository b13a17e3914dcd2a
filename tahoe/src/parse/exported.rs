//! Records that were exported, which are framed already, each through the parser of its own dataset.

use std::io::{BufRead as _, BufReader, Write};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use tahoe_schemas::datasets;
use tahoe_seams::{Conditions, Events, Record, RecordId, SourceId};

use super::{ParseArgs, write_documents};
use crate::compression;
use crate::exported::Exported;

/// Prints the documents of one file; what gives none goes to stderr, with the number of its line. A
/// line that is no such record ends it.
pub fn parse(args: &ParseArgs, path: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let given = args.given()?;
    let read_at = args.read_at.unwrap_or_else(Timestamp::now);
    for (number, line) in BufReader::new(compression::open(path)?).split(b'\n').enumerate() {
        let place = format!("{}:{}", path.display(), number + 1);
        let line = line.with_context(|| place.clone())?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let exported = Exported::read(&line).with_context(|| place.clone())?;
        match documents(&exported, &given, read_at) {
            Ok(events) => write_documents(&events, out)?,
            Err(error) => eprintln!("{place}: {error}"),
        }
    }
    Ok(())
}

/// What a record's parser makes of it.
fn documents(
    exported: &Exported,
    given: &Conditions,
    read_at: Timestamp,
) -> anyhow::Result<Events> {
    let dataset = datasets::named(&exported.dataset).map_err(|error| anyhow!(error))?;
    let (bytes, context) = (exported.bytes()?, exported.context()?);
    let read_at_ms = exported.read_at().unwrap_or(read_at).as_millisecond();
    let record = Record {
        bytes: &bytes,
        id: RecordId::new(read_at_ms, SourceId::default(), 0, (0, 0), &bytes),
        origin: &exported.origin(dataset.name),
        start: 0,
        read_at_ms,
        context: &context,
        part: exported.part(),
    };
    let mut events = Events::default();
    events.begin_record(0);
    let normalized = dataset.normalizer.normalize(&record, given, &mut events);
    normalized.map_err(|rejection| anyhow!("{rejection}"))?;
    Ok(events)
}
