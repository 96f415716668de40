//! Says in one sentence what to do where the DuckDB library is not where it was said to be; the linker says it in many.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DUCKDB_LIB_DIR");
    let is_set = |name: &str| std::env::var_os(name).is_some();
    let Some(dir) = std::env::var_os("DUCKDB_LIB_DIR") else { return };
    if !is_set("CARGO_FEATURE_DUCKDB") || is_set("CARGO_FEATURE_BUNDLED") || is_set("DUCKDB_DOWNLOAD_LIB") {
        return;
    }
    let dir = Path::new(&dir);
    println!("cargo::rerun-if-changed={}", dir.display());
    let names = ["libduckdb.so", "libduckdb.dylib", "libduckdb.a", "libduckdb_static.a", "duckdb.lib", "duckdb.dll"];
    if !names.iter().any(|name| dir.join(name).exists()) {
        println!(
            "cargo::error=there is no DuckDB library in {}: run `cargo xtask test` once, which provides it, or set \
             DUCKDB_LIB_DIR to a folder that holds one, or build with `--features bundled` (about half an hour)",
            dir.display()
        );
    }
}
