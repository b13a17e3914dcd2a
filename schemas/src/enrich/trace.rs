//! A key that failures of the same kind have in common: what was thrown and the way there, without
//! what differs between two occurrences or two releases.
//!
//! The key is made of `error.type`, or what the trace says was thrown, and of the trace's frames:
//! functions and files, without numbers of lines, arguments, messages, what a closure or an
//! anonymous class is called, digits, and hexadecimal numbers of eight digits or more. A file's path
//! begins with `vendor/` or its like, else below the folder which that stands in, else it is its
//! last three parts. A frame that follows itself counts once, and of more than 64 the first 64.
//! Traces of PHP, Java, JavaScript, Python, Ruby, Go, .NET and C are read; of a text that is none
//! of them each line is a frame.

use bumpalo::collections::String as ArenaString;

use super::Filling;
use crate::fields;

/// The number of the rules above, which a key begins with.
const RULES: u32 = 1;

/// Frames that count; deeper ones are those of the framework that called.
const FRAMES_MAX: usize = 64;

/// Parts of a path that are kept where nothing says where the application begins.
const PARTS_MAX: usize = 3;

/// Folders of other people's code.
const OF_OTHERS: [&str; 4] = ["vendor/", "node_modules/", "site-packages/", "dist-packages/"];

/// How names of what can be thrown end.
const THROWN: [&str; 5] = ["Error", "Exception", "Failure", "Interrupt", "Warning"];

pub(super) fn fill(filling: &mut Filling<'_, '_>) {
    let Some(trace) = filling.text(fields::error::STACK_TRACE) else { return };
    let thrown = filling.text(fields::error::TYPE).unwrap_or_default();
    let text = normalized(thrown, trace, filling.event.string(512)).into_bump_str();
    let key = filling.key(RULES, text);
    filling.set(fields::error::GROUPING_KEY, key);
}

/// What the key is made of: a line for what was thrown, and one for each frame.
fn normalized<'a>(thrown: &str, trace: &str, out: ArenaString<'a>) -> ArenaString<'a> {
    let mut way = Way { out, root: root(trace), last: 0, frames: 0 };
    squeeze(thrown, &mut way.out);
    let lines = || trace.lines().map(str::trim).filter(|line| !line.is_empty());
    let frames = lines().filter_map(Frame::read);
    let is_said = |frame: &Frame<'_>| frame.file.is_empty() && frame.call == thrown;
    frames.filter(|frame| !is_said(frame)).for_each(|frame| way.add(frame));
    if way.frames == 0 {
        lines().for_each(|line| way.add(Frame { call: line, file: "" }));
    }
    way.out
}

/// The frames so far.
struct Way<'a, 't> {
    out: ArenaString<'a>,
    root: &'t str,
    /// Where the last one begins.
    last: usize,
    frames: usize,
}

impl Way<'_, '_> {
    fn add(&mut self, frame: Frame<'_>) {
        if self.frames == FRAMES_MAX {
            return;
        }
        let from = self.out.len();
        self.out.push('\n');
        squeeze(relative(frame.file, self.root), &mut self.out);
        self.out.push(' ');
        squeeze(frame.call, &mut self.out);
        if self.frames > 0 && self.out[self.last..from] == self.out[from..] {
            self.out.truncate(from);
        } else {
            (self.last, self.frames) = (from, self.frames + 1);
        }
    }
}

/// A function and the file that it is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Frame<'t> {
    call: &'t str,
    file: &'t str,
}

impl<'t> Frame<'t> {
    fn read(line: &'t str) -> Option<Self> {
        let ways = [php, at, python, ruby, go, c, place, thrown];
        ways.iter().find_map(|way| way(line))
    }
}

/// `#3 /srv/app/Http/Kernel.php(42): App\Http\Kernel->handle(Object(Request))`
fn php(line: &str) -> Option<Frame<'_>> {
    let rest = line.strip_prefix('#')?.trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = rest.strip_prefix(' ')?;
    if let Some(call) = rest.strip_prefix("[internal function]: ") {
        return Some(Frame { call: called(call), file: "" });
    }
    match rest.split_once("): ") {
        Some((place, call)) => {
            let file = place.rsplit_once('(').map_or(place, |(file, _)| file);
            Some(Frame { call: called(call), file })
        }
        None if rest.starts_with('{') => Some(Frame { call: rest, file: "" }),
        None => Some(Frame { call: "", file: without_position(rest) }),
    }
}

/// `at a.b.C.d(C.java:12)`, `at d (/srv/c.js:1:2)`, `at A.B.C(String d) in /srv/c.cs:line 3`
fn at(line: &str) -> Option<Frame<'_>> {
    let rest = line.strip_prefix("at ")?;
    if let Some((call, place)) = rest.split_once(" (") {
        let file = without_position(place.strip_suffix(')').unwrap_or(place));
        return Some(Frame { call, file });
    }
    Some(match rest.split_once('(') {
        Some((call, _)) => Frame { call, file: "" },
        None => Frame { call: "", file: without_position(rest) },
    })
}

