//! The list of datasets. Each is a folder beside `src`; this is the only place that names it.

use tahoe_seams::{Framer, Normalizer};

use crate::{Declaration, DeclarationError};

/// What one dataset's bytes mean.
pub struct Dataset {
    /// `nginx.access`
    pub name: &'static str,
    /// `nginx`
    pub module: &'static str,
    /// Where its records begin and end.
    pub framer: &'static dyn Framer,
    /// What a record means.
    pub normalizer: &'static dyn Normalizer,
    /// The text of its `dataset.yaml`.
    pub declaration: &'static str,
}

impl Dataset {
    /// Its `dataset.yaml`; an error names the file.
    pub fn declared(&self) -> Result<Declaration, DeclarationError> {
        let file = format!("schemas/{}/dataset.yaml", self.name.replace('.', "/"));
        Declaration::parse(&file, self.declaration)
    }
}

impl std::fmt::Debug for Dataset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The dataset of that name.
pub fn find(name: &str) -> Option<&'static Dataset> {
    ALL.iter().copied().find(|dataset| dataset.name == name)
}

macro_rules! datasets {
    ($($module:ident = $path:literal;)*) => {
        $(
            #[path = $path]
            pub mod $module;
        )*

        /// Every dataset.
        pub static ALL: &[&Dataset] = &[$(&$module::DATASET),*];
    };
}

datasets! {
    laravel_log = "../laravel/log/mod.rs";
    nginx_access = "../nginx/access/mod.rs";
    system_auth = "../system/auth/mod.rs";
    system_kern = "../system/kern/mod.rs";
    system_syslog = "../system/syslog/mod.rs";
}
