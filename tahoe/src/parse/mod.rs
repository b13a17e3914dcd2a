//! `tahoe parse`: a file through the very framer and normaliser that the pipeline runs.

mod exported;
mod policy;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use tahoe_schemas::{Dataset, Frame, Frames, datasets, zone_is_known};
use tahoe_seams::{Conditions, Events, Origin, Record, RecordId, SourceId};
use tahoe_transformer::RuleArgs;

use self::policy::Comparing;
use crate::compression::{self, STANDARD_INPUT};
use crate::{dataset, output};

/// Bytes read at a time; a record that is longer makes the buffer grow to hold it.
const READ_BYTES: usize = 1 << 20;

/// Print the ECS documents of files as NDJSON, one record a line.
///
/// Records are joined from lines as the producer joins them; files compressed with gzip or Zstandard
/// are read too. Rejections go to stderr with the number of their first line; they do not change the
/// exit code. With --policy each line is an object
/// instead: the document before and after the privacy policy, and, with its secret, the record as a
/// producer with that policy sends it.
///
/// Example: tahoe parse --dataset laravel.log storage/logs/laravel.log
#[derive(Args)]
pub struct ParseArgs {
    /// What the files hold: a name from --list
    #[arg(long, required_unless_present_any = ["list", "exported"], value_name = "NAME")]
    dataset: Option<String>,
    /// The files hold records as `tahoe dlq export` prints them, each of its own dataset
    #[arg(long, conflicts_with_all = ["dataset", "line_prefix", "time_zone", "namespace"])]
    exported: bool,
    /// Print the datasets that there are
    #[arg(long)]
    list: bool,
    /// What each line begins with, as the server has it: PostgreSQL's log_line_prefix
    #[arg(long, value_name = "PREFIX")]
    line_prefix: Option<String>,
    /// Zone of time stamps that name none: an IANA name or an offset
    #[arg(long = "tz", default_value = "UTC", value_name = "ZONE")]
    time_zone: String,
    /// Moment that stands for the time of reading, which decides the year of stamps without one [default: now]
    #[arg(long, value_name = "TIME", value_parser = crate::time::moment)]
    read_at: Option<jiff::Timestamp>,
    /// Client company that the documents belong to
    #[arg(long, default_value = "default", value_name = "NAME", value_parser = dataset::namespace)]
    namespace: String,
    /// Leave event.original out
    #[arg(long)]
    no_original: bool,
    /// Privacy policy, as --privacy, of which is shown what it changes: before, after, and sent
    #[arg(long, conflicts_with_all = ["privacy", "exported"], value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Files to read; - is standard input
    #[arg(required_unless_present = "list", value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    rules: RuleArgs,
}

/// Runs the command.
pub fn run(args: &ParseArgs) -> anyhow::Result<ExitCode> {
    output::telling(|out| {
        if args.list {
            list(out)?
        } else {
            parse_files(args, out)?
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn list(out: &mut impl Write) -> anyhow::Result<()> {
    for dataset in datasets::ALL {
        let declared = dataset.declared();
        writeln!(out, "{:<20} {:<18} {}", declared.name, declared.topic, declared.title)?;
    }
    Ok(())
}

fn parse_files(args: &ParseArgs, out: &mut impl Write) -> anyhow::Result<()> {
    if args.exported {
        return args.files.iter().try_for_each(|path| exported::parse(args, path, out));
    }
    let name = args.dataset.as_deref().unwrap_or_default();
    let framing = dataset::framing(name, args.line_prefix.as_deref())?;
    if !zone_is_known(&args.time_zone) {
        bail!("--tz {}: neither an IANA zone name nor an offset", args.time_zone);
    }
    let read_at_ms = args.read_at.unwrap_or_else(jiff::Timestamp::now).as_millisecond();
    let given = args.given()?;
    let comparing = Comparing::new(args, &given)?;
    for path in &args.files {
        let mut parsing = Parsing::new(args, framing.dataset, path, read_at_ms, given.clone());
        parsing.comparing = comparing.as_ref();
        let mut input = compression::open(path)?;
        let mut frames = Frames::with_context(framing.framer, framing.context.clone());
        parsing.run(&mut frames, &mut input, out).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn write_documents(events: &Events, out: &mut impl Write) -> io::Result<()> {
    for document in events.documents() {
        out.write_all(document)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

impl ParseArgs {
    fn given(&self) -> anyhow::Result<Conditions> {
        let rules = self.rules.read().map_err(|error| anyhow!(error))?.given();
        Ok(Conditions { keep_original: !self.no_original, rules, ..Conditions::default() })
    }
}

struct Parsing<'a> {
    dataset: &'static Dataset,
    origin: Origin,
    path: &'a Path,
    given: Conditions,
    read_at_ms: i64,
    events: Events,
    comparing: Option<&'a Comparing>,
    /// What [`Comparing`] printed.
    compared: Vec<u8>,
}

impl<'a> Parsing<'a> {
    fn new(
        args: &ParseArgs,
        dataset: &'static Dataset,
        path: &'a Path,
        read_at_ms: i64,
        given: Conditions,
    ) -> Self {
        let path_of_file = match path.to_str() {
            Some(STANDARD_INPUT) => PathBuf::new(),
            _ => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
        };
        let time_zone = if args.time_zone == "UTC" { "" } else { args.time_zone.as_str() };
        let origin = Origin {
            dataset: dataset.name.to_owned(),
            namespace: args.namespace.clone(),
            path: path_of_file.to_string_lossy().into_owned(),
            time_zone: time_zone.to_owned(),
            ..Origin::default()
        };
        Self {
            dataset,
            origin,
            path,
            given,
            read_at_ms,
            events: Events::default(),
            comparing: None,
            compared: Vec::new(),
        }
    }

    fn run(
        &mut self,
        frames: &mut Frames<'_>,
        mut input: &mut dyn Read,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let mut buffer = Vec::with_capacity(2 * READ_BYTES);
        loop {
            let read = Read::take(&mut input, READ_BYTES as u64).read_to_end(&mut buffer)?;
            let ended = read == 0;
            let used = frames.feed(&buffer, ended, &mut |frame| self.record(&frame));
            write_documents(&self.events, out)?;
            self.events.clear();
            out.write_all(&self.compared)?;
            self.compared.clear();
            buffer.drain(..used);
            if ended {
                return Ok(());
            }
        }
    }

    fn record(&mut self, frame: &Frame<'_>) {
        let span = (frame.start, frame.end);
        let record = Record {
            bytes: frame.bytes,
            id: RecordId::new(self.read_at_ms, SourceId::default(), 0, span, frame.bytes),
            origin: &self.origin,
            start: frame.start,
            read_at_ms: self.read_at_ms,
            context: frame.context,
            part: frame.part,
        };
        self.events.begin_record(self.events.len() as u32);
        let result = match self.comparing {
            Some(comparing) => comparing.record(self.dataset, &record, &mut self.compared),
            None => self.dataset.normalizer.normalize(&record, &self.given, &mut self.events),
        };
        if let Err(rejection) = result {
            self.events.undo_record();
            eprintln!("{}:{}: {rejection}", self.path.display(), frame.line);
        }
    }
}
