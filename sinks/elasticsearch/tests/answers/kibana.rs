//! What is sent to Kibana for a company. Kibana itself cannot be had here: these are the requests of
//! its documented API, and answers of the form that it documents.

use serde_json::{Value, json};
use tahoe_sink_elasticsearch::{Address, Company, Tenants, Wanted};

use crate::scripted::{Act, Request, Seen, server};
use crate::settings;

/// A client of two scripted servers.
fn tenants(elasticsearch: &str, kibana: &str) -> Tenants {
    let args = settings(&["--elasticsearch", elasticsearch, "--elastic-password", "s3cret"]);
    let kibana: Address = kibana.parse().expect("an address");
    Tenants::new(&args, Some(&kibana)).expect("a client")
}

fn company() -> Company {
    "acme.eu".parse().expect("a name")
}

/// Elasticsearch as far as this needs it: no role is there, and every change is done.
fn done(request: &Request) -> Act {
    let answer = |status, body: Value| Act::Answer(status, body.to_string());
    match (&*line(request).0, &*line(request).1) {
        ("GET", "/_security/role") => answer(200, json!({"tahoe-tenant-acme.eu": {}})),
        ("GET", path) if path.starts_with("/_resolve") => answer(200, json!({"data_streams": []})),
        ("GET", path) if path.starts_with("/_security/api_key") => answer(200, json!({})),
        ("GET", _) => answer(404, json!({})),
        _ => answer(200, json!({"role": {"created": true}})),
    }
}

/// Method and path.
fn line(request: &Request) -> (String, String) {
    let mut words = request.head.split(' ').map(str::to_owned);
    (words.next().expect("a method"), words.next().expect("a path"))
}

fn sent(seen: &Seen) -> Vec<(String, String)> {
    seen.lock().expect("not poisoned").iter().map(line).collect()
}

fn body_of(seen: &Seen, path: &str) -> Value {
    let seen = seen.lock().expect("not poisoned");
    let changes = |request: &&Request| line(request).0 != "GET" && line(request).1 == path;
    let request = seen.iter().find(changes).expect(path);
    serde_json::from_slice(&request.body).expect("JSON")
}

#[tokio::test]
async fn a_company_gets_a_space_that_opens_with_its_dashboards_and_a_role_that_sees_no_more() {
    let (elasticsearch, _) = server(done).await;
    let (kibana, seen) = server(|request| match &*line(request).1 {
        "/api/spaces/space/acme-eu" => Act::Answer(404, "{}".to_owned()),
        "/s/acme-eu/api/kibana/settings" => Act::Answer(200, json!({"settings": {}}).to_string()),
        path if path.contains("_import") => {
            Act::Answer(200, json!({"success": true, "successCount": 2}).to_string())
        }
        // It says nothing more of a role than that it is written.
        path if path.starts_with("/api/security/role/") => Act::Answer(204, String::new()),
        _ => Act::Answer(200, "{}".to_owned()),
    })
    .await;
    let objects = "{\"type\":\"dashboard\"}\n{\"type\":\"index-pattern\"}\n";
    let wanted = Wanted { dashboards: Some(objects.into()), ..Wanted::default() };
    let added = tenants(&elasticsearch, &kibana).add(&company(), &wanted).await;
    assert!(added.error.is_none(), "{:?}", added.error);
    assert_eq!(added.space, Some(("acme-eu".to_owned(), true, 2)));

    let space = body_of(&seen, "/api/spaces/space");
    assert_eq!((&space["id"], &space["name"]), (&json!("acme-eu"), &json!("acme.eu")));
    let settings = body_of(&seen, "/s/acme-eu/api/kibana/settings");
    assert_eq!(settings, json!({"changes": {"defaultRoute": "/app/dashboards"}}));
    let role = body_of(&seen, "/api/security/role/tahoe-tenant-acme.eu");
    let kibana = json!([{"base": [], "feature": {"dashboard": ["read"]}, "spaces": ["acme-eu"]}]);
    assert_eq!(role["kibana"], kibana);
    let names = &role["elasticsearch"]["indices"][0]["names"];
    assert_eq!(names[0], "/(logs|metrics)-[^-]+-acme\\.eu/");
    let support = body_of(&seen, "/api/security/role/tahoe-support");
    assert_eq!(support["kibana"], json!([{"base": ["read"], "feature": {}, "spaces": ["*"]}]));
    let analyst = body_of(&seen, "/api/security/role/tahoe-analyst");
    assert_eq!(analyst["kibana"][0]["spaces"], json!(["default"]));

    for request in seen.lock().expect("not poisoned").iter() {
        let head = request.head.to_ascii_lowercase();
        assert!(head.contains("kbn-xsrf: "), "{head}");
        assert!(head.contains("authorization: basic "), "{head}");
        if head.contains("_import") {
            assert!(head.contains("/s/acme-eu/api/saved_objects/_import?overwrite=true"), "{head}");
            assert!(head.contains("multipart/form-data; boundary="), "{head}");
            let body = String::from_utf8_lossy(&request.body);
            assert!(body.contains("name=\"file\"; filename=\"tahoe.ndjson\""), "{body}");
            assert!(body.contains(&format!("\r\n\r\n{objects}\r\n--")), "{body}");
        }
    }
}

