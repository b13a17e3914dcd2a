//! Where a file lies says whose it is.
//!
//! - `…/containers/<id>/<id>-json.log`, Docker's own
//! - `/var/log/containers/<pod>_<namespace>_<container>-<id>.log`
//! - `/var/log/pods/<namespace>_<pod>_<uid>/<container>/<restart>.log`, perhaps with a time behind

use crate::find::Find;
use crate::{Event, fields};

/// Sets container, pod and namespace.
pub(super) fn set<'a>(path: &'a str, event: &mut Event<'a>) {
    let mut parts = path.rsplit('/');
    let (file, folder) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let above = parts.next().unwrap_or_default();
    let stem = file.split_on(".log").map_or(file, |(stem, _)| stem);
    if is_id(folder) {
        event.set(fields::container::ID, folder);
    } else if folder == "containers" {
        link(stem, event);
    } else if stem.bytes().next().is_some_and(|byte| byte.is_ascii_digit()) {
        let mut names = above.splitn(3, '_');
        if let (Some(namespace), Some(name), Some(uid)) = (names.next(), names.next(), names.next())
        {
            pod(namespace, name, event);
            event.set(fields::orchestrator::resource::ID, uid);
            event.set(fields::container::NAME, folder);
        }
    }
}

/// `<pod>_<namespace>_<container>-<id>`
fn link<'a>(stem: &'a str, event: &mut Event<'a>) {
    let Some((names, id)) = stem.rsplit_once('-').filter(|(_, id)| is_id(id)) else { return };
    let mut names = names.splitn(3, '_');
    let (Some(name), Some(namespace), Some(container)) = (names.next(), names.next(), names.next())
    else {
        return;
    };
    event.set(fields::container::ID, id);
    event.set(fields::container::NAME, container);
    pod(namespace, name, event);
}

fn pod<'a>(namespace: &'a str, name: &'a str, event: &mut Event<'a>) {
    event.set(fields::orchestrator::TYPE, "kubernetes");
    event.set(fields::orchestrator::NAMESPACE, namespace);
    event.set(fields::orchestrator::resource::TYPE, "pod");
    event.set(fields::orchestrator::resource::NAME, name);
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tahoe_seams::Origin;

    fn document(path: &str) -> Value {
        let origin = Origin { path: path.to_owned(), ..Origin::default() };
        let line = b"2026-03-04T09:27:05Z stdout F x";
        crate::testing::document(&super::super::DATASET, line, &origin)
    }

    #[test]
    fn the_path_of_a_file_says_whose_it_is() {
        let id = "0123456789abcdef".repeat(4);
        let docker = document(&format!("/var/lib/docker/containers/{id}/{id}-json.log.1"));
        assert_eq!(docker["container"], json!({"id": id}));
        let link = document(&format!("/var/log/containers/web-5d_shop_app-{id}.log"));
        assert_eq!(link["container"], json!({"id": id, "name": "app"}));
        let pod = json!({"namespace": "shop", "type": "kubernetes",
            "resource": {"name": "web-5d", "type": "pod"}});
        assert_eq!(link["orchestrator"], pod);
        let file = document("/var/log/pods/shop_web-5d_6f1a/app/0.log.20260304-092705");
        assert_eq!(file["container"], json!({"name": "app"}));
        assert_eq!(file["orchestrator"]["resource"]["id"], "6f1a");
        assert_eq!(file["orchestrator"]["namespace"], "shop");
        assert_eq!(document("/srv/log/x.log")["container"], json!(null));
    }
}
