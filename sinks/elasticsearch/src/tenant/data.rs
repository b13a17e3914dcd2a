//! What a company's events are stored in, and its end.

use std::collections::BTreeMap;

use elasticsearch::http::Method;
use serde::Serialize;
use serde_json::Value;
use tahoe_seams::SinkError;
use tracing::info;

use super::{Company, NOBODY, Tenant, Tenants};
use crate::retention::{data_streams, resolve};

/// Everything that may be a company's.
const ALL: &str = "logs-*,metrics-*,rows-*";

/// A data stream or index of rows, and what became of it.
#[derive(Debug, Serialize)]
pub struct Gone {
    /// Its name.
    pub name: String,
    /// Documents that it had.
    pub documents: u64,
    /// Its documents are deleted.
    pub deleted: bool,
    /// The server could not delete the data stream, so it is there and empty.
    pub is_empty: bool,
}

/// The namespace in the name of a data stream or index of rows of ours.
pub(crate) fn namespace_of(name: &str) -> Option<&str> {
    let mut parts = name.split('-');
    let (kind, _, namespace) = (parts.next()?, parts.next()?, parts.next()?);
    let ours = ["logs", "metrics", "rows"].contains(&kind) && parts.next().is_none();
    (ours && namespace != NOBODY).then_some(namespace)
}

impl Tenants {
    /// The companies that have data.
    pub(super) async fn with_data(&self) -> Result<BTreeMap<String, Tenant>, SinkError> {
        let mut all = BTreeMap::new();
        for (name, _) in self.stores().await? {
            let Some(company) = namespace_of(&name) else { continue };
            let tenant = Tenant { company: company.to_owned(), ..Tenant::default() };
            all.entry(company.to_owned()).or_insert(tenant).data_streams.push(name);
        }
        Ok(all)
    }

    /// A company's data, which with `delete` is gone then.
    pub(super) async fn data(
        &self,
        company: &Company,
        delete: bool,
    ) -> Result<Vec<Gone>, SinkError> {
        let mut all = Vec::new();
        for (name, backing) in self.stores().await? {
            if namespace_of(&name) != Some(company.name()) {
                continue;
            }
            let counting = format!("{name}/_count");
            let counted = self.send("counting documents", Method::Get, &counting, None).await?;
            let documents = counted["count"].as_u64().unwrap_or(0);
            let is_empty = match (delete, &backing) {
                (false, _) => false,
                (true, Some(backing)) => self.delete_stream(&name, backing).await?,
                (true, None) => self.elasticsearch.delete_index(&name).await.map(|()| false)?,
            };
            if delete {
                info!(name, documents, "data of a removed company deleted");
            }
            all.push(Gone { name, documents, deleted: delete, is_empty });
        }
        Ok(all)
    }

    /// Data streams with their backing indices, and indices of rows.
    async fn stores(&self) -> Result<Vec<(String, Option<Vec<String>>)>, SinkError> {
        let answer = self.connection().send(Method::Get, &resolve(ALL), None).await?;
        if !answer.is_success() {
            return Err(self.refusal("listing data streams", &answer));
        }
        let streams = data_streams(&answer)?.into_iter();
        let body: Value = answer.json()?;
        let indices = body["indices"].as_array().into_iter().flatten();
        let names = indices.filter_map(|index| index["name"].as_str()).filter(|name| {
            // A backing index is listed too, as one of its data stream's.
            name.starts_with("rows-")
        });
        let indices: Vec<_> = names.map(|name| (name.to_owned(), None)).collect();
        Ok(streams.map(|(name, backing)| (name, Some(backing))).chain(indices).collect())
    }

    /// Deletes a data stream. A server without that request deletes its backing indices, and keeps
    /// an empty one, because it deletes none that is written to; whether it is so.
    async fn delete_stream(&self, name: &str, backing: &[String]) -> Result<bool, SinkError> {
        let path = format!("_data_stream/{name}");
        let answer = self.connection().send(Method::Delete, &path, None).await?;
        match answer.status {
            200..300 | 404 => return Ok(false),
            400 | 405 => {}
            _ => return Err(self.refusal("deleting data streams", &answer)),
        }
        let path = format!("{name}/_rollover");
        self.send("rolling data streams over", Method::Post, &path, None).await?;
        for index in backing {
            self.elasticsearch.delete_index(index).await?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_another_dash_is_no_company_s() {
        assert_eq!(namespace_of("logs-laravel.log-acme"), Some("acme"));
        assert_eq!(namespace_of("rows-mysql.shop.orders-a.b"), Some("a.b"));
        for name in ["logs-x-big-acme", "logs-acme", "other-x-acme", "logs-laravel.log-default"] {
            assert_eq!(namespace_of(name), None, "{name}");
        }
    }
}
