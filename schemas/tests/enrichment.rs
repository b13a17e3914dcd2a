//! What events are given beyond what their records say, and what a policy keeps from it.

mod database;

use std::sync::Arc;

use database::{city, database};
use serde_json::{Value, json};
use tahoe_schemas::datasets;
use tahoe_schemas::enrich::{Database, Enrichment, Networks};
use tahoe_schemas::rules::{EventRules, Privacy};
use tahoe_seams::{Conditions, Events, Origin, Part, Record};

fn networks() -> Networks {
    let system = json!({
        "autonomous_system_number": 64500,
        "autonomous_system_organization": "Example Telecom",
    });
    let systems = database("Test-ASN", &[("203.0.0.0/16", system)]);
    let read = |file| Arc::new(Database::read(file).expect("it is sound"));
    Networks::new([read(systems), read(city("Madrid"))])
}

fn everything(policy: &str) -> EventRules {
    let privacy = Privacy::read("privacy", policy, Some("a secret of some length"));
    EventRules {
        enrichment: Enrichment { networks: networks(), ..Enrichment::all() },
        privacy: Arc::new(privacy.expect("it is a table")),
        ..EventRules::default()
    }
}

fn document_of(dataset: &str, text: &str, rules: EventRules, part: Option<Part>) -> Value {
    let origin = Origin { host: "web-1".to_owned(), ..Origin::default() };
    let record =
        Record { read_at_ms: 1_795_262_400_000, part, ..Record::new(text.as_bytes(), &origin) };
    let given = Conditions { rules: rules.given(), ..Conditions::default() };
    let dataset = datasets::find(dataset).expect("it is in the list");
    let mut events = Events::default();
    dataset.normalizer.normalize(&record, &given, &mut events).expect("an event");
    serde_json::from_slice(events.document(0).expect("one event")).expect("it is JSON")
}

fn document(dataset: &str, text: &str, rules: EventRules) -> Value {
    document_of(dataset, text, rules, None)
}

const ACCESS: &str = "203.0.113.77 - ana [21/Nov/2026:09:00:00 +0000] \"GET / HTTP/1.1\" 200 7 \
                      \"-\" \"Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) \
                      AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 \
                      Safari/604.1\"";

#[test]
fn an_address_has_a_place_and_an_owner() {
    let found = document("nginx.access", ACCESS, everything(""));
    let place = json!({
        "city_name": "Madrid",
        "continent_code": "EU",
        "continent_name": "Europe",
        "country_iso_code": "ES",
        "country_name": "Spain",
        "location": {"lat": 40.4, "lon": -3.7},
        "postal_code": "28001",
        "region_iso_code": "ES-M",
        "region_name": "Province",
        "timezone": "Europe/Madrid",
    });
    assert_eq!(found["source"]["geo"], place);
    let owner = json!({"number": 64500, "organization": {"name": "Example Telecom"}});
    assert_eq!(found["source"]["as"], owner);
    for address in ["10.0.0.7", "203.0.1.1", "2001:db8::1", "::ffff:10.0.0.7"] {
        let found =
            document("nginx.access", &ACCESS.replace("203.0.113.77", address), everything(""));
        assert!(found["source"]["geo"].is_null(), "{found}");
        assert_eq!(found["source"]["as"].is_null(), address != "203.0.1.1", "{found}");
    }
}

#[test]
fn a_user_agent_is_read_and_what_an_event_has_is_gathered() {
    let found = document("nginx.access", ACCESS, everything(""));
    let mut agent = found["user_agent"].clone();
    agent.as_object_mut().and_then(|agent| agent.remove("original")).expect("it is kept");
    let expected = json!({
        "name": "Mobile Safari",
        "version": "17.6",
        "os": {"name": "iOS", "version": "17.6.1", "full": "iOS 17.6.1"},
        "device": {"name": "iPhone"},
    });
    assert_eq!(agent, expected);
    let expected = json!({"hosts": ["web-1"], "ip": ["203.0.113.77"], "user": ["ana"]});
    assert_eq!(found["related"], expected);
    let off = document("nginx.access", ACCESS, EventRules::default());
    assert!(off["user_agent"]["name"].is_null() && off["source"]["geo"].is_null(), "{off}");
}

#[test]
fn what_the_policy_hides_does_not_come_back() {
    let dropped = "* source.ip drop\n* source.address drop\n* user_agent.original mask\n\
                   * user.name drop\n* host.name mask\n";
    let found = document("nginx.access", ACCESS, everything(dropped));
    assert!(found["source"]["geo"].is_null() && found["source"]["as"].is_null(), "{found}");
    assert_eq!(found["user_agent"], json!({"original": "***"}));
    assert!(found["related"].is_null(), "{found}");

    let truncated = everything("* source.ip truncate\n* source.geo.location drop\n");
    let found = document("nginx.access", ACCESS, truncated);
    assert_eq!(found["related"]["ip"], json!(["203.0.113.0"]));
    assert_eq!(found["source"]["geo"]["city_name"], "Madrid");
    assert!(found["source"]["geo"]["location"].is_null(), "{found}");
    assert!(!found.to_string().contains("113.77"), "{found}");

    let slow = slow("SELECT 1");
    let found = document("mysql.slowlog", &slow, everything("* mysql.slowlog.query hash\n"));
    assert!(found["db"].is_null(), "{found}");
}

