//! What becomes of files that are renamed, copied, truncated or replaced.

use super::*;
use crate::tail::file::Place;
use crate::tail::framers::{Brackets, Lines};

#[test]
fn a_renamed_file_is_read_to_its_end_before_the_new_one_and_its_late_lines_too() {
    let mut bench = Bench::new(&["x.log"], &Lines);
    bench.append("x.log", "1\n");
    assert_eq!(bench.read(), ["1"]);
    let mut writer = OpenOptions::new().append(true).open(bench.path("x.log")).expect("open");
    bench.append("x.log", "2\n");
    bench.rename("x.log", "x.log.1");
    bench.append("x.log", "4\n");
    assert_eq!(bench.read(), ["2", "4"]);
    writer.write_all(b"3\n").expect("write");
    assert_eq!(bench.read(), ["3"]);
    bench.read_after(LONG);
    writer.write_all(b"very late\n").expect("write");
    assert_eq!(bench.read(), ["very late"]);
    assert!(bench.log.iter().all(|seen| seen.generation == 0));
}

#[test]
fn a_file_renamed_while_nothing_ran_is_found_among_its_siblings_and_read_first() {
    let mut bench = Bench::new(&["x.log"], &Lines);
    bench.append("x.log", "1\n2\n");
    bench.read();
    bench.append("x.log", "3\n");
    bench.rename("x.log", "x.log.1");
    bench.append("x.log", "4\n");
    bench.restart();
    assert_eq!(bench.read(), ["3", "4"]);
    bench.restart();
    assert!(bench.read_after(LONG).is_empty());
}

#[test]
fn a_renamed_file_that_cannot_be_opened_does_not_hold_up_the_new_one_and_is_read_when_it_can_be() {
    let mut bench = Bench::new(&["x.log"], &Lines);
    bench.append("x.log", "1\n");
    bench.read();
    bench.append("x.log", "2\n");
    bench.rename("x.log", "x.log.1");
    bench.append("x.log", "3\n");
    bench.settings.scan_interval = Duration::from_secs(3600);
    bench.restart();
    bench.tail.scan(Duration::ZERO);
    bench.tail.scanned_at = Some(bench.clock.now());
    // A link to itself in place of what was renamed: no user can open it, root included.
    let locked = bench.path("locked");
    std::os::unix::fs::symlink(&locked, &locked).expect("link");
    let renamed = |bench: &mut Bench, path: &Path| {
        let mut files = bench.tail.files.iter_mut();
        let renamed = files.find(|file| matches!(file.place, Place::Rotated)).expect("it is known");
        path.clone_into(&mut renamed.real);
    };
    renamed(&mut bench, &locked);
    assert_eq!(bench.read(), ["3"]);
    assert!(bench.tail.problems.contains_key(&locked), "it is not named");
    let opened = bench.path("x.log.1");
    renamed(&mut bench, &opened);
    assert_eq!(bench.read(), ["2"]);
}

#[test]
fn a_truncated_file_gives_the_rest_from_its_copy_once() {
    for glob in ["x.log", "x.log*"] {
        for restart in [false, true] {
            let mut bench = Bench::new(&[glob], &Lines);
            bench.append("x.log", "1\n2\n");
            bench.read();
            bench.append("x.log", "3\n");
            fs::copy(bench.path("x.log"), bench.path("x.log.1")).expect("copy");
            bench.truncate("x.log");
            bench.append("x.log", "4\n");
            if restart {
                bench.restart();
            }
            assert_eq!(bench.read(), ["3", "4"], "{glob} {restart}");
            bench.restart();
            assert!(bench.read_after(LONG).is_empty(), "{glob} {restart}");
            bench.rename("x.log.1", "x.log.2");
            assert!(bench.read_after(LONG).is_empty(), "{glob} {restart}");
        }
    }
}

#[test]
fn a_file_that_grew_beyond_the_position_after_a_truncation_is_read_from_its_beginning() {
    let mut bench = Bench::new(&["x.log"], &Lines);
    bench.append("x.log", "1\n2\n");
    bench.read();
    bench.truncate("x.log");
    bench.append("x.log", "aaa\nbbb\nccc\n");
    assert_eq!(bench.read(), ["aaa", "bbb", "ccc"]);
    assert_eq!(bench.log.last().expect("a record").generation, 1);
}

