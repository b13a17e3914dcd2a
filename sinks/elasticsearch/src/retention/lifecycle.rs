//! Who deletes what is old: Elasticsearch's data stream lifecycle (from 8.14 on), its older index
//! lifecycle management, or nobody.

use elasticsearch::http::Method;
use serde::Serialize;
use serde_json::{Value, json};
use tahoe_schemas::retention::Keep;
use tahoe_seams::SinkError;

use super::rollover_days;
use crate::Elasticsearch;

/// Who deletes what is past its retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeper {
    /// The server, as the data stream itself says.
    DataStreamLifecycle,
    /// The server, by a policy that the index names.
    IndexLifecycle,
    /// The server has neither: `tahoe retention` does it.
    Tahoe,
}

/// The setting that names an index's policy.
const POLICY: &str = "index.lifecycle.name";

impl Elasticsearch {
    /// What this server can do by itself.
    pub(crate) async fn keeper(&self) -> Result<Keeper, SinkError> {
        let asked = [
            ("_data_stream/logs-*/_lifecycle", Keeper::DataStreamLifecycle),
            ("_ilm/status", Keeper::IndexLifecycle),
        ];
        for (path, keeper) in asked {
            let answer = self.connection.send(Method::Get, path, None).await?;
            match answer.status {
                200..300 => return Ok(keeper),
                // A server without it has no such path.
                400 | 404 | 405 => {}
                _ => return Err(self.connection.refusal("asking for lifecycles", &answer)),
            }
        }
        Ok(Keeper::Tahoe)
    }

    pub(super) async fn lifecycle_differs(
        &self,
        stream: &str,
        keep: Keep,
    ) -> Result<bool, SinkError> {
        let path = format!("_data_stream/{stream}/_lifecycle");
        let answer = self.connection.ask("reading a lifecycle", Method::Get, &path, None).await?;
        let body: Value = answer.json()?;
        Ok(body["data_streams"][0]["lifecycle"] != wanted(&body, keep))
    }

    pub(super) async fn put_lifecycle(&self, stream: &str, keep: Keep) -> Result<(), SinkError> {
        let body = match keep {
            Keep::Days(days) => json!({"data_retention": format!("{days}d")}),
            Keep::Forever => json!({}),
        };
        self.put("setting a lifecycle", &format!("_data_stream/{stream}/_lifecycle"), &body).await
    }

    pub(super) async fn policy_differs(&self, stream: &str, keep: Keep) -> Result<bool, SinkError> {
        let path = format!("{stream}/_settings/{POLICY}?flat_settings=true");
        let doing = "reading the policy of a data stream";
        let body: Value = self.connection.ask(doing, Method::Get, &path, None).await?.json()?;
        let name = policy_name(keep);
        let mut indices = body.as_object().into_iter().flat_map(|indices| indices.values());
        Ok(indices.any(|index| index["settings"][POLICY] != name.as_str()))
    }

    /// Gives a data stream's indices the policy of `keep`, and makes it.
    pub(super) async fn put_policy(&self, stream: &str, keep: Keep) -> Result<(), SinkError> {
        self.make_policy(keep).await?;
        let body = json!({POLICY: policy_name(keep)});
        self.put("setting a policy", &format!("{stream}/_settings"), &body).await
    }

    /// Makes the policy of `keep`; what it was before under that name it is again.
    pub(crate) async fn make_policy(&self, keep: Keep) -> Result<(), SinkError> {
        let path = format!("_ilm/policy/{}", policy_name(keep));
        self.put("making a lifecycle policy", &path, &policy(keep)).await
    }
}

/// What the lifecycle would be, with what the server says of it besides.
fn wanted(found: &Value, keep: Keep) -> Value {
    let mut lifecycle = found["data_streams"][0]["lifecycle"].clone();
    if !lifecycle.is_object() {
        return json!({});
    }
    lifecycle["enabled"] = true.into();
    match keep {
        Keep::Days(days) => lifecycle["data_retention"] = format!("{days}d").into(),
        Keep::Forever => drop(lifecycle.as_object_mut().map(|map| map.remove("data_retention"))),
    }
    lifecycle
}

/// `tahoe-90d`, `tahoe-forever`.
pub(crate) fn policy_name(keep: Keep) -> String {
    format!("tahoe-{keep}")
}

fn policy(keep: Keep) -> Value {
    let days = match keep {
        Keep::Days(days) => days,
        Keep::Forever => u32::MAX,
    };
    let rollover =
        json!({"max_age": format!("{}d", rollover_days(days)), "max_primary_shard_size": "50gb"});
    let mut phases = json!({"hot": {"actions": {"rollover": rollover}}});
    if let Keep::Days(days) = keep {
        phases["delete"] = json!({"min_age": format!("{days}d"), "actions": {"delete": {}}});
    }
    json!({"policy": {"phases": phases, "_meta": {"managed_by": "tahoe"}}})
}

/// Puts the policy of `keep` in place of the lifecycle in a template's body; false of a template that
/// has none.
pub(crate) fn with_policy(body: &mut Value, keep: Keep) -> bool {
    let Some(template) = body["template"].as_object_mut() else { return false };
    if template.remove("lifecycle").is_none() {
        return false;
    }
    body["template"]["settings"]["index"]["lifecycle"] = json!({"name": policy_name(keep)});
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_adds_to_a_lifecycle_makes_no_difference() {
        let found = |lifecycle: Value| json!({"data_streams": [{"lifecycle": lifecycle}]});
        let same = json!({
            "enabled": true, "data_retention": "90d", "effective_retention": "90d",
            "retention_determined_by": "data_stream_configuration",
        });
        let body = found(same.clone());
        assert_eq!(wanted(&body, Keep::Days(90)), same);
        assert_ne!(wanted(&body, Keep::Days(30)), same);
        assert_ne!(wanted(&body, Keep::Forever), same);
        let none = found(Value::Null);
        assert_ne!(wanted(&none, Keep::Forever), none["data_streams"][0]["lifecycle"]);
        let off = json!({"enabled": false, "data_retention": "90d"});
        assert_ne!(wanted(&found(off.clone()), Keep::Days(90)), off);
    }

    #[test]
    fn a_policy_rolls_over_in_steps_and_deletes_after_the_days_and_forever_never() {
        let phases = policy(Keep::Days(90))["policy"]["phases"].clone();
        assert_eq!(phases["hot"]["actions"]["rollover"]["max_age"], "7d");
        assert_eq!(phases["delete"]["min_age"], "90d");
        assert_eq!(policy(Keep::Forever)["policy"]["phases"].get("delete"), None);
        let mut body =
            json!({"template": {"lifecycle": {}, "settings": {"index": {"codec": "c"}}}});
        assert!(with_policy(&mut body, Keep::Days(7)));
        let index = json!({"codec": "c", "lifecycle": {"name": "tahoe-7d"}});
        assert_eq!(body, json!({"template": {"settings": {"index": index}}}));
        assert!(!with_policy(&mut body, Keep::Days(7)), "an index of rows has no lifecycle");
    }
}
