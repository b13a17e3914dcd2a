//! A text in parts under a policy: whatever stands across a cut is in neither part's event.

use std::fmt::Write as _;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;
use tahoe_schemas::rules::{AppFields, EventRules, Privacy, Screen};
use tahoe_schemas::{PART_BYTES_MAX, datasets, frame_all};
use tahoe_seams::{Conditions, Events, Origin, Part, Record};

const SECRET: &str = "a secret of some length";
/// So much of a value tells it; shorter pieces stand in any text.
const TELLING_BYTES: usize = 4;

fn given(table: &str) -> Conditions {
    let privacy = Privacy::read("p", table, Some(SECRET)).expect("it is a table");
    let rules = EventRules { privacy: Arc::new(privacy), ..EventRules::default() };
    Conditions { keep_original: true, rules: rules.given(), ..Conditions::default() }
}

fn origin(dataset: &str) -> Origin {
    Origin { dataset: dataset.to_owned(), path: "/var/log/x.log".to_owned(), ..Origin::default() }
}

fn record<'a>(bytes: &'a [u8], part: Option<Part>, origin: &'a Origin) -> Record<'a> {
    Record { read_at_ms: 1_795_262_400_000, part, ..Record::new(bytes, origin) }
}

fn documents(record: &Record<'_>, given: &Conditions) -> Vec<Value> {
    let dataset = datasets::find(&record.origin.dataset).expect("it is in the list");
    let mut events = Events::default();
    dataset.normalizer.normalize(record, given, &mut events).expect("an event");
    let read = |document: &[u8]| serde_json::from_slice(document).expect("it is JSON");
    events.documents().map(read).collect()
}

/// The documents of a text that was cut at these places.
fn cut(dataset: &str, text: &[u8], cuts: &[usize], given: &Conditions) -> Vec<Value> {
    let origin = origin(dataset);
    let mut places = cuts.to_vec();
    places.extend([0, text.len()]);
    places.sort_unstable();
    places.dedup();
    let parts = places.windows(2).zip(0..);
    let parts = parts.flat_map(|(span, index)| {
        let part = Part { index, last: span[1] == text.len() };
        documents(&record(&text[span[0]..span[1]], Some(part), &origin), given)
    });
    parts.collect()
}

/// Text as it stands in logs: words, lines, long tokens, quotation marks, other scripts.
fn filler() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => "[a-z]{1,9} ",
        1 => "[a-z]{1,9}\n",
        1 => "\"[a-z]{1,9}\":\"[a-z ]{0,20}\",",
        1 => "\\\\n[a-z]{1,5}=[67]{1,4} ",
        1 => "ñandú 日本 ",
        1 => "[a-z/]{200,3000} ",
    ];
    proptest::collection::vec(piece, 20..150).prop_map(|pieces| pieces.concat())
}

/// What is private, and what is written with it: in letters and digits that stand nowhere else.
fn private() -> impl Strategy<Value = (String, String)> {
    let quoted = "[A-DF-HJ-Z]{4,9}( [A-DF-HJ-Z]{4,9}){0,3}";
    prop_oneof![
        "[A-DF-HJ-Z]{4,30}\\.[A-DF-HJ-Z]{4,20}@[A-DF-HJ-Z]{4,20}\\.EXAMPLE"
            .prop_map(|v| (v.clone(), v)),
        Just("4111 1111 1111 1111").prop_map(|v| (v.to_owned(), format!("to {v} of"))),
        Just("4111111111111111").prop_map(|v| (v.to_owned(), format!("\\n{v}."))),
        Just("ES91 2100 0418 4502 0005 1332").prop_map(|v| (v.to_owned(), format!("to {v}."))),
        "[A-DF-HJ-Z]{20,900}".prop_map(|v| (v.clone(), format!("Bearer {v}"))),
        "eyJ[A-DF-HJ-Z]{20,90}\\.[A-DF-HJ-Z]{30,2000}\\.[A-DF-HJ-Z]{30,90}"
            .prop_map(|v| (v.clone(), v)),
        quoted.prop_map(|v| (v.clone(), format!("password = \"{v}\""))),
        quoted.prop_map(|v| (v.clone(), format!("{{\\\"password\\\": \\\"{v}\\\"}}"))),
        quoted.prop_map(|v| (v.clone(), format!("IDENTIFIED BY '{v}'"))),
        "[A-DF-HJ-Z]{8,30}".prop_map(|v| (v.clone(), format!("api_key: {v},"))),
        "[A-DF-HJ-Z]{8,30}".prop_map(|v| (v.clone(), format!("mysql:\\/\\/app:{v}@db"))),
    ]
}

