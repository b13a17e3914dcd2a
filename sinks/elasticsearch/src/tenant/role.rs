//! What roles may do, as Elasticsearch's role API takes it.
//!
//! A company's patterns are regular expressions and not `logs-*-acme`: a `*` would reach over a `-`,
//! and so into `logs-x-big-acme`, which another program may have made. Ours have no `-` in a dataset
//! or namespace.

use serde_json::{Value, json};
use tahoe_seams::SinkError;

use super::{Company, NOBODY, Tenants};
use elasticsearch::http::Method;

/// What every company's role, mapping and key begins with.
const PREFIX: &str = "tahoe-tenant-";

/// What reading, Kibana's lists of fields, and a search by wildcards need.
const READ: [&str; 2] = ["read", "view_index_metadata"];

/// The role of a company.
pub(crate) fn role_name(company: &str) -> String {
    format!("{PREFIX}{company}")
}

/// Where a role is.
pub(crate) fn role_path(name: &str) -> String {
    format!("_security/role/{name}")
}

/// The company of a role that is a company's.
pub(crate) fn company_of(role: &str) -> Option<&str> {
    role.strip_prefix(PREFIX)
}

/// The data streams of a namespace, and no other's.
pub(super) fn streams(namespace: &str) -> String {
    format!("/(logs|metrics)-[^-]+-{}/", escaped(namespace))
}

/// Its rows as they are now, and the alias that leaves deleted ones out.
fn rows(namespace: &str) -> String {
    format!("/(latest-)?rows-[^-]+-{}/", escaped(namespace))
}

/// A namespace has no other character that means something in Lucene's regular expressions.
fn escaped(namespace: &str) -> String {
    namespace.replace('.', "\\.")
}

/// A company reads its own; of a namespace that several share, the documents that are its own.
pub(super) fn of_company(company: &Company, shared: Option<&(String, String, String)>) -> Value {
    let name = company.name();
    let mut indices = vec![json!({"names": [streams(name), rows(name)], "privileges": READ})];
    if let Some((namespace, field, value)) = shared {
        let query = json!({"term": {field: value}}).to_string();
        let names = [streams(namespace), rows(namespace)];
        indices.push(json!({"names": names, "privileges": READ, "query": query}));
    }
    json!({"cluster": [], "indices": indices, "metadata": metadata(name)})
}

/// What belongs to a company says so.
pub(super) fn metadata(company: &str) -> Value {
    json!({"tahoe": {"company": company}})
}

/// What a key may write: new documents in its own data streams, which it may bring into being.
pub(super) fn writer(company: &Company) -> Value {
    let names = [streams(company.name())];
    let privileges = ["create_doc", "auto_configure"];
    json!({"tahoe-writer": {"cluster": [], "indices": [{"names": names, "privileges": privileges}]}})
}

/// Our own people's.
pub(super) const ADMIN: &str = "tahoe-admin";
/// Reads what belongs to no company, and the pipeline's own measures.
pub(super) const ANALYST: &str = "tahoe-analyst";
/// Reads every company's.
pub(super) const SUPPORT: &str = "tahoe-support";

/// The roles that are no company's.
pub(super) fn internal() -> [(&'static str, Value); 3] {
    let ours = ["logs-*", "metrics-*", "rows-*", "latest-rows-*"];
    let metadata = json!({"tahoe": {}});
    let of = |cluster: &[&str], names: Value, privileges: &[&str]| {
        let indices = [json!({"names": names, "privileges": privileges})];
        json!({"cluster": cluster, "indices": indices, "metadata": metadata})
    };
    let cluster = ["monitor", "manage_index_templates", "manage_ilm", "manage_security"];
    let nobodys = json!([streams(NOBODY), rows(NOBODY), "/metrics-tahoe\\.[^-]+-.*/"]);
    [
        (ADMIN, of(&cluster, json!(ours), &["all"])),
        (ANALYST, of(&[], nobodys, &READ)),
        (SUPPORT, of(&[], json!(ours), &READ)),
    ]
}

impl Tenants {
    /// Writes a role; whether it is new. What Kibana has put into one that is there stays.
    pub(super) async fn put_role(&self, name: &str, role: &Value) -> Result<bool, SinkError> {
        let path = role_path(name);
        let mut body = role.clone();
        if let Some(found) = self.find("reading roles", &path).await? {
            body["applications"] = match found[name]["applications"].is_array() {
                true => found[name]["applications"].clone(),
                false => json!([]),
            };
        }
        let done = self.send("writing roles", Method::Put, &path, Some(&body)).await?;
        Ok(done["role"]["created"] == true)
    }

    /// The companies that have a role.
    pub(super) async fn companies(&self) -> Result<Vec<String>, SinkError> {
        let roles = self.find("reading roles", "_security/role").await?.unwrap_or_default();
        let names = roles.as_object().into_iter().flat_map(serde_json::Map::keys);
        Ok(names.filter_map(|name| company_of(name)).map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_pattern_is_only_itself() {
        assert_eq!(streams("a.b"), "/(logs|metrics)-[^-]+-a\\.b/");
        let company: Company = "acme".parse().expect("a name");
        let role = of_company(&company, None);
        assert_eq!(role["indices"].as_array().map(Vec::len), Some(1));
        assert_eq!(role["indices"][0]["privileges"], json!(READ));
        let shared = ("pool".to_owned(), "labels.company".to_owned(), "a\"b".to_owned());
        let role = of_company(&company, Some(&shared));
        let query = role["indices"][1]["query"].as_str().expect("a text");
        let query: Value = serde_json::from_str(query).expect("of JSON");
        assert_eq!(query, json!({"term": {"labels.company": "a\"b"}}));
    }

    #[test]
    fn only_the_admin_changes_anything_and_only_support_reads_every_company() {
        for (name, role) in internal() {
            let text = role["indices"].to_string();
            assert_eq!(text.contains("\"all\""), name == ADMIN, "{name}");
            assert_eq!(text.contains("\"logs-*\""), name != ANALYST, "{name}");
            assert_eq!(role["cluster"] == json!([]), name != ADMIN, "{name}");
        }
    }
}
