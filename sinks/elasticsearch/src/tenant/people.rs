//! Who has a company's role: users of Elasticsearch's own, and logins that come from elsewhere.

use elasticsearch::http::Method;
use serde_json::{Map, Value, json};
use tahoe_pipeline::secret::Secret;
use tahoe_seams::SinkError;

use super::role::{metadata, role_name};
use super::{Company, Tenants};

const READING: &str = "reading users";
const WRITING: &str = "writing users";

impl Tenants {
    /// Gives a user the role; creates one that is not there. Whether the user is new.
    pub(super) async fn add_user(
        &self,
        company: &Company,
        user: &str,
        password: Option<&Secret>,
    ) -> Result<bool, SinkError> {
        let (path, role) = (user_path(user), role_name(company.name()));
        let Some(found) = self.find(READING, &path).await? else {
            let Some(password) = password else {
                let text = format!("no user {user}: give a password by --user-password-file");
                return Err(SinkError::Refused(text, None));
            };
            let body = json!({
                "password": password.reveal(),
                "roles": [role],
                "metadata": metadata(company.name()),
            });
            self.send(WRITING, Method::Put, &path, Some(&body)).await?;
            return Ok(true);
        };
        let mut user = found[user].clone();
        let roles = roles_of(&user);
        if !roles.contains(&role) {
            user["roles"] = roles.into_iter().chain([role]).collect();
            self.put_user(&path, &user).await?;
        }
        Ok(false)
    }

    /// Takes the role from all who have it. Users that were deleted, and users that were changed.
    pub(super) async fn remove_users(
        &self,
        company: &Company,
        dry_run: bool,
    ) -> Result<(Vec<String>, Vec<String>), SinkError> {
        let (mut deleted, mut changed) = (Vec::new(), Vec::new());
        let role = role_name(company.name());
        let found = self.find(READING, "_security/user").await?.unwrap_or_default();
        for (name, user) in found.as_object().into_iter().flatten() {
            let mut roles = roles_of(user);
            if !roles.contains(&role) {
                continue;
            }
            roles.retain(|one| *one != role);
            let path = user_path(name);
            if roles.is_empty() && user["metadata"] == metadata(company.name()) {
                if !dry_run {
                    self.send(WRITING, Method::Delete, &path, None).await?;
                }
                deleted.push(name.clone());
            } else {
                let mut user = user.clone();
                user["roles"] = roles.into();
                if !dry_run {
                    self.put_user(&path, &user).await?;
                }
                changed.push(name.clone());
            }
        }
        Ok((deleted, changed))
    }

    /// Users with the names of their roles.
    pub(super) async fn users(&self) -> Result<Vec<(String, Vec<String>)>, SinkError> {
        let found = self.find(READING, "_security/user").await?.unwrap_or_default();
        let users = found.as_object().into_iter().flatten();
        Ok(users.map(|(name, user)| (name.clone(), roles_of(user))).collect())
    }

    /// Writes a user back as it was read; without a password it keeps the one that it has.
    async fn put_user(&self, path: &str, user: &Value) -> Result<(), SinkError> {
        let kept = ["roles", "full_name", "email", "metadata", "enabled"];
        let member = |name: &&str| ((*name).to_owned(), user[*name].clone());
        let body: Map<_, _> = kept.iter().map(member).collect();
        self.send(WRITING, Method::Put, path, Some(&body.into())).await.map(drop)
    }

    /// Makes the mapping of the company what is wanted; whether it is new.
    pub(super) async fn put_mapping(
        &self,
        company: &Company,
        logins: &[(String, String)],
    ) -> Result<bool, SinkError> {
        let field = |(field, value): &(String, String)| json!({"field": {field: value}});
        let any: Vec<_> = logins.iter().map(field).collect();
        let body = json!({
            "roles": [role_name(company.name())],
            "enabled": true,
            "rules": {"any": any},
            "metadata": metadata(company.name()),
        });
        let path = mapping_path(company.name());
        let done = self.send("writing role mappings", Method::Put, &path, Some(&body)).await?;
        Ok(done["role_mapping"]["created"] == true)
    }

    pub(super) async fn has_mapping(&self, company: &str) -> Result<bool, SinkError> {
        let found = self.find("reading role mappings", &mapping_path(company)).await?;
        Ok(found.is_some_and(|found| found.as_object().is_some_and(|map| !map.is_empty())))
    }

    pub(super) async fn delete_mapping(&self, company: &str) -> Result<(), SinkError> {
        let path = mapping_path(company);
        self.send("deleting role mappings", Method::Delete, &path, None).await.map(drop)
    }
}

fn roles_of(user: &Value) -> Vec<String> {
    let roles = user["roles"].as_array().into_iter().flatten();
    roles.filter_map(|role| role.as_str().map(str::to_owned)).collect()
}

/// The caller has looked that the name has no character that would mean something in a path.
fn user_path(user: &str) -> String {
    format!("_security/user/{user}")
}

fn mapping_path(company: &str) -> String {
    format!("_security/role_mapping/{}", role_name(company))
}
