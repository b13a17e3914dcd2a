//! What is wrong before the first event, within ten seconds, each with the setting that mends it.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use elasticsearch::http::Method;
use serde_json::{Value, json};
use tahoe_seams::SinkError;

use crate::connection::Answer;
use crate::retention::{data_streams, resolve};
use crate::template::{matches, patterns};
use crate::tenant::{company_of, namespace_of, role_name};
use crate::{Elasticsearch, Keeper, Kind, Template};

/// `--check` answers within 10 s; the rest of them is for what else is checked.
const CHECK_WITHIN: Duration = Duration::from_secs(9);

/// Data streams that events go to.
const PATTERNS: [&str; 2] = ["logs-*", "metrics-tahoe.*"];

/// What writing, looking up and searching need; `auto_configure` lets a first event create its
/// data stream.
const PRIVILEGES: [&str; 4] = ["create_doc", "auto_configure", "view_index_metadata", "read"];

/// Elasticsearch's defaults, in percent of the disk: no new shards, and no more writes.
const DISK_LOW: u64 = 85;
const DISK_FLOOD: u64 = 95;

impl Elasticsearch {
    pub(crate) async fn check_all(&self) -> Result<String, SinkError> {
        tokio::time::timeout(CHECK_WITHIN, self.check_each()).await.unwrap_or_else(|_| {
            let (names, seconds) = (&self.connection.names, CHECK_WITHIN.as_secs());
            let text = format!("no answer from {names} within {seconds} s: check --elasticsearch");
            Err(SinkError::Unavailable(text, None))
        })
    }

    async fn check_each(&self) -> Result<String, SinkError> {
        let version = self.version().await?;
        let mut problems = Vec::new();
        let mut notes = Vec::new();
        self.check_privileges(&mut problems).await?;
        self.check_templates(&mut problems, &mut notes).await?;
        self.check_disks(&mut problems, &mut notes).await?;
        self.check_retention(&mut notes).await?;
        self.check_companies(&mut notes).await?;
        let names = &self.connection.names;
        if !problems.is_empty() {
            problems.append(&mut notes);
            let text = format!("{version} at {names}: {}", problems.join("; "));
            return Err(SinkError::Refused(text, None));
        }
        notes.insert(0, format!("{version} at {names}, {} templates", self.templates.len()));
        Ok(notes.join("; "))
    }

    async fn version(&self) -> Result<String, SinkError> {
        let answer = self.connection.send(Method::Get, "", None).await?;
        if answer.is_success() {
            let body: Value = answer.json()?;
            if let Some(number) = body["version"]["number"].as_str() {
                let product = match body["version"]["distribution"].as_str() {
                    Some("opensearch") => "OpenSearch",
                    _ => "Elasticsearch",
                };
                return Ok(format!("{product} {number}"));
            }
        }
        if matches!(answer.status, 401 | 403) || answer.status >= 500 {
            return Err(self.connection.refusal("connecting", &answer));
        }
        // A server that does not greet (the minimal distribution, some proxies) has nodes.
        let path = "_nodes?filter_path=nodes.*.version";
        let answer = self.connection.ask("connecting", Method::Get, path, None).await?;
        let body: Value = answer.json()?;
        let mut nodes = body["nodes"].as_object().into_iter().flat_map(|nodes| nodes.values());
        let number = nodes.find_map(|node| node["version"].as_str()).ok_or_else(|| {
            let text = "the answer is not Elasticsearch's: is --elasticsearch right?".to_owned();
            SinkError::Refused(text, None)
        })?;
        Ok(format!("Elasticsearch {number}"))
    }

    async fn check_privileges(&self, problems: &mut Vec<String>) -> Result<(), SinkError> {
        let asked = json!({"index": [{"names": PATTERNS, "privileges": PRIVILEGES}]});
        let body = Some(Bytes::from(asked.to_string()));
        let path = "_security/user/_has_privileges";
        let answer = self.connection.send(Method::Post, path, body).await?;
        match answer.status {
            200 => {}
            401 => return Err(self.connection.refusal("checking privileges", &answer)),
            // No security on this server, or one that is not Elasticsearch's.
            _ => return Ok(()),
        }
        let body: Value = answer.json()?;
        for pattern in PATTERNS {
            let has = &body["index"][pattern];
            let missing: Vec<_> =
                PRIVILEGES.into_iter().filter(|name| has[name] == false).collect();
            if !missing.is_empty() {
                let user = body["username"].as_str().unwrap_or("of ELASTIC_API_KEY");
                problems.push(format!(
                    "user {user} (--elastic-username, ELASTIC_API_KEY) lacks {} on {pattern}",
                    missing.join(", ")
                ));
            }
        }
        Ok(())
    }

    async fn check_templates(
        &self,
        problems: &mut Vec<String>,
        notes: &mut Vec<String>,
    ) -> Result<(), SinkError> {
        let mut missing = Vec::new();
        for template in &self.templates {
            let (name, ours) = (&template.name, template.version());
            match self.version_of(template).await? {
                None => missing.push(name.as_str()),
                Some(version) if version > ours => problems.push(format!(
                    "template {name} has version {version}, this Tahoe brings {ours}: use a \
                     newer Tahoe"
                )),
                Some(version) if version < ours => notes.push(format!(
                    "warning: template {name} has version {version} of {ours}: run `tahoe setup`"
                )),
                Some(_) => {}
            }
        }
        if !missing.is_empty() {
            let names = missing.join(", ");
            problems.push(format!("no template {names}: run `tahoe setup`"));
        }
        self.check_shadows(notes).await
    }

