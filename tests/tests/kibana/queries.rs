//! Every question that a dashboard asks, put to a real Elasticsearch over documents of every sample:
//! the fields are there and can be counted by, and the answer is not empty.
//!
//! What is asked is read off the columns of Lens, and not off the declarations that they were made of.
//! A newest value is asked by `top_hits`, since the test server lacks `top_metrics`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tahoe_tests::documents::InElasticsearch;
use tahoe_tests::program::run;
use tahoe_tests::servers::{setting, unique};

use super::export::{Lens, boards, inside, list, map, objects, pattern, text};
use super::samples;

/// Bytes of one bulk request: what fits on a command line.
const BULK_BYTES_MAX: usize = 100_000;

/// The documents are of the last 50 minutes, so that every dashboard shows them.
const SPREAD_S: u64 = 3_000;

/// A real store with every sample in a namespace of its own.
pub static STORE: LazyLock<Option<InElasticsearch>> = LazyLock::new(|| {
    let url = setting("TAHOE_TEST_ELASTICSEARCH")?;
    let namespace = unique("kibana");
    let ended = run("tahoe", &["setup", "--elasticsearch", &url, "--namespace", &namespace]);
    assert!(ended.status.success(), "{}", ended.stderr);
    let store = InElasticsearch::open(&url, &namespace);
    store_samples(&store);
    Some(store)
});

fn store_samples(store: &InElasticsearch) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
    let now = u64::try_from(now).expect("milliseconds fit");
    let mut body = String::new();
    let send = |body: &mut String| {
        let answer = store.ask("POST", "/_bulk?refresh=true", body).expect("taken");
        let failed = list(&answer["items"]).iter().find(|item| item["create"]["error"].is_object());
        assert_eq!(failed, None);
        body.clear();
    };
    for (n, mut document) in (0..).zip(samples::documents()) {
        document["@timestamp"] = json!(now - 1_000 * (n * 7 % SPREAD_S));
        document["data_stream"]["namespace"] = json!(store.namespace);
        let stream = &document["data_stream"];
        let (kind, dataset) = (text(&stream["type"]), text(&stream["dataset"]));
        let index = format!("{kind}-{dataset}-{}", store.namespace);
        let line = format!("{}\n{document}\n", json!({"create": {"_index": index}}));
        if body.len() + line.len() > BULK_BYTES_MAX {
            send(&mut body);
        }
        body.push_str(&line);
    }
    send(&mut body);
}

/// The data streams of a data view that this test wrote.
fn streams(objects: &[Value], store: &InElasticsearch, view: &str) -> String {
    format!("{}-{}", pattern(objects, view), store.namespace)
}

/// Fields of a query in Lucene's syntax: what stands before a colon.
fn queried_fields(query: &str) -> impl Iterator<Item = String> {
    let end = |c: char| !(c.is_ascii_alphanumeric() || "._@".contains(c));
    let before = query.split(':').rev().skip(1).collect::<Vec<_>>().into_iter();
    before.map(move |text| text.rsplit(end).next().unwrap_or_default().to_owned())
}

fn lucene(query: &Value) -> Value {
    assert_eq!(query["language"], "lucene");
    match text(&query["query"]) {
        "" => json!({"match_all": {}}),
        text => json!({"query_string": {"query": text, "analyze_wildcard": true}}),
    }
}

fn aggregation(column: &Value) -> Value {
    let field = &column["sourceField"];
    let params = &column["params"];
    let plain = |name: &str| json!({name: {"field": field}});
    match text(&column["operationType"]) {
        "count" => json!({"value_count": {"field": "_index"}}),
        "unique_count" => plain("cardinality"),
        "average" => plain("avg"),
        sum_or_max @ ("sum" | "max") => plain(sum_or_max),
        "percentile" => {
            json!({"percentiles": {"field": field, "percents": [params["percentile"]]}})
        }
        "last_value" => json!({"top_hits": {
            "size": 1,
            "sort": [{text(&params["sortField"]): "desc"}],
            "docvalue_fields": [field],
            "_source": false,
        }}),
        "date_histogram" => json!({"date_histogram": {"field": field, "fixed_interval": "5m"}}),
        "filters" => {
            let named = list(&params["filters"])
                .iter()
                .map(|one| (text(&one["label"]).to_owned(), lucene(&one["input"])));
            json!({"filters": {"filters": named.collect::<serde_json::Map<_, _>>()}})
        }
        "terms" => {
            let mut terms = json!({"field": field, "size": params["size"]});
            if let Some(by) = params["orderBy"]["columnId"].as_str() {
                terms["order"] = json!({by: "desc"});
            }
            json!({"terms": terms})
        }
        other => panic!("Lens makes another aggregation of {other} than is known here"),
    }
}

