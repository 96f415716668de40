//! The written schema of `--json`: whatever a test of this program has it print is held against it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::command::{DATE, Ran, Scratch, collection, dated, kv, persist, persist_with};

static SCHEMA: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../schema/answers.schema.json")).unwrap());

/// Which definition is of the verb that these arguments call; none where they do not ask for JSON.
fn definition(args: &[String]) -> Option<String> {
    let words: Vec<&str> = args.iter().map(String::as_str).filter(|arg| !arg.starts_with("--")).collect();
    let verb = match words.as_slice() {
        [family @ ("wal" | "dates"), verb, ..] => format!("{family} {verb}"),
        [verb, ..] => (*verb).to_owned(),
        [] => return None,
    };
    (args.iter().any(|arg| arg == "--json") && verb != "completions").then(|| format!("persist {verb}"))
}

/// Holds what the program printed against the schema.
pub(crate) fn check_run(args: &[String], ran: &Ran) {
    let Some(definition) = definition(args) else { return };
    let documents: Vec<&str> = match definition.as_str() {
        "persist wal cat" | "persist wal tail" => ran.out.lines().collect(),
        _ if ran.out.is_empty() => Vec::new(),
        _ => vec![&ran.out],
    };
    for document in documents {
        let wrong = wrong_with(&serde_json::from_str(document).unwrap(), &definition);
        assert!(wrong.is_empty(), "{definition}: {wrong:?}\n{document}");
    }
    // Notes may stand before the error, and clap has its own.
    if let Some(Ok(error)) = ran.err.lines().last().map(serde_json::from_str::<Value>) {
        let wrong = wrong_with(&error, "error");
        assert!(ran.code != 0 && wrong.is_empty(), "{wrong:?}\n{ran:?}");
    } else {
        assert!(ran.code != 1 || !ran.out.is_empty() || ran.err.starts_with("note: "), "{ran:?}");
    }
}

/// What is wrong with a value by a definition.
fn wrong_with(value: &Value, definition: &str) -> Vec<String> {
    let schema = &SCHEMA["$defs"][definition];
    assert!(schema.is_object(), "the schema has no {definition:?}");
    let mut wrong = Vec::new();
    check(value, schema, "", &mut wrong);
    wrong
}

/// Checks by as much of JSON Schema as the file uses; anything else of it is refused.
fn check(value: &Value, schema: &Value, at: &str, wrong: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().unwrap() {
        let is_right = match keyword.as_str() {
            "description" | "properties" => true,
            "$ref" => {
                let name = rule.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                let referred = &SCHEMA["$defs"][name];
                assert!(referred.is_object(), "the schema has no {name:?}");
                check(value, referred, at, wrong);
                true
            }
            "type" => match rule {
                Value::Array(types) => types.iter().any(|of| is_of(value, of.as_str().unwrap())),
                of => is_of(value, of.as_str().unwrap()),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(item, rule, &format!("{at}/{n}"), wrong);
                }
                true
            }
            "required" => {
                let there = |name: &Value| value.get(name.as_str().unwrap()).is_some();
                !value.is_object() || rule.as_array().unwrap().iter().all(there)
            }
            "additionalProperties" => {
                let known = &schema["properties"];
                for (name, member) in value.as_object().into_iter().flatten() {
                    match known.get(name) {
                        Some(of) => check(member, of, &format!("{at}/{name}"), wrong),
                        None if rule == &json!(true) => {}
                        None => wrong.push(format!("{at}/{name} is unknown")),
                    }
                }
                true
            }
            "anyOf" => rule.as_array().unwrap().iter().any(|of| {
                let mut wrong = Vec::new();
                check(value, of, at, &mut wrong);
                wrong.is_empty()
            }),
            other => panic!("the schema has a keyword that is not checked: {other}"),
        };
        if !is_right {
            wrong.push(format!("{at}: {value} is against {keyword} {rule}"));
        }
    }
}

fn is_of(value: &Value, of: &str) -> bool {
    match of {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("the schema has a type that is not checked: {other}"),
    }
}

/// The verbs that a help text lists.
fn listed(args: &[&str]) -> BTreeSet<String> {
    let help = persist(args.iter().chain(&["--help"])).out;
    let verbs = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let verbs = verbs.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    verbs.map(|line| line.split_whitespace().next().unwrap().to_owned()).filter(|verb| verb != "help").collect()
}

