//! Companies kept apart: a company is a namespace, and its role reads the data streams of that
//! namespace and nothing else. A role is an index privilege, which every licence has.
//!
//! What is made is named `tahoe-tenant-<company>`, so that it is found again and all of it can be
//! taken away; nothing else that is on the server is touched.

mod data;
mod key;
mod kibana;
mod people;
mod role;

use std::str::FromStr;

use bytes::Bytes;
use elasticsearch::http::Method;
use serde::Serialize;
use serde_json::Value;
use tahoe_pipeline::secret::Secret;
use tahoe_schemas::rules::is_namespace;
use tahoe_seams::SinkError;

pub use data::Gone;
pub(crate) use data::namespace_of;
use role::role_path;
pub(crate) use role::{company_of, role_name};

use crate::connection::{Answer, Connection};
use crate::{Address, Elasticsearch, ElasticsearchArgs, Kibana};

/// Elasticsearch's limit of a namespace.
const NAME_BYTES_MAX: usize = 100;

/// The namespace of events that no rule knows.
const NOBODY: &str = "default";

/// The name of a client company: a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Company(String);

impl Company {
    /// The namespace.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Its space in Kibana.
    pub fn space(&self) -> String {
        kibana::space_of(&self.0)
    }
}

impl FromStr for Company {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !is_namespace(text) || text.len() > NAME_BYTES_MAX {
            // A `-` would end the name of one data stream where another's namespace begins.
            return Err(format!(
                "a company is a namespace: only a-z, 0-9, _ and ., {NAME_BYTES_MAX} at most"
            ));
        }
        if text == NOBODY {
            return Err("default has what no rule gives to a company (--namespace-from)".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

/// What a company is to have beside its role.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Users who get the role; one that is not there is created with `password`.
    pub users: Vec<String>,
    /// Of users that have to be created.
    pub password: Option<Secret>,
    /// Fields of a login and their values: any of them gives the role.
    pub logins: Vec<(String, String)>,
    /// A key that writes the company's data streams.
    pub api_key: bool,
    /// A new one in place of those that there are.
    pub new_api_key: bool,
    /// A namespace of several companies, and field and value of the documents that are this one's.
    pub shared: Option<(String, String, String)>,
    /// Saved objects for the company's space, as lines of JSON.
    pub dashboards: Option<String>,
}

/// What was made.
#[derive(Debug, Default)]
pub struct Added {
    /// Roles, the company's first; whether each is new.
    pub roles: Vec<(String, bool)>,
    /// Users with the role; whether each is new, and so has [`Wanted::password`].
    pub users: Vec<(String, bool)>,
    /// The mapping of logins; whether it is new.
    pub role_mapping: Option<(String, bool)>,
    /// Id of the key, and the key itself if it is new: the server does not say it again.
    pub api_key: Option<(String, Option<Secret>)>,
    /// Space in Kibana; whether it is new, and how many saved objects were written.
    pub space: Option<(String, bool, u64)>,
    /// What stopped it. All before it is done, and a second call does the rest.
    pub error: Option<SinkError>,
}

/// A company as the server has it.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tenant {
    /// Its name.
    pub company: String,
    /// Its role; without one nobody but us sees its events.
    pub role: Option<String>,
    /// Users who have it.
    pub users: Vec<String>,
    /// Logins get it too.
    pub role_mapping: bool,
    /// Ids of keys that write.
    pub api_keys: Vec<String>,
    /// Its data streams and indices of rows.
    pub data_streams: Vec<String>,
    /// Its space, if Kibana was asked.
    pub space: Option<String>,
}

/// What went, and what stays.
#[derive(Debug, Default, Serialize)]
pub struct Removed {
    /// The role, if there was one.
    pub role: Option<String>,
    /// Users that were deleted: the role was all that they had, and we had made them.
    pub users_deleted: Vec<String>,
    /// Users who have lost the role.
    pub users_changed: Vec<String>,
    /// The mapping of logins is gone.
    pub role_mapping: bool,
    /// Keys that are no longer valid.
    pub api_keys: Vec<String>,
    /// The space is gone, with everything that was saved in it.
    pub space: Option<String>,
    /// Data streams and indices of rows, and what became of them.
    pub data: Vec<Gone>,
}

/// The companies of a cluster.
#[derive(Debug)]
pub struct Tenants {
    elasticsearch: Elasticsearch,
    kibana: Option<Kibana>,
}

impl Tenants {
    /// A client for Elasticsearch and, where there is one, for Kibana, which takes the same login.
    ///
    /// # Errors
    /// [`SinkError::Refused`] when a setting cannot be right.
    pub fn new(args: &ElasticsearchArgs, kibana: Option<&Address>) -> Result<Self, SinkError> {
        let kibana = kibana.map(|address| Kibana::new(address, &args.access)).transpose()?;
        Ok(Self { elasticsearch: Elasticsearch::new(args, Vec::new())?, kibana })
    }

    /// Makes what is missing of a company, and of the internal roles. As often as one likes.
    pub async fn add(&self, company: &Company, wanted: &Wanted) -> Added {
        let mut added = Added::default();
        added.error = self.add_each(company, wanted, &mut added).await.err();
        added
    }

