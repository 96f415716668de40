//! What the functions over `Fs` make durable.

use std::path::Path;

use persist_core::fs::{Fs, sync_ancestors};
use persist_test_utils::SimFs;

/// A folder named without `./` was made in the working directory, whose sync was left out: a power cut took the folder.
#[test]
fn the_names_of_new_folders_are_durable_below_the_working_directory_too() {
    for dir in ["/base/storage/deep", "storage/deep", "./storage/deep", "storage"].map(Path::new) {
        let fs = SimFs::new();
        fs.create_dir_all(dir).unwrap();
        sync_ancestors(&fs, dir).unwrap();
        for seed in 0..20 {
            assert!(fs.power_cut(seed).list(dir).is_ok(), "{} is gone, seed {seed}", dir.display());
        }
    }
}
