//! Lines as real programs write them, the same for the same seed on every machine.

mod application;
mod aws;
mod database;
mod draw;
mod laravel;
mod syslog;
mod web;

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
    /// Requests that an application logs as JSON objects.
    App,
    /// An application's lines of text in a container of Docker.
    Container,
    /// Requests in nginx's format `combined`.
    Nginx,
    /// The same, of Apache.
    Apache,
    /// Entries of an application load balancer.
    Elb,
    /// PostgreSQL's statements with their durations, and its connections.
    Postgresql,
    /// Statements of MySQL's slow log.
    Slowlog,
    /// Statements and connections of MySQL's general log.
    General,
    /// The same in MariaDB's audit log.
    Audit,
    /// MongoDB's slow queries and connections, as JSON.
    Mongodb,
    /// Log events of CloudWatch: flow logs and functions.
    Cloudwatch,
    /// Logins, cron and sudo of one machine.
    Auth,
    /// A firewall's packets and the kernel's links.
    Kern,
}

/// Appends one record, by its number.
type Generator = fn(u64, &mut Draw, &mut String);

impl Kind {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Laravel,
        Self::Syslog,
        Self::App,
        Self::Container,
        Self::Nginx,
        Self::Apache,
        Self::Elb,
        Self::Postgresql,
        Self::Slowlog,
        Self::General,
        Self::Audit,
        Self::Mongodb,
        Self::Cloudwatch,
        Self::Auth,
        Self::Kern,
    ];
    /// Those that are measured through Kafka, unless one is named.
    pub const THROUGH_KAFKA: [Self; 2] = [Self::Laravel, Self::Syslog];

    fn row(self) -> (&'static str, &'static str, Generator) {
        match self {
            Self::Laravel => ("laravel", "laravel.log", laravel::record),
            Self::Syslog => ("syslog", "system.syslog", syslog::record),
            Self::App => ("app", "app.json", application::object),
            Self::Container => ("container", "container.log", application::container),
            Self::Nginx => ("nginx", "nginx.access", web::combined),
            Self::Apache => ("apache", "apache.access", web::combined),
            Self::Elb => ("elb", "aws.elb_logs", aws::balancer),
            Self::Postgresql => ("postgresql", "postgresql.log", database::postgresql),
            Self::Slowlog => ("slowlog", "mysql.slowlog", database::slow_log),
            Self::General => ("general", "mysql.general", database::general_log),
            Self::Audit => ("audit", "mysql.audit", database::audit_log),
            Self::Mongodb => ("mongodb", "mongodb.log", database::mongodb),
            Self::Cloudwatch => ("cloudwatch", "aws.cloudwatch_logs", aws::cloudwatch),
            Self::Auth => ("auth", "system.auth", syslog::auth),
            Self::Kern => ("kern", "system.kern", syslog::kern),
        }
    }

    /// The dataset that such lines are of.
    pub fn dataset(self) -> &'static str {
        self.row().1
    }

    /// `laravel`
    pub fn name(self) -> &'static str {
        self.row().0
    }
}

/// Writes `events` records of `kind`.
///
/// # Errors
/// Those of `out`.
pub fn write(kind: Kind, events: u64, seed: u64, out: &mut dyn Write) -> io::Result<()> {
    let (.., append) = kind.row();
    let mut draw = Draw::new(seed);
    let mut line = String::with_capacity(8192);
    for number in 0..events {
        line.clear();
        append(number, &mut draw, &mut line);
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
                let is_request = matches!(kind, Kind::Nginx | Kind::Apache | Kind::Elb);
                let says = ["\"message\"", "\"action\""].iter().any(|field| text.contains(field));
                assert!(is_request || says, "{text}");
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
