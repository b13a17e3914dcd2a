//! What is asked for a report, each answer a number over time, and what it is called by somebody who
//! does not know what a log is.

use jiff::{SignedDuration, Timestamp};
use tahoe_seams::SinkError;
use tahoe_seams::search::{Search, SearchRequest};

/// Points of a chart at most: days of a month.
const POINTS_MAX: i64 = 31;

/// Steps that people think in, in hours.
const STEPS_HOURS: [i64; 7] = [1, 3, 6, 12, 24, 7 * 24, 30 * 24];

/// Rows of a list.
const ROWS: usize = 10;

/// Every event has it, so that a count by it is a count of all.
const EVERY_EVENT_HAS: &str = "event.dataset";

/// What is reported on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end, which is not part of it.
    pub to: Timestamp,
}

impl Period {
    /// The time before, as long as this one.
    pub fn before(self) -> Self {
        let length = self.to.duration_since(self.from);
        Self { from: self.from.saturating_sub(length).unwrap_or(Timestamp::MIN), to: self.from }
    }

    /// Its parts, of the shortest of our steps that does not make too many.
    pub fn steps(self) -> Vec<Self> {
        let hours = self.to.duration_since(self.from).as_hours();
        let fits = |step: &i64| hours / step < POINTS_MAX;
        let step = STEPS_HOURS.into_iter().find(fits).unwrap_or(hours / POINTS_MAX + 1);
        let step = SignedDuration::from_hours(step);
        let mut steps = Vec::new();
        let mut from = self.from;
        while from < self.to {
            let to = from.saturating_add(step).unwrap_or(Timestamp::MAX).min(self.to);
            steps.push(Self { from, to });
            from = to;
        }
        steps
    }
}

/// A number that is asked for.
pub struct Question {
    /// What it is, in a few words.
    pub title: &'static str,
    /// What it means, in a sentence.
    pub meaning: &'static str,
    /// Which events.
    pub query: &'static str,
    /// More of it is worse.
    pub is_trouble: bool,
}

/// The questions of a report.
pub static QUESTIONS: [Question; 8] = [
    Question {
        title: "Everything written down",
        meaning: "Messages of applications, databases and machines. A fall to nothing means that \
                  something is not running, or not heard.",
        query: "",
        is_trouble: false,
    },
    Question {
        title: "Visits",
        meaning: "Requests that visitors' browsers and programs made.",
        query: "event.category:web",
        is_trouble: false,
    },
    Question {
        title: "Visits that failed",
        meaning: "Visits that ended with an error of ours: the visitor saw no page.",
        query: "event.category:web AND http.response.status_code:[500 TO 599]",
        is_trouble: true,
    },
    Question {
        title: "Things that went wrong",
        meaning: "Errors that applications and databases wrote down, seen by a visitor or not.",
        query: "event.type:error OR log.level:(error OR critical OR alert OR emergency OR fatal OR \
                panic)",
        is_trouble: true,
    },
    Question {
        title: "New entries",
        meaning: "Orders, customers and whatever else is kept in tables.",
        query: "db.operation.name:insert",
        is_trouble: false,
    },
    Question {
        title: "Logins",
        meaning: "Times that somebody came in with a name and a password or key.",
        query: "event.category:authentication AND event.outcome:success",
        is_trouble: false,
    },
    Question {
        title: "Logins that failed",
        meaning: "Times that somebody was refused. Many at once are somebody who tries.",
        query: "event.category:authentication AND event.outcome:failure",
        is_trouble: true,
    },
    Question {
        title: "Slow answers of databases",
        meaning: "Questions to a database that took more than a second.",
        query: "event.category:database AND event.duration:>1000000000",
        is_trouble: true,
    },
];

/// A number over time.
pub struct Fact {
    /// What was asked.
    pub question: &'static Question,
    /// In the whole period.
    pub total: u64,
    /// In the one before.
    pub before: u64,
    /// In each step.
    pub steps: Vec<(Period, u64)>,
}

