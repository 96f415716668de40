//! Working with rows: what each call does, and what it refuses.

use persist_table::{Column, Database, ErrorKind, Filter, Rows, RowsOf, Schema, Type, col};
use serde_json::{Value, json};

use crate::{Student, student};

fn in_memory() -> (Database, Rows<Student>) {
    let db = Database::in_memory("university").unwrap();
    let students = db.table().unwrap();
    for (name, gpa) in [("Alice", 3.8), ("Bob", 3.5), ("Carol", 3.9), ("Dan", 3.5)] {
        students.insert(&student(name, gpa)).unwrap();
    }
    (db, students)
}

fn found(rows: &[Student]) -> Vec<&str> {
    rows.iter().map(|row| row.name.as_str()).collect()
}

#[test]
fn rows_get_their_numbers_and_are_found_by_them() {
    let (_db, students) = in_memory();
    assert_eq!(students.get(3).unwrap().unwrap().name, "Carol");
    assert_eq!(students.get(9).unwrap(), None);
    let given = students.insert(&Student { id: Some(40), ..student("Eve", 1.0) }).unwrap();
    assert_eq!(given.id, Some(40));
    assert_eq!(students.insert(&student("Fay", 1.0)).unwrap().id, Some(41));
    students.delete(col("id").eq(41)).unwrap();
    assert_eq!(students.insert(&student("Gus", 1.0)).unwrap().id, Some(42), "a number is not given again");
    assert_eq!(students.count().unwrap(), 6);
    assert_eq!(students.get("x").unwrap_err().kind(), ErrorKind::Input);
}

#[test]
fn questions_have_a_filter_an_order_a_limit_and_an_offset() {
    let (_db, students) = in_memory();
    let ask = || students.select();
    assert_eq!(found(&ask().rows().unwrap()), ["Alice", "Bob", "Carol", "Dan"]);
    assert_eq!(found(&ask().order_by_desc("gpa").rows().unwrap()), ["Carol", "Alice", "Bob", "Dan"]);
    assert_eq!(found(&ask().order_by("gpa").order_by_desc("name").rows().unwrap()), ["Dan", "Bob", "Alice", "Carol"]);
    assert_eq!(found(&ask().order_by("name").offset(1).limit(2).rows().unwrap()), ["Bob", "Carol"]);
    assert_eq!(ask().filter(col("gpa").eq(3.5)).count().unwrap(), 2);
    assert_eq!(found(&ask().filter(col("gpa").gt(3.5).and(col("name").ne("Carol"))).rows().unwrap()), ["Alice"]);
    assert_eq!(found(&ask().filter(col("name").lt("B").or(col("id").ge(4))).rows().unwrap()), ["Alice", "Dan"]);
    assert_eq!(found(&ask().filter(col("id").one_of([4, 2, 9])).rows().unwrap()), ["Bob", "Dan"]);
    assert_eq!(found(&ask().filter(col("name").starts_with("C")).rows().unwrap()), ["Carol"]);
    assert_eq!(found(&ask().filter(col("email").contains("li")).rows().unwrap()), ["Alice"]);
    assert_eq!(found(&ask().filter(col("gpa").le(3.5).not()).rows().unwrap()), ["Alice", "Carol"]);
    assert_eq!(found(&ask().filter(col("id").gt(1)).filter(col("id").lt(4)).rows().unwrap()), ["Bob", "Carol"]);
    assert_eq!(ask().filter(col("name").eq("Bob")).first().unwrap().unwrap().id, Some(2));
    assert_eq!(ask().filter(col("id").eq(Value::Null)).count().unwrap(), 0);
    assert_eq!(ask().filter(Filter::all()).iter().unwrap().size_hint(), (4, Some(4)));
    let error = ask().filter(col("age").eq(1)).rows().unwrap_err();
    assert_eq!(error.to_string(), "table student has no column \"age\"; it has id, name, email, gpa");
    let error = ask().filter(col("gpa").eq("good")).rows().unwrap_err();
    assert_eq!(error.to_string(), "table student, column gpa: \"good\" is no float");
    assert_eq!(ask().order_by("age").rows().unwrap_err().kind(), ErrorKind::Input);
}

#[test]
fn rows_are_changed_and_removed_by_filter_and_put_by_key() {
    let (_db, students) = in_memory();
    assert_eq!(students.update(col("gpa").eq(3.5), &json!({"gpa": 3.6})).unwrap(), 2);
    assert_eq!(students.update_with(col("name").eq("Dan"), |row: &mut Student| row.gpa += 0.2).unwrap(), 1);
    assert!((students.get(4).unwrap().unwrap().gpa - 3.8).abs() < 1e-9);
    let alice = Student { id: Some(1), ..student("Alicia", 4.0) };
    assert_eq!(students.upsert(&alice).unwrap(), alice);
    assert_eq!(students.upsert(&Student { id: Some(9), ..student("Zoe", 2.0) }).unwrap().id, Some(9));
    assert_eq!(students.count().unwrap(), 5);
    assert_eq!(found(&students.all().unwrap())[0], "Alicia", "in its old place");
    assert_eq!(students.delete(col("gpa").ge(3.8)).unwrap(), 3);
    assert_eq!(found(&students.all().unwrap()), ["Bob", "Zoe"]);
    assert_eq!(students.delete(Filter::all()).unwrap(), 2);
    assert_eq!(students.update(Filter::all(), &json!({"gpa": 1})).unwrap(), 0);
}

