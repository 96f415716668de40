//! The figures as tables for a document: a row for each workload, a column for each store.

use std::fmt::Write as _;

use crate::name::PEERS;
use crate::report::Report;

/// One table: what it shows, and of which metric.
struct Table {
    title: &'static str,
    metric: &'static str,
}

const TABLES: [Table; 5] = [
    Table { title: "operations per second", metric: "ops_per_s" },
    Table { title: "median time of an operation, µs", metric: "p50_us" },
    Table { title: "99th percentile, µs", metric: "p99_us" },
    Table { title: "99.9th percentile, µs", metric: "p999_us" },
    Table { title: "bytes per record", metric: "bytes_per_record" },
];

/// The tables, each with the stores and the workloads that have a figure in it.
pub(crate) fn tables(report: &Report) -> String {
    let mut text = String::new();
    for table in TABLES {
        table.write(report, &mut text);
    }
    text
}

impl Table {
    fn write(&self, report: &Report, text: &mut String) {
        let value = |workload: &str, store: &str| report.value(workload, store, None, self.metric);
        let mut workloads: Vec<&str> = Vec::new();
        for row in report.rows() {
            if value(&row.workload, row.name.store).is_some() && !workloads.contains(&row.workload.as_str()) {
                workloads.push(&row.workload);
            }
        }
        let stores = ["persist"].into_iter().chain(PEERS).chain(["floor"]);
        let stores: Vec<&str> =
            stores.filter(|store| workloads.iter().any(|workload| value(workload, store).is_some())).collect();
        if stores.is_empty() {
            return;
        }
        // Writing to a String can't fail.
        let _ = writeln!(text, "| {} | {} |", self.title, stores.join(" | "));
        let _ = writeln!(text, "|---|{}", "---:|".repeat(stores.len()));
        for workload in workloads {
            let cells: Vec<String> = stores
                .iter()
                .map(|store| value(workload, store).map_or_else(String::new, crate::plot::number))
                .collect();
            let _ = writeln!(text, "| `{workload}` | {} |", cells.join(" | "));
        }
        text.push('\n');
    }
}
