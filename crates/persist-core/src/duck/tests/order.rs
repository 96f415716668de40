//! How many row groups a load of one collection reads, whatever has been merged.

use super::*;
use crate::duck::health::DatabaseFile;
use crate::duck::{Loaded, key_hash};
use crate::model::History;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Items;

impl Model for Items {
    type Part = (Box<str>, Box<str>);
    type Value = ();
    const PART_FIELDS: &'static [&'static str] = &["collection", "item"];
    const TABLE: &'static str = "latest";
    const COLUMNS: &'static [Column] = &[
        Column { name: "key", source: Source::Key },
        Column { name: "collection", source: Source::Part(0) },
        Column { name: "item", source: Source::Part(1) },
        Column { name: "data", source: Source::Data },
        Column { name: "updated_at", source: Source::UpdatedAt },
        Column { name: "version", source: Source::Version },
    ];
    const HISTORY: Option<History> =
        Some(History { table: "all", latest_file: "latest.duckdb", loaded_by: 1, cure: |_| String::new() });

    fn part_text(part: &Self::Part, field: usize) -> Option<&str> {
        [&*part.0, &*part.1].get(field).copied()
    }

    fn part_from(fields: &[Option<&str>]) -> Self::Part {
        (fields[0].unwrap().into(), fields[1].unwrap().into())
    }
}

const ROW_GROUP: u64 = 122_880;

struct Store {
    dir: TempDir,
    database: Database,
    seq: u64,
}

impl Store {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (path, table) = (dir.path().join("all.duckdb"), Table::of::<Items>(ExtraSchema::default()));
        Database::create(&Disk, &path, &table, STORE).unwrap();
        let database = Database::open(&Disk, &path, &table).unwrap();
        Self { dir, database, seq: 0 }
    }

    /// Writes items into the history, by their numbers: 100 to a collection of a key of its own, keys that begin alike.
    fn write(&mut self, numbers: &str, count: u64) {
        let seq = self.seq;
        self.seq += count;
        meddle(
            &self.database,
            &format!(
                "INSERT INTO \"all\" SELECT 'customer/2025/' || n // 100, 'form', 'item' || n % 100, \
                 '{{\"n\":' || n || ',\"text\":\"' || md5(n::VARCHAR) || '\"}}', make_timestamp({seq}), 1, \
                 {seq} + row_number() OVER (), 0 FROM ({numbers}); \
                 INSERT INTO persist_meta VALUES ('{STORE}', {}, make_timestamp({seq}))",
                self.seq
            ),
        );
    }

    /// Answers how many rows were written once more.
    fn merge(&self) -> u64 {
        let merged = self.database.merge().unwrap();
        assert!(self.database.checkpoint(&Disk).unwrap());
        merged.rows_rewritten
    }

    fn number(&self, sql: &str) -> u64 {
        self.database.connect().unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// The rows that DuckDB looks at to load a collection, by its profile.
    fn rows_scanned(&self, key: &str) -> u64 {
        let connection = self.database.connect().unwrap();
        let hash = crate::duck::load::and_hash(key);
        let sql = format!(
            "EXPLAIN (ANALYZE, FORMAT json) FROM {} WHERE key = '{key}' AND collection = 'form'{hash}",
            self.database.base()
        );
        let profile: String = connection.query_row(&sql, [], |row| row.get(1)).unwrap();
        let profile: serde_json::Value = serde_json::from_str(&profile).unwrap();
        profile["cumulative_rows_scanned"].as_u64().unwrap()
    }

    /// How many keys a load of which has to read more than two row groups, by their lowest and highest hash.
    fn keys_in_more_than_two_groups(&self) -> u64 {
        let (base, groups) = (self.database.base(), self.database.base().replace('\'', "''"));
        self.number(&format!(
            "WITH groups AS (SELECT row_group_id, \
                 min(regexp_extract(stats, 'Min: (\\d+)', 1)::UBIGINT) AS low, \
                 max(regexp_extract(stats, 'Max: (\\d+)', 1)::UBIGINT) AS high \
                 FROM pragma_storage_info('{groups}') WHERE column_name = 'persist_hash' AND segment_type = 'UBIGINT' \
                 GROUP BY row_group_id), \
             hashes AS (SELECT DISTINCT persist_hash AS hash FROM {base}) \
             SELECT count(*) FROM (SELECT hash FROM hashes JOIN groups ON hash BETWEEN low AND high \
                 GROUP BY hash HAVING count(*) > 2)"
        ))
    }

    fn expect_order(&self, when: &str) {
        assert!(self.database.is_in_order().unwrap(), "{when}");
        // A key that lies across the end of a row group has one more.
        let row_groups = self.number(&format!("SELECT count(*) // {ROW_GROUP} FROM {}", self.database.base()));
        let many = self.keys_in_more_than_two_groups();
        assert!(many <= row_groups, "{when}: {many} keys are in more than two row groups");
        for n in [7, 434, 999] {
            let scanned = self.rows_scanned(&format!("customer/2025/{n}"));
            assert!(scanned > 0 && scanned <= 2 * ROW_GROUP, "{when}: {scanned} rows scanned");
        }
    }

    fn bytes(&self) -> u64 {
        std::fs::metadata(self.dir.path().join("latest.duckdb")).unwrap().len()
    }
}

