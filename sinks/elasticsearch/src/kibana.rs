//! Kibana, the window on what the sink stores: it has the same users, and an API of its own.

use bytes::Bytes;
use elasticsearch::http::Method;
use elasticsearch::http::headers::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};
use tahoe_seams::SinkError;

use crate::connection::{Answer, Connection, clipped};
use crate::{AccessArgs, Address};

/// Kibana refuses a request that changes something without this header, which no page of another
/// site can send.
const XSRF: HeaderName = HeaderName::from_static("kbn-xsrf");

/// Between the parts of an upload: no saved object of ours has such a line.
const BOUNDARY: &str = "tahoe-saved-objects-5b0f6f0c";

/// A Kibana.
#[derive(Debug)]
pub struct Kibana {
    connection: Connection,
}

/// What its import answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Imported {
    success: bool,
    #[serde(default)]
    success_count: u64,
    #[serde(default)]
    errors: Vec<Failed>,
}

#[derive(Deserialize)]
struct Failed {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    error: Why,
}

#[derive(Deserialize)]
struct Why {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    message: String,
}

impl Kibana {
    /// A client. It does not connect yet.
    ///
    /// # Errors
    /// [`SinkError::Refused`] when a setting cannot be right: an unreadable file.
    pub fn new(address: &Address, access: &AccessArgs) -> Result<Self, SinkError> {
        let connection = Connection::new(std::slice::from_ref(address), access, "--kibana")?;
        Ok(Self { connection })
    }

    /// Brings saved objects, one JSON object a line, into a space, or the default one; those that
    /// have their ids are overwritten. Gives their number.
    ///
    /// # Errors
    /// What Kibana refused, with the setting that mends it.
    pub async fn import(&self, space: Option<&str>, objects: &str) -> Result<u64, SinkError> {
        let body = format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; \
             filename=\"tahoe.ndjson\"\r\ncontent-type: application/ndjson\r\n\r\n\
             {objects}\r\n--{BOUNDARY}--\r\n"
        );
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let path = path(space, "api/saved_objects/_import?overwrite=true");
        let answer = self.send(Method::Post, &path, &kind, Some(Bytes::from(body))).await?;
        if !answer.is_success() {
            return Err(self.refusal("importing saved objects", space, &answer));
        }
        let imported: Imported = serde_json::from_slice(&answer.body).map_err(|error| {
            let text = format!("the answer is not Kibana's ({error}): is --kibana right?");
            SinkError::Refused(text, None)
        })?;
        match imported.errors.first() {
            None if imported.success => Ok(imported.success_count),
            None => Err(SinkError::Refused("Kibana imported not all, and not why".into(), None)),
            Some(Failed { kind, id, error }) => {
                let (count, why) = (imported.errors.len(), &error.kind);
                let text = format!(
                    "Kibana refused {count} objects, {kind} {id} for {why} {}: is it older than \
                     8.19?",
                    error.message
                );
                Err(SinkError::Refused(text, None))
            }
        }
    }

    /// Makes a rule, or one that is there what it should be; what it does when it tells stays as
    /// somebody set it in Kibana, and so does whether it is switched on.
    ///
    /// # Errors
    /// What Kibana refused, with the setting that mends it.
    pub async fn put_rule(
        &self,
        space: Option<&str>,
        id: &str,
        rule: &Value,
    ) -> Result<(), SinkError> {
        let path = path(space, &format!("api/alerting/rule/{id}"));
        let found = self.ask(Method::Get, &path, None).await?;
        let (method, body) = match found.status {
            404 => (Method::Post, rule.clone()),
            200 => {
                let there: Value = found.json()?;
                let kept = ["name", "tags", "schedule", "params"].map(|part| &rule[part]);
                let [name, tags, schedule, params] = kept;
                let actions = list_of_actions(&there);
                let changed = json!({
                    "name": name, "tags": tags, "schedule": schedule, "params": params,
                    "actions": actions,
                });
                (Method::Put, changed)
            }
            _ => return Err(self.refusal("looking for rules", space, &found)),
        };
        let answer = self.ask(method, &path, Some(&body)).await?;
        match answer.is_success() {
            true => Ok(()),
            false => Err(self.refusal("making rules", space, &answer)),
        }
    }

    /// It answers, and says that it is available.
    ///
    /// # Errors
    /// What it says instead, or that it does not answer.
    pub async fn check(&self) -> Result<(), SinkError> {
        let answer = self.ask(Method::Get, "api/status", None).await?;
        if !answer.is_success() {
            return Err(self.refusal("asking for its state", None, &answer));
        }
        let status: Value = answer.json()?;
        match status["status"]["overall"]["level"].as_str() {
            Some("available") => Ok(()),
            other => {
                let text = format!("Kibana is {}", other.unwrap_or("no Kibana: see --kibana"));
                Err(SinkError::Unavailable(text, None))
            }
        }
    }

    /// Sends JSON, and takes whatever is answered.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, SinkError> {
        let body = body.map(|body| Bytes::from(body.to_string()));
        self.send(method, path, "application/json", body).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, SinkError> {
        let mut headers = HeaderMap::new();
        headers.insert(XSRF, HeaderValue::from_static("true"));
        let kind = HeaderValue::from_str(kind).expect("the kinds are literals of this file");
        headers.insert(CONTENT_TYPE, kind);
        self.connection.send_as(method, path, headers, body).await
    }

    /// The error that an answer other than success is.
    pub(crate) fn refusal(&self, doing: &str, space: Option<&str>, answer: &Answer) -> SinkError {
        let (names, status) = (&self.connection.names, answer.status);
        match (status, space) {
            (404, Some(space)) => SinkError::Refused(
                format!("{names} has no space {space}, or is no Kibana: see --space and --kibana"),
                None,
            ),
            (503, _) => SinkError::Unavailable(
                format!("{names}: {doing}: Kibana is not ready yet: try again in a minute"),
                None,
            ),
            (403, _) => {
                let body: Value = answer.json().unwrap_or_default();
                let reason = clipped(body["message"].as_str().unwrap_or_default());
                let text = format!(
                    "{names} did not allow {doing}: {reason}: give the user of ELASTIC_PASSWORD or \
                     ELASTIC_API_KEY the Kibana privilege `all` on all spaces, and manage_security"
                );
                SinkError::Refused(text, None)
            }
            (502, _) => {
                let text = format!("{names}: {doing}: {status}: is --kibana right?");
                SinkError::Unavailable(text, None)
            }
            _ => self.connection.refusal(doing, answer),
        }
    }
}

/// What a rule does, as a request takes it: an answer names the type of each connector besides.
fn list_of_actions(rule: &Value) -> Vec<Value> {
    let mut actions = rule["actions"].as_array().cloned().unwrap_or_default();
    for action in actions.iter_mut().filter_map(Value::as_object_mut) {
        action.remove("connector_type_id");
    }
    actions
}

fn path(space: Option<&str>, path: &str) -> String {
    space.map_or_else(|| path.to_owned(), |space| format!("s/{space}/{path}"))
}
