//! The example, as the documents tell to run it.

use persist_test_utils::example_program;

#[test]
fn the_university_of_the_specification_goes_through_its_six_topics_and_can_be_run_again() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine"), "stays").unwrap();
    for _ in 0..2 {
        let output = example_program("table-university").arg(dir.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let said = [
            "1. ",
            "   Carol White has the number 3\n",
            "   refused: table student, column email: there is a row with \"alice@university.edu\" already",
            "2. ",
            "   tables: course, enrollment, student\n   3.9 Carol White\n   3.8 Alice Johnson\n",
            "   found by address: Bob Smith\n",
            "3. ",
            "      {\"id\": 1, \"name\": \"Alice Johnson\", \"email\": \"alice@university.edu\", \"gpa\": 3.8}\n",
            "4. ",
            "   given up: table student, column email",
            "   students: Alice Johnson 4, Carol White 3.9, Dan Brown 3.1\n   enrolled: 2\n",
            "5. ",
            ": INSERT on enrollment\n",
            "; in the log now: 0\n   course: 2 records, ",
            "6. ",
            "   3 records as JSON, 3 as CSV\n   the copy in memory has the same 3\n",
        ];
        let mut rest = text.as_str();
        for said in said {
            let at = rest.find(said).unwrap_or_else(|| panic!("{said:?} is not in\n{rest}"));
            rest = &rest[at + said.len()..];
        }
        let dir = dir.path().join("university");
        assert!(dir.join("exports/students.json").is_file() && dir.join("exports/students.csv").is_file());
    }
    assert!(dir.path().join("mine").is_file());
}
