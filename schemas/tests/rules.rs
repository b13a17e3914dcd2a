//! What the operator's own files make of an event.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tahoe_schemas::rules::{AppFields, Companies, EventRules, Keys, Privacy, Sampling};
use tahoe_schemas::{datasets, frame_all};
use tahoe_seams::{Conditions, Events, Origin, Record, RowNow, TablePatterns};

const SECRET: &str = "a secret of some length";

fn document(dataset: &str, line: &str, rules: EventRules) -> Value {
    let given = Conditions { keep_original: true, rules: rules.given(), ..Conditions::default() };
    let events = events(dataset, line, &given);
    serde_json::from_slice(events.document(0).expect("one event")).expect("it is JSON")
}

fn events(dataset: &str, line: &str, given: &Conditions) -> Events {
    let origin = Origin::default();
    let record = Record { read_at_ms: 1_795_262_400_000, ..Record::new(line.as_bytes(), &origin) };
    let dataset = datasets::find(dataset).expect("it is in the list");
    let mut events = Events::default();
    events.begin_record(0);
    dataset.normalizer.normalize(&record, given, &mut events).expect("an event");
    events
}

fn private(table: &str) -> EventRules {
    let privacy = Privacy::read("privacy", table, Some(SECRET)).expect("it is a table");
    EventRules { privacy: Arc::new(privacy), ..EventRules::default() }
}

const LOGIN: &str = r#"{"@timestamp":"2026-03-04T09:27:05Z","ecs.version":"9.0.0",
    "message":"login of ana@shop.example from 203.0.113.9","user.email":"ana@shop.example",
    "client.ip":"203.0.113.9","cart":{"owner":"ana@shop.example","lines":2}}"#;

#[test]
fn a_value_that_is_hidden_is_hidden_wherever_it_stands() {
    let rules = private("* user.email hash\n* client.ip truncate\n");
    let found = document("app.json", &LOGIN.replace('\n', ""), rules);
    let hash = found["user"]["email"].as_str().expect("there is one");
    assert_eq!(hash.len(), 22, "{hash}");
    assert_eq!(found["client"]["ip"], "203.0.113.0");
    assert_eq!(found["message"], format!("login of {hash} from 203.0.113.0"));
    assert_eq!(found["app"]["fields"]["cart"], json!({"owner": hash, "lines": 2}));
    assert!(!found.to_string().contains("ana@"), "{found}");
    let done = ["hashed:user.email", "address_truncated:client.ip", "dropped:event.original"];
    assert_eq!(found["tahoe"]["transformations"], json!(done));
}

#[test]
fn keys_of_free_objects_are_dropped_masked_and_encrypted() {
    let table = "* app.fields.cart.owner encrypt\n* app.fields.token drop\n\
                 * app.fields.who.name mask\n";
    let line = r#"{"time":"2026-03-04T09:27:05Z","msg":"m","token":{"a":1},
        "cart":{"owner":"Ana","lines":2},"who":{"name":"Eva","age":7}}"#;
    let found = document("app.json", &line.replace('\n', ""), private(table));
    let fields = &found["app"]["fields"];
    let owner = fields["cart"]["owner"].as_str().expect("there is one");
    let keys = Keys::new(SECRET).expect("long enough");
    assert_eq!(keys.decrypt(owner).as_deref(), Ok("Ana"));
    assert_eq!(fields["who"], json!({"name": "***", "age": 7}));
    assert!(fields["token"].is_null() && found["event"]["original"].is_null(), "{found}");
    let done = found["tahoe"]["transformations"].to_string();
    assert!(done.contains("\"dropped:app.fields.token\""), "{done}");
}

#[test]
fn private_data_is_found_in_texts_and_objects_by_its_form() {
    let table = "* message detect\n* app.fields detect\n";
    let line = r#"{"time":"2026-03-04T09:27:05Z","msg":"paid with 4111 1111 1111 1111",
        "note":"ask ana@shop.example","card":4111111111111111,"n":7}"#;
    let found = document("app.json", &line.replace('\n', ""), private(table));
    assert_eq!(found["message"], "paid with [card]");
    let fields = json!({"note": "ask [email]", "card": "[card]", "n": 7});
    assert_eq!(found["app"]["fields"], fields);
    assert_eq!(found["tahoe"]["transformations"][0], "masked:message");
    assert!(!found.to_string().contains("4111"), "{found}");
}

