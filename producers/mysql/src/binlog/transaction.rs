//! Where a transaction begins, as each of the two families of servers says it.

use tahoe_schemas::time::Time;

use super::Binlog;
use crate::bytes::{Bytes, little};
use crate::event;
use crate::gtid::uuid_text;

/// The transaction that is being read.
#[derive(Default)]
pub(super) struct Transaction {
    pub id: String,
    pub time: Option<Time>,
    /// Records so far.
    pub number: u64,
    /// It goes on until a commit; otherwise it is one statement.
    pub explicit: bool,
}

impl Binlog {
    pub(super) fn begin(&mut self, name: String, number: u64, time: Time) {
        if let Some(gtids) = &mut self.gtids {
            gtids.add(&name, number);
        }
        let id = format!("{name}:{number}");
        self.transaction = Some(Transaction { id, time: Some(time), ..Transaction::default() });
    }

    /// Flags, uuid, number; then, in MySQL 8, the commit's time in microseconds.
    pub(super) fn begin_mysql(&mut self, kind: u8, data: &[u8], mut time: Time) {
        const COMMIT_TIME: std::ops::Range<usize> = 42..49;
        if let Some(micros) = data.get(COMMIT_TIME).filter(|_| data[25] == 2) {
            let micros = little(micros) & ((1 << 55) - 1);
            time = Time::new(
                (micros / 1_000_000).cast_signed(),
                (micros % 1_000_000) as u32 * 1000,
                6,
            );
        }
        match (kind, data.get(1..17), data.get(17..25)) {
            (event::GTID, Some(uuid), Some(number)) => {
                self.begin(uuid_text(uuid), little(number), time);
            }
            _ => {
                let id = self.reading.text();
                self.transaction = Some(Transaction { id, time: Some(time), ..Default::default() });
            }
        }
    }

    /// Sequence, domain, flags.
    pub(super) fn begin_mariadb(&mut self, data: &[u8], server: u32, time: Time) -> Option<()> {
        const STANDALONE: u8 = 1;
        let mut bytes = Bytes(data);
        let (sequence, domain) = (bytes.little(8)?, bytes.little(4)? as u32);
        let explicit = bytes.u8()? & STANDALONE == 0;
        if let Some(gtids) = &mut self.gtids {
            gtids.advance(domain, server, sequence);
        }
        let id = format!("{domain}-{server}-{sequence}");
        self.transaction = Some(Transaction { id, time: Some(time), number: 0, explicit });
        Some(())
    }
}
