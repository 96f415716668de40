//! A naive database: what a real one has to be like.

use std::collections::BTreeMap;

use persist_table::{Column, Database, ErrorKind, Filter, Result, Rows, RowsOf, Schema, Transaction, Type, col};
use persist_test_utils::Rng;
use serde_json::{Value, json};

pub(crate) const TABLES: [&str; 3] = ["one", "two", "three"];

pub(crate) fn schema(table: &str) -> Schema {
    Schema::new(table)
        .column(Column::new("id", Type::Int).primary_key())
        .column(Column::new("email", Type::Text).unique().nullable())
        .column(Column::new("team", Type::Int).index())
        .column(Column::new("note", Type::Json).nullable())
        .column(Column::new("score", Type::Float).default_value(&0.5))
}

/// A row: email, team, note, score.
pub(crate) type Row = (Option<String>, i64, Value, f64);

/// What a database holds: of each table the rows in their order.
pub(crate) type Model = BTreeMap<String, Vec<(i64, Row)>>;

/// One call.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Insert(Option<i64>, Row),
    InsertMany(Vec<(Option<i64>, Row)>),
    Upsert(i64, Row),
    Team(i64, i64),
    Rekey(i64, i64),
    DeleteTeam(i64),
    Delete(i64),
}

/// One step.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Call(usize, Call),
    /// Several calls; given up at the end, or not.
    Transaction(Vec<(usize, Call)>, bool),
    Drop(usize),
    Save,
    Checkpoint,
    Compact,
}

fn row(rng: &mut Rng) -> Row {
    let email = rng.chance(3, 4).then(|| format!("{}@x", rng.below(12)));
    let note =
        if rng.chance(1, 3) { json!({"text": "x\ny".repeat(rng.index(40)), "list": [1, null]}) } else { Value::Null };
    (email, rng.below(4) as i64, note, rng.below(100) as f64 / 7.0)
}

fn call(rng: &mut Rng) -> Call {
    let key = |rng: &mut Rng| 1 + rng.below(15) as i64;
    let fresh = |rng: &mut Rng| (rng.chance(1, 3).then(|| key(rng)), row(rng));
    match rng.below(10) {
        0..=3 => {
            let (key, row) = fresh(rng);
            Call::Insert(key, row)
        }
        4 => Call::InsertMany((0..rng.below(5)).map(|_| fresh(rng)).collect()),
        5 => Call::Upsert(key(rng), row(rng)),
        6 => Call::Team(rng.below(4) as i64, rng.below(4) as i64),
        7 => Call::Rekey(key(rng), key(rng)),
        8 if rng.chance(1, 3) => Call::DeleteTeam(rng.below(4) as i64),
        _ => Call::Delete(key(rng)),
    }
}

pub(crate) fn step(rng: &mut Rng) -> Step {
    let table = |rng: &mut Rng| rng.index(TABLES.len());
    match rng.below(40) {
        0..=24 => Step::Call(table(rng), call(rng)),
        25..=31 => {
            let calls = (0..1 + rng.below(4)).map(|_| (table(rng), call(rng))).collect();
            Step::Transaction(calls, rng.chance(1, 4))
        }
        32 => Step::Drop(table(rng)),
        33..=36 => Step::Save,
        37 | 38 => Step::Checkpoint,
        _ => Step::Compact,
    }
}

fn json_of((id, (email, team, note, score)): &(Option<i64>, Row)) -> Value {
    let mut value = json!({"email": email, "team": team, "note": note, "score": score});
    if let Some(id) = id {
        value["id"] = json!(id);
    }
    value
}

/// Whether the call was taken; only a value that is there already may keep it from that.
pub(crate) fn taken<T: std::fmt::Debug>(answer: Result<T>) -> Result<bool> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
        Err(error) => Err(error),
    }
}