#[test]
fn a_value_is_hidden_in_every_spelling_and_a_longer_one_before_a_shorter_one() {
    let line = |target: &str| {
        format!(
            r#"192.0.2.7 - - [04/Mar/2026:09:27:05 +0000] "GET {target} HTTP/1.1" 200 5 "-" "x""#
        )
    };
    let target = "/x?email=bob%40shop.example&password=hunter2";
    for (action, query) in [("drop", Value::Null), ("mask", json!("***"))] {
        let rules = private(&format!("* url.query {action}\n"));
        let found = document("nginx.access", &line(target), rules);
        assert_eq!((&found["url"]["query"], &found["url"]["original"]), (&query, &json!("/x?***")));
        assert!(!found.to_string().contains("hunter2"), "{found}");
    }
    let named = line("/nginx").replace("- - [", "- nginx [");
    let found = document("nginx.access", &named, private("* user.name mask\n"));
    assert_eq!((&found["user"]["name"], &found["url"]["path"]), (&json!("***"), &json!("/***")));
    assert_eq!(found["event"]["dataset"], "nginx.access");
    let target = "/users/jos%C3%A9@shop.example/reset?a=b";
    let found = document("nginx.access", &line(target), private("* url.path mask\n"));
    assert_eq!(found["url"]["original"], "***?a=b");

    let line = r#"{"time":"2026-03-04T09:27:05Z","msg":"('O''Brien Ñu') ?n=O%27Brien+%C3%91u","name":"O'Brien Ñu",
        "raw":"{\"n\":\"O'Brien \\u00d1u\"}","args":["--name=O'Brien Ñu"]}"#;
    let found = document("app.json", &line.replace('\n', ""), private("* app.fields.name mask\n"));
    assert_eq!(found["message"], "('***') ?n=***");
    assert_eq!(found["app"]["fields"]["raw"], r#"{"n":"***"}"#);
    assert!(!found.to_string().contains("Brien"), "{found}");

    let line = r#"{"time":"2026-03-04T09:27:05Z","msg":"user ana maria lopez paid, ana@shop.example",
        "first":"ana","full":"ana maria lopez","mail":"ana@shop.example"}"#;
    let table = "* app.fields.first mask\n* app.fields.full mask\n* app.fields.mail hash\n";
    let found = document("app.json", &line.replace('\n', ""), private(table));
    let hash = found["app"]["fields"]["mail"].as_str().expect("there is one");
    assert_eq!(found["message"], format!("user *** paid, {hash}"));
}

#[test]
fn a_secret_is_found_by_its_key_and_one_with_a_row_of_its_own_is_what_that_says() {
    let line = r#"{"time":"2026-03-04T09:27:05Z","msg":"reset","password":"hunter2",
        "in":{"api_key":"kkkkkkkk","token":"tttt"},"n":1}"#;
    let line = line.replace('\n', "");
    let found = document("app.json", &line, private("* app.fields detect\n"));
    let hidden = json!({"password": "[password]",
        "in": {"api_key": "[password]", "token": "[password]"}, "n": 1});
    assert_eq!(found["app"]["fields"], hidden);
    let table = "* app.fields.in.token hash\n* app.fields detect\n";
    let found = document("app.json", &line, private(table));
    let token = found["app"]["fields"]["in"]["token"].as_str().expect("there is one");
    assert_eq!((token.len(), &found["app"]["fields"]["password"]), (22, &json!("[password]")));
}

#[test]
fn a_flow_whose_address_is_hidden_has_no_name_that_tells_it() {
    let line = "Mar  4 09:27:05 web kernel: IN=eth0 OUT= SRC=192.0.2.7 DST=198.51.100.9 LEN=60 \
                PROTO=TCP SPT=51234 DPT=443";
    let named = |table: &str| document("system.kern", line, private(table));
    let has_name = |found: &Value| found["network"]["community_id"].is_string();
    assert!(has_name(&named("* user.name drop\n")));
    for hidden in ["source.ip truncate", "destination.ip drop", "source.port drop"] {
        let found = named(&format!("* {hidden}\n"));
        assert!(!has_name(&found), "{hidden}: {found}");
        let done = found["tahoe"]["transformations"].to_string();
        assert!(done.contains("\"dropped:network.community_id\""), "{done}");
    }
    assert!(has_name(&named("* source.ip truncate\n* network.community_id keep\n")));
}

