//! Two companies out of one Laravel file, on a real Elasticsearch that asks for passwords: what one
//! of them can find out about the other.

use std::fmt::Write as _;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tahoe_tests::documents::{Documents as _, InElasticsearch};
use tahoe_tests::program::{Ended, Program, run};
use tahoe_tests::servers::{setting, unique};
use tahoe_tests::wait::until;

/// Records of each of the two.
const OURS: u64 = 5;
const THEIRS: u64 = 7;

/// Elasticsearch as its administrator has it.
struct Server {
    url: String,
    password: String,
}

impl Server {
    fn find() -> Option<Self> {
        let url = setting("TAHOE_TEST_ELASTICSEARCH_SECURE")?;
        Some(Self { url, password: setting("TAHOE_TEST_ELASTIC_PASSWORD")? })
    }

    /// As somebody who logs in.
    fn of(&self, user: &str, password: &str) -> InElasticsearch {
        let url = self.url.replace("://", &format!("://{user}:{password}@"));
        InElasticsearch::open(&url, "")
    }

    fn admin(&self) -> InElasticsearch {
        self.of("elastic", &self.password)
    }

    fn tahoe(&self, arguments: &[&str]) -> Ended {
        let server = ["--elasticsearch", &self.url, "--elastic-password", &self.password];
        run("tahoe", &[arguments, &server].concat())
    }

    /// What `tahoe tenant … --json` prints.
    fn tenant(&self, arguments: &[&str]) -> Value {
        let ended = self.tahoe(&[&["tenant"], arguments, &["--json"]].concat());
        assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
        let found: Value = serde_json::from_str(&ended.stdout).expect("one JSON object");
        for secret in secrets(&found) {
            assert!(!ended.stderr.contains(&secret), "a secret is in the log");
        }
        found
    }
}

fn secrets(added: &Value) -> Vec<String> {
    let password = &added["users"][0]["password"];
    let found = [password, &added["api_key"]["encoded"]];
    found.iter().filter_map(|secret| secret.as_str().map(str::to_owned)).collect()
}

/// What a request is answered, good or not, as text; without the time that it took.
fn said(who: &InElasticsearch, method: &str, path: &str, body: &str) -> String {
    fn timeless(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.remove("took");
                map.values_mut().for_each(timeless);
            }
            Value::Array(values) => values.iter_mut().for_each(timeless),
            _ => {}
        }
    }
    who.ask(method, path, body).map_or_else(
        |error| error,
        |mut found| {
            timeless(&mut found);
            found.to_string()
        },
    )
}

/// The tests, each of which has two companies of its own in the file that they share.
const TESTS: [&str; 4] = ["apart", "key", "again", "shared"];

/// Two companies whose records are in one file, stored by one pipeline that knows the company from a
/// field.
struct Two {
    server: Server,
    ours: String,
    theirs: String,
}

impl Two {
    /// Those of a test; the first that asks has the file stored.
    fn stored(test: &str) -> Option<Self> {
        static COMPANIES: OnceLock<Option<Vec<[String; 2]>>> = OnceLock::new();
        let companies = COMPANIES.get_or_init(|| Server::find().map(|server| stored(&server)));
        let at = TESTS.iter().position(|name| *name == test).expect("it is a test");
        let [ours, theirs] = companies.as_ref()?[at].clone();
        Some(Self { server: Server::find()?, ours, theirs })
    }

    fn stream(company: &str) -> String {
        format!("logs-laravel.log-{company}")
    }

    /// Gives `company` a user and a key: the user's login, and the key.
    fn let_in(&self, company: &str) -> (InElasticsearch, String) {
        let added = self.server.tenant(&["add", company, "--user", company, "--api-key"]);
        let password = added["users"][0]["password"].as_str().expect("it is new");
        let key = added["api_key"]["encoded"].as_str().expect("it is new");
        (self.server.of(company, password), key.to_owned())
    }
}

