//! What a user agent runs on, from the words in its parentheses. A telephone names the desktop that
//! it is like, so of several systems the most particular counts.

/// Versions of Windows by those of its kernel.
const WINDOWS: [(&str, &str); 8] = [
    ("10.0", "10"),
    ("6.3", "8.1"),
    ("6.2", "8"),
    ("6.1", "7"),
    ("6.0", "Vista"),
    ("5.2", "XP"),
    ("5.1", "XP"),
    ("5.0", "2000"),
];

/// Systems that say their name as the first word of a part, less particular ones behind.
const NAMED: [(&str, &str); 14] = [
    ("HarmonyOS", "HarmonyOS"),
    ("Tizen", "Tizen"),
    ("KAIOS", "KaiOS"),
    ("Web0S", "webOS"),
    ("PlayStation", "PlayStation"),
    ("Nintendo", "Nintendo"),
    ("Ubuntu", "Ubuntu"),
    ("Fedora", "Fedora"),
    ("Debian", "Debian"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
    ("NetBSD", "NetBSD"),
    ("SunOS", "Solaris"),
    ("Linux", "Linux"),
];

/// Ranks; a smaller one is more particular.
const TELEPHONE: usize = 0;
const DESKTOP: usize = 1;
const NAMED_FIRST: usize = 2;

/// The system and the device.
#[derive(Default)]
pub(super) struct System<'t> {
    /// Its rank, name and version.
    best: Option<(usize, &'t str, Option<&'t str>)>,
    device: Option<&'t str>,
    /// Android's device stands behind it.
    expects_model: bool,
    is_mobile: bool,
}

impl<'t> System<'t> {
    pub fn read(text: &'t str) -> Self {
        let mut read = Self::default();
        for inside in text.split(')') {
            inside.split(['(', ';', ',']).for_each(|part| read.part(part.trim()));
            read.expects_model = false;
        }
        read
    }

    /// `("Windows", Some("10"))`; underscores are as they were written.
    pub fn name_and_version(&self) -> Option<(&'t str, Option<&'t str>)> {
        self.best.map(|(_, name, version)| (name, version))
    }

    /// It is one for telephones and tablets.
    pub fn is_telephone(&self) -> bool {
        self.best.is_some_and(|(rank, ..)| rank == TELEPHONE)
    }

    /// A maker that its text leaves out, and the device.
    pub fn device(&self) -> Option<(&'static str, &'t str)> {
        let is_android = matches!(self.best, Some((_, "Android", _)));
        match self.device {
            Some(model) if is_android => {
                let is_of = |marks: &[&str]| marks.iter().any(|mark| model.starts_with(mark));
                if is_of(&["KF"]) && model.bytes().all(|byte| byte.is_ascii_uppercase()) {
                    return Some(("", "Kindle"));
                }
                Some((if is_of(&["SM-", "GT-", "SCH-", "SGH-"]) { "Samsung" } else { "" }, model))
            }
            Some(device) => Some(("", device)),
            None if is_android && self.is_mobile => Some(("Generic", "Smartphone")),
            None if is_android => Some(("Generic", "Tablet")),
            None => None,
        }
    }

    fn found(&mut self, rank: usize, name: &'t str, version: Option<&'t str>) {
        if self.best.is_none_or(|(before, ..)| rank < before) {
            self.best = Some((rank, name, version));
        }
    }

    fn part(&mut self, part: &'t str) {
        self.is_mobile |= part.split(' ').any(|word| word == "Mobile");
        if self.expects_model && self.model(part) {
            return;
        }
        match part {
            "iPhone" | "iPad" | "iPod" | "iPod touch" => self.device = Some(part),
            "Macintosh" => self.device = Some("Mac"),
            _ => self.system(part),
        }
    }

