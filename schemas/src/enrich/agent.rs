//! What a user agent calls itself, and what it runs on.
//!
//! Browsers say whom they imitate, and their own name somewhere among those: of the names in a text
//! the one counts that stands first in [`BROWSERS`]. Robots are known by a word that ends as theirs
//! do, other programs by the `name/version` with which their text begins. Names are those of
//! Elastic's user agent processor. What is not recognised is left out, and nothing is guessed: a
//! desktop has no device, and Windows 11 says that it is Windows 10.

use super::Filling;
use super::agent_system::System;
use crate::fields;

/// More of a text says nothing new; so the time that it takes is bounded.
const BYTES_MAX: usize = 1024;

/// The longest name of a program that is no browser.
const NAME_BYTES_MAX: usize = 64;

/// What stands before the slash; the name on a desktop; the name on a telephone.
const BROWSERS: [(&str, &str, &str); 42] = [
    ("Instagram", "Instagram", "Instagram"),
    ("FBAV", "Facebook", "Facebook"),
    ("GSA", "Google", "Google"),
    ("EdgiOS", "Edge Mobile", "Edge Mobile"),
    ("EdgA", "Edge Mobile", "Edge Mobile"),
    ("Edg", "Edge", "Edge Mobile"),
    ("Edge", "Edge", "Edge Mobile"),
    ("OPR", "Opera", "Opera Mobile"),
    ("OPT", "Opera Touch", "Opera Touch"),
    ("OPiOS", "Opera Mini", "Opera Mini"),
    ("Mini", "Opera Mini", "Opera Mini"),
    ("Mobi", "Opera Mobile", "Opera Mobile"),
    ("Opera", "Opera", "Opera Mobile"),
    ("Vivaldi", "Vivaldi", "Vivaldi"),
    ("SamsungBrowser", "Samsung Internet", "Samsung Internet"),
    ("YaBrowser", "Yandex Browser", "Yandex Browser"),
    ("UCBrowser", "UC Browser", "UC Browser"),
    ("MiuiBrowser", "MiuiBrowser", "MiuiBrowser"),
    ("HuaweiBrowser", "Huawei Browser", "Huawei Browser"),
    ("DuckDuckGo", "DuckDuckGo", "DuckDuckGo Mobile"),
    ("Ddg", "DuckDuckGo", "DuckDuckGo Mobile"),
    ("Brave", "Brave", "Brave"),
    ("Whale", "Whale", "Whale"),
    ("Silk", "Amazon Silk", "Amazon Silk"),
    ("coc_coc_browser", "Coc Coc", "Coc Coc"),
    ("PaleMoon", "Pale Moon", "Pale Moon"),
    ("SeaMonkey", "SeaMonkey", "SeaMonkey"),
    ("Waterfox", "Waterfox", "Waterfox"),
    ("Thunderbird", "Thunderbird", "Thunderbird"),
    ("Electron", "Electron", "Electron"),
    ("HeadlessChrome", "HeadlessChrome", "HeadlessChrome"),
    ("PhantomJS", "PhantomJS", "PhantomJS"),
    ("FxiOS", "Firefox iOS", "Firefox iOS"),
    ("Focus", "Firefox Focus", "Firefox Focus"),
    ("Klar", "Firefox Focus", "Firefox Focus"),
    ("Firefox", "Firefox", "Firefox Mobile"),
    ("CriOS", "Chrome Mobile iOS", "Chrome Mobile iOS"),
    ("Chromium", "Chromium", "Chromium"),
    ("Chrome", "Chrome", "Chrome Mobile"),
    ("Konqueror", "Konqueror", "Konqueror"),
    ("Epiphany", "Epiphany", "Epiphany"),
    ("MSIE", "IE", "IE Mobile"),
];

/// Robots whose names do not say so.
const ROBOTS: [&str; 8] = [
    "ELB-HealthChecker",
    "GoogleHC",
    "Mediapartners-Google",
    "Slurp",
    "facebookexternalhit",
    "kube-probe",
    "meta-externalagent",
    "Google-Read-Aloud",
];

/// What a robot's name has in it, in any case.
const OF_ROBOTS: [&str; 4] = ["bot", "crawler", "spider", "scraper"];