/// What a layer asks: buckets inside of each other in their order, and the values in the innermost;
/// what buckets are ordered by stands beside them, too.
fn request(layer: &Value, query: &Value) -> Value {
    let columns = map(&layer["columns"]);
    let order: Vec<_> = list(&layer["columnOrder"]).iter().map(text).collect();
    let mut aggs = json!({});
    for id in order.iter().filter(|id| columns[**id]["isBucketed"] == false) {
        let column = &columns[*id];
        let own = aggregation(column);
        aggs[*id] = match column.get("filter") {
            Some(filter) => json!({"filter": lucene(filter), "aggs": {"inside": own}}),
            None => own,
        };
    }
    let values = aggs.clone();
    for id in order.iter().rev().filter(|id| columns[**id]["isBucketed"] == true) {
        let mut bucket = aggregation(&columns[*id]);
        let by = columns[*id]["params"]["orderBy"]["columnId"].as_str();
        let mut below = aggs;
        if let Some(by) = by {
            order_by_one_number(&mut bucket, by, &columns[by]);
            below[by] = values[by].clone();
        }
        bucket["aggs"] = below;
        aggs = json!({*id: bucket});
    }
    json!({"size": 0, "track_total_hits": true, "query": within(query), "aggs": aggs})
}

/// A percentile or a filtered value is inside of what it is called.
fn order_by_one_number(bucket: &mut Value, by: &str, column: &Value) {
    let path = match (column.get("filter").is_some(), text(&column["operationType"])) {
        (true, _) => format!("{by}>inside"),
        (false, "percentile") => format!("{by}.{}", column["params"]["percentile"]),
        (false, _) => return,
    };
    bucket["terms"]["order"] = json!({path: "desc"});
}

fn within(query: &Value) -> Value {
    json!({"bool": {"filter": [
        lucene(query),
        {"range": {"@timestamp": {"gte": "now-1h", "lte": "now"}}},
    ]}})
}

fn search(store: &InElasticsearch, streams: &str, body: &Value) -> Value {
    let path = format!("/{streams}/_search");
    let answer = store.ask("POST", &path, &body.to_string());
    let answer = answer.unwrap_or_else(|error| panic!("{error}: {body}"));
    assert_eq!(answer["_shards"]["failed"], 0, "{answer}");
    answer
}

/// Ids of values that some bucket has.
fn found_values(
    aggs: &Value,
    columns: &serde_json::Map<String, Value>,
    found: &mut BTreeSet<String>,
) {
    for (id, result) in map(aggs).iter().filter(|(id, _)| columns.contains_key(*id)) {
        let buckets = match &result["buckets"] {
            Value::Array(buckets) => buckets.iter().collect(),
            Value::Object(buckets) => buckets.values().collect(),
            _ => Vec::new(),
        };
        for bucket in buckets.iter().filter(|bucket| bucket["doc_count"] != 0) {
            found.insert(id.clone());
            let below = map(bucket).iter().filter(|(name, _)| columns.contains_key(*name));
            found_values(&below.map(|(k, v)| (k.clone(), v.clone())).collect(), columns, found);
        }
        let value = result.get("inside").unwrap_or(result);
        let percentile = value["values"].as_object().and_then(|all| all.values().next());
        let number = percentile.unwrap_or(&value["value"]).as_f64();
        let hit = list(&value["hits"]["hits"]).first().is_some_and(|hit| hit["fields"].is_object());
        // A zero is an answer of a sum, and none of a count.
        let counts = ["count", "unique_count"].contains(&text(&columns[id]["operationType"]));
        if hit || number.is_some_and(|number| !counts || number > 0.0) {
            found.insert(id.clone());
        }
    }
}

/// What the store says of fields: whether they can be counted by.
fn capabilities(store: &InElasticsearch, streams: &str) -> BTreeMap<String, bool> {
    let path = format!("/{streams}/_field_caps?fields=*&filters=-metadata,-parent");
    let answer = store.ask("GET", &path, "").expect("field_caps");
    let kinds = |(field, kinds): (&String, &Value)| {
        let all = map(kinds).values().all(|kind| kind["aggregatable"] == true);
        (field.clone(), all && !map(kinds).is_empty())
    };
    map(&answer["fields"]).iter().map(kinds).collect()
}