/// The longest piece of a value that stands in a text.
fn told<'v>(value: &'v str, text: &str) -> Option<&'v str> {
    let starts = 0..=value.len().saturating_sub(TELLING_BYTES);
    let mut pieces = starts.map(|at| &value[at..at + TELLING_BYTES]);
    pieces.find(|piece| text.contains(piece))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn no_half_of_a_private_value_is_told_wherever_a_text_is_cut(
        before in filler(),
        (value, written) in private(),
        after in filler(),
        inside in any::<Index>(),
        elsewhere in any::<Index>(),
        dataset in prop_oneof![Just("system.syslog"), Just("laravel.log"), Just("nginx.error")],
        row in prop_oneof![Just("message detect"), Just("error.stack_trace detect"),
            Just("user.email mask\n* message detect")],
    ) {
        let mut text = "2026-03-04T09:27:05Z web app: ".to_owned();
        match dataset {
            "laravel.log" => text = "[2026-03-04 09:27:05] local.ERROR: ".to_owned(),
            "nginx.error" => text = "2026/03/04 09:27:05 [error] 7#7: ".to_owned(),
            _ => {}
        }
        let head = text.len();
        write!(text, "{before} {written} {after}").expect("a text takes anything");
        let from = text.find(&written).expect("it was written");
        let near = from + inside.index(written.len() + 1);
        let any = head + elsewhere.index(text.len() - head);
        let documents = cut(dataset, text.as_bytes(), &[near, any], &given(&format!("* {row}\n")));
        for document in &documents {
            let all = document.to_string();
            let told = told(&value, &all);
            prop_assert!(told.is_none(), "{told:?} of {written} is in {all:.3000}");
        }
    }
}

#[test]
fn a_long_text_without_a_policy_is_told_whole() {
    let text = format!("2026-03-04T09:27:05Z web app: {}", "to ana@shop.example ".repeat(100_000));
    let mut told = String::new();
    let origin = origin("system.syslog");
    let dataset = datasets::find("system.syslog").expect("it is in the list");
    frame_all(dataset.framer, text.as_bytes(), &mut |frame| {
        let found = documents(&record(frame.bytes, frame.part, &origin), &Conditions::default());
        told.push_str(found[0]["message"].as_str().expect("a text"));
    });
    assert!(text.ends_with(&told) && told.len() > PART_BYTES_MAX);
}

#[test]
fn little_is_hidden_beside_a_cut_and_the_event_says_it() {
    let lines = "a line of some words\n".repeat(1000);
    let text = format!("2026-03-04T09:27:05Z web app: {lines}");
    let parts = cut("system.syslog", text.as_bytes(), &[10_007], &given("* message detect\n"));
    let length = |part: &Value| part["message"].as_str().expect("a text").len();
    let shown: usize = parts.iter().map(length).sum();
    let hidden = text.len() - shown;
    assert!(hidden < 200, "{hidden}");
    for part in &parts {
        let done = part["tahoe"]["transformations"].to_string();
        assert!(done.contains("\"masked:message\""), "{done}");
        assert!(part["event"]["original"].is_null(), "it is not kept beside what is hidden");
    }
}

#[test]
fn of_a_part_whose_fields_nobody_can_tell_no_text_is_shown_unless_it_is_to_stay() {
    let head = "[2026-03-04 09:27:05] local.ERROR: paid ";
    let text = format!(r#"{head}{{"rows":"{}","card":"Ana López"}}"#, "x ".repeat(5000));
    let of = |table: &str| cut("laravel.log", text.as_bytes(), &[5000], &given(table));
    for part in of("* laravel.context.card mask\n") {
        assert_eq!(part["message"], "***", "{part}");
        assert!(!part.to_string().contains("Ana"), "{part}");
        assert!(part["@timestamp"].is_string());
    }
    let told = of("* laravel.context.card mask\nlaravel.log message keep\n");
    assert!(told[1]["message"].as_str().is_some_and(|text| text.contains("Ana")));
    for about_others in ["postgresql.row db.after.iban mask\n", "* host.name mask\n"] {
        let told = of(about_others);
        assert!(told[1]["message"].as_str().is_some_and(|text| text.contains("Ana")));
    }
}

#[test]
fn a_part_that_is_hidden_whole_is_an_event_still() {
    let parts = cut(
        "system.syslog",
        b"<13>Mar  4 09:27:05 web app: x",
        &[20],
        &given("* message detect\n"),
    );
    assert_eq!(parts.len(), 2);
    assert!(parts.iter().all(|part| part["message"].is_null()), "{parts:?}");
}

/// What a container wrote in one line, of which the runtime gave the pieces too far apart.
fn pieces(value: &str, at: usize) -> [String; 2] {
    let (one, other) = value.split_at(at);
    let line = |tag, text: &str| format!("2026-03-04T09:27:05.1Z stdout {tag} {text}\n");
    [line("P", &format!("paid by {one}")), line("F", &format!("{other} in time"))]
}

#[test]
fn pieces_of_a_containers_line_that_come_apart_tell_no_value_between_them() {
    let value = "ANAMARIA.LOPEZ@SHOP.EXAMPLE";
    let dataset = datasets::find("container.log").expect("it is in the list");
    let rules = given("* message detect\n");
    let policy = Privacy::read("p", "* message detect\n", Some(SECRET)).expect("a table");
    let screen = Screen::new(policy, AppFields::default()).expect("it can hold");
    let origin = origin("container.log");
    for at in 1..value.len() {
        let mut context = Vec::new();
        for piece in pieces(value, at) {
            let bytes = piece.trim_end().as_bytes();
            let carried = if dataset.framer.continues(&context) { context.clone() } else { vec![] };
            let read = Record { context: &carried, ..record(bytes, None, &origin) };
            let [document] = &documents(&read, &rules)[..] else { panic!("one event") };
            let told = told(value, &document.to_string());
            assert!(told.is_none(), "{told:?} at {at}: {document}");
            let done = document["tahoe"]["transformations"].to_string();
            assert!(done.contains("\"incomplete_record\""), "{done}");
            assert!(screen.screened(&read).expect("it is hidden").is_sealed);
            dataset.framer.carry(bytes, &mut context);
        }
        assert!(!dataset.framer.continues(&context));
    }
}
