//! Records that were exported, which are framed already, each through the parser of its own dataset.

use std::io::{BufRead as _, BufReader, Write};
use std::path::Path;

use anyhow::anyhow;
use tahoe_schemas::datasets;
use tahoe_seams::{Events, Record, RecordId, SourceId};

use super::{ParseArgs, open};
use crate::exported::Exported;

/// Prints the documents of one file; rejections go to stderr, with the number of their line.
pub fn parse(args: &ParseArgs, path: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let given = args.given()?;
    let read_at = args.read_at.unwrap_or_else(jiff::Timestamp::now);
    let mut events = Events::default();
    for (number, line) in BufReader::new(open(path)?).split(b'\n').enumerate() {
        let line = line?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let exported = Exported::read(&line)?;
        let bytes = match exported.bytes() {
            Ok(bytes) => bytes,
            Err(error) => {
                eprintln!("{}:{}: {error}", path.display(), number + 1);
                continue;
            }
        };
        let context = exported.context()?;
        let name = &exported.dataset;
        let dataset = datasets::named(name).map_err(|error| anyhow!(error))?;
        let read_at_ms = exported.read_at().unwrap_or(read_at).as_millisecond();
        let origin = exported.origin(dataset.name);
        let record = Record {
            bytes: &bytes,
            id: RecordId::new(read_at_ms, SourceId::default(), 0, (0, 0), &bytes),
            origin: &origin,
            start: 0,
            read_at_ms,
            context: &context,
            part: exported.part(),
        };
        events.begin_record(0);
        match dataset.normalizer.normalize(&record, &given, &mut events) {
            Ok(()) => {
                for document in events.documents() {
                    out.write_all(document)?;
                    out.write_all(b"\n")?;
                }
            }
            Err(rejection) => eprintln!("{}:{}: {rejection}", path.display(), number + 1),
        }
        events.clear();
    }
    Ok(())
}
