//! What rsyslog writes on a central log host: every sender in its own form, RFC 3164 from older
//! machines and RFC 5424 from newer ones.

use std::fmt::Write as _;

use super::draw::{Clock, Draw};

/// The first of them speak RFC 3164.
const HOSTS: [&str; 10] = [
    "fw-edge-1",
    "legacy-erp",
    "mail-2",
    "db-01",
    "nas-3",
    "web-01",
    "web-02",
    "web-03",
    "queue-1",
    "build-7",
];
const OLD_HOSTS: u64 = 5;
const USERS: [&str; 6] = ["deploy", "root", "backup", "admin", "oracle", "git"];
const UNITS: [&str; 5] = ["nginx", "php8.2-fpm", "logrotate", "certbot", "postgresql@15-main"];
const COMMANDS: [&str; 3] = [
    "cd / && run-parts --report /etc/cron.hourly",
    "php /srv/shop/artisan schedule:run >> /dev/null 2>&1",
    "test -x /usr/sbin/anacron || run-parts --report /etc/cron.daily",
];

const SSHD: Program = Program { name: "sshd", priority: 38, message: sshd };
const CRON: Program = Program { name: "CRON", priority: 78, message: cron };
const SUDO: Program = Program { name: "sudo", priority: 85, message: sudo };
const SYSTEMD: Program = Program { name: "systemd", priority: 30, message: systemd };
const KERNEL: Program = Program { name: "kernel", priority: 4, message: kernel };
const POSTFIX: Program = Program { name: "postfix/smtpd", priority: 22, message: postfix };

const PROGRAMS: [(u64, Program); 5] =
    [(30, SSHD), (15, CRON), (25, SYSTEMD), (15, KERNEL), (15, POSTFIX)];
/// What a server that the internet reaches has in `auth.log`.
const LOGINS: [(u64, Program); 3] = [(70, SSHD), (20, CRON), (10, SUDO)];

struct Program {
    name: &'static str,
    priority: u8,
    message: fn(&mut Draw, &mut String),
}

/// Appends record `number`.
pub(super) fn record(number: u64, draw: &mut Draw, out: &mut String) {
    let host = draw.between(0, HOSTS.len() as u64);
    let program = draw.weighted(&PROGRAMS);
    let clock = Clock::of(number);
    let (name, priority) = (program.name, program.priority);
    let pid = draw.between(300, 32_768);
    let is_kernel = name == "kernel";
    if host < OLD_HOSTS {
        let month = clock.month_name();
        let (day, time, host) = (clock.day, clock.time(), HOSTS[host as usize]);
        let _ = write!(out, "{month} {day:2} {time} {host} {name}");
        if !is_kernel {
            let _ = write!(out, "[{pid}]");
        }
        out.push_str(": ");
    } else {
        let micros = draw.between(0, 1_000_000);
        let (date, time, host) = (clock.date(), clock.time(), HOSTS[host as usize]);
        let pid = if is_kernel { "-".to_owned() } else { pid.to_string() };
        let data = if name == "postfix/smtpd" {
            format!("[queue@32473 id=\"{:011X}\" size=\"{}\"]", draw.word() >> 20, pid.len() * 997)
        } else {
            "-".to_owned()
        };
        let _ =
            write!(out, "<{priority}>1 {date}T{time}.{micros:06}Z {host} {name} {pid} - {data} ");
    }
    (program.message)(draw, out);
    out.push('\n');
}

/// Appends line `number` of `auth.log`.
pub(super) fn auth(number: u64, draw: &mut Draw, out: &mut String) {
    local(number, draw.weighted(&LOGINS), draw, out);
}

/// Appends line `number` of `kern.log`, of a machine with a firewall.
pub(super) fn kern(number: u64, draw: &mut Draw, out: &mut String) {
    local(number, &KERNEL, draw, out);
}

/// As rsyslog writes it into the machine's own files.
fn local(number: u64, program: &Program, draw: &mut Draw, out: &mut String) {
    let clock = Clock::of(number);
    let (month, day, time, name) = (clock.month_name(), clock.day, clock.time(), program.name);
    let _ = write!(out, "{month} {day:2} {time} {} {name}", HOSTS[5]);
    if name != KERNEL.name {
        let _ = write!(out, "[{}]", draw.between(300, 32_768));
    }
    out.push_str(": ");
    (program.message)(draw, out);
    out.push('\n');
}

