//! One batch into the sink, until every event of it is durable or rejected for ever.

use std::time::Duration;

use tahoe_pipeline::retry::Backoff;
use tahoe_pipeline::stop::Stop;
use tahoe_seams::{EventBatch, Outcome, Rejection, RowChange, Sink, SinkError};

/// When an earlier run may have written some of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Written {
    /// It cannot have.
    Never,
    /// It, or another owner of the partitions, may have had it in flight when it ended.
    Lately,
    /// The records are read again: whatever the log holds may have been stored long ago.
    AnyTime,
}

/// Writes until every event has an outcome that stands. `None` when it was abandoned because
/// stopping became urgent.
pub async fn write_until_durable(
    sink: &dyn Sink,
    batch: &EventBatch,
    mut before: Written,
    stop: &Stop,
) -> Option<Vec<Outcome>> {
    let mut outcomes: Vec<Option<Outcome>> = vec![None; batch.events.len()];
    let mut backoff = Backoff::usual();
    loop {
        let open: Vec<usize> =
            outcomes.iter().enumerate().filter(|(_, o)| o.is_none()).map(|(at, _)| at).collect();
        if open.is_empty() {
            return outcomes.into_iter().collect();
        }
        let whole = open.len() == outcomes.len();
        let rest = if whole { batch.clone() } else { batch.subset(|at| outcomes[at].is_none()) };
        let written = match before {
            Written::Never => sink.write(&rest).await,
            Written::Lately => sink.write_again(&rest).await,
            Written::AnyTime => sink.write_replayed(&rest).await,
        };
        match written {
            // The usual case: nothing is left to remember.
            Ok(results) if is_whole(&results, &outcomes) => return Some(results),
            Ok(results) => {
                before = Written::Never;
                for (at, outcome) in open.into_iter().zip(results) {
                    if outcome != Outcome::Busy {
                        outcomes[at] = Some(outcome);
                        backoff.reset();
                    }
                }
            }
            Err(error) => {
                before = before.max(Written::Lately);
                tell(&error);
            }
        }
        if outcomes.iter().any(Option::is_none) && pause(backoff.pause(), || stop.is_urgent()).await
        {
            return None;
        }
    }
}

fn tell(error: &SinkError) {
    match error {
        SinkError::Unavailable(text, _) => tracing::warn!(text, "sink unavailable"),
        SinkError::Refused(text, _) => tracing::error!(text, "sink refuses"),
    }
}

/// Keeps rows until every change of them is durable or rejected for ever; gives the rejected ones,
/// by their records. `None` when it was abandoned because stopping became urgent.
pub async fn keep_until_durable(
    sink: &dyn Sink,
    mut changes: Vec<RowChange>,
    stop: &Stop,
) -> Option<Vec<(u32, Rejection)>> {
    let mut rejected = Vec::new();
    let mut backoff = Backoff::usual();
    while !changes.is_empty() {
        match sink.keep(&changes).await {
            Ok(outcomes) => {
                let before = changes.len();
                let mut busy = Vec::new();
                // A sink that answers for too few changes has not stored the rest.
                let outcomes = outcomes.into_iter().chain(std::iter::repeat(Outcome::Busy));
                for (change, outcome) in changes.into_iter().zip(outcomes) {
                    match outcome {
                        Outcome::Stored | Outcome::AlreadyThere => {}
                        Outcome::Rejected(rejection) => rejected.push((change.record, rejection)),
                        Outcome::Busy => busy.push(change),
                    }
                }
                changes = busy;
                if changes.len() < before {
                    backoff.reset();
                }
            }
            Err(error) => tell(&error),
        }
        if !changes.is_empty() && pause(backoff.pause(), || stop.is_urgent()).await {
            return None;
        }
    }
    Some(rejected)
}

/// Every event of the batch was asked for, and has an outcome that stands.
fn is_whole(results: &[Outcome], outcomes: &[Option<Outcome>]) -> bool {
    results.len() == outcomes.len() && !results.contains(&Outcome::Busy)
}

/// Waits; true if it was time to end meanwhile.
pub async fn pause(wait: Duration, is_over: impl Fn() -> bool) -> bool {
    let step = Duration::from_millis(50);
    let mut left = wait;
    while !left.is_zero() && !is_over() {
        tokio::time::sleep(left.min(step)).await;
        left = left.saturating_sub(step);
    }
    is_over()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tahoe_seams::{Events, RecordId, Rejection};

    use super::*;

    /// A sink whose answers are given beforehand, and which remembers what it was asked.
    #[derive(Default)]
    struct Scripted {
        answers: Mutex<Vec<Result<Vec<Outcome>, SinkError>>>,
        found: Vec<bool>,
        asked: Mutex<Vec<(&'static str, usize)>>,
    }

    #[async_trait::async_trait]
    impl Sink for Scripted {
        async fn write(&self, batch: &EventBatch) -> Result<Vec<Outcome>, SinkError> {
            self.asked.lock().expect("no panic").push(("write", batch.events.len()));
            self.answers.lock().expect("no panic").remove(0)
        }
        async fn find(&self, batch: &EventBatch) -> Result<Vec<bool>, SinkError> {
            self.asked.lock().expect("no panic").push(("find", batch.events.len()));
            Ok(self.found.clone())
        }
        async fn setup(&self) -> Result<(), SinkError> {
            Ok(())
        }
        async fn check(&self) -> Result<String, SinkError> {
            Ok(String::new())
        }
    }

    fn batch(events: u8) -> EventBatch {
        let mut out = Events::default();
        for n in 0..events {
            out.begin_record(n.into());
            out.push("a.b", "x", RecordId([n; 16]), |body| body.extend_from_slice(b"{}"));
        }
        out.take()
    }

    #[tokio::test]
    async fn a_batch_is_looked_up_before_it_is_written_again_after_a_time_out() {
        let sink = Scripted {
            answers: Mutex::new(vec![
                Err(SinkError::Unavailable("timed out".into(), None)),
                Ok(vec![Outcome::Stored]),
            ]),
            found: vec![true, false],
            ..Scripted::default()
        };
        let outcomes =
            write_until_durable(&sink, &batch(2), Written::Never, &Stop::default()).await;
        assert_eq!(outcomes, Some(vec![Outcome::AlreadyThere, Outcome::Stored]));
        let asked = sink.asked.into_inner().expect("no panic");
        assert_eq!(asked, [("write", 2), ("find", 2), ("write", 1)]);
    }

    #[tokio::test]
    async fn only_what_the_sink_was_too_busy_for_is_written_again() {
        let rejected = Outcome::Rejected(Rejection::whole("mapping", "no"));
        let sink = Scripted {
            answers: Mutex::new(vec![
                Ok(vec![Outcome::Stored, Outcome::Busy, rejected.clone()]),
                Ok(vec![Outcome::Stored]),
            ]),
            ..Scripted::default()
        };
        let outcomes =
            write_until_durable(&sink, &batch(3), Written::Never, &Stop::default()).await;
        assert_eq!(outcomes, Some(vec![Outcome::Stored, Outcome::Stored, rejected]));
        assert_eq!(sink.asked.into_inner().expect("no panic"), [("write", 3), ("write", 1)]);
    }
}