/// Each merge put its rows at the end, sorted among themselves: after 20 merges a load read all row groups.
#[test]
fn a_load_reads_two_row_groups_at_most_after_any_number_of_merges() {
    const ITEMS: u64 = 300_000;
    let mut store = Store::new();
    for n in 0..3 {
        store.write(&format!("SELECT range AS n FROM range({}, {})", n * ITEMS / 3, (n + 1) * ITEMS / 3), ITEMS / 3);
        store.merge();
        store.expect_order("growing");
    }
    let bytes = store.bytes();
    for n in 0..7 {
        let (step, count) = if n % 3 == 0 { (300, ITEMS / 300) } else { (20, ITEMS / 20) };
        store.write(&format!("SELECT range + {n} AS n FROM range(0, {ITEMS}, {step})"), count);
        store.merge();
        store.expect_order(&format!("after {n} rounds of changes"));
    }
    assert_eq!(store.database.check_health(DatabaseFile::Latest).unwrap(), Vec::<String>::new());
    assert_eq!(store.database.state().unwrap().base_rows, ITEMS);
    assert!(store.bytes() < 3 * bytes, "{} bytes became {}", bytes, store.bytes());
}

#[test]
fn a_merge_of_little_leaves_most_rows_where_they_are() {
    let mut store = Store::new();
    store.write("SELECT range AS n FROM range(300000)", 300_000);
    assert_eq!(store.merge(), 0);
    let blocks = |store: &Store| {
        store.number(&format!(
            "SELECT bit_xor(hash(block_id, block_offset)) FROM pragma_storage_info('{}') \
             WHERE column_name = 'data' AND row_group_id < 2",
            store.database.base()
        ))
    };
    let before = blocks(&store);
    for n in 0..3 {
        store.write(&format!("SELECT range + {n} AS n FROM range(0, 300000, 300)"), 1_000);
        let rewritten = store.merge();
        assert!(rewritten <= 2_000, "{rewritten} rows written once more");
        store.expect_order("a little");
        assert_eq!(blocks(&store), before);
    }
}

/// Of a wrong one a load would find nothing.
#[test]
fn the_hash_of_a_key_is_the_one_that_duckdb_writes() {
    let mut store = Store::new();
    store.write("SELECT range AS n FROM range(0, 3000)", 3000);
    store.merge();
    let mut written = store.database.key_hashes().unwrap();
    let mut wanted: Vec<u64> = (0..30).map(|n| key_hash(&format!("customer/2025/{n}"))).collect();
    written.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(written, wanted);
    for n in 0..30 {
        let mut rows = 0;
        let key = format!("customer/2025/{n}");
        let mut count = |_: Loaded<'_>| {
            rows += 1;
            Ok(())
        };
        store.database.load_of(&key, &[Some("form")], &mut count).unwrap();
        assert_eq!(rows, 100, "{key}");
    }
}
