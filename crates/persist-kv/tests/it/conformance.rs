//! What every store promises.

use crate::subject::KvSubject;

persist_test_utils::conformance!(KvSubject);