#[tokio::test]
async fn a_space_that_is_there_keeps_the_page_that_somebody_chose() {
    let (elasticsearch, _) = server(done).await;
    let chosen = json!({"settings": {"defaultRoute": {"userValue": "/app/dashboards#/view/x"}}});
    let (kibana, seen) = server(move |request| match &*line(request).1 {
        "/s/acme-eu/api/kibana/settings" => Act::Answer(200, chosen.to_string()),
        _ => Act::Answer(200, "{}".to_owned()),
    })
    .await;
    let added = tenants(&elasticsearch, &kibana).add(&company(), &Wanted::default()).await;
    assert_eq!(added.space, Some(("acme-eu".to_owned(), false, 0)), "{:?}", added.error);
    let posts = sent(&seen).into_iter().filter(|(method, _)| method == "POST");
    assert_eq!(posts.count(), 0);
}

#[tokio::test]
async fn what_kibana_refuses_is_an_error_that_names_the_setting_and_a_removed_company_has_no_space()
{
    let (elasticsearch, _) = server(done).await;
    let refusal = json!({"statusCode": 403, "error": "Forbidden", "message": "no privilege"});
    let (kibana, _) = server(move |_| Act::Answer(403, refusal.to_string())).await;
    let added = tenants(&elasticsearch, &kibana).add(&company(), &Wanted::default()).await;
    let error = added.error.expect("refused").to_string();
    assert!(error.contains("no privilege") && error.contains("manage_security"), "{error}");
    assert!(!error.contains("s3cret"));
    assert_eq!(added.roles.len(), 4, "what was made before is told");

    let (kibana, _) = server(|_| Act::Answer(502, "<html>".to_owned())).await;
    let added = tenants(&elasticsearch, &kibana).add(&company(), &Wanted::default()).await;
    assert!(added.error.expect("broken").to_string().contains("--kibana"));

    let (kibana, seen) = server(|_| Act::Answer(200, "{}".to_owned())).await;
    let tenants = tenants(&elasticsearch, &kibana);
    let planned = tenants.remove(&company(), false, true).await.expect("a plan");
    assert_eq!(planned.space.as_deref(), Some("acme-eu"));
    assert!(!sent(&seen).iter().any(|(method, _)| method == "DELETE"), "a plan changes nothing");
    tenants.remove(&company(), false, false).await.expect("removed");
    let delete = ("DELETE".to_owned(), "/api/spaces/space/acme-eu".to_owned());
    assert!(sent(&seen).contains(&delete), "{:?}", sent(&seen));
}