    /// A template of higher priority for the same names would win over ours.
    async fn check_shadows(&self, notes: &mut Vec<String>) -> Result<(), SinkError> {
        let path = "_index_template?filter_path=index_templates.name,\
            index_templates.index_template.index_patterns,index_templates.index_template.priority";
        let Some(answer) = self.seen(path).await? else { return Ok(()) };
        let body: Value = answer.json()?;
        for other in body["index_templates"].as_array().into_iter().flatten() {
            let shadows = |ours: &&Template| shadows(&other["index_template"], ours);
            let name = other["name"].as_str().unwrap_or_default();
            if self.templates.iter().any(|ours| ours.name == name) {
                continue;
            }
            if let Some(ours) = self.templates.iter().find(shadows) {
                notes.push(format!(
                    "warning: template {name} has a higher priority than {}: lower or delete it",
                    ours.name
                ));
            }
        }
        Ok(())
    }

    async fn check_retention(&self, notes: &mut Vec<String>) -> Result<(), SinkError> {
        let says = self.templates.iter().any(|template| template.keep().is_some());
        // Who may not ask is told nothing.
        if says && matches!(self.keeper().await, Ok(Keeper::Tahoe)) {
            notes.push(
                "warning: this server deletes nothing by itself: run `tahoe retention` once a day"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Where some company has a role, those that have none are named: nobody of theirs sees them.
    async fn check_companies(&self, notes: &mut Vec<String>) -> Result<(), SinkError> {
        // A server without security has none.
        let Some(answer) = self.seen("_security/role").await? else { return Ok(()) };
        let roles: Value = answer.json()?;
        let mut names = roles.as_object().into_iter().flat_map(serde_json::Map::keys);
        if !names.any(|name| company_of(name).is_some()) {
            return Ok(());
        }
        let Some(answer) = self.seen(&resolve("logs-*,metrics-*")).await? else { return Ok(()) };
        let streams = data_streams(&answer)?;
        let names = streams.iter().filter_map(|(name, _)| namespace_of(name));
        let without: BTreeSet<_> =
            names.filter(|name| roles.get(role_name(name)).is_none()).collect();
        if !without.is_empty() {
            let names = without.into_iter().collect::<Vec<_>>().join(", ");
            notes.push(format!("warning: no role for {names}: run `tahoe tenant add`"));
        }
        Ok(())
    }

    async fn check_disks(
        &self,
        problems: &mut Vec<String>,
        notes: &mut Vec<String>,
    ) -> Result<(), SinkError> {
        let path = "_nodes/stats/fs?filter_path=nodes.*.name,nodes.*.fs.total";
        // It needs the privilege `monitor`.
        let Some(answer) = self.seen(path).await? else { return Ok(()) };
        let body: Value = answer.json()?;
        if !self.heeds_disks().await? {
            return Ok(());
        }
        for node in body["nodes"].as_object().into_iter().flat_map(|nodes| nodes.values()) {
            let bytes = |name: &str| node["fs"]["total"][name].as_u64();
            let (Some(total), Some(free)) = (bytes("total_in_bytes"), bytes("available_in_bytes"))
            else {
                continue;
            };
            let used = 100 - free.min(total) * 100 / total.max(1);
            let name = node["name"].as_str().unwrap_or("unnamed");
            if used >= DISK_FLOOD {
                problems.push(format!(
                    "the disk of node {name} is {used} % full, where Elasticsearch stops writes \
                     (cluster.routing.allocation.disk.watermark.flood_stage): free some"
                ));
            } else if used >= DISK_LOW {
                notes.push(format!(
                    "warning: the disk of node {name} is {used} % full, where Elasticsearch places \
                     no new shards (cluster.routing.allocation.disk.watermark.low)"
                ));
            }
        }
        Ok(())
    }

    /// Whether the server stops before a disk is full: somebody may have told it not to.
    async fn heeds_disks(&self) -> Result<bool, SinkError> {
        let path = "_cluster/settings?include_defaults=true\
            &filter_path=*.cluster.routing.allocation.disk.threshold_enabled";
        let Some(answer) = self.seen(path).await? else { return Ok(true) };
        let body: Value = answer.json()?;
        let says = |level: &str| {
            let disk = &body[level]["cluster"]["routing"]["allocation"]["disk"];
            disk["threshold_enabled"].as_str().map(|text| text != "false")
        };
        // The first one holds.
        Ok(["transient", "persistent", "defaults"].into_iter().find_map(says).unwrap_or(true))
    }

    /// What the server answers, if it has such a thing and lets this user see it: a writer need not
    /// see all of it.
    async fn seen(&self, path: &str) -> Result<Option<Answer>, SinkError> {
        let answer = self.connection.send(Method::Get, path, None).await?;
        Ok(answer.is_success().then_some(answer))
    }
}

/// Does `other`'s index template take precedence over `ours` for a data stream of ours?
fn shadows(other: &Value, ours: &Template) -> bool {
    let priority = |body: &Value| body["priority"].as_u64().unwrap_or(0);
    ours.kind == Kind::Index
        && priority(other) > priority(&ours.body())
        && ours.patterns().any(|mine| {
            let name = mine.replace('*', "any");
            patterns(other).any(|theirs| matches(theirs, &name))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_higher_priority_for_the_same_names_shadows_a_template() {
        let body =
            |priority: u64, name: &str| json!({"priority": priority, "index_patterns": [name]});
        let mine = body(500, "logs-laravel.log-*");
        let mut ours = Template::new(Kind::Index, "logs-laravel.log", &mine);
        assert!(shadows(&body(501, "logs-*-*"), &ours));
        assert!(!shadows(&body(100, "logs-*-*"), &ours), "ours wins over the built-in one");
        assert!(!shadows(&body(501, "metrics-*-*"), &ours));
        ours.kind = Kind::Component;
        assert!(!shadows(&body(501, "*"), &ours));
    }
}