#[test]
fn every_verb_has_a_definition() {
    let mut verbs = listed(&[]);
    assert!(verbs.remove("completions") && verbs.len() > 10, "{verbs:?}");
    for family in ["wal", "dates"] {
        assert!(verbs.remove(family));
        verbs.extend(listed(&[family]).into_iter().map(|verb| format!("{family} {verb}")));
    }
    let defined = SCHEMA["$defs"].as_object().unwrap().keys();
    let defined: BTreeSet<String> =
        defined.filter_map(|name| name.strip_prefix("persist ")).map(str::to_owned).collect();
    assert_eq!(verbs, defined);
    // Whoever takes the file as it is finds them all.
    let referred = SCHEMA["anyOf"].as_array().unwrap().iter().map(|of| of["$ref"].as_str().unwrap());
    let referred: BTreeSet<String> = referred
        .filter_map(|name| name.strip_prefix("#/$defs/persist%20"))
        .map(|name| name.replace("%20", " "))
        .collect();
    assert_eq!(referred, defined);
}

#[test]
fn what_the_schema_does_not_have_is_refused() {
    let good = json!({"ok": true, "checked": [
        {"path": "/data", "what": "backup", "ok": true, "owner": null, "records": 3, "found": ["a"]}
    ]});
    assert_eq!(wrong_with(&good, "persist verify"), [""; 0]);
    for (pointer, to) in
        [("/ok", json!(1)), ("/checked/0/records", json!(-1)), ("/checked/0/owner", json!(1)), ("/checked", json!({}))]
    {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = to;
        assert_eq!(wrong_with(&bad, "persist verify").len(), 1, "{pointer}");
    }
    for pointer in ["", "/checked/0"] {
        let mut more = good.clone();
        more.pointer_mut(pointer).unwrap()["colour"] = json!("red");
        assert_eq!(wrong_with(&more, "persist verify"), [format!("{pointer}/colour is unknown")]);
        let mut less = good.clone();
        less.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove("ok");
        assert_eq!(wrong_with(&less, "persist verify").len(), 1, "{pointer}");
    }
}

#[test]
fn every_verb_prints_what_the_schema_says() {
    let (days, items, pairs, lake, made) =
        (Scratch::new(), Scratch::new(), Scratch::new(), Scratch::new(), Scratch::new());
    let store = dated(&days.path());
    let file = made.join("rows.csv");
    std::fs::write(&file, "key,data\nmore,\"{\"\"a\"\":1}\"\n").unwrap();
    let (base, day, root) = (days.arg(), days.join(DATE), lake.arg());
    let mut defined: BTreeSet<String> =
        SCHEMA["$defs"].as_object().unwrap().keys().filter(|name| name.starts_with("persist ")).cloned().collect();
    let mut run = |args: &[&str]| {
        let args: Vec<String> = args.iter().chain(&["--json"]).map(|arg| (*arg).to_owned()).collect();
        // This holds it against the schema.
        let ran = persist_with(&args, "");
        assert!(ran.code == 0 && !ran.out.is_empty(), "{args:?}: {ran:?}");
        defined.remove(&definition(&args).unwrap());
    };
    for verb in [&["inspect", &day][..], &["verify", &day], &["wal", "cat", &day], &["wal", "tail", &day]] {
        run(verb);
    }
    store.close().unwrap();
    collection(&items.path()).close().unwrap();
    kv(&pairs.path()).close().unwrap();
    let (backup, restored) = (made.join("backup"), made.join("restored"));
    let verbs: [&[&str]; 21] = [
        &["inspect", &items.arg()],
        &["verify", &base],
        &["wal", "verify", &base],
        &["query", &base, "SELECT * FROM storage"],
        &["query", &base, "SELECT * FROM storage", "--parquet", &made.join("answer.parquet")],
        &["export", &base, &root],
        &["inspect", &root],
        &["keys", &day],
        &["get", &day, "load"],
        &["put", &day, "load", "{}"],
        &["rm", &day, "load"],
        &["history", &items.arg(), "ada", "--collection", "info", "--item", "age"],
        &["as-of", &items.arg(), "2025-12-20"],
        &["repair", &day],
        &["rebuild", &items.arg(), "--dry-run"],
        &["backup", &pairs.arg(), &backup],
        &["restore", &backup, &restored],
        &["compact", &day],
        &["import", &file, &pairs.arg()],
        &["dates", "ls", &base],
        &["dates", "drop", &base, "--keep", "1"],
    ];
    for verb in verbs {
        run(verb);
    }
    run(&["dates", "archive", &base, &root, "--keep", "0", "--yes"]);
    assert!(defined.is_empty(), "not run: {defined:?}");
}
