//! What every store promises.

use crate::subject::CollectionSubject;

persist_test_utils::conformance!(CollectionSubject);