pub(super) fn fill(filling: &mut Filling<'_, '_>) {
    let Some(text) = filling.text(fields::user_agent::ORIGINAL) else { return };
    let text = &text[..text.floor_char_boundary(BYTES_MAX)];
    let words = Words::read(text);
    let system = System::read(text);
    let (name, version) = words.name(text, &system);
    filling.set_some(fields::user_agent::NAME, name);
    filling.set_some(fields::user_agent::VERSION, version);
    if let Some((name, version)) = system.name_and_version() {
        filling.set(fields::user_agent::os::NAME, name);
        if let Some(version) = version {
            let version = dotted(version, filling);
            filling.set(fields::user_agent::os::VERSION, version);
            let full = filling.event.format(format_args!("{name} {version}"));
            filling.set(fields::user_agent::os::FULL, full);
        }
    }
    if words.robot.is_some() {
        filling.set(fields::user_agent::device::NAME, "Spider");
    } else if let Some((maker, model)) = system.device() {
        let name = match maker {
            "" => model,
            maker => filling.event.format(format_args!("{maker} {model}")),
        };
        filling.set(fields::user_agent::device::NAME, name);
    }
}

/// A version with dots, as `17_1_2` is not.
fn dotted<'a>(version: &'a str, filling: &Filling<'_, 'a>) -> &'a str {
    if !version.contains('_') {
        return version;
    }
    let mut out = filling.event.string(version.len());
    out.extend(version.chars().map(|character| if character == '_' { '.' } else { character }));
    out.into_bump_str()
}

/// A name and what stands behind its slash.
type Product<'t> = (&'t str, Option<&'t str>);

/// What the words of a text say.
#[derive(Default)]
struct Words<'t> {
    robot: Option<Product<'t>>,
    /// The place in [`BROWSERS`] and the version.
    browser: Option<(usize, Option<&'t str>)>,
    /// `Version/…`, which Safari and Opera have beside their names.
    version: Option<&'t str>,
    is_safari: bool,
    is_mobile: bool,
    is_web_view: bool,
}

impl<'t> Words<'t> {
    fn read(text: &'t str) -> Self {
        let mut read = Self::default();
        let mut before = "";
        for word in text.split([' ', '(', ')', ';', ',', '[', ']']).filter(|word| !word.is_empty())
        {
            let (name, version) = word.split_once('/').unwrap_or((word, ""));
            match before {
                // Its version stands behind a space.
                _ if word == "MSIE" => {}
                "MSIE" => read.found("MSIE", version_of(word)),
                _ if word.starts_with("rv:") && text.contains("Trident/") => {
                    read.found("MSIE", version_of(&word["rv:".len()..]));
                }
                _ => read.word(name, version_of(version)),
            }
            before = word;
        }
        read
    }

    fn word(&mut self, name: &'t str, version: Option<&'t str>) {
        match name {
            "Version" => self.version = version,
            "Safari" => self.is_safari = true,
            "Mobile" | "IEMobile" => self.is_mobile = true,
            "wv" => self.is_web_view = true,
            _ if self.robot.is_none() && is_robot(name) => self.robot = Some((name, version)),
            _ => self.found(name, version),
        }
    }

    fn found(&mut self, name: &str, version: Option<&'t str>) {
        let rank = BROWSERS.iter().position(|(word, ..)| *word == name);
        let better = |rank: &usize| self.browser.is_none_or(|(before, _)| *rank < before);
        if let Some(rank) = rank.filter(better) {
            self.browser = Some((rank, version));
        }
    }

    fn name(&self, text: &'t str, system: &System<'t>) -> (Option<&'t str>, Option<&'t str>) {
        if let Some((name, version)) = self.robot {
            return (Some(name), version);
        }
        if !text.starts_with("Mozilla/") && !text.starts_with("Opera/") {
            return program(text).map_or((None, None), |(name, version)| (Some(name), version));
        }
        let Some((rank, version)) = self.browser else {
            return self.safari(system);
        };
        let (word, name, on_telephone) = BROWSERS[rank];
        match word {
            "Opera" => (Some(name), self.version.or(version)),
            "Chrome" if self.is_web_view => (Some("Chrome Mobile WebView"), version),
            _ if self.is_mobile || word != "Chrome" && system.is_telephone() => {
                (Some(on_telephone), version)
            }
            _ => (Some(name), version),
        }
    }

    /// Safari, and what has its engine and no name.
    fn safari(&self, system: &System<'t>) -> (Option<&'t str>, Option<&'t str>) {
        let name = match system.name_and_version() {
            Some(("iOS", _)) if !self.is_safari => "Mobile Safari UI/WKWebView",
            Some(("iOS", _)) => "Mobile Safari",
            Some(("Android", _)) if self.version.is_some() => "Android",
            _ if self.is_safari && self.version.is_some() => "Safari",
            _ => return (None, None),
        };
        (Some(name), self.version)
    }
}

/// The beginning of a text that is a version.
fn version_of(text: &str) -> Option<&str> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    let end = text.find(|c: char| !is_part(c)).unwrap_or(text.len());
    let version = text[..end].trim_end_matches(['.', '-', '_', '+']);
    version.starts_with(|c: char| c.is_ascii_digit()).then_some(version)
}

