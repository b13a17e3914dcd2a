//! What `tahoe setup` leaves on the server: our templates, never older than they were.
//!
//! The first event of a company and dataset creates its data stream, from the template, since
//! nobody knows all companies before; those that are known can be created beforehand, so that
//! Kibana has something to show from the start.

use std::time::Duration;

use bytes::Bytes;
use elasticsearch::http::Method;
use serde_json::{Value, json};
use tahoe_seams::SinkError;
use tracing::{debug, info, warn};

use crate::connection::Answer;
use crate::retention::{Keeper, with_policy};
use crate::{Elasticsearch, Kind, Template};

/// Unknown parts taken out of one template before giving up: there are 12 that can be.
const ATTEMPTS_MAX: usize = 32;

/// How long a server may have too much to do. Its master waits half a minute by itself; on a laptop
/// on which everything starts at once that is not enough.
const BUSY_WITHIN: Duration = Duration::from_secs(120);

impl Elasticsearch {
    pub(crate) async fn put_templates(&self) -> Result<(), SinkError> {
        let mut templates: Vec<&Template> = self.templates.iter().collect();
        templates.sort_by_key(|template| template.kind);
        let keeper = match templates.iter().any(|template| template.keep().is_some()) {
            true => self.keeper().await?,
            false => Keeper::DataStreamLifecycle,
        };
        if keeper == Keeper::Tahoe {
            warn!("this server deletes nothing by itself: run `tahoe retention` once a day");
        }
        for template in templates {
            let found = self.body_of(template).await?;
            let there = found.as_ref().map(version);
            if let Some(version) = there
                && version > template.version()
            {
                let (name, ours) = (&template.name, template.version());
                let text = format!(
                    "template {name} has version {version}, this Tahoe brings {ours}: a newer \
                     Tahoe has set it up, use that one"
                );
                return Err(SinkError::Refused(text, None));
            }
            self.put_template(template, there, keeper).await?;
            let body = template.body();
            if template.kind == Kind::Index && is_changed(found.as_ref(), &body) {
                match body.get("data_stream") {
                    Some(_) => self.renew_streams(template).await?,
                    None => self.add_fields(template, &body).await?,
                }
            }
        }
        Ok(())
    }

    /// Creates the data streams `names` that are missing, where the server can: one without the
    /// commercial modules leaves it to the first event.
    ///
    /// # Errors
    /// What the server refused, with the setting that mends it.
    pub async fn create_data_streams(&self, names: &[String]) -> Result<(), SinkError> {
        for name in names {
            let path = format!("_data_stream/{name}");
            let answer = self.set_up(Method::Put, &path, None).await?;
            let reason = answer.reason();
            if answer.is_success() {
                info!(data_stream = name, "data stream created");
            } else if answer.status == 400 && reason.contains("no handler found")
                || answer.status == 405
            {
                warn!("this server creates data streams with their first event only");
                break;
            } else if !reason.contains("already_exists") && !reason.contains("already exists") {
                return Err(self.connection.refusal("creating data streams", &answer));
            }
        }
        Ok(())
    }

    /// The version on the server; `None` if it does not have the template.
    pub(crate) async fn version_of(&self, template: &Template) -> Result<Option<u64>, SinkError> {
        Ok(self.body_of(template).await?.as_ref().map(version))
    }

    async fn body_of(&self, template: &Template) -> Result<Option<Value>, SinkError> {
        let answer = self.set_up(Method::Get, &template.path(), None).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let mut body: Value = self.connection.succeeded("reading templates", answer)?.json()?;
        let found = match template.kind {
            Kind::Component => &mut body["component_templates"][0]["component_template"],
            Kind::Index => &mut body["index_templates"][0]["index_template"],
        };
        Ok(found.is_object().then(|| found.take()))
    }

    /// The same version is written again, since what the server lacked it may have now.
    async fn put_template(
        &self,
        template: &Template,
        there: Option<u64>,
        keeper: Keeper,
    ) -> Result<(), SinkError> {
        let mut body = template.body();
        if let (Keeper::IndexLifecycle, Some(keep)) = (keeper, template.keep()) {
            self.make_policy(keep).await?;
            with_policy(&mut body, keep);
        }
        let mut weakened = Vec::new();
        for _ in 0..ATTEMPTS_MAX {
            let bytes = Bytes::from(body.to_string());
            let answer = self.set_up(Method::Put, &template.path(), Some(bytes)).await?;
            let name = template.name.as_str();
            if answer.is_success() {
                let replaced = weakened.join(", ");
                if there == Some(template.version()) {
                    debug!(template = name, replaced, "template written again");
                } else if weakened.is_empty() {
                    info!(template = name, version = template.version(), "template stored");
                } else {
                    warn!(
                        template = name,
                        replaced, "template stored without what the server lacks"
                    );
                }
                return Ok(());
            }
            let reason = answer.reason();
            let weaker = crate::template::without_unknown(&mut body, &reason);
            match (answer.status, weaker) {
                (400, Some(what)) => weakened.push(what),
                (400, None) => {
                    let text = format!("template {name} was refused: {reason}");
                    return Err(SinkError::Refused(text, None));
                }
                _ => return Err(self.connection.refusal("storing templates", &answer)),
            }
        }
        let text = format!("template {} was refused {ATTEMPTS_MAX} times", template.name);
        Err(SinkError::Refused(text, None))
    }

    /// What is set up may be set up twice.
    async fn set_up(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, SinkError> {
        self.connection.send_within(BUSY_WITHIN, method, path, body).await
    }

    /// An index that is there already gets the fields that it lacks; those that it has keep their
    /// types.
    async fn add_fields(&self, template: &Template, body: &Value) -> Result<(), SinkError> {
        let patterns: Vec<_> = template.patterns().collect();
        let path = format!("{}/_mapping?allow_no_indices=true", patterns.join(","));
        let fields = json!({"properties": body["template"]["mappings"]["properties"]});
        let body = Some(Bytes::from(fields.to_string()));
        let answer = self.set_up(Method::Put, &path, body).await?;
        match answer.status {
            200..300 | 404 => Ok(()),
            400 => {
                let (name, reason) = (&template.name, answer.reason());
                warn!(
                    template = name,
                    reason,
                    "an index of rows keeps its older types: delete it, and replay the table"
                );
                Ok(())
            }
            _ => Err(self.connection.refusal("adding fields to an index of rows", &answer)),
        }
    }

    /// A new version holds for new backing indices only, so existing data streams begin one.
    async fn renew_streams(&self, template: &Template) -> Result<(), SinkError> {
        let patterns: Vec<_> = template.patterns().collect();
        for (stream, _) in self.data_streams(&patterns.join(",")).await? {
            self.roll_over(&stream).await?;
            info!(data_stream = stream, "data stream rolled over to the new template");
        }
        Ok(())
    }
}

fn version(body: &Value) -> u64 {
    body["version"].as_u64().unwrap_or(0)
}

/// Data streams were made of something else than this template: of an older version; of a table
/// with other columns; or of a table that nobody had seen, and so of no template of its own.
fn is_changed(found: Option<&Value>, ours: &Value) -> bool {
    let columns = |body: &Value| body["_meta"]["columns"].as_str().map(str::to_owned);
    match found {
        Some(found) => version(found) < version(ours) || columns(found) != columns(ours),
        None => columns(ours).is_some(),
    }
}