fn slow(statement: &str) -> String {
    format!(
        "# Time: 2026-11-21T09:00:00.000000Z\n# User@Host: app[app] @ db-1 []  Id: 7\n\
         # Query_time: 1.5  Lock_time: 0.0 Rows_sent: 1  Rows_examined: 9\n\
         SET timestamp=1795251600;\n{statement};"
    )
}

#[test]
fn statements_that_differ_in_values_have_one_fingerprint() {
    let of = |statement: &str| {
        let found = document("mysql.slowlog", &slow(statement), everything(""));
        let query = &found["db"]["query"];
        (query["normalized"].to_string(), query["fingerprint"].to_string())
    };
    let one = of("SELECT * FROM `orders` WHERE id IN (1,2,3) AND note = 'it\\'s'");
    let other = of("select * from orders where id in (4) and note = \"that\"");
    assert_eq!(one.0, "\"select * from orders where id in(?) and note = ?\"");
    assert_eq!(one, other);
    // As anybody may compute it: the first 128 bits of the text's SHA-256.
    assert_eq!(one.1, "\"1-9a0caa8c4349c752b1bc526560f74ee7\"");
    assert_ne!(one.1, of("SELECT 1").1);

    let line = "2026-11-21 09:00:00.000 UTC [7] LOG:  statement: SELECT \"Name\" FROM t WHERE a=$1";
    let found = document("postgresql.log", line, everything(""));
    assert_eq!(found["db"]["query"]["normalized"], "select \"Name\" from t where a = ?");
    let line = "2026-11-21T09:00:00.000000Z\t7 Query\tUPDATE t SET a = 1 WHERE b = 'x'";
    let found = document("mysql.general", line, everything(""));
    assert_eq!(found["db"]["query"]["normalized"], "update t set a = ? where b = ?");
    let line = "2026-11-21T09:00:00.000000Z\t7 Connect\tapp@web-1 on shop using TCP/IP";
    let found = document("mysql.general", line, everything(""));
    assert!(found["db"].is_null(), "{found}");
}

#[test]
fn failures_of_one_kind_have_one_key() {
    let of = |class: &str, release: &str, line: u32| {
        let text = format!(
            "[2026-11-21 09:00:00] local.ERROR: order {line} {{\"exception\":\"[object] ({class}\
             (code: 0): order {line} at /srv/{release}/app/Pay.php:{line})\n[stacktrace]\n\
             #0 /srv/{release}/vendor/laravel/framework/src/Pipe.php({line}): App\\\\Pay->go({line})\n\
             #1 {{main}}\n\"}} "
        );
        let found = document("laravel.log", &text, everything(""));
        found["error"]["grouping_key"].as_str().expect("there is one").to_owned()
    };
    let key = of("App\\\\Unpaid", "20260101", 7);
    assert_eq!(key, of("App\\\\Unpaid", "20260202", 8));
    assert_ne!(key, of("App\\\\Paid", "20260101", 7));
    assert!(key.starts_with("1-") && key.len() == 34, "{key}");
}

#[test]
fn a_keyword_longer_than_the_store_indexes_is_cut_and_the_event_says_so() {
    let long = "ñ".repeat(9000);
    let line = ACCESS.replace("Mozilla/5.0", &long);
    let found = document("nginx.access", &line, EventRules::default());
    let agent = found["user_agent"]["original"].as_str().expect("there is one");
    assert_eq!(agent, "ñ".repeat(8191));
    let done = found["tahoe"]["transformations"].to_string();
    assert!(done.contains("\"truncated:user_agent.original\""), "{done}");

    let json = format!("{{\"time\":\"2026-03-04T09:27:05Z\",\"msg\":\"{long}\",\"a\":\"{long}\"}}");
    let found = document("app.json", &json, EventRules::default());
    assert_eq!(found["message"], Value::from(long.clone()), "free text has no limit");
    assert_eq!(found["app"]["fields"]["a"], Value::from(long));
    assert_eq!(found["tahoe"]["transformations"], json!(["unindexed:app.fields"]));
}

#[test]
fn a_part_that_another_follows_says_that_its_text_goes_on() {
    for last in [false, true] {
        let part = Some(Part { index: 1, last });
        let found = document_of("laravel.log", "the rest", EventRules::default(), part);
        let done = found["tahoe"]["transformations"].to_string();
        assert_eq!(done.contains("truncated:message"), !last, "{done}");
    }
}

#[test]
fn a_damaged_database_is_refused_and_so_is_one_of_something_else() {
    let refused = |file| Database::read(file).expect_err("it is not sound");
    let sound = city("Madrid");
    assert!(Database::read(sound.clone()).is_ok());
    assert!(!refused(sound[..sound.len() / 2].to_vec()).is_empty());
    assert!(!refused(Vec::new()).is_empty());
    let mut damaged = sound.clone();
    let middle = sound.windows(6).position(|at| at == b"Madrid").expect("it is in there");
    damaged[middle - 1] = 0xff;
    assert!(!refused(damaged).is_empty());
    let other = database("Test-Domain", &[("203.0.113.0/24", json!({"domain": "a.example"}))]);
    assert!(refused(other).contains("Test-Domain"));
    let flat = database("Flat-Country", &[("203.0.113.0/24", json!({"country": "ES"}))]);
    assert!(refused(flat).contains("not as MaxMind's are"));
}
