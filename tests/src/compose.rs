//! The compose file as a user starts it: `.env` made from `.env.example`, passwords set, and every
//! container of it asked what it is. For the engine of `tests/compose/run`, in whose network the
//! published ports are.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::documents::InElasticsearch;
use crate::program::{Ended, repository};
use crate::servers::{free_port, unique};

/// Elasticsearch's own demand, which `docker/requirements.sh` makes.
const MAPS_MIN: u64 = 262_144;

/// The password of user elastic.
const PASSWORD: &str = "a-secret-of-tests";

/// One project of Compose.
pub struct Stack {
    folder: TempDir,
    /// Names its containers and volumes.
    pub project: String,
    /// Where its Elasticsearch is published.
    pub es_port: u16,
    /// Where its Kafka is published.
    pub kafka_port: u16,
    /// Where it takes syslog.
    pub syslog_port: u16,
}

/// What the engine says of a container.
#[derive(Clone, Debug)]
pub struct Container(pub Value);

impl Stack {
    /// One whose `.env` has passwords, ports of its own and an empty folder of Laravel's logs.
    ///
    /// # Panics
    /// When the folder cannot be made.
    pub fn configured() -> Self {
        let stack = Self::of_the_example();
        fs::create_dir(stack.path("logs")).expect("a folder");
        // A container's user reads it.
        for folder in [stack.path("."), stack.path("logs")] {
            fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("it is ours");
        }
        let settings = [
            ("ELASTIC_PASSWORD", PASSWORD.to_owned()),
            ("KIBANA_PASSWORD", "another".to_owned()),
            ("PROJECT_NAME", stack.project.clone()),
            ("LARAVEL_LOG_DIR", stack.path("logs").display().to_string()),
            ("ES_PORT", stack.es_port.to_string()),
            ("KAFKA_PORT", stack.kafka_port.to_string()),
            ("SYSLOG_PORT", stack.syslog_port.to_string()),
            ("ES_ALLOW_MMAP", (maps_max() >= MAPS_MIN).to_string()),
        ];
        settings.iter().for_each(|(name, value)| stack.set(name, value));
        stack
    }

    /// One whose `.env` is the example as it is.
    ///
    /// # Panics
    /// When the folder cannot be made.
    pub fn of_the_example() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::copy(repository().join(".env.example"), folder.path().join(".env")).expect("copied");
        let project = unique("compose");
        let ports = [free_port(), free_port(), free_port()];
        let [es_port, kafka_port, syslog_port] = ports;
        Self { folder, project, es_port, kafka_port, syslog_port }
    }

    /// Sets what the example has, as an editor would.
    ///
    /// # Panics
    /// When the example does not have it.
    pub fn set(&self, name: &str, value: &str) {
        let file = self.path(".env");
        let text = fs::read_to_string(&file).expect("it is there");
        let is_it = |line: &&str| line.trim_start_matches('#').starts_with(&format!("{name}="));
        assert_eq!(text.lines().filter(is_it).count(), 1, "{name} in .env.example");
        let line =
            |line| if is_it(&line) { format!("{name}={value}\n") } else { format!("{line}\n") };
        fs::write(file, text.lines().map(line).collect::<String>()).expect("written");
    }

    /// A file of the test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `docker compose` with this `.env`, the file of the repository and those of `more`, to its end.
    ///
    /// # Panics
    /// When there is no docker.
    pub fn compose_with(&self, more: &[&str], arguments: &[&str]) -> Ended {
        let mut command = Command::new("docker");
        command.arg("compose").arg("--project-directory").arg(repository());
        command.arg("--env-file").arg(self.path(".env"));
        command.arg("--file").arg(repository().join("docker-compose.yml"));
        for file in more {
            command.arg("--file").arg(self.path(file));
        }
        let done = command.args(arguments).output().expect("docker is installed");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended { status: done.status, stdout: text(&done.stdout), stderr: text(&done.stderr) }
    }

    /// The same without further files; it must succeed.
    ///
    /// # Panics
    /// With what it said, when it fails.
    pub fn compose(&self, arguments: &[&str]) -> String {
        let ended = self.compose_with(&[], arguments);
        assert!(ended.status.success(), "{arguments:?}: {}{}", ended.stdout, ended.stderr);
        ended.stdout
    }

    /// Starts services, and waits until they are healthy.
    ///
    /// # Panics
    /// With what Compose and the containers said, when one is not.
    pub fn up(&self, services: &[&str]) {
        let arguments = ["up", "--detach", "--no-build", "--wait", "--wait-timeout", "300"];
        let ended = self.compose_with(&[], &[&arguments, services].concat());
        if !ended.status.success() {
            let said = self.compose_with(&[], &["logs", "--tail", "20"]);
            panic!("{}\n{}", ended.stderr, said.stdout);
        }
    }

    /// The container of a service.
    ///
    /// # Panics
    /// When there is none, or more than one.
    pub fn container(&self, service: &str) -> Container {
        let ids = self.compose(&["ps", "--all", "--quiet", service]);
        let id = ids.trim();
        assert!(!id.is_empty() && !id.contains('\n'), "{service}: {id:?}");
        let done = Command::new("docker").args(["inspect", id]).output().expect("it is installed");
        let mut said: Value = serde_json::from_slice(&done.stdout).expect("docker prints JSON");
        Container(said[0].take())
    }

    /// What its Elasticsearch holds; the authority is copied out of the container.
    pub fn documents(&self) -> InElasticsearch {
        let ca_file = self.path("ca.crt");
        let inside = "elasticsearch:/usr/share/elasticsearch/config/certs/ca/ca.crt";
        self.compose(&["cp", inside, &ca_file.display().to_string()]);
        InElasticsearch {
            url: format!("https://elastic:{PASSWORD}@localhost:{}", self.es_port),
            namespace: "default".to_owned(),
            ca_file: Some(ca_file),
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.compose_with(&[], &["--profile", "*", "down", "--volumes", "--timeout", "5"]);
    }
}

impl Container {
    /// What it is, apart from how it fares.
    pub fn id(&self) -> &str {
        self.0["Id"].as_str().unwrap_or_default()
    }

    /// When its process began.
    pub fn started_at(&self) -> &str {
        self.0["State"]["StartedAt"].as_str().unwrap_or_default()
    }

    /// True once its health check passes.
    pub fn is_healthy(&self) -> bool {
        self.0["State"]["Health"]["Status"] == "healthy"
    }

    /// Its process, as this machine numbers it; 0 while there is none.
    pub fn pid(&self) -> i32 {
        self.0["State"]["Pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default()
    }

    /// How often the engine started it anew.
    pub fn restarts(&self) -> u64 {
        self.0["RestartCount"].as_u64().unwrap_or_default()
    }
}

/// Maps of memory that this machine gives a process.
fn maps_max() -> u64 {
    let text = fs::read_to_string("/proc/sys/vm/max_map_count").expect("Linux has it");
    text.trim().parse().expect("it is a number")
}
