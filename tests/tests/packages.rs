//! The Debian packages and the systemd unit: what they hold is there, what they set is known, and what
//! is installed is what systemd takes.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use tahoe_tests::program::{binary, repository, run};

/// Of 10, as `systemd-analyze security` counts what a service is exposed to: below 2 is its "OK".
const EXPOSURE_MAX: &str = "20";

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Name and folder of every crate that is a service.
fn services() -> Vec<(String, String)> {
    let producers = fs::read_dir(repository().join("producers")).expect("it is there");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("readable").file_name();
    let mut services: Vec<_> = producers
        .map(name)
        .map(|name| name.to_string_lossy().into_owned())
        .map(|name| (format!("tahoe-{name}"), format!("producers/{name}")))
        .collect();
    services.push(("tahoe-transformer".to_owned(), "transformer".to_owned()));
    services.sort();
    services
}

#[test]
fn every_producer_and_the_transformer_is_a_package_with_unit_account_and_settings() {
    for (name, folder) in services() {
        let manifest = read(&format!("{folder}/Cargo.toml"));
        let (_, package) = manifest.split_once("[package.metadata.deb]").expect("it is a package");
        assert!(manifest.contains("\ndescription = \""), "{name} has no description");
        let quoted: Vec<_> = package.split('"').skip(1).step_by(2).collect();
        for file in quoted.iter().filter(|text| text.contains("../")) {
            assert!(repository().join(&folder).join(file).exists(), "{name}: {file} is not there");
        }
        for installed in [
            format!("target/release/{name}"),
            format!("usr/lib/systemd/system/{name}.service"),
            format!("usr/lib/sysusers.d/{name}.conf"),
            format!("/etc/tahoe/{name}.env"),
        ] {
            assert!(quoted.contains(&installed.as_str()), "{name}: {installed}");
        }
    }
}

#[test]
fn every_setting_of_a_package_is_one_that_its_binary_has() {
    for (name, _) in services() {
        let help = run(&name, &["--help"]).stdout;
        let text = read(&format!("packaging/env/{name}.env"));
        let settings: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix('#')?.split_once('='))
            .map(|(setting, _)| setting)
            .filter(|setting| !setting.contains(' '))
            .collect();
        assert!(settings.len() >= 5, "{name}: {settings:?}");
        for setting in settings {
            let known = [format!("[env: {setting}]"), format!("[env: {setting}=")];
            assert!(known.iter().any(|known| help.contains(known)), "{name} knows no {setting}");
        }
    }
}

/// A tool's answer; nothing where it is not installed.
fn ask(program: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("skipped: {program}: {error}");
            None
        }
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// The folder as a flag takes it.
fn flag(path: &Path) -> &str {
    path.to_str().expect("a temporary folder is UTF-8")
}

#[test]
fn systemd_takes_the_units_and_finds_little_that_they_are_exposed_to() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let units = root.path().join("usr/lib/systemd/system");
    fs::create_dir_all(units.join("tahoe-syslog.service.d")).expect("a folder");
    fs::create_dir_all(root.path().join("usr/bin")).expect("a folder");
    let packaging = repository().join("packaging/systemd");
    for target in ["network-online.target", "multi-user.target", "sysinit.target"] {
        fs::write(units.join(target), "[Unit]\nDescription=of the machine\n").expect("written");
    }
    for (name, _) in services() {
        fs::copy(packaging.join("tahoe.service"), units.join(format!("{name}.service")))
            .expect("copied");
        // A stand-in: it is asked whether it may be run, and is not.
        let binary = root.path().join("usr/bin").join(&name);
        fs::write(&binary, "").expect("written");
        fs::set_permissions(binary, Permissions::from_mode(0o755)).expect("it is ours");
    }
    fs::copy(packaging.join("tahoe-syslog.conf"), units.join("tahoe-syslog.service.d/port.conf"))
        .expect("copied");
    for (name, _) in services() {
        let unit = format!("{name}.service");
        let of = format!("--root={}", flag(root.path()));
        let Some(verified) = ask("systemd-analyze", &["verify", &of, &unit]) else { return };
        assert!(verified.status.success() && said(&verified).is_empty(), "{}", said(&verified));
        let threshold = format!("--threshold={EXPOSURE_MAX}");
        let security = ["security", "--offline=yes", "--no-pager", &of, &threshold, &unit];
        let rated = ask("systemd-analyze", &security).expect("it is installed");
        let text = said(&rated);
        assert!(rated.status.success(), "{text}");
        println!("{}", text.lines().last().unwrap_or_default());
    }
}

#[test]
fn a_package_is_built_and_installed_with_its_account_and_nobody_reads_its_settings() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let made = ask(&cargo, &["deb", "--version"]).filter(|made| made.status.success());
    if made.is_none() || !rustix::process::geteuid().is_root() {
        eprintln!("skipped: needs root, and cargo-deb (cargo install cargo-deb)");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("root");
    for part in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "etc"] {
        fs::create_dir_all(root.join(part)).expect("a folder");
    }
    fs::write(root.join("var/lib/dpkg/status"), "").expect("written");
    for (name, _) in services() {
        binary(&name);
        let package = folder.path().join(format!("{name}.deb"));
        let build = ["deb", "--no-build", "--fast", "--profile", "dev", "--package", &name];
        let mut command = Command::new(&cargo);
        command.args(build).args(["--output", flag(&package)]).current_dir(repository());
        let built = command.output().expect("cargo runs");
        assert!(built.status.success(), "{}", said(&built));
        let listed =
            said(&ask("dpkg-deb", &["--contents", flag(&package)]).expect("Debian has it"));
        let line = |path: &str| {
            let mut lines = listed.lines().filter(|line| line.ends_with(path));
            lines.next().unwrap_or_else(|| panic!("no {path} in\n{listed}")).to_owned()
        };
        assert!(line(&format!("./usr/bin/{name}")).starts_with("-rwxr-xr-x"), "{listed}");
        let settings = line(&format!("./etc/tahoe/{name}.env"));
        assert!(settings.starts_with("-rw-r----- 0/0"), "{settings}");
        let at = format!("--root={}", flag(&root));
        // The machine's own packages are not in this root.
        let force = "--force-depends,script-chrootless";
        let installed = ask("dpkg", &[&at, force, "--install", flag(&package)]).expect("it has it");
        assert!(installed.status.success(), "{}", said(&installed));
        assert!(root.join(format!("usr/lib/systemd/system/{name}.service")).is_file());
    }
    let accounts = fs::read_to_string(root.join("etc/passwd")).expect("an account was made");
    assert!(accounts.lines().any(|line| line.starts_with("tahoe:x:")), "{accounts}");
    let (name, _) = services().swap_remove(0);
    let at = format!("--root={}", flag(&root));
    let purged =
        ask("dpkg", &[&at, "--force-script-chrootless", "--purge", &name]).expect("it has");
    assert!(purged.status.success(), "{}", said(&purged));
    assert!(!root.join(format!("etc/tahoe/{name}.env")).exists());
}
