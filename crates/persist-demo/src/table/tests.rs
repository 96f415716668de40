//! The form of figures.

use super::*;

#[test]
fn thousands_are_set_apart() {
    assert_eq!([1, 12, 123, 1234, 123_456, 1_234_567].map(count), ["1", "12", "123", "1,234", "123,456", "1,234,567"]);
}