fn is_robot(name: &str) -> bool {
    let has = |part: &str| {
        name.as_bytes().windows(part.len()).any(|at| at.eq_ignore_ascii_case(part.as_bytes()))
    };
    // An address says where a robot is explained, and a telephone is called so.
    let is_name = !name.contains(['.', ':', '@', '+', '=']) && !has("cubot");
    is_name && (ROBOTS.contains(&name) || OF_ROBOTS.iter().any(|part| has(part)))
}

/// `curl/8.5.0`, `Microsoft Office/16.0 (…)`
fn program(text: &str) -> Option<Product<'_>> {
    let (name, rest) = text.split_once('/')?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-');
    let is_name = !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(is_part);
    let version = version_of(rest)?;
    is_name.then_some((name, Some(version)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> String {
        let (name, version) = Words::read(text).name(text, &System::read(text));
        format!("{} {}", name.unwrap_or_default(), version.unwrap_or_default()).trim().to_owned()
    }

    const WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
                           (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";
    const PHONE: &str = "Mozilla/5.0 (Linux; Android 14; SM-S911B) AppleWebKit/537.36 (KHTML, like \
                         Gecko) Chrome/131.0.0.0 Mobile Safari/537.36";
    const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) \
                          AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 \
                          Safari/604.1";

    #[test]
    fn a_browser_is_called_by_its_own_name() {
        assert_eq!(name(WINDOWS), "Chrome 131.0.0.0");
        assert_eq!(name(&format!("{WINDOWS} Edg/131.0.2903.70")), "Edge 131.0.2903.70");
        assert_eq!(name(&format!("{WINDOWS} OPR/116.0.0.0")), "Opera 116.0.0.0");
        assert_eq!(name(&format!("{WINDOWS} Vivaldi/7.0")), "Vivaldi 7.0");
        assert_eq!(name(PHONE), "Chrome Mobile 131.0.0.0");
        let samsung = PHONE.replace("Chrome/", "SamsungBrowser/27.0 Chrome/");
        assert_eq!(name(&samsung), "Samsung Internet 27.0");
        let view = PHONE.replace("SM-S911B)", "SM-S911B Build/UP1A; wv)");
        assert_eq!(name(&view), "Chrome Mobile WebView 131.0.0.0");
        assert_eq!(name(IPHONE), "Mobile Safari 17.6");
        assert_eq!(
            name(&IPHONE.replace("Version/17.6", "CriOS/131.0.6778.73")),
            "Chrome Mobile iOS 131.0.6778.73"
        );
        let inside = IPHONE.replace("Version/17.6 ", "").replace(" Safari/604.1", "");
        assert_eq!(name(&inside), "Mobile Safari UI/WKWebView");
        for (text, expected) in [
            (
                "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
                "Firefox 133.0",
            ),
            (
                "Mozilla/5.0 (Android 14; Mobile; rv:133.0) Gecko/133.0 Firefox/133.0",
                "Firefox Mobile 133.0",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like \
              Gecko) Version/18.1 Safari/605.1.15",
                "Safari 18.1",
            ),
            ("Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko", "IE 11.0"),
            ("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0)", "IE 8.0"),
            ("Opera/9.80 (Windows NT 6.1) Presto/2.12.388 Version/12.16", "Opera 12.16"),
            ("Opera/9.80 (J2ME/MIDP; Opera Mini/9.80/37.6) Presto/2.12", "Opera Mini 9.80"),
        ] {
            assert_eq!(name(text), expected, "{text}");
        }
    }

    #[test]
    fn robots_and_programs_are_called_as_they_call_themselves() {
        for (text, expected) in [
            (
                "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
                "Googlebot 2.1",
            ),
            (
                "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; \
              +https://openai.com/gptbot) Chrome/119.0 Safari/537.36",
                "GPTBot 1.2",
            ),
            (
                "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
                "facebookexternalhit 1.1",
            ),
            ("ELB-HealthChecker/2.0", "ELB-HealthChecker 2.0"),
            ("curl/8.5.0", "curl 8.5.0"),
            ("Wget/1.21.4 (linux-gnu)", "Wget 1.21.4"),
            ("python-requests/2.32.3", "python-requests 2.32.3"),
            ("GuzzleHttp/7", "GuzzleHttp 7"),
            ("Microsoft Office/16.0 (Windows NT 10.0)", "Microsoft Office 16.0"),
            (
                "Mozilla/5.0 (Linux; Android 9; CUBOT_X18) AppleWebKit/537.36 (KHTML, like Gecko) \
              Chrome/110.0.0.0 Mobile Safari/537.36",
                "Chrome Mobile 110.0.0.0",
            ),
            ("() { :; }; /bin/true", ""),
            ("hello", ""),
            ("", ""),
        ] {
            assert_eq!(name(text), expected, "{text}");
        }
    }
}