/// `File "/srv/a.py", line 12, in b`
fn python(line: &str) -> Option<Frame<'_>> {
    let (file, rest) = line.strip_prefix("File \"")?.split_once('"')?;
    let call = rest.split_once(", in ").map_or("", |(_, call)| call);
    Some(Frame { call, file })
}

/// ``/srv/a.rb:12:in `b'``
fn ruby(line: &str) -> Option<Frame<'_>> {
    let (place, call) = line.strip_prefix("from ").unwrap_or(line).split_once(":in ")?;
    let file = without_position(place);
    (file != place).then(|| Frame { call: call.trim_matches(['`', '\'', '"']), file })
}

/// `main.(*Server).handle(0xc000012345)`, and below it `/srv/main.go:12 +0x1d`
fn go(line: &str) -> Option<Frame<'_>> {
    if let Some(at) = line.find(".go:") {
        return Some(Frame { call: "", file: &line[..at + ".go".len()] });
    }
    let (call, _) = line.strip_suffix(')')?.rsplit_once('(')?;
    (call.contains('.') && !call.contains(' ')).then_some(Frame { call, file: "" })
}

/// `server: a process (function+0x12) [0x55d0c8f3a1b2]`
fn c(line: &str) -> Option<Frame<'_>> {
    let (before, _) = line.split_once(" [0x")?;
    Some(Frame { call: &before[before.rfind('(')?..], file: "" })
}

/// `/srv/app/a.php:12`
fn place(line: &str) -> Option<Frame<'_>> {
    let file = without_position(line);
    let is_place = file != line && file.contains('/') && !file.contains(' ');
    is_place.then_some(Frame { call: "", file })
}

/// `Caused by: a.b.SomeException: its message`
fn thrown(line: &str) -> Option<Frame<'_>> {
    const BEFORE: [&str; 3] = ["[previous exception] ", "Caused by: ", "[object] ("];
    let rest = BEFORE.iter().fold(line, |rest, lead| rest.strip_prefix(lead).unwrap_or(rest));
    let end = rest.find([':', '(', ' ']).unwrap_or(rest.len());
    let call = &rest[..end];
    let is_class = call.contains(['\\', '.']) || THROWN.iter().any(|word| call.ends_with(word));
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '\\' | '.' | '_' | '$');
    let is_class = is_class && call.starts_with(char::is_alphabetic);
    (is_class && call.chars().all(is_name)).then_some(Frame { call, file: "" })
}

/// What is called, without arguments; a closure's name may have parentheses in its braces.
fn called(call: &str) -> &str {
    let mut depth = 0_u32;
    let end = call.find(|character| {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == '(' && depth == 0
    });
    &call[..end.unwrap_or(call.len())]
}

/// `a.js:1:2` and `a.php:12` without their numbers.
fn without_position(place: &str) -> &str {
    let without = |text| match str::rsplit_once(text, ':') {
        Some((file, number)) if number.parse::<u64>().is_ok() => file,
        _ => text,
    };
    without(without(place))
}

/// The folder that the code of others stands in.
fn root(trace: &str) -> &str {
    let folders = OF_OTHERS[..2].iter().filter_map(|folder| trace.find(folder));
    let Some(end) = folders.min() else { return "" };
    let begin = trace[..end].rfind([' ', '(', '"', '\n', '\t']).map_or(0, |before| before + 1);
    &trace[begin..end]
}

fn relative<'t>(file: &'t str, root: &str) -> &'t str {
    if let Some(at) = OF_OTHERS.iter().find_map(|folder| file.find(folder)) {
        return &file[at..];
    }
    if let Some(inside) = file.strip_prefix(root).filter(|_| !root.is_empty()) {
        return inside;
    }
    let ends = file.rmatch_indices(['/', '\\']);
    ends.take(PARTS_MAX)
        .last()
        .filter(|_| file.matches(['/', '\\']).count() >= PARTS_MAX)
        .map_or(file, |(at, _)| &file[at + 1..])
}