#[test]
fn a_row_for_one_dataset_makes_an_exception() {
    let table = "app.json user.email keep\n* user.email drop\n";
    let found = document("app.json", &LOGIN.replace('\n', ""), private(table));
    assert_eq!(found["user"]["email"], "ana@shop.example");
    assert!(found["event"]["original"].is_string());
}

#[test]
fn an_applications_own_keys_become_fields_and_its_company_a_namespace() {
    let fields = "took event.duration ms\ncustomer.mail user.email\ncustomer.tenant \
                  organization.name\nwhen @timestamp\nhow_bad log.level\nport server.port\n";
    let rules = EventRules {
        app_fields: Arc::new(AppFields::read("fields", fields).expect("it is a table")),
        companies: Arc::new(
            Companies::read("companies", "app.json organization.name * *").expect("it is a table"),
        ),
        ..EventRules::default()
    };
    let line = r#"{"when":"2026-03-04T09:27:05Z","how_bad":"WARN","took":12.5,"port":"none",
        "customer":{"mail":"ana@shop.example","tenant":"Acme S.L.","age":7},"msg":"m"}"#;
    let found = document("app.json", &line.replace('\n', ""), rules);
    assert_eq!(found["@timestamp"], "2026-03-04T09:27:05.000Z");
    assert_eq!(found["log"]["level"], "warning");
    assert_eq!(found["event"]["duration"], 12_500_000);
    assert_eq!(found["user"]["email"], "ana@shop.example");
    assert_eq!(found["app"]["fields"], json!({"port": "none", "customer": {"age": 7}}));
    assert_eq!(found["data_stream"]["namespace"], "acme_s.l.");
}