#[test]
fn an_open_record_is_not_lost_when_the_file_is_truncated() {
    let mut bench = Bench::new(&["x.log"], &Brackets);
    bench.append("x.log", "[1\n at a\n");
    assert!(bench.read().is_empty());
    bench.truncate("x.log");
    bench.append("x.log", "[2\n");
    assert_eq!(bench.read(), ["[1\n at a"]);
    assert_eq!(bench.read_after(QUIET), ["[2"]);
}

#[test]
fn an_inode_that_a_new_file_took_is_not_the_old_file() {
    let mut bench = Bench::new(&["*.log"], &Lines);
    bench.append("a.log", "1\n");
    bench.read();
    bench.tail = start(&bench.patterns, &Lines, &bench.settings, &bench.clock);
    fs::remove_file(bench.path("a.log")).expect("remove");
    bench.append("b.log", "2\n3\n");
    bench.restart();
    assert_eq!(bench.read(), ["2", "3"]);
}

#[test]
fn a_link_is_followed_and_followed_again_when_it_points_elsewhere() {
    let mut bench = Bench::new(&["current.log"], &Lines);
    bench.append("0.txt", "1\n");
    std::os::unix::fs::symlink(bench.path("0.txt"), bench.path("current.log")).expect("link");
    assert_eq!(bench.read(), ["1"]);
    bench.append("0.txt", "2\n");
    bench.append("1.txt", "3\n");
    fs::remove_file(bench.path("current.log")).expect("remove");
    std::os::unix::fs::symlink(bench.path("1.txt"), bench.path("current.log")).expect("link");
    assert_eq!(bench.read(), ["2", "3"]);
}

/// More than a head, so that a file is known by its bytes wherever it is.
fn long_lines(from: u32) -> (String, Vec<String>) {
    let lines: Vec<String> = (from..from + 40).map(|n| format!("{n:060}")).collect();
    (lines.join("\n") + "\n", lines)
}

#[test]
fn a_file_moved_to_another_folder_as_a_copy_is_read_on_and_not_again() {
    for restart in [false, true] {
        for truncate in [false, true] {
            let mut bench = Bench::new(&["x.log", "old/*"], &Lines);
            fs::create_dir(bench.path("old")).expect("folder");
            let (text, lines) = long_lines(0);
            bench.append("x.log", &text);
            assert_eq!(bench.read(), lines);
            bench.read_after(LONG);
            bench.append("x.log", "unread\n");
            fs::copy(bench.path("x.log"), bench.path("old/x.log-20260101")).expect("copy");
            if truncate {
                bench.truncate("x.log");
            } else {
                fs::remove_file(bench.path("x.log")).expect("remove");
            }
            if restart {
                bench.restart();
            }
            bench.append("x.log", "new\n");
            let mut found = bench.read_after(LONG);
            found.sort();
            assert_eq!(found, ["new", "unread"], "restart {restart}, truncate {truncate}");
            bench.restart();
            assert!(bench.read_after(LONG).is_empty(), "restart {restart}, truncate {truncate}");
        }
    }
}

#[test]
fn a_file_renamed_into_another_folder_while_nothing_ran_is_read_on() {
    let mut bench = Bench::new(&["x.log", "old/*"], &Lines);
    fs::create_dir(bench.path("old")).expect("folder");
    bench.append("x.log", "1\n");
    assert_eq!(bench.read(), ["1"]);
    bench.append("x.log", "2\n");
    bench.rename("x.log", "old/x.log.1");
    bench.append("x.log", "3\n");
    bench.restart();
    let mut found = bench.read_after(LONG);
    found.sort();
    assert_eq!(found, ["2", "3"]);
}

#[test]
fn files_of_one_name_in_two_folders_are_two_files_until_a_whole_head_is_the_same() {
    let mut bench = Bench::new(&["*/app.log"], &Lines);
    for folder in ["a", "b"] {
        fs::create_dir(bench.path(folder)).expect("folder");
        bench.append(&format!("{folder}/app.log"), "started\n");
        bench.read();
    }
    assert_eq!(bench.log.len(), 2);
    bench.append("a/app.log", "one\n");
    bench.append("b/app.log", "two\n");
    assert_eq!(bench.read(), ["one", "two"]);
}
