//! A company's own key: it creates documents in the company's data streams, and reads nothing.

use elasticsearch::http::Method;
use serde_json::{Value, json};
use tahoe_pipeline::secret::Secret;
use tahoe_seams::SinkError;

use super::role::{metadata, role_name, writer};
use super::{Company, Tenants};

const PATH: &str = "_security/api_key";

impl Tenants {
    /// The key of a company, with what it is if it is new: a key that is there cannot be shown again.
    /// With `new` those that are there end when the new one is made.
    pub(super) async fn add_key(
        &self,
        company: &Company,
        new: bool,
    ) -> Result<(String, Option<Secret>), SinkError> {
        let there = self.keys(company.name()).await?;
        if let Some(id) = there.first().filter(|_| !new) {
            return Ok((id.clone(), None));
        }
        let body = json!({
            "name": role_name(company.name()),
            "role_descriptors": writer(company),
            "metadata": metadata(company.name()),
        });
        let made = self.send("making API keys", Method::Post, PATH, Some(&body)).await?;
        let text = |name: &str| made[name].as_str().unwrap_or_default();
        if !there.is_empty() {
            self.invalidate_keys(&there).await?;
        }
        Ok((text("id").to_owned(), Some(Secret::from(text("encoded")))))
    }

    /// Ids of a company's keys that are valid.
    pub(super) async fn keys(&self, company: &str) -> Result<Vec<String>, SinkError> {
        let path = format!("{PATH}?name={}", role_name(company));
        let found = self.find("reading API keys", &path).await?.unwrap_or_default();
        let keys = found["api_keys"].as_array().into_iter().flatten();
        let valid = keys.filter(|key| key["invalidated"] == false);
        Ok(valid.filter_map(|key| key["id"].as_str().map(str::to_owned)).collect())
    }

    pub(super) async fn invalidate_keys(&self, ids: &[String]) -> Result<(), SinkError> {
        let body: Value = json!({"ids": ids});
        self.send("ending API keys", Method::Delete, PATH, Some(&body)).await.map(drop)
    }
}