#[test]
fn of_several_keys_for_one_field_the_first_counts_and_no_value_is_lost() {
    let rules = || EventRules {
        app_fields: Arc::new(AppFields::read("f", "a user.name\nb user.name\n").expect("a table")),
        ..EventRules::default()
    };
    let read = |keys: &str| {
        let line = format!(r#"{{"@timestamp":"2026-03-04T09:27:05Z",{keys}}}"#);
        let found = document("app.json", &line, rules());
        (found["user"]["name"].clone(), found["app"]["fields"].clone())
    };
    assert_eq!(read(r#""a":"x","b":"y""#), (json!("x"), json!({"b": "y"})));
    assert_eq!(read(r#""b":"y","a":"x""#), (json!("y"), json!({"a": "x"})));
    for one in [r#""b":"x""#, r#""a":null,"b":"x""#, r#""a":"","b":"x""#, r#""a":"x","b":"x""#] {
        assert_eq!(read(one), (json!("x"), Value::Null), "{one}");
    }
    // The operator's own keys come before those of ecs-logging.
    let both = r#""ecs.version":"1.6.0","user":{"name":"y"},"a":"x""#;
    assert_eq!(read(both), (json!("x"), json!({"user": {"name": "y"}})));
}

#[test]
fn every_sample_is_still_a_document_under_a_policy() {
    let table = "* user.name hash\n* source.ip truncate\n* message detect\n* host.name mask\n\
                 * host.hostname encrypt\n* url.original drop\n* app.fields detect\n\
                 * laravel.context detect\n* db.after.name hash\n* process.name mask\n";
    let origin = Origin { host: "web-1".to_owned(), ..Origin::default() };
    let rules = private(table).given();
    let given = Conditions { keep_original: true, rules, ..Conditions::default() };
    for dataset in datasets::ALL {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(dataset.name.replace('.', "/"));
        for sample in fs::read_dir(folder.join("samples")).expect("every dataset has samples") {
            let path = sample.expect("the folder can be listed").path();
            if path.extension().is_none_or(|extension| extension != "log") {
                continue;
            }
            let bytes = fs::read(&path).expect("a sample can be read");
            frame_all(dataset.framer, &bytes, &mut |frame| {
                let record = Record {
                    start: frame.start,
                    read_at_ms: 1_795_262_400_000,
                    context: frame.context,
                    part: frame.part,
                    ..Record::new(frame.bytes, &origin)
                };
                let mut events = Events::default();
                if dataset.normalizer.normalize(&record, &given, &mut events).is_err() {
                    return;
                }
                for document in events.documents() {
                    let read: Value = serde_json::from_slice(document).expect("it is JSON");
                    assert_eq!(read["host"]["name"], "***", "{read}");
                    assert!(!read.to_string().contains("web-1\""), "{read}");
                }
            });
        }
    }
}

#[test]
fn what_is_private_in_a_table_is_so_in_its_typed_columns_and_in_its_rows_too() {
    let text = r#"{"v":1,"op":"insert","db":"shop","schema":"public","table":"orders",
        "key":{"id":7},"after":{"id":7,"iban":"ES9121000418450200051332"},
        "position":"0/16B3748","n":1}"#;
    let text = text.replace('\n', "");
    let all = || TablePatterns::new(["*".to_owned()]);
    let given = Conditions {
        table_streams: all(),
        latest_state: all(),
        rules: private("* db.after.iban mask\n").given(),
        ..Conditions::default()
    };
    let origin = Origin::default();
    let record = Record { read_at_ms: 1_795_262_400_000, ..Record::new(text.as_bytes(), &origin) };
    let mut events = Events::default();
    let dataset = datasets::find("postgresql.change").expect("it is in the list");
    dataset.normalizer.normalize(&record, &given, &mut events).expect("an event");
    let rows = events.take_row_changes();
    let batch = events.take();
    let event: Value = serde_json::from_slice(batch.document(&batch.events[0])).expect("JSON");
    assert_eq!(event["row"], json!({"id": 7, "iban": "***"}));
    let row = |row: &RowNow| match row {
        RowNow::Whole(row) => String::from_utf8_lossy(row).into_owned(),
        other => panic!("{other:?}"),
    };
    let [kept] = &rows[..] else { panic!("{rows:?}") };
    let texts = [event.to_string(), row(&kept.row), String::from_utf8_lossy(&kept.about).into()];
    assert!(texts.iter().all(|text| !text.contains("ES91")), "{texts:?}");
}

#[test]
fn an_event_that_a_rule_leaves_out_is_counted_by_its_name_and_rows_follow_all_the_same() {
    let table = "app.json message vip* all vip\n* log.level debug none debug\n\
                 mysql.change db.collection.name orders none orders\n";
    let sampling = Sampling::read("sampling", table).expect("it is a table");
    let privacy = Privacy::read("privacy", "* log.level drop\n", None).expect("it is a table");
    let rules = EventRules {
        sampling: Arc::new(sampling),
        privacy: Arc::new(privacy),
        ..Default::default()
    };
    let mut given = Conditions { rules: rules.given(), ..Conditions::default() };
    let found = |dataset: &str, line: &str, given: &Conditions| {
        let mut events = events(dataset, line, given);
        let rule = events.left_out().map(ToString::to_string);
        (events.len(), rule, events.take_row_changes().len())
    };
    let line = |level: &str, message: &str| {
        format!(r#"{{"time":"2026-03-04T09:27:05Z","level":"{level}","msg":"{message}"}}"#)
    };
    let debug = Some("debug".to_owned());
    assert_eq!(found("app.json", &line("debug", "m"), &given), (0, debug, 0));
    assert_eq!(found("app.json", &line("debug", "vip came"), &given), (1, None, 0));
    assert_eq!(found("app.json", &line("info", "m"), &given), (1, None, 0));
    let change = r#"{"v":1,"op":"insert","db":"shop","table":"orders","key":{"id":7},
        "after":{"id":7},"position":"binlog.000001:4","n":0}"#;
    let orders = Some("orders".to_owned());
    let change = change.replace('\n', "");
    assert_eq!(found("mysql.change", &change, &given), (0, orders, 0));
    given.latest_state = TablePatterns::new(["*".to_owned()]);
    let kept = found("mysql.change", &change, &given);
    assert_eq!(kept, (0, None, 1), "the record is stored in its row");
}
