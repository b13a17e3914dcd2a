//! When it happened: what a stamp means in its source's zone, and what had to be assumed for it.

use super::Event;
use crate::time::{Stamp, Time};
use crate::{Field, Transformation, fields};

impl<'a> Event<'a> {
    /// Sets `@timestamp` from a stamp and records what had to be assumed for it:
    /// `timezone_assumed:<zone>` and `year_assumed`.
    pub fn time(&mut self, stamp: Stamp) {
        self.set_time(fields::TIMESTAMP, stamp);
    }

    /// The same of a stamp whose zone its record names apart from it: nothing is assumed.
    pub(crate) fn time_in(&mut self, zone: &str, stamp: Stamp) {
        let offset_s = Some(self.zones.offset(zone, stamp.local_s));
        self.time(Stamp { offset_s, ..stamp });
    }

    /// The same for any field.
    pub fn set_time(&mut self, field: Field, stamp: Stamp) {
        let time = self.resolve(stamp);
        self.set(field, time);
    }

    /// The point in time that a stamp means in the source's zone; records what was assumed.
    pub fn resolve(&mut self, stamp: Stamp) -> Time {
        if stamp.year_assumed {
            self.transformation(Transformation::YearAssumed);
        }
        let offset = stamp.offset_s.unwrap_or_else(|| {
            let zone = if self.time_zone.is_empty() { "UTC" } else { self.time_zone };
            self.transformation_of(Transformation::TimezoneAssumed, zone);
            self.zones.offset(self.time_zone, stamp.local_s)
        });
        stamp.at_offset(offset)
    }

    /// Sets `@timestamp` of a record without one: the last time of its source, as the framer
    /// carried it, else the read time. Recorded as `time_assumed:previous_record` or
    /// `time_assumed:read`.
    pub fn time_assumed(&mut self, previous: Option<Stamp>) {
        match previous {
            Some(stamp) => {
                self.time(stamp);
                self.transformation_of(Transformation::TimeAssumed, "previous_record");
            }
            None => {
                self.set(fields::TIMESTAMP, Time::from_ms(self.read_at_ms));
                self.transformation_of(Transformation::TimeAssumed, "read");
            }
        }
    }

    /// Stamps of this event that name no zone are in this one. For datasets whose records say so.
    pub fn use_time_zone(&mut self, zone: &'a str) {
        self.time_zone = zone;
    }
}
