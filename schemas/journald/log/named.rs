//! Where the journal's fields go (systemd.journal-fields(7), Docker's journald driver), under the
//! names of Elastic's journald input, or those of ECS where there are any.

use crate::{Event, Field, Value, fields};

/// How a field is taken over.
#[derive(Clone, Copy, Debug)]
pub(super) enum Taken {
    /// As it is.
    Text(Field),
    /// As a whole number.
    Number(Field),
}

/// How the journal's field of that name is taken over, if it is by itself.
pub(super) fn taken(name: &str) -> Option<Taken> {
    use Taken::{Number, Text};
    Some(match name {
        "_EXE" => Text(fields::process::EXECUTABLE),
        "_CMDLINE" => Text(fields::process::COMMAND_LINE),
        "_MACHINE_ID" => Text(fields::host::ID),
        "_BOOT_ID" => Text(fields::host::boot::ID),
        "_SYSTEMD_UNIT" => Text(fields::systemd::UNIT),
        "_SYSTEMD_USER_UNIT" => Text(fields::systemd::USER_UNIT),
        "_SYSTEMD_SLICE" => Text(fields::systemd::SLICE),
        "_SYSTEMD_CGROUP" => Text(fields::systemd::CGROUP),
        "_SYSTEMD_INVOCATION_ID" => Text(fields::systemd::INVOCATION_ID),
        "_TRANSPORT" => Text(fields::systemd::TRANSPORT),
        "_CAP_EFFECTIVE" => Text(fields::journald::process::CAPABILITIES),
        "_AUDIT_SESSION" => Text(fields::journald::audit::SESSION),
        "_SYSTEMD_SESSION" => Text(fields::systemd::SESSION),
        "_SYSTEMD_USER_SLICE" => Text(fields::systemd::USER_SLICE),
        "MESSAGE_ID" => Text(fields::event::CODE),
        "CODE_FILE" => Text(fields::log::origin::file::NAME),
        "CODE_FUNC" => Text(fields::log::origin::FUNCTION),
        "SYSLOG_PID" => Text(fields::log::syslog::PROCID),
        "UNIT" => Text(fields::journald::UNIT),
        "COREDUMP_UNIT" => Text(fields::journald::coredump::UNIT),
        "COREDUMP_USER_UNIT" => Text(fields::journald::coredump::USER_UNIT),
        "OBJECT_CMDLINE" => Text(fields::journald::object::process::COMMAND_LINE),
        "OBJECT_COMM" => Text(fields::journald::object::process::NAME),
        "OBJECT_EXE" => Text(fields::journald::object::process::EXECUTABLE),
        "OBJECT_SYSTEMD_SESSION" => Text(fields::journald::object::systemd::SESSION),
        "OBJECT_SYSTEMD_UNIT" => Text(fields::journald::object::systemd::UNIT),
        "OBJECT_SYSTEMD_USER_UNIT" => Text(fields::journald::object::systemd::USER_UNIT),
        "_KERNEL_DEVICE" => Text(fields::journald::kernel::DEVICE),
        "_KERNEL_SUBSYSTEM" => Text(fields::journald::kernel::SUBSYSTEM),
        "_UDEV_DEVNODE" => Text(fields::journald::kernel::DEVICE_NODE_PATH),
        "_UDEV_SYSNAME" => Text(fields::journald::kernel::DEVICE_NAME),
        "_UDEV_DEVLINK" => Text(fields::journald::kernel::DEVICE_SYMLINKS),
        "CONTAINER_ID_FULL" => Text(fields::container::ID),
        "CONTAINER_NAME" => Text(fields::container::NAME),
        "CONTAINER_TAG" => Text(fields::container::log::TAG),
        "IMAGE_NAME" => Text(fields::container::image::NAME),
        "CODE_LINE" => Number(fields::log::origin::file::LINE),
        "_AUDIT_LOGINUID" => Number(fields::journald::audit::LOGIN_UID),
        "_SYSTEMD_OWNER_UID" => Number(fields::systemd::OWNER_UID),
        "OBJECT_PID" => Number(fields::journald::object::PID),
        "OBJECT_UID" => Number(fields::journald::object::UID),
        "OBJECT_GID" => Number(fields::journald::object::GID),
        "OBJECT_AUDIT_LOGINUID" => Number(fields::journald::object::audit::LOGIN_UID),
        "OBJECT_AUDIT_SESSION" => Number(fields::journald::object::audit::SESSION),
        "OBJECT_SYSTEMD_OWNER_UID" => Number(fields::journald::object::systemd::OWNER_UID),
        _ => return None,
    })
}

/// Capabilities by the number of their bit (capability.h of the kernel, 6.12).
const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// Sets the capabilities that a number in hexadecimal digits means; one without a name is its bit.
pub(super) fn capabilities<'a>(digits: &str, event: &mut Event<'a>) {
    let Ok(bits) = u64::from_str_radix(digits, 16) else { return };
    let mut names = event.list::<&'a str>();
    for bit in (0..64).filter(|bit| bits >> bit & 1 == 1) {
        match CAPABILITIES.get(bit) {
            Some(name) => names.push(name),
            None => names.push(event.format(format_args!("{bit}"))),
        }
    }
    if !names.is_empty() {
        event.set(fields::process::thread::capabilities::EFFECTIVE, names.into_bump_slice());
    }
}

/// Adds a text to a field that may have several.
pub(super) fn add<'a>(field: Field, text: &'a str, event: &mut Event<'a>) {
    let mut texts = event.list::<&'a str>();
    match event.get(field) {
        Some(Value::List(known)) => texts.extend_from_slice(known),
        Some(Value::Str(known)) => texts.push(known),
        _ => {}
    }
    texts.push(text);
    event.set(field, texts.into_bump_slice());
}