impl Question {
    /// Asks the store.
    pub async fn ask(
        &'static self,
        store: &dyn Search,
        namespace: &str,
        period: Period,
    ) -> Result<Fact, SinkError> {
        let mut steps = Vec::new();
        for step in period.steps() {
            steps.push((step, count(store, namespace, self.query, step).await?));
        }
        let total = steps.iter().map(|(_, events)| events).sum();
        let before = count(store, namespace, self.query, period.before()).await?;
        Ok(Fact { question: self, total, before, steps })
    }
}

/// A list of what there was most of.
pub struct List {
    /// What it is.
    pub title: &'static str,
    /// What each row is.
    pub column: &'static str,
    query: &'static str,
    field: &'static str,
}

/// The lists of a report.
pub static LISTS: [List; 5] = [
    List {
        title: "Pages most visited",
        column: "Page",
        query: "event.category:web",
        field: "url.path",
    },
    List {
        title: "Where visitors are",
        column: "Country",
        query: "event.category:web",
        field: "source.geo.country_name",
    },
    List {
        title: "New entries by kind",
        column: "Kind",
        query: "db.operation.name:insert",
        field: "db.collection.name",
    },
    List {
        title: "Where things went wrong",
        column: "Part",
        query: QUESTIONS[3].query,
        field: "event.dataset",
    },
    List {
        title: "Names that were refused",
        column: "Name",
        query: QUESTIONS[6].query,
        field: "user.name",
    },
];

/// What there was most of.
pub struct Ranking {
    /// What was asked.
    pub list: &'static List,
    /// Value and how often.
    pub rows: Vec<(String, u64)>,
}

impl List {
    /// Asks the store.
    pub async fn ask(
        &'static self,
        store: &dyn Search,
        namespace: &str,
        period: Period,
    ) -> Result<Ranking, SinkError> {
        let mut request = request(namespace, self.query, period);
        request.by = vec![self.field.to_owned()];
        let counts = store.count(&request).await?;
        let rows = counts.rows.into_iter().filter_map(|row| {
            let value = row.values.into_iter().next().flatten()?;
            Some((value, row.events))
        });
        Ok(Ranking { list: self, rows: rows.take(ROWS).collect() })
    }
}

fn request(namespace: &str, query: &str, Period { from, to }: Period) -> SearchRequest {
    let own = format!("data_stream.namespace:\"{namespace}\"");
    SearchRequest {
        query: if query.is_empty() { own } else { format!("{own} AND ({query})") },
        from_ms: Some(from.as_millisecond()),
        to_ms: Some(to.as_millisecond()),
        limit: None,
        by: vec![EVERY_EVENT_HAS.to_owned()],
    }
}

async fn count(
    store: &dyn Search,
    namespace: &str,
    query: &str,
    period: Period,
) -> Result<u64, SinkError> {
    let counts = store.count(&request(namespace, query, period)).await?;
    Ok(counts.rows.iter().map(|row| row.events).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(hours: i64) -> Period {
        let from: Timestamp = "2026-11-01T00:00:00Z".parse().expect("a time");
        Period { from, to: from.saturating_add(SignedDuration::from_hours(hours)).expect("a time") }
    }

    #[test]
    fn steps_fill_the_period_and_are_no_more_than_a_chart_shows() {
        for hours in [1, 5, 24, 7 * 24, 31 * 24, 365 * 24, 20 * 365 * 24] {
            let (all, steps) = (period(hours), period(hours).steps());
            assert!(steps.len() <= 32, "{hours} h: {}", steps.len());
            assert_eq!((steps[0].from, steps[steps.len() - 1].to), (all.from, all.to));
            assert!(steps.windows(2).all(|pair| pair[0].to == pair[1].from));
        }
        assert_eq!(period(7 * 24).steps().len(), 28);
    }

    #[test]
    fn the_time_before_is_as_long_and_ends_where_this_begins() {
        let (now, before) = (period(48), period(48).before());
        assert_eq!(before.to, now.from);
        assert_eq!(before.from.to_string(), "2026-10-30T00:00:00Z");
    }
}