macro_rules! make_call {
    ($rows:expr, $call:expr, $many:expr) => {
        match $call {
            Call::Insert(id, row) => taken($rows.insert(&json_of(&(*id, row.clone())))),
            Call::InsertMany(rows) => $many(rows),
            Call::Upsert(id, row) => taken($rows.upsert(&json_of(&(Some(*id), row.clone())))),
            Call::Team(from, to) => taken($rows.update(col("team").eq(from), &json!({"team": to}))),
            Call::Rekey(from, to) => taken($rows.update(col("id").eq(from), &json!({"id": to}))),
            Call::DeleteTeam(team) => taken($rows.delete(col("team").eq(team))),
            Call::Delete(id) => taken($rows.delete(col("id").eq(id))),
        }
    };
}

fn call_alone(rows: &Rows<Value>, call: &Call) -> Result<bool> {
    make_call!(rows, call, |many: &Vec<(Option<i64>, Row)>| taken(rows.insert_many(many.iter().map(json_of))))
}

fn call_within(rows: &RowsOf<'_, '_, Value>, call: &Call) -> Result<bool> {
    make_call!(rows, call, |many: &Vec<(Option<i64>, Row)>| {
        for row in many {
            if !taken(rows.insert(&json_of(row)))? {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

/// Makes a step on the real database. `Ok(false)`: it was refused as it had to be.
pub(crate) fn make(db: &Database, step: &Step) -> Result<bool> {
    match step {
        Step::Call(table, call) => call_alone(&db.create_table(schema(TABLES[*table]))?, call),
        Step::Transaction(calls, is_given_up) => {
            for (table, _) in calls {
                db.create_table(schema(TABLES[*table]))?;
            }
            let made = db.transaction(|tx: &Transaction<'_>| {
                for (table, call) in calls {
                    if !call_within(&tx.rows(TABLES[*table])?, call)? {
                        return Err(persist_table::Error::new(ErrorKind::Conflict, "refused"));
                    }
                }
                if *is_given_up { Err(persist_table::Error::new(ErrorKind::Conflict, "given up")) } else { Ok(()) }
            });
            taken(made)
        }
        Step::Drop(table) if db.tables().iter().any(|name| name == TABLES[*table]) => {
            db.drop_table(TABLES[*table]).map(|()| true)
        }
        Step::Drop(_) => Ok(true),
        Step::Save => db.save().map(|()| true),
        Step::Checkpoint => db.checkpoint().map(|_| true),
        Step::Compact => db.compact().map(|()| true),
    }
}

/// A naive database, with the keys that rows get which come without one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Naive {
    pub(crate) tables: Model,
    next: BTreeMap<String, i64>,
}

impl Naive {
    fn put(&mut self, table: &str, at: Option<usize>, id: Option<i64>, row: Row) -> bool {
        let rows = self.tables.get_mut(table).unwrap();
        let next = self.next.entry(table.to_owned()).or_insert(1);
        let id = id.unwrap_or(*next);
        let is_taken = rows.iter().enumerate().any(|(other, (key, (email, ..)))| {
            Some(other) != at && (*key == id || (email.is_some() && *email == row.0))
        });
        if is_taken {
            return false;
        }
        *next = (*next).max(id + 1);
        match at {
            Some(at) => rows[at] = (id, row),
            None => rows.push((id, row)),
        }
        true
    }

    fn call(&mut self, table: &str, call: &Call) -> bool {
        let rows = self.tables[table].clone();
        let at = |id: i64| rows.iter().position(|(key, _)| *key == id);
        match call.clone() {
            Call::Insert(id, row) => self.put(table, None, id, row),
            Call::InsertMany(many) => many.into_iter().all(|(id, row)| self.put(table, None, id, row)),
            Call::Upsert(id, row) => self.put(table, at(id), Some(id), row),
            Call::Team(from, to) => {
                let rows = self.tables.get_mut(table).unwrap();
                rows.iter_mut().filter(|(_, row)| row.1 == from).for_each(|(_, row)| row.1 = to);
                true
            }
            Call::Rekey(from, to) => at(from).is_none_or(|at| {
                let row = rows[at].1.clone();
                self.put(table, Some(at), Some(to), row)
            }),
            Call::DeleteTeam(team) => {
                self.tables.get_mut(table).unwrap().retain(|(_, row)| row.1 != team);
                true
            }
            Call::Delete(id) => {
                self.tables.get_mut(table).unwrap().retain(|(key, _)| *key != id);
                true
            }
        }
    }

    /// Makes a step, and says whether it is taken. One that is not leaves everything but the tables that it made.
    pub(crate) fn make(&mut self, step: &Step) -> bool {
        let calls: &[(usize, Call)] = match step {
            Step::Call(table, call) => &[(*table, call.clone())],
            Step::Transaction(calls, _) => calls,
            Step::Drop(table) => {
                self.tables.remove(TABLES[*table]);
                self.next.remove(TABLES[*table]);
                return true;
            }
            Step::Save | Step::Checkpoint | Step::Compact => return true,
        };
        for (table, _) in calls {
            self.tables.entry(TABLES[*table].to_owned()).or_default();
        }
        let before = self.clone();
        let is_taken = calls.iter().all(|(table, call)| self.call(TABLES[*table], call))
            && !matches!(step, Step::Transaction(_, true));
        if !is_taken {
            *self = before;
        }
        is_taken
    }

    /// The numbers go on where the real database does, which may be behind a step that was lost.
    pub(crate) fn follow(&mut self, db: &Database) {
        for table in db.tables() {
            let probe = db.transaction(|tx: &Transaction<'_>| -> Result<i64> {
                let row = tx.rows::<Value>(&table)?.insert(&json!({"team": 0}))?;
                Err(persist_table::Error::input(row["id"].to_string()))
            });
            self.next.insert(table, probe.unwrap_err().to_string().parse().unwrap());
        }
    }
}

/// What a database holds.
pub(crate) fn found(db: &Database) -> Result<Model> {
    let rows = |table: &String| -> Result<(String, Vec<(i64, Row)>)> {
        let rows: Rows<Value> = db.rows(table).unwrap();
        let all = rows.all()?;
        check_lookups(&rows, &all);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let found = all
            .into_iter()
            .map(|row| {
                let found = (
                    text(&row["email"]),
                    row["team"].as_i64().unwrap(),
                    row["note"].clone(),
                    row["score"].as_f64().unwrap(),
                );
                (row["id"].as_i64().unwrap(), found)
            })
            .collect();
        Ok((table.clone(), found))
    };
    db.tables().iter().map(rows).collect()
}

/// What is found by a key, a unique value or an index is what is found by looking at every row.
fn check_lookups(rows: &Rows<Value>, all: &[Value]) {
    let by = |filter: Filter| rows.select().filter(filter).rows().unwrap();
    for id in 1..18 {
        let expected: Vec<&Value> = all.iter().filter(|row| row["id"] == id).collect();
        assert_eq!(rows.get(id).unwrap().iter().collect::<Vec<_>>(), expected);
    }
    for number in 0..12 {
        let email = format!("{number}@x");
        let expected: Vec<Value> = all.iter().filter(|row| row["email"] == email.as_str()).cloned().collect();
        assert_eq!(by(col("email").eq(&email)), expected);
    }
    for team in 0..4 {
        let expected: Vec<Value> = all.iter().filter(|row| row["team"] == team).cloned().collect();
        assert_eq!(by(col("team").eq(team)), expected);
        let expected: Vec<Value> = all.iter().filter(|row| row["team"].as_i64() > Some(team)).cloned().collect();
        assert_eq!(by(col("team").gt(team)), expected);
    }
    let expected: Vec<Value> = all.iter().filter(|row| row["email"].is_null()).cloned().collect();
    assert_eq!(by(col("email").is_null()), expected);
}
