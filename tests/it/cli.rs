//! A command-line case is a file: what is typed, and what is printed.

#[test]
fn cases() {
    trycmd::TestCases::new()
        // Not what GitHub is told, where the tests run there.
        .env("GITHUB_ACTIONS", "false")
        .case("tests/cmd/*.toml")
        .case("tests/cmd/*.trycmd");
}