/// Writes the file and has it stored; the companies of each test.
fn stored(server: &Server) -> Vec<[String; 2]> {
    let companies = |test: &&str| ["a", "b"].map(|name| unique(&format!("{test}_{name}")));
    let companies: Vec<_> = TESTS.iter().map(companies).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (log, data) = (folder.path().join("laravel.log"), folder.path().join("data"));
    let mut text = String::new();
    for n in 0..OURS + THEIRS {
        for [ours, theirs] in &companies {
            let company = if n < OURS { ours } else { theirs };
            let line = "[2026-11-21 09:00:00] production.INFO: order";
            writeln!(text, r#"{line} n={n} {{"company":"{company}"}}"#).expect("a text");
        }
    }
    std::fs::write(&log, text).expect("written");
    let [log, data] = [&log, &data].map(|path| path.to_str().expect("UTF-8"));
    let set_up = server.tahoe(&["setup"]);
    assert!(set_up.status.success(), "{}", set_up.stderr);
    let pipeline = ["up", "--data", data, "--no-system", "--start-at", "beginning"];
    let from = ["--laravel", log, "--namespace-from", "laravel.context.company"];
    let store = ["--elasticsearch", &server.url, "--elastic-password", &server.password];
    let up = Program::start("tahoe", &[&pipeline[..], &from, &store].concat());
    for [ours, theirs] in &companies {
        for (company, records) in [(ours, OURS), (theirs, THEIRS)] {
            let mut stored = server.admin();
            stored.namespace.clone_from(company);
            stored.wait_for("*", usize::try_from(records).expect("few"));
        }
    }
    up.stop();
    companies
}

/// Answers of everything that searches without naming a data stream.
const EVERYWHERE: [(&str, &str, &str); 22] = [
    ("POST", "/_search", r#"{"size": 100}"#),
    ("POST", "/_all/_search", r#"{"size": 100}"#),
    ("POST", "/*/_search", r#"{"size": 100, "query": {"query_string": {"query": "order"}}}"#),
    ("POST", "/logs-*,-logs-none*/_search?expand_wildcards=all", "{}"),
    ("POST", "/.ds-logs-*/_search?expand_wildcards=all", "{}"),
    ("POST", "/_search", r#"{"size": 0, "aggs": {"x": {"terms": {"field": "_index"}}}}"#),
    ("POST", "/_search?q=data_stream.namespace:*", "{}"),
    ("POST", "/_msearch", "{\"index\": \"*\"}\n{\"size\": 100}\n"),
    ("POST", "/logs-*/_field_caps?fields=*&include_unmapped", "{}"),
    ("GET", "/_resolve/index/*?expand_wildcards=all", ""),
    ("GET", "/_resolve/index/logs-*,*:*", ""),
    ("GET", "/_cat/indices?format=json&expand_wildcards=all", ""),
    ("GET", "/_cat/count/*?format=json", ""),
    ("GET", "/_cat/aliases?format=json", ""),
    ("GET", "/_data_stream/*", ""),
    ("GET", "/_alias", ""),
    ("GET", "/*/_mapping?expand_wildcards=all", ""),
    ("GET", "/*/_settings?expand_wildcards=all", ""),
    ("POST", "/*/_validate/query?explain=true&rewrite=true", "{}"),
    ("POST", "/logs-*/_terms_enum", r#"{"field": "data_stream.namespace"}"#),
    ("GET", "/*/_search_shards?expand_wildcards=all", ""),
    ("POST", "/_async_search?wait_for_completion_timeout=5s", r#"{"size": 100}"#),
];

/// The same of what names a place: a data stream, its backing index, an alias.
const AT: [(&str, &str, &str); 14] = [
    ("POST", "/PLACE/_search", "{}"),
    ("POST", "/PLACE/_count", "{}"),
    ("POST", "/PLACE/_msearch", "{}\n{}\n"),
    ("GET", "/PLACE/_doc/ID", ""),
    ("POST", "/PLACE/_explain/ID", r#"{"query": {"match_all": {}}}"#),
    ("GET", "/PLACE/_termvectors/ID?fields=message", ""),
    ("POST", "/PLACE/_field_caps?fields=*", ""),
    ("POST", "/PLACE/_validate/query", "{}"),
    ("POST", "/PLACE/_terms_enum", r#"{"field": "log.level"}"#),
    ("POST", "/PLACE/_pit?keep_alive=1m", ""),
    ("GET", "/PLACE/_mapping", ""),
    ("GET", "/_data_stream/PLACE", ""),
    ("POST", "/PLACE/_async_search", "{}"),
    ("POST", "/_sql", r#"{"query": "SELECT * FROM \"PLACE\""}"#),
];

#[test]
fn a_company_neither_reads_nor_counts_nor_infers_what_another_has() {
    let Some(two) = Two::stored("apart") else { return };
    let admin = two.server.admin();
    // A name that ends like ours, as another program may make it.
    let trap = format!("logs-x-big-{}", two.ours);
    admin.ask("PUT", &format!("/{trap}/_doc/1?refresh=true"), r#"{"trap": 1}"#).expect("stored");
    let everyone = format!("all_{}", two.ours);
    let alias = json!({"index": format!("*-{}", two.theirs), "alias": everyone});
    let both = json!({"actions": [{"add": alias}]}).to_string();
    admin.ask("POST", "/_aliases", &both).expect("an alias");
    let (ours, _) = two.let_in(&two.ours);
    let (theirs, _) = two.let_in(&two.theirs);

    for (method, path, body) in EVERYWHERE {
        let answer = said(&ours, method, path, body);
        assert!(!answer.contains(&two.theirs), "{method} {path} tells of another: {answer}");
        assert!(!answer.contains(&trap), "{method} {path} tells of another: {answer}");
        assert!(!answer.contains(&everyone), "{method} {path} tells of an alias: {answer}");
    }
    for everything in ["", "/_all", "/*", "/logs-*", "/logs-laravel.log-*"] {
        for (who, records) in [(&ours, OURS), (&theirs, THEIRS)] {
            let found = who.ask("GET", &format!("{everything}/_count"), "").expect("an answer");
            assert_eq!(found["count"], records, "{everything}");
        }
    }
    let found = ours.ask("GET", &format!("/{}/_search", Two::stream(&two.ours)), "").expect("ours");
    let shards = admin.ask("GET", &format!("/{}/_search", Two::stream(&two.theirs)), "");
    let hit = shards.expect("an answer")["hits"]["hits"][0].clone();
    let [index, id] = ["_index", "_id"].map(|name| hit[name].as_str().expect("a hit").to_owned());
    assert_eq!(found["hits"]["total"]["value"], OURS);

    // What is not there, and what is another's, are the same to whoever asks by name.
    let places = [Two::stream(&two.theirs), index, everyone.clone(), trap.clone()];
    for place in &places {
        let nowhere = format!("nowhere.{}", two.theirs.len());
        for (method, path, body) in AT {
            let ask = |place: &str, id: &str| {
                let fill = |text: &str| text.replace("PLACE", place).replace("ID", id);
                said(&ours, method, &fill(path), &fill(body)).replace(place, "PLACE")
            };
            assert_eq!(ask(place, &id), ask(&nowhere, &id), "{method} {path} {place}");
        }
        // This one tells that there is something, and nothing of it.
        let docs = json!({"docs": [{"_index": place, "_id": id}]}).to_string();
        let found = ours.ask("POST", "/_mget", &docs).expect("an answer for each");
        let found = &found["docs"][0];
        assert!(found["error"].is_object() && found["_source"].is_null(), "{found}");
        let several =
            format!("/{place},{}/_search?ignore_unavailable=true", Two::stream(&two.ours));
        let found = ours.ask("GET", &several, "").expect("what is ours");
        assert_eq!(found["hits"]["total"]["value"], OURS, "{place}");
    }
    a_search_that_another_began_is_not_continued(&two, &ours, &theirs);
    for internal in ["tahoe-support", "tahoe-analyst"] {
        let user = format!("{}.{internal}", two.ours);
        let body = json!({"password": "password", "roles": [internal]}).to_string();
        admin.ask("PUT", &format!("/_security/user/{user}"), &body).expect("created");
        let who = two.server.of(&user, "password");
        let visible: Vec<_> = [&two.ours, &two.theirs]
            .map(|company| {
                let path = format!("/logs-*-{company}/_count");
                who.ask("GET", &path, "").expect("an answer")["count"].as_u64().expect("a number")
            })
            .into();
        let expected = if internal == "tahoe-support" { [OURS, THEIRS] } else { [0, 0] };
        // The name that ends like ours is no company's, and support reads all.
        let seen = [visible[0] - u64::from(internal == "tahoe-support"), visible[1]];
        assert_eq!(seen, expected, "{internal}");
        admin.ask("DELETE", &format!("/_security/user/{user}"), "").expect("deleted");
    }
    admin.ask("DELETE", &format!("/{trap}"), "").expect("deleted");
    for company in [&two.ours, &two.theirs] {
        two.server.tenant(&["remove", company, "--delete-data", "--yes"]);
    }
}

fn a_search_that_another_began_is_not_continued(
    two: &Two,
    ours: &InElasticsearch,
    theirs: &InElasticsearch,
) {
    let stream = Two::stream(&two.theirs);
    let path = format!("/{stream}/_search?scroll=1m&size=1");
    let scroll = theirs.ask("POST", &path, "{}").expect("theirs")["_scroll_id"].clone();
    let next = json!({"scroll": "1m", "scroll_id": scroll}).to_string();
    assert!(theirs.ask("POST", "/_search/scroll", &next).is_ok(), "its owner goes on");
    assert!(!said(ours, "POST", "/_search/scroll", &next).contains(&two.theirs));
    let path = format!("/{stream}/_pit?keep_alive=1m");
    let point = theirs.ask("POST", &path, "").expect("theirs")["id"].clone();
    let search = json!({"pit": {"id": point}}).to_string();
    assert!(ours.ask("POST", "/_search", &search).is_err(), "a point in time of another");
    let found = theirs.ask("POST", "/_search", &search).expect("theirs");
    assert_eq!(found["hits"]["total"]["value"], THEIRS);
}

/// Asks with an API key.
fn by_key(server: &Server, key: &str, path: &str, body: &str) -> Value {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), format!("header = \"Authorization: ApiKey {key}\"\n")).expect("ok");
    let answer = std::process::Command::new("curl")
        .args(["--silent", "--max-time", "30", "--config"])
        .arg(file.path())
        .args(["--header", "content-type: application/x-ndjson", "--data-binary", body])
        .arg(format!("{}{path}", server.url))
        .output()
        .expect("curl is installed");
    serde_json::from_slice(&answer.stdout).expect("JSON")
}

#[test]
fn a_key_writes_its_own_company_alone_and_ends_with_it() {
    let Some(two) = Two::stored("key") else { return };
    let (_, key) = two.let_in(&two.ours);
    let another = unique("key_nobody");
    let streams = [
        Two::stream(&two.ours),
        format!("logs-nginx.access-{}", two.ours),
        Two::stream(&two.theirs),
        Two::stream(&another),
        format!("logs-laravel.log-big-{}", two.ours),
        "logs-laravel.log-default".to_owned(),
    ];
    let mut body = String::new();
    for stream in &streams {
        let action = json!({"create": {"_index": stream}});
        let _ = writeln!(body, "{action}\n{{\"@timestamp\":\"2026-11-21T00:00:00Z\"}}");
    }
    let answer = by_key(&two.server, &key, "/_bulk?refresh=true", &body);
    let items = answer["items"].as_array().expect("an item each").iter();
    let statuses: Vec<_> = items.map(|item| item["create"]["status"].clone()).collect();
    assert_eq!(statuses, [201, 201, 403, 403, 403, 403], "{answer}");
    for stream in &streams[3..5] {
        let there = two.server.admin().ask("GET", &format!("/{stream}/_count"), "");
        assert!(there.is_err(), "{stream} has come into being");
    }
    let read = by_key(&two.server, &key, &format!("/{}/_search", streams[0]), "{}");
    assert_eq!(read["status"], 403, "a key that writes reads nothing");
    // What is there is not replaced, and not deleted.
    let id = answer["items"][0]["create"]["_id"].as_str().expect("an id");
    let index = answer["items"][0]["create"]["_index"].as_str().expect("an index");
    let mut body = String::new();
    let seen = json!({"_index": index, "_id": id, "if_seq_no": 0, "if_primary_term": 1});
    let _ = writeln!(body, "{}\n{{\"@timestamp\":0}}", json!({"index": seen}));
    let _ = writeln!(body, "{}", json!({"delete": seen}));
    let answer = by_key(&two.server, &key, "/_bulk", &body);
    assert_eq!(answer["items"][0]["index"]["status"], 403, "{answer}");
    assert_eq!(answer["items"][1]["delete"]["status"], 403, "{answer}");

    let again = two.server.tenant(&["add", &two.ours, "--api-key"]);
    assert_eq!(again["api_key"]["created"], false, "one that is there cannot be shown again");
    let fresh = two.server.tenant(&["add", &two.ours, "--new-api-key"]);
    let fresh = fresh["api_key"]["encoded"].as_str().expect("a new one");
    let status = |key: &str| by_key(&two.server, key, "/_bulk", &body)["status"].clone();
    assert_eq!(status(&key), 401, "the older key has ended");
    assert!(status(fresh).is_null(), "the new one is taken");
    two.server.tenant(&["remove", &two.ours, "--delete-data", "--yes"]);
    assert_eq!(status(fresh), 401);
    two.server.tenant(&["remove", &two.theirs, "--delete-data", "--yes"]);
}

#[test]
fn adding_twice_adds_nothing_and_removing_says_what_stays() {
    let Some(two) = Two::stored("again") else { return };
    let admin = two.server.admin();
    let [ours, theirs] = [&*two.ours, &*two.theirs];
    // Somebody who is there already keeps what he has.
    let colleague = format!("{ours}.colleague");
    let body = json!({"password": "password", "roles": ["viewer"], "email": "a@b.example"});
    let path = format!("/_security/user/{colleague}");
    admin.ask("PUT", &path, &body.to_string()).expect("created");
    let users = format!("{ours},{colleague}");
    let first = ["add", ours, "--user", &users, "--role-mapping", "groups=clients"];
    let added = two.server.tenant(&first);
    let created = |list: &Value| -> Vec<_> {
        list.as_array().expect("a list").iter().map(|one| one["created"] == true).collect()
    };
    assert_eq!(created(&added["users"]), [true, false]);
    assert_eq!(added["users"][1]["password"], Value::Null);
    let again = two.server.tenant(&first);
    assert_eq!(created(&again["users"]), [false; 2]);
    assert_eq!(created(&again["roles"]), [false; 4]);
    assert_eq!(again["role_mapping"]["created"], false);
    assert_eq!(secrets(&again), Vec::<String>::new(), "a password is shown once");

    let listed = two.server.tenant(&["list"]);
    let entry = |company: &str| {
        let all = listed["companies"].as_array().expect("a list");
        all.iter().find(|entry| entry["company"] == company).cloned()
    };
    let [mine, other] = [ours, theirs].map(|company| entry(company).expect("both have data"));
    assert_eq!((&mine["users"], &mine["role_mapping"]), (&json!([ours, colleague]), &json!(true)));
    assert_eq!((&other["role"], &other["users"]), (&Value::Null, &json!([])));
    let checked = two.server.tahoe(&["check", "--json"]);
    let advice = "tahoe tenant add";
    assert!(checked.stdout.contains(advice) && checked.stdout.contains(theirs), "{checked:?}");

    let planned = two.server.tenant(&["remove", ours, "--dry-run"]);
    assert_eq!(planned["users_deleted"], json!([ours]));
    assert!(admin.ask("GET", &format!("/_security/user/{ours}"), "").is_ok(), "nothing was done");
    let refused = two.server.tahoe(&["tenant", "remove", ours, "--delete-data"]);
    assert!(!refused.status.success() && refused.stderr.contains("--yes"), "{}", refused.stderr);

    let removed = two.server.tenant(&["remove", ours]);
    assert_eq!(removed["users_deleted"], json!([ours]));
    assert_eq!(removed["users_changed"], json!([colleague]));
    let kept = &admin.ask("GET", &path, "").expect("still there")[&colleague];
    assert_eq!((&kept["roles"], &kept["email"]), (&json!(["viewer"]), &json!("a@b.example")));
    let data = &removed["data"][0];
    assert_eq!((&data["documents"], &data["deleted"]), (&json!(OURS), &json!(false)));
    let gone = two.server.tenant(&["remove", ours, "--delete-data", "--yes"]);
    assert_eq!(gone["data"][0]["deleted"], true);
    let count = format!("/logs-*-{ours}/_count");
    assert_eq!(admin.ask("GET", &count, "").expect("an answer")["count"], 0);
    let count = format!("/logs-*-{theirs}/_count");
    assert_eq!(admin.ask("GET", &count, "").expect("an answer")["count"], THEIRS);
    admin.ask("DELETE", &path, "").expect("deleted");
    two.server.tenant(&["remove", theirs, "--delete-data", "--yes"]);
}

#[test]
fn a_shared_namespace_is_read_by_document_where_the_licence_has_it_and_refused_elsewhere() {
    let Some(two) = Two::stored("shared") else { return };
    let admin = two.server.admin();
    let company = unique("shared_c");
    let by = format!("laravel.context.company={}", two.theirs);
    let add = ["add", &company, "--user", &company, "--shared", &two.theirs, "--shared-by", &by];
    let licence = admin.ask("GET", "/_license", "").expect("an answer");
    if licence["license"]["type"] == "basic" {
        let refused = two.server.tahoe(&[&["tenant"], &add[..]].concat());
        let error = refused.stderr;
        assert!(!refused.status.success() && error.contains("--namespace-from"), "{error}");
        admin.ask("POST", "/_license/start_trial?acknowledge=true", "").expect("a trial");
    }
    let stream = Two::stream(&two.theirs);
    // One document of the shared namespace that is another's.
    let foreign = json!({"@timestamp": 0, "laravel": {"context": {"company": "other"}}});
    let path = format!("/{stream}/_create/foreign?refresh=true");
    admin.ask("PUT", &path, &foreign.to_string()).expect("stored");
    let added = two.server.tenant(&add);
    let password = added["users"][0]["password"].as_str().expect("it is new");
    let who = two.server.of(&company, password);
    // The licence is known to every part of the server a moment later.
    until("the documents that are the company's", || {
        match who.ask("GET", &format!("/{stream}/_count"), "")? {
            found if found["count"] == THEIRS => Ok(()),
            found => Err(found.to_string()),
        }
    });
    let hidden = who.ask("GET", &format!("/{stream}/_search?q=_id:foreign"), "").expect("none");
    assert_eq!(hidden["hits"]["total"]["value"], 0);
    for company in [&company, &two.ours, &two.theirs] {
        two.server.tenant(&["remove", company, "--delete-data", "--yes"]);
    }
}