fn ask_lens(lens: &Lens<'_>, view: &str, caps: &BTreeMap<String, bool>, store: &InElasticsearch) {
    let query = &lens.attributes["state"]["query"];
    let mut queries = vec![text(&query["query"]).to_owned()];
    let layer = &lens.layers()["data"];
    let columns = map(&layer["columns"]);
    for column in columns.values() {
        queries.extend(column["filter"]["query"].as_str().map(str::to_owned));
        let groups = list(&column["params"]["filters"]).iter();
        queries.extend(groups.map(|one| text(&one["input"]["query"]).to_owned()));
        if let Some(field) =
            column["sourceField"].as_str().filter(|field| *field != "___records___")
        {
            assert_eq!(caps.get(field), Some(&true), "{}: {field} cannot be counted by", lens.name);
        }
    }
    for field in queries.iter().flat_map(|query| queried_fields(query)) {
        assert!(caps.contains_key(&field), "{}: there is no field {field}", lens.name);
    }
    let answer = search(store, view, &request(layer, query));
    assert_ne!(answer["hits"]["total"]["value"], 0, "{}: no document", lens.name);
    let mut found = BTreeSet::new();
    found_values(&answer["aggregations"], columns, &mut found);
    let wanted: BTreeSet<_> = columns.keys().cloned().collect();
    assert_eq!(found, wanted, "{}: an empty answer: {}", lens.name, answer["aggregations"]);
}

#[test]
fn every_panel_asks_for_fields_that_are_there_and_gets_an_answer() {
    let Some(store) = &*STORE else { return };
    let all = objects("default");
    let mut asked = 0;
    let mut caps = BTreeMap::new();
    for board in boards(&all) {
        for lens in board.lenses() {
            let name = format!("{}:indexpattern-datasource-layer-data", lens.index);
            let view = streams(&all, store, &board.reference(&name).id);
            let known = caps.entry(view.clone()).or_insert_with(|| capabilities(store, &view));
            ask_lens(&lens, &view, known, store);
            asked += 1;
        }
        for (id, control) in board.controls() {
            let name = format!("controlGroup_{id}:optionsListDataView");
            let view = streams(&all, store, &board.reference(&name).id);
            let field = text(&control["fieldName"]);
            let body = json!({"size": 0, "aggs": {"all": {"terms": {"field": field}}}});
            let answer = search(store, &view, &body);
            let values = list(&answer["aggregations"]["all"]["buckets"]);
            assert!(!values.is_empty(), "{}: {field} has nothing to choose", board.id);
        }
    }
    assert!(asked > 100, "{asked} panels");
}

#[test]
fn every_list_of_documents_has_some_and_each_of_its_columns_is_in_one() {
    let Some(store) = &*STORE else { return };
    let all = objects("default");
    for listed in all.iter().filter(|object| object["type"] == "search") {
        let attributes = &listed["attributes"];
        let source = inside(&attributes["kibanaSavedObjectMeta"]["searchSourceJSON"]);
        let view = streams(&all, store, text(&listed["references"][0]["id"]));
        for column in list(&attributes["columns"]) {
            let query = json!({"bool": {
                "filter": [within(&source["query"]), {"exists": {"field": column}}],
            }});
            let answer = search(store, &view, &json!({"size": 0, "query": query}));
            let total = &answer["hits"]["total"]["value"];
            assert_ne!(total, 0, "{}: no document with {column}", listed["id"]);
        }
    }
}

#[test]
fn every_rule_asks_for_fields_that_are_there_and_finds_documents() {
    let Some(store) = &*STORE else { return };
    let ended = run("tahoe", &["kibana", "export", "--rules"]);
    let rules: Vec<Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for rule in &rules {
        let (name, params) = (text(&rule["body"]["name"]), &rule["body"]["params"]);
        let streams = format!("{}-{}", text(&params["index"][0]), store.namespace);
        let caps = capabilities(store, &streams);
        let asked: Value = inside(&params["esQuery"]);
        for field in queried_fields(text(&asked["query"]["query_string"]["query"])) {
            let known = caps.contains_key(&field) || field.is_empty();
            assert!(known, "{name}: there is no field {field}");
        }
        let counted = ["aggField", "termField"].map(|part| params[part].as_str());
        for field in counted.into_iter().flatten() {
            assert_eq!(caps.get(field), Some(&true), "{name}: {field} cannot be counted by");
        }
        assert_eq!(params["aggType"] == "count", params["aggField"].is_null(), "{name}");
        let mut aggs = json!({});
        if let Some(field) = params["termField"].as_str() {
            aggs["groups"] = json!({"terms": {"field": field}});
        }
        let body = json!({"size": 0, "query": asked["query"], "aggs": aggs});
        let answer = search(store, &streams, &body);
        // The databases' own sources are in no sample of one machine.
        if !name.contains("come late") {
            assert_ne!(answer["hits"]["total"]["value"], 0, "{name}: no document");
        }
    }
    assert!(rules.len() >= 8, "{} rules", rules.len());
}

#[test]
fn fields_of_a_query_are_what_stands_before_its_colons() {
    let found: Vec<_> = queried_fields("a.b:(x OR y) AND NOT c_d:[1 TO 2] OR @e:*").collect();
    assert_eq!(found, ["@e", "c_d", "a.b"]);
}