/// Appends a text without what differs from one occurrence to the next.
fn squeeze(text: &str, out: &mut ArenaString<'_>) {
    /// From so many digits on a number in hexadecimal is one, and no word.
    const HEXADECIMAL_MIN: usize = 8;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("{closure") {
            out.push_str("{closure}");
            rest = rest.split_once('}').map_or("", |(_, rest)| rest);
            continue;
        }
        if let Some(after) = rest.strip_prefix("@anonymous") {
            out.push_str("@anonymous");
            let end = ["->", "::"].iter().filter_map(|mark| after.find(mark)).min();
            rest = &after[end.unwrap_or(after.len())..];
            continue;
        }
        let run = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        if run == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let word = &rest[..run];
        let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
        let is_number = word.bytes().all(|byte| byte.is_ascii_hexdigit());
        if word.starts_with("0x") {
            out.push_str("0x");
        } else if !(has_digit && is_number && run >= HEXADECIMAL_MIN) {
            out.extend(word.chars().filter(|character| !character.is_ascii_digit()));
        }
        rest = &rest[run..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bumpalo::Bump;
    use proptest::prelude::*;

    fn of(thrown: &str, trace: &str) -> String {
        let arena = Bump::new();
        normalized(thrown, trace, ArenaString::new_in(&arena)).to_string()
    }

    #[test]
    fn the_same_failure_in_another_release_and_at_another_line_has_the_same_way() {
        let one = "#0 /srv/releases/20260101/vendor/laravel/framework/src/Router.php(12): \
                   App\\Jobs\\Pay->handle(Object(App\\Order), 'x')\n\
                   #1 [internal function]: Illuminate\\Pipe->Illuminate\\{closure}(Object(X))\n\
                   #2 /srv/releases/20260101/app/Jobs/Pay.php(7): class@anonymous->go(1)\n\
                   #3 /srv/releases/20260101/app/Jobs/Pay.php(9): class@anonymous->go(2)\n\
                   #4 {main}";
        let other = "#0 /srv/releases/20260202/vendor/laravel/framework/src/Router.php(14): \
                     App\\Jobs\\Pay->handle(Object(App\\Order), 'other')\n\
                     #1 [internal function]: Illuminate\\Pipe->{closure:Illuminate\\Pipe::a():34}()\n\
                     #2 /srv/releases/20260202/app/Jobs/Pay.php(8): \
                     class@anonymous\0/srv/x.php:12$0->go(3)\n\
                     #3 {main}";
        let expected = "E\nvendor/laravel/framework/src/Router.php App\\Jobs\\Pay->handle\n \
                        Illuminate\\Pipe->Illuminate\\{closure}\n\
                        app/Jobs/Pay.php class@anonymous->go\n {main}";
        assert_eq!(of("E", one), expected);
        let named = expected.replace("Illuminate\\{closure}", "{closure}");
        assert_eq!(of("E", other), named);
    }

    #[test]
    fn traces_of_other_languages_are_read() {
        for (trace, expected) in [
            (
                "java.lang.IllegalStateException: order 7\n\tat a.B.c(B.java:12)\n\
              \tat a.B$$Lambda$14/0x0000000800c03000.run(Unknown Source)\n\t... 3 more\n\
              Caused by: java.io.IOException: gone\n\tat a.D.e(D.java:3)",
                "\n java.lang.IllegalStateException\n a.B.c\n a.B$$Lambda$/0x.run\n \
                 java.io.IOException\n a.D.e",
            ),
            (
                "Traceback (most recent call last):\n  File \"/srv/x/app/views.py\", line 12, in get\n\
              \x20   return f(1)\n           ^^^^\nValueError: 7 is none",
                "\nx/app/views.py get\n ValueError",
            ),
            (
                "TypeError: x is not a function\n    at f (/srv/app/src/a.js:10:15)\n\
              \x20   at /srv/app/node_modules/express/lib/router.js:3:1",
                "\n TypeError\nsrc/a.js f\nnode_modules/express/lib/router.js ",
            ),
            (
                "/srv/app/models/a.rb:12:in `save'\nfrom /srv/app/b.rb:3:in `<main>'",
                "\napp/models/a.rb save\nsrv/app/b.rb <main>",
            ),
            (
                "goroutine 1 [running]:\nmain.(*S).run(0xc000, 0x1)\n\t/srv/x/main.go:12 +0x1d",
                "\n main.(*S).run\nsrv/x/main.go ",
            ),
            ("   at A.B.C(String d) in /srv/c.cs:line 3", "\n A.B.C"),
            ("server: u d SELECT(errstart+0x1f) [0x55d0c8f3a1b2]", "\n (errstart+0x)"),
            ("/srv/app/x/y/z.php:12\n/srv/app/x/y/z.php:13", "\nx/y/z.php "),
            ("no frames 12 here", "\n no frames  here"),
        ] {
            assert_eq!(of("", trace), expected.trim_end_matches('|'), "{trace}");
        }
    }

    #[test]
    fn of_a_deep_trace_the_first_frames_count() {
        let trace: String =
            (0..1000).map(|n| format!("#{n} a.php(1): f{}()\n", "x".repeat(n))).collect();
        assert_eq!(of("", &trace).lines().count(), FRAMES_MAX + 1);
    }

    proptest! {
        #[test]
        fn any_text_has_a_way(text in "([a-z0-9#():./\\\\@{} \n-]|#1 |at |File \"|closure|ñ){0,80}") {
            let way = of("E", &text);
            prop_assert!(way.len() <= text.len() * 2 + 16, "{}", way);
        }
    }
}
