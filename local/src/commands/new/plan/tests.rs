use super::*;

fn a_workspace(files: &[(&str, &str)]) -> (tempfile::TempDir, Plan) {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        write(&folder.path().join(path), text).unwrap();
    }
    let plan = Plan::new(folder.path());
    (folder, plan)
}

fn read(folder: &tempfile::TempDir, path: &str) -> String {
    std::fs::read_to_string(folder.path().join(path)).unwrap()
}

#[test]
fn lines_are_put_before_the_last_anchor_and_the_anchors_follow_on_each_other() {
    let lists = "a = [\n  1,\n]\nb = [\n  1,\n]\n";
    let (folder, mut plan) = a_workspace(&[("f", lists)]);
    plan.insert("f", &["b = [", "]"], "  2,\n").unwrap();
    plan.insert("f", &["a = [", "]"], "  3,\n").unwrap();
    assert_eq!(read(&folder, "f"), lists);
    plan.write().unwrap();
    assert_eq!(
        read(&folder, "f"),
        "a = [\n  1,\n  3,\n]\nb = [\n  1,\n  2,\n]\n"
    );
}

#[test]
fn a_number_is_added_to_where_it_is_one() {
    let rows = "a\n  (\"w\", 1.0),\nb\n  (\"w\", 12.0),\n  (\"r\", none),\n";
    let (folder, mut plan) = a_workspace(&[("f", rows)]);
    plan.add("f", &["b", "  (\"w\""], 3).unwrap();
    assert!(plan.add("f", &["b", "  (\"r\""], 3).is_err());
    plan.write().unwrap();
    assert_eq!(read(&folder, "f"), rows.replace("12.0", "15.0"));
}

#[test]
fn a_missing_anchor_is_named_with_its_file() {
    let (_folder, mut plan) = a_workspace(&[("f", "]\na = [\n")]);
    let error = plan.insert("f", &["a = [", "]"], "1,\n").unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("f: has no line that begins with `]`"),
        "{text}"
    );
}

#[test]
fn a_line_is_put_into_its_sorted_block_and_comments_stay_with_their_lines() {
    let block = "[d]\na = 1\n# of c\nc = 1\n\n[e]\n";
    for (line, expected) in [
        ("b = 1\n", "[d]\na = 1\nb = 1\n# of c\nc = 1\n\n[e]\n"),
        ("d = 1\n", "[d]\na = 1\n# of c\nc = 1\nd = 1\n\n[e]\n"),
    ] {
        let (folder, mut plan) = a_workspace(&[("f", block)]);
        plan.insert_sorted("f", "[d]", line).unwrap();
        plan.write().unwrap();
        assert_eq!(read(&folder, "f"), expected);
    }
}

#[test]
fn a_file_that_is_there_is_not_created() {
    let (_folder, mut plan) = a_workspace(&[("f", "")]);
    assert!(plan.create("f", String::new()).is_err());
}

#[test]
fn what_was_written_is_taken_back_when_something_cannot_be() {
    let (folder, mut plan) = a_workspace(&[("b", "before\n"), ("file", "")]);
    plan.create("a", "new".to_owned()).unwrap();
    plan.insert("b", &["before"], "more\n").unwrap();
    plan.create("file/in-no-folder", String::new()).unwrap();
    assert!(plan.write().is_err());
    assert!(!folder.path().join("a").exists());
    assert_eq!(read(&folder, "b"), "before\n");
}

#[test]
fn rust_is_formatted_and_what_is_none_is_refused() {
    let (_folder, mut plan) = a_workspace(&[]);
    plan.create("a.rs", "mod   a;".to_owned()).unwrap();
    if plan.format().unwrap() {
        assert_eq!(plan.preview(), "==> a.rs (new)\nmod a;\n\ncreated  a.rs\n");
        plan.create("b.rs", "mod {".to_owned()).unwrap();
        assert!(plan.format().is_err());
    }
}
