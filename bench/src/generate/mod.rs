//! Lines as real programs write them, the same for the same seed on every machine.

mod draw;
mod laravel;
mod syslog;

use std::io::{self, Write};

use clap::ValueEnum;

use draw::Draw;

/// What kind of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Laravel's log file: levels, JSON context, now and then a stack trace of many lines.
    Laravel,
    /// RFC 3164 and RFC 5424 from one host or the other: sshd, cron, systemd, kernel, postfix.
    Syslog,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Laravel, Self::Syslog];

    /// The dataset that such lines are of.
    pub fn dataset(self) -> &'static str {
        match self {
            Self::Laravel => "laravel.log",
            Self::Syslog => "system.syslog",
        }
    }

    /// `laravel`
    pub fn name(self) -> &'static str {
        match self {
            Self::Laravel => "laravel",
            Self::Syslog => "syslog",
        }
    }
}

/// Writes `events` records of `kind`.
///
/// # Errors
/// Those of `out`.
pub fn write(kind: Kind, events: u64, seed: u64, out: &mut dyn Write) -> io::Result<()> {
    let mut draw = Draw::new(seed);
    let mut line = String::with_capacity(8192);
    for number in 0..events {
        line.clear();
        match kind {
            Kind::Laravel => laravel::record(number, &mut draw, &mut line),
            Kind::Syslog => syslog::record(number, &mut draw, &mut line),
        }
        out.write_all(line.as_bytes())?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use tahoe_schemas::{datasets, frame_all};
    use tahoe_seams::{Conditions, Events, Origin, Record};

    use super::*;

    fn generated(kind: Kind, events: u64, seed: u64) -> Vec<u8> {
        let mut out = Vec::new();
        write(kind, events, seed, &mut out).expect("memory takes every write");
        out
    }

    #[test]
    fn the_same_seed_gives_the_same_lines_and_another_one_does_not() {
        for kind in Kind::ALL {
            assert_eq!(generated(kind, 500, 7), generated(kind, 500, 7));
            assert_ne!(generated(kind, 500, 7), generated(kind, 500, 8));
        }
    }

    #[test]
    fn every_record_is_cut_and_normalised_as_one_event_with_its_own_time() {
        for kind in Kind::ALL {
            let dataset = datasets::find(kind.dataset()).expect("it is in the list");
            let origin = Origin { dataset: kind.dataset().into(), ..Origin::default() };
            let lines = generated(kind, 3000, 1);
            let (mut events, mut records) = (Events::default(), 0);
            frame_all(dataset.framer, &lines, &mut |frame| {
                let record = Record {
                    start: frame.start,
                    read_at_ms: 1_800_000_000_000,
                    context: frame.context,
                    ..Record::new(frame.bytes, &origin)
                };
                records += 1;
                let given = Conditions::default();
                let done = dataset.normalizer.normalize(&record, &given, &mut events);
                assert_eq!(done, Ok(()), "{}", String::from_utf8_lossy(frame.bytes));
            });
            assert_eq!((records, events.len()), (3000, 3000), "{kind:?}");
            for document in events.documents() {
                let text = String::from_utf8_lossy(document);
                assert!(!text.contains("time_assumed"), "{text}");
                assert!(text.contains("\"message\""), "{text}");
            }
        }
    }

    #[test]
    fn a_laravel_record_has_about_the_size_that_peers_were_measured_with() {
        let bytes = generated(Kind::Laravel, 20_000, 3).len() / 20_000;
        assert!((230..330).contains(&bytes), "{bytes} bytes a record");
        let bytes = generated(Kind::Syslog, 20_000, 3).len() / 20_000;
        assert!((120..240).contains(&bytes), "{bytes} bytes a record");
    }
}