    /// The secrets come last: nothing that fails behind them can lose one.
    async fn add_each(
        &self,
        company: &Company,
        wanted: &Wanted,
        added: &mut Added,
    ) -> Result<(), SinkError> {
        let name = role_name(&company.0);
        let role = role::of_company(company, wanted.shared.as_ref());
        let is_new = self.put_role(&name, &role).await?;
        added.roles.push((name.clone(), is_new));
        for (name, role) in role::internal() {
            added.roles.push((name.to_owned(), self.put_role(name, &role).await?));
        }
        if let Some(kibana) = &self.kibana {
            let (space, is_new) = kibana.add_space(company).await?;
            added.space = Some((space.clone(), is_new, 0));
            kibana.put_role(&name, &role, &[kibana::sees_dashboards(&space)]).await?;
            for (name, role) in role::internal() {
                kibana.put_role(name, &role, &kibana::of_internal(name)).await?;
            }
            if let Some(objects) = &wanted.dashboards {
                let written = kibana.import(Some(&space), objects).await?;
                added.space = Some((space, is_new, written));
            }
        }
        if !wanted.logins.is_empty() {
            let is_new = self.put_mapping(company, &wanted.logins).await?;
            added.role_mapping = Some((name, is_new));
        }
        for user in &wanted.users {
            let is_new = self.add_user(company, user, wanted.password.as_ref()).await?;
            added.users.push((user.clone(), is_new));
        }
        if wanted.api_key {
            added.api_key = Some(self.add_key(company, wanted.new_api_key).await?);
        }
        Ok(())
    }

    /// All companies that have a role or data, in the order of their names.
    ///
    /// # Errors
    /// The server refuses, or cannot be asked.
    pub async fn list(&self) -> Result<Vec<Tenant>, SinkError> {
        let mut all = self.with_data().await?;
        let tenant = |company: &str| Tenant { company: company.to_owned(), ..Tenant::default() };
        for company in self.companies().await? {
            let entry = all.entry(company.clone()).or_insert_with(|| tenant(&company));
            entry.role = Some(role_name(&company));
        }
        for (user, roles) in self.users().await? {
            for tenant in all.values_mut() {
                if tenant.role.as_ref().is_some_and(|role| roles.contains(role)) {
                    tenant.users.push(user.clone());
                }
            }
        }
        for tenant in all.values_mut() {
            tenant.role_mapping = self.has_mapping(&tenant.company).await?;
            tenant.api_keys = self.keys(&tenant.company).await?;
            if let Some(kibana) = &self.kibana {
                tenant.space = kibana.find_space(&tenant.company).await?;
            }
        }
        Ok(all.into_values().collect())
    }

    /// Takes away what [`Self::add`] made. Events stay unless `delete_data`; with `dry_run` all stays,
    /// and the answer is what would go.
    ///
    /// # Errors
    /// The server refuses, or cannot be asked. What was done before stays done; a second call does
    /// the rest.
    pub async fn remove(
        &self,
        company: &Company,
        delete_data: bool,
        dry_run: bool,
    ) -> Result<Removed, SinkError> {
        let name = &company.0;
        // Who writes and reads is shut out first.
        let api_keys = self.keys(name).await?;
        if !dry_run && !api_keys.is_empty() {
            self.invalidate_keys(&api_keys).await?;
        }
        let role_mapping = self.has_mapping(name).await?;
        if !dry_run && role_mapping {
            self.delete_mapping(name).await?;
        }
        let (users_deleted, users_changed) = self.remove_users(company, dry_run).await?;
        let role = self.companies().await?.contains(name).then(|| role_name(name));
        if let Some(role) = role.as_ref().filter(|_| !dry_run) {
            self.send("deleting roles", Method::Delete, &role_path(role), None).await?;
        }
        let mut space = None;
        if let Some(kibana) = &self.kibana {
            space = kibana.find_space(name).await?;
            if let Some(space) = space.as_ref().filter(|_| !dry_run) {
                kibana.delete_space(space).await?;
            }
        }
        let data = self.data(company, delete_data && !dry_run).await?;
        Ok(Removed { role, users_deleted, users_changed, role_mapping, api_keys, space, data })
    }

    fn connection(&self) -> &Connection {
        &self.elasticsearch.connection
    }

    /// Asks, and takes nothing but success for an answer.
    async fn send(
        &self,
        doing: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, SinkError> {
        let body = body.map(|body| Bytes::from(body.to_string()));
        let answer = self.connection().send(method, path, body).await?;
        match answer.is_success() {
            true => answer.json(),
            false => Err(self.refusal(doing, &answer)),
        }
    }

    /// The same, where "there is none" is an answer too.
    async fn find(&self, doing: &str, path: &str) -> Result<Option<Value>, SinkError> {
        let answer = self.connection().send(Method::Get, path, None).await?;
        match answer.status {
            404 => Ok(None),
            200..300 => answer.json().map(Some),
            _ => Err(self.refusal(doing, &answer)),
        }
    }

    fn refusal(&self, doing: &str, answer: &Answer) -> SinkError {
        let (names, reason) = (&self.connection().names, answer.reason());
        if reason.contains("non-compliant for [field and document level security]") {
            let text = format!(
                "the licence of {names} has no document-level security, which --shared needs: give \
                 the company a namespace of its own (--namespace-from)"
            );
            return SinkError::Refused(text, None);
        }
        // Said by a server without security, and by one that is not Elasticsearch.
        let without = ["must be explicitly enabled", "no handler found", "Incorrect HTTP method"];
        if without.iter().any(|text| reason.contains(text)) {
            let text = format!(
                "{names} keeps nobody apart: switch its security on (xpack.security.enabled), or \
                 name another by --elasticsearch ({reason})"
            );
            return SinkError::Refused(text, None);
        }
        self.connection().refusal(doing, answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_company_is_a_namespace_and_no_part_of_another_s_name() {
        for name in ["acme", "acme.eu", "4_all"] {
            assert_eq!(name.parse::<Company>().expect(name).name(), name);
        }
        let long = "x".repeat(101);
        for name in ["big-acme", "-acme", "", "Acme", "a*", "a b", "a/b", "default", &long] {
            assert!(name.parse::<Company>().is_err(), "{name}");
        }
    }
}