#[test]
fn what_breaks_a_rule_is_refused_with_table_column_and_value_and_nothing_of_it_stays() {
    let (db, students) = in_memory();
    let json: Rows = db.rows("student").unwrap();
    let before = students.all().unwrap();
    let cases: &[(Value, ErrorKind, &[&str])] = &[
        (
            json!({"id": 1, "name": "X", "email": "x"}),
            ErrorKind::Conflict,
            &["table student", "column id", "1 already"],
        ),
        (
            json!({"name": "X", "email": "bob@university.edu"}),
            ErrorKind::Conflict,
            &["table student", "column email", "\"bob@university.edu\" already", "unique"],
        ),
        (json!({"name": null, "email": "x"}), ErrorKind::Input, &["column name", "null is not taken"]),
        (json!({"email": "x"}), ErrorKind::Input, &["column name", "missing"]),
        (json!({"name": "X", "email": 7}), ErrorKind::Input, &["table student", "column email", "7 is no str"]),
        (json!({"name": "X", "email": "x", "gpa": "good"}), ErrorKind::Input, &["column gpa", "\"good\" is no float"]),
        (json!({"name": "X", "email": "x", "age": 3}), ErrorKind::Input, &["no column \"age\""]),
        (json!(["X"]), ErrorKind::Input, &["table student", "no record"]),
    ];
    for (row, kind, said) in cases {
        for error in [
            json.insert(row).unwrap_err(),
            json.insert_many([json!({"name": "N", "email": "n"}), row.clone()]).unwrap_err(),
        ] {
            assert_eq!(error.kind(), *kind, "{error}");
            assert!(said.iter().all(|said| error.to_string().contains(said)), "{error}");
            assert_eq!(students.all().unwrap(), before);
        }
    }
    let error = students.update(Filter::all(), &json!({"email": "same"})).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(students.update(col("id").eq(1), &json!({"id": null})).unwrap_err().to_string().contains("column id"));
    assert!(json.insert(&f64::NAN).is_err());
    assert_eq!(students.all().unwrap(), before);
    // Where a row is refused, its indexes are as before, too.
    assert_eq!(students.select().filter(col("email").eq("same")).count().unwrap(), 0);
    students.insert(&json!({"name": "N", "email": "n"})).unwrap();
    let error = db.rows::<Value>("students").unwrap_err();
    assert_eq!(error.to_string(), "database university has no table \"students\"; there are: student");
    assert_eq!(error.kind(), ErrorKind::Input);
}

#[test]
fn a_transaction_is_seen_whole_or_not_at_all() {
    let (db, students) = in_memory();
    let courses = db
        .create_table(
            Schema::new("course")
                .column(Column::new("id", Type::Int).primary_key())
                .column(Column::new("student", Type::Int).index()),
        )
        .unwrap();
    let done = db.transaction(|tx| {
        let eve = tx.table::<Student>()?.insert(&student("Eve", 3.0))?;
        let of_tx: RowsOf<'_, '_, Value> = tx.rows("course")?;
        of_tx.insert(&json!({"student": eve.id}))?;
        of_tx.upsert(&json!({"id": 7, "student": 1}))?;
        assert_eq!(of_tx.select().filter(col("student").eq(eve.id)).count()?, 1);
        assert_eq!(tx.table::<Student>()?.update_with(col("id").eq(1), |row: &mut Student| row.gpa = 0.0)?, 1);
        Ok(eve.id)
    });
    assert_eq!(done.unwrap(), Some(5));
    assert_eq!((courses.count().unwrap(), students.get(1).unwrap().unwrap().gpa), (2, 0.0));

    let before = (students.all().unwrap(), courses.all().unwrap());
    let error = db.transaction(|tx| {
        tx.rows::<Value>("course")?.delete(Filter::all())?;
        let rows = tx.table::<Student>()?;
        rows.update(Filter::all(), &json!({"gpa": 1.0}))?;
        rows.insert(&student("Bob", 1.0)).map(drop)
    });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!((students.all().unwrap(), courses.all().unwrap()), before);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        db.transaction(|tx| -> persist_table::Result<()> {
            tx.rows::<Value>("course")?.delete(Filter::all())?;
            panic!("on the way");
        })
    }));
    assert!(panicked.is_err());
    assert_eq!((students.all().unwrap(), courses.all().unwrap()), before);

    // An error that was dealt with leaves nothing of its call, and the rest stays.
    db.transaction(|tx| {
        let rows = tx.table::<Student>()?;
        rows.insert(&student("Fay", 2.0))?;
        assert!(rows.update(col("id").ge(5), &json!({"email": "both"})).is_err());
        assert_eq!(rows.count()?, 6);
        Ok(())
    })
    .unwrap();
    assert_eq!(students.select().filter(col("email").eq("both")).count().unwrap(), 0);
    assert_eq!(students.get(6).unwrap().unwrap().name, "Fay");
}

#[test]
fn a_database_in_memory_has_no_file() {
    let (db, _) = in_memory();
    db.save().unwrap();
    assert!(db.checkpoint().unwrap().is_empty() && db.inspect_wal().unwrap().is_empty() && db.recovery().is_none());
    db.drop_table("student").unwrap();
    assert!(db.tables().is_empty());
    db.close().unwrap();
}
