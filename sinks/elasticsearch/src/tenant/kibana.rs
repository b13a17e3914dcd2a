//! A company's space in Kibana, written to its documented HTTP API (8.x and 9.x).

use elasticsearch::http::Method;
use serde_json::{Value, json};
use tahoe_seams::SinkError;

use super::Company;
use super::role::{ADMIN, ANALYST};
use crate::Kibana;
use crate::connection::Answer;

/// Where who opens the space comes out: its list of dashboards.
const HOME: &str = "/app/dashboards";

/// Sees the dashboards of a space, and nothing else of Kibana.
pub(super) fn sees_dashboards(space: &str) -> Value {
    json!({"base": [], "feature": {"dashboard": ["read"]}, "spaces": [space]})
}

/// What an internal role may do: all of it everywhere; all in our own space, for which dashboards
/// are made; or look at every company's space as the company does.
pub(super) fn of_internal(role: &str) -> Vec<Value> {
    let (base, space) = match role {
        ADMIN => ("all", "*"),
        ANALYST => ("all", "default"),
        _ => ("read", "*"),
    };
    vec![json!({"base": [base], "feature": {}, "spaces": [space]})]
}

/// A space's id takes `-` and no `.`, a namespace the reverse, so no two companies share one.
pub(super) fn space_of(company: &str) -> String {
    company.replace('.', "-")
}

impl Kibana {
    /// The company's space, if it is there.
    pub(super) async fn find_space(&self, company: &str) -> Result<Option<String>, SinkError> {
        let space = space_of(company);
        let answer = self.ask(Method::Get, &format!("api/spaces/space/{space}"), None).await?;
        match answer.status {
            404 => Ok(None),
            200..300 => Ok(Some(space)),
            _ => Err(self.refusal("reading spaces", None, &answer)),
        }
    }

    /// Makes the space if it is missing, and its list of dashboards the page that it opens with,
    /// unless somebody has chosen another. The space, and whether it is new.
    pub(super) async fn add_space(&self, company: &Company) -> Result<(String, bool), SinkError> {
        let name = company.name();
        let space = space_of(name);
        let is_new = self.find_space(name).await?.is_none();
        if is_new {
            let description = format!("What {name} sees of its own events");
            let body = json!({
                "id": space, "name": name, "description": description, "disabledFeatures": [],
            });
            self.done("making spaces", Method::Post, "api/spaces/space", Some(&body)).await?;
        }
        let path = format!("s/{space}/api/kibana/settings");
        let settings = self.done("reading a space's settings", Method::Get, &path, None).await?;
        if settings["settings"]["defaultRoute"]["userValue"].is_null() {
            let body = json!({"changes": {"defaultRoute": HOME}});
            self.done("setting a space's first page", Method::Post, &path, Some(&body)).await?;
        }
        Ok((space, is_new))
    }

    /// Deletes a space with all that is saved in it.
    pub(super) async fn delete_space(&self, space: &str) -> Result<(), SinkError> {
        let path = format!("api/spaces/space/{space}");
        self.done("deleting spaces", Method::Delete, &path, None).await.map(drop)
    }

    /// Writes a role with what it may do in Kibana, which Elasticsearch's own API takes only in a
    /// form that Kibana does not document.
    pub(super) async fn put_role(
        &self,
        name: &str,
        role: &Value,
        kibana: &[Value],
    ) -> Result<(), SinkError> {
        let elasticsearch = json!({"cluster": role["cluster"], "indices": role["indices"]});
        let body = json!({
            "metadata": role["metadata"],
            "elasticsearch": elasticsearch,
            "kibana": kibana,
        });
        let path = format!("api/security/role/{name}");
        self.done("writing roles", Method::Put, &path, Some(&body)).await.map(drop)
    }

    /// Asks, and takes nothing but success for an answer.
    async fn done(
        &self,
        doing: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, SinkError> {
        self.succeeded(doing, &self.ask(method, path, body).await?)
    }

    /// What it answered; nothing where it says no more than that it is done.
    fn succeeded(&self, doing: &str, answer: &Answer) -> Result<Value, SinkError> {
        match answer.is_success() {
            true if answer.body.is_empty() => Ok(Value::Null),
            true => answer.json(),
            false => Err(self.refusal(doing, None, answer)),
        }
    }
}
