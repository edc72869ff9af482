//! A command-line case is a file: the command, and its output. `TRYCMD=overwrite` writes the output that the tests find.

#[test]
fn cases() {
    trycmd::TestCases::new()
        // Output for GitHub is not wanted here, even if the tests run there.
        .env("GITHUB_ACTIONS", "false")
        .case("tests/cmd/*.toml")
        .case("tests/cmd/*.trycmd");
}

#[test]
fn cases_in_github_actions() {
    trycmd::TestCases::new()
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", "summary.md")
        .case("tests/cmd/github/*.toml");
}
