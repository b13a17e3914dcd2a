//! What the loop does when the group takes partitions and gives them, when records cannot be stored
//! or read, and when a file that it asks changes, on a log and a sink that follow a script.

#[path = "../../../schemas/tests/database/mod.rs"]
mod database;
mod script;

use std::sync::atomic::Ordering;
use std::time::Duration;

use script::{Script, Step, TOPIC};
use tahoe_pipeline::retry::EndedEarly;
use tahoe_seams::Polled;
use tahoe_transformer::GeoFiles;

fn revoking(partition: u32) -> Step {
    Step::Told(Polled::Revoking(vec![(TOPIC.to_owned(), partition)]))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_of_lost_partitions_is_given_up_and_the_rest_goes_on() {
    let lost = Polled::Lost(vec![(TOPIC.to_owned(), 0)]);
    let script = Script::new(&[
        Step::Record(0, 5),
        Step::Record(1, 7),
        Step::Told(lost),
        Step::Record(1, 8),
        Step::Settled,
    ]);
    script.run().await;
    let seen = script.seen();
    assert!(seen.commits.iter().all(|(partition, _)| *partition == 1), "{:?}", seen.commits);
    assert_eq!(seen.commits.last(), Some(&(1, 9)));
    let counts = &script.counts;
    assert_eq!((counts.read.get(), counts.in_flight()), (3, 0));
    assert_eq!((counts.stored.get(), counts.abandoned.get()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_an_earlier_owner_may_have_written_is_looked_up_before_it_is_written() {
    let script = Script::new(&[
        Step::Record(0, 0),
        Step::Settled,
        Step::Record(0, 1),
        Step::Settled,
        revoking(0),
        Step::Record(0, 2),
        Step::Settled,
    ]);
    script.run().await;
    let seen = script.seen();
    let expected = [("find", 1), ("write", 1), ("write", 1), ("find", 1), ("write", 1)];
    assert_eq!(seen.asked, expected);
    assert_eq!(seen.commits, [(0, 1), (0, 2), (0, 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_changes_is_asked_from_the_next_records_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("city.mmdb");
    std::fs::write(&path, database::city("Madrid")).expect("it can be written");
    let mut script = Script::new(&[
        Step::Record(0, 0),
        Step::Settled,
        Step::City("Barcelona"),
        Step::Record(0, 1),
        Step::Settled,
    ]);
    let files = GeoFiles::open(std::slice::from_ref(&path)).expect("it is sound");
    script.city = Some((path, files));
    script.run().await;
    let seen = script.seen();
    let place = |document: &String, name| document.contains(&format!("\"city_name\":\"{name}\""));
    let [before, after] = &seen.documents[..] else { panic!("{:?}", seen.documents) };
    assert!(place(before, "Madrid") && place(after, "Barcelona"), "{before}\n{after}");
}

/// What the loop gave up is dropped by the runtime a moment later.
async fn nothing_writes(script: &Script) {
    let quiet = async {
        while script.writing.load(Ordering::SeqCst) > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), quiet).await.expect("a write goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_is_given_back_after_the_grace_period_though_the_sink_is_away() {
    let steps = [Step::Record(0, 5), Step::Writing, revoking(0)];
    let mut script = Script::new(&steps);
    script.grace = Duration::ZERO;
    script.silent.store(true, Ordering::SeqCst);
    // What an earlier owner had in flight is looked up by the next one, as after a crash.
    script.run().await;
    nothing_writes(&script).await;
    let seen = script.seen();
    assert_eq!((seen.confirmed, &seen.commits[..]), (1, &[][..]));
    assert_eq!((script.counts.abandoned.get(), script.counts.in_flight()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_loop_had_in_flight_ends_with_it_and_is_looked_up_by_the_next() {
    let script = Script::new(&[Step::Record(0, 5), Step::Writing, Step::Fails]);
    script.silent.store(true, Ordering::SeqCst);
    let ended = script.ends().await;
    assert!(matches!(ended, Err(EndedEarly::Again(_))), "{ended:?}");
    nothing_writes(&script).await;
    script.silent.store(false, Ordering::SeqCst);
    script.goes_on(Step::Record(0, 5));
    script.run().await;
    let seen = script.seen();
    assert_eq!(seen.asked, [("find", 1), ("find", 1), ("write", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_producers_record_stops_the_loop_which_commits_what_came_before_it_alone() {
    let script = Script::new(&[Step::Record(0, 5), Step::Newer(0, 6), Step::Record(0, 7)]);
    let ended = script.ends().await;
    let Err(EndedEarly::Stop(text)) = ended else { panic!("{ended:?}") };
    assert!(text.contains("update this binary") && text.contains("offset 6"), "{text}");
    let seen = script.seen();
    assert_eq!((&seen.commits[..], seen.letters.len()), (&[(0, 6)][..], 0));
}

fn letters(script: &Script) -> Vec<(u32, u64)> {
    let seen = script.seen();
    let number = |text: &String| text.parse::<u64>().expect("a number");
    let mut letters: Vec<_> =
        seen.letters.iter().map(|(p, o)| (number(p) as u32, number(o))).collect();
    letters.sort_unstable();
    letters
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rejected_record_has_one_letter_though_the_log_refuses_one_in_between() {
    let bad: Vec<_> = (0..40).map(|n| (n % 2, u64::from(n) * 3)).collect();
    let mut steps: Vec<_> = bad.iter().map(|(p, o)| Step::Bad(*p, *o)).collect();
    steps.push(Step::Settled);
    let script = Script::new(&steps);
    script.faults().refuse_letter = Some(1);
    script.run().await;
    let mut expected = bad.clone();
    expected.sort_unstable();
    assert_eq!(letters(&script), expected);
    let seen = script.seen();
    for last in [(0, 38 * 3 + 1), (1, 39 * 3 + 1)] {
        assert!(seen.commits.contains(&last), "{:?}", seen.commits);
    }
    assert_eq!(script.counts.dead_lettered.get(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_group_is_asked_while_letters_are_written_and_nothing_is_committed_before() {
    let script = Script::new(&[Step::Bad(0, 5), Step::Record(1, 7), Step::Settled]);
    // They are durable only because the reader is asked again and again.
    script.faults().letters_after_reads = 50;
    script.run().await;
    assert_eq!(letters(&script), [(0, 5)]);
    let seen = script.seen();
    assert!(seen.commits.contains(&(0, 6)) && seen.commits.contains(&(1, 8)));
    assert_eq!(seen.scans, [(0, 5, 6)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_record_that_the_log_has_lost_is_not_committed_without_a_letter() {
    let script = Script::new(&[Step::Bad(0, 5), Step::Settled]);
    script.faults().gone.insert((0, 5));
    let ended = script.ends().await;
    let Err(EndedEarly::Again(text)) = ended else { panic!("{ended:?}") };
    assert!(text.contains("offset 5") && text.contains("retention.ms"), "{text}");
    assert_eq!(script.seen().commits, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_group_reads_again_is_looked_up_everywhere_until_it_is_past_it() {
    let steps = [0, 1, 2].map(|offset| [Step::Record(0, offset), Step::Settled]).concat();
    let script = Script::new(&steps);
    script.faults().replayed_to = 2;
    script.run().await;
    let seen = script.seen();
    let asked: Vec<_> = seen.asked.iter().map(|(asked, _)| *asked).collect();
    assert_eq!(asked[..2], ["write replayed"; 2]);
    assert!(!asked[2..].contains(&"write replayed") && asked.len() > 2, "{asked:?}");
}