    fn system(&mut self, part: &'t str) {
        if let Some(rest) = part.strip_prefix("Windows Phone") {
            self.found(TELEPHONE, "Windows Phone", first_version(rest.trim_start_matches(" OS")));
        } else if let Some(version) = part.strip_prefix("Windows NT ") {
            let known = WINDOWS.iter().find(|(kernel, _)| *kernel == version);
            self.found(DESKTOP, "Windows", known.map(|(_, version)| *version));
        } else if let Some((_, rest)) =
            part.split_once("iPhone OS ").or_else(|| part.split_once("CPU OS "))
        {
            self.found(TELEPHONE, "iOS", first_version(rest));
        } else if let Some((before, rest)) = part.split_once("Mac OS X") {
            if !before.ends_with("like ") {
                self.found(DESKTOP, "Mac OS X", first_version(rest));
            }
        } else if let Some(rest) = part.strip_prefix("Android") {
            self.found(TELEPHONE, "Android", first_version(rest.trim_start_matches('-')));
            self.expects_model = true;
        } else if let Some(rest) = part.strip_prefix("CrOS ") {
            self.found(DESKTOP, "Chrome OS", rest.split(' ').find_map(first_version));
        } else {
            self.named(part);
        }
    }

    fn named(&mut self, part: &'t str) {
        for word in part.split(' ') {
            let (name, version) = word.split_once(['/', '-']).unwrap_or((word, ""));
            let known = NAMED.iter().position(|(mark, _)| mark.eq_ignore_ascii_case(name));
            if let Some(place) = known {
                // The number behind Linux is that of the kernel or the word for what it runs on.
                let version = first_version(version).filter(|_| NAMED[place].0 != "Linux");
                self.found(NAMED_FIRST + place, NAMED[place].1, version);
            }
        }
    }

    /// Takes what may be the name of a device. Says whether it was looked at as one.
    fn model(&mut self, part: &'t str) -> bool {
        let part = part.split(" Build/").next().unwrap_or(part).trim();
        let is_locale = part.len() == 5 && part.as_bytes()[2] == b'-';
        match part {
            "" => self.expects_model = false,
            // A browser that hides its device says K.
            "U" | "wv" | "Mobile" | "Tablet" | "K" => {}
            _ if is_locale || part.starts_with("rv:") => {}
            _ if part.contains('/') => {
                self.expects_model = false;
                return false;
            }
            model => {
                self.device = Some(model);
                self.expects_model = false;
            }
        }
        true
    }
}

fn first_version(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | '_');
    let end = text.find(|c: char| !is_part(c)).unwrap_or(text.len());
    let version = text[..end].trim_matches(['.', '_']);
    (!version.is_empty() && text.starts_with(|c: char| c.is_ascii_digit())).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_systems_the_most_particular_counts() {
        let read = |text| {
            let system = System::read(text);
            let (name, version) = system.name_and_version().unwrap_or_default();
            let (maker, model) = system.device().unwrap_or_default();
            format!("{name} {} | {maker} {model}", version.unwrap_or_default())
        };
        for (text, expected) in [
            ("(Windows NT 10.0; Win64; x64)", "Windows 10 |  "),
            ("(Windows NT 6.1; rv:15.0)", "Windows 7 |  "),
            ("(Macintosh; Intel Mac OS X 10_15_7)", "Mac OS X 10_15_7 |  Mac"),
            ("(iPhone; CPU iPhone OS 17_6_1 like Mac OS X)", "iOS 17_6_1 |  iPhone"),
            ("(iPad; CPU OS 16_3 like Mac OS X)", "iOS 16_3 |  iPad"),
            ("(Linux; Android 14; SM-S911B)", "Android 14 | Samsung SM-S911B"),
            ("(Linux; Android 10; K) Mobile Safari", "Android 10 | Generic Smartphone"),
            ("(Linux; U; Android 9; es-es; Redmi Note 8 Build/PKQ1)", "Android 9 |  Redmi Note 8"),
            ("(Android 14; Mobile; rv:133.0) Gecko/133.0", "Android 14 | Generic Smartphone"),
            ("(Linux; Android 5.1.1; KFFOWI) AppleWebKit/5", "Android 5.1.1 |  Kindle"),
            ("(Windows Phone 10.0; Android 6.0.1; Microsoft)", "Windows Phone 10.0 |  Microsoft"),
            ("(X11; CrOS x86_64 14541.0.0)", "Chrome OS 14541.0.0 |  "),
            ("(X11; Ubuntu; Linux x86_64; rv:133.0)", "Ubuntu  |  "),
            ("(X11; Linux x86_64) Ubuntu/22.04", "Ubuntu 22.04 |  "),
            ("Wget/1.21.4 (linux-gnu)", "Linux  |  "),
            ("curl/8.5.0", "  |  "),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
