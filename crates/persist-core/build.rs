//! Says in one sentence what to do where there may be no DuckDB library; the linker says it in many.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DUCKDB_LIB_DIR");
    let is_set = |name: &str| std::env::var_os(name).is_some();
    if !is_set("CARGO_FEATURE_DUCKDB") || is_set("CARGO_FEATURE_BUNDLED") || is_set("DUCKDB_DOWNLOAD_LIB") {
        return;
    }
    let cure = "run `cargo xtask test` in the workspace of persist once, which provides one in target/duckdb, and set \
                DUCKDB_LIB_DIR to its folder, or build with the feature `bundled` (about half an hour)";
    let Some(dir) = std::env::var_os("DUCKDB_LIB_DIR") else {
        println!("cargo::warning=DUCKDB_LIB_DIR is not set. If the linker finds no -lduckdb in the system: {cure}");
        return;
    };
    let dir = Path::new(&dir);
    println!("cargo::rerun-if-changed={}", dir.display());
    let names = ["libduckdb.so", "libduckdb.dylib", "libduckdb.a", "libduckdb_static.a", "duckdb.lib", "duckdb.dll"];
    if !names.iter().any(|name| dir.join(name).exists()) {
        println!("cargo::error=there is no DuckDB library in {}: {cure}", dir.display());
    }
}
