//! What every store promises.

use crate::subject::DatedSubject;

persist_test_utils::conformance!(DatedSubject);