fn sshd(draw: &mut Draw, out: &mut String) {
    let (user, port) = (draw.pick(&USERS), draw.between(1024, 65_536));
    let address = draw.address();
    let _ = match draw.between(0, 5) {
        0 => write!(
            out,
            "Accepted publickey for {user} from {address} port {port} ssh2: ED25519 \
             SHA256:{:016x}{:016x}",
            draw.word(),
            draw.word()
        ),
        1 => write!(out, "Invalid user {user} from {address} port {port}"),
        2 => write!(out, "Connection closed by {address} port {port} [preauth]"),
        3 => write!(out, "Failed password for {user} from {address} port {port} ssh2"),
        _ => write!(out, "Failed password for invalid user {user} from {address} port {port} ssh2"),
    };
}

fn cron(draw: &mut Draw, out: &mut String) {
    let (user, command) = (draw.pick(&USERS), draw.pick(&COMMANDS));
    let _ = match draw.between(0, 3) {
        0 => {
            write!(out, "pam_unix(cron:session): session opened for user {user}(uid=0) by (uid=0)")
        }
        _ => write!(out, "({user}) CMD ({command})"),
    };
}

fn sudo(draw: &mut Draw, out: &mut String) {
    let user = draw.pick(&USERS);
    let _ = match draw.between(0, 2) {
        0 => write!(out, "pam_unix(sudo:session): session closed for user root"),
        _ => write!(
            out,
            "  {user} : TTY=pts/{} ; PWD=/home/{user} ; USER=root ; COMMAND=/usr/bin/systemctl \
             restart {}",
            draw.between(0, 9),
            draw.pick(&UNITS)
        ),
    };
}

fn systemd(draw: &mut Draw, out: &mut String) {
    let (unit, number) = (draw.pick(&UNITS), draw.between(1, 100_000));
    let _ = match draw.between(0, 4) {
        0 => write!(out, "{unit}.service: Deactivated successfully."),
        1 => write!(out, "Started Session {number} of User {}.", draw.pick(&USERS)),
        2 => write!(
            out,
            "{unit}.service: Consumed {}.{:03}s CPU time, {}M memory peak.",
            number % 90,
            number % 1000,
            number % 700
        ),
        _ => write!(out, "Starting {unit}.service - periodic work number {number}..."),
    };
}

fn kernel(draw: &mut Draw, out: &mut String) {
    let seconds = draw.between(1000, 9_000_000);
    let _ = match draw.between(0, 3) {
        0 => write!(
            out,
            "[{seconds}.{:06}] eth0: Link is Up - 10Gbps/Full - flow control off",
            seconds % 999_983
        ),
        _ => write!(
            out,
            "[{seconds}.{:06}] [UFW BLOCK] IN=eth0 OUT= MAC=52:54:00:12:34:56 SRC={} DST=10.0.0.{} \
             LEN=60 TOS=0x00 PREC=0x00 TTL={} ID={} DF PROTO=TCP SPT={} DPT={} WINDOW=29200 \
             RES=0x00 SYN URGP=0",
            seconds % 999_983,
            draw.address(),
            draw.between(1, 255),
            draw.between(30, 65),
            draw.between(1, 65_536),
            draw.between(1024, 65_536),
            draw.pick(&[22, 23, 80, 443, 3389]),
        ),
    };
}

fn postfix(draw: &mut Draw, out: &mut String) {
    let (queue, address) = (draw.word() >> 20, draw.address());
    let _ = match draw.between(0, 3) {
        0 => write!(out, "disconnect from unknown[{address}] ehlo=1 auth=0/1 quit=1 commands=2/3"),
        _ => write!(
            out,
            "{queue:011X}: client=mail-{}.example.org[{address}], sasl_method=PLAIN, \
             sasl_username=user{}@example.org",
            draw.between(1, 50),
            draw.between(1, 10_000)
        ),
    };
}
