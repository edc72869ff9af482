//! JUnit XML: a suite for each run, with a case for its log, for each compared group of fields, and for each expectation.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::checked_run::CheckedRun;
use super::rows::{difference_cells, expectation_cells, format_cells};
use super::text::{outcome, remarks};
use crate::report::check::{Difference, DifferenceKind};

/// The text of the file.
pub(super) fn render(runs: &[CheckedRun]) -> anyhow::Result<String> {
    let mut report = Report::new("tok-recompute");
    for run in runs {
        let mut suite = TestSuite::new(&*run.run);
        for mut case in cases(run) {
            case.set_classname(&*run.run);
            suite.add_test_case(case);
        }
        let mut lines = vec![outcome(run)];
        lines.extend(remarks(run));
        suite.set_system_out(lines.join("\n"));
        report.add_test_suite(suite);
    }
    Ok(report.to_string()?)
}

fn cases(run: &CheckedRun) -> Vec<TestCase> {
    if let Some(error) = &run.error {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(&**error);
        return vec![TestCase::new("check", status)];
    }
    let log = if run.is_incomplete() {
        failure(
            &run.reasons().join("; "),
            DifferenceKind::Incomplete,
            &run.reasons().join("\n"),
        )
    } else {
        TestCaseStatus::success()
    };
    let mut cases = vec![TestCase::new("log is complete", log)];
    for group in &run.groups {
        let differ = run.differences.iter().filter(|f| f.group() == group);
        cases.push(TestCase::new(
            &**group,
            compared(&differ.collect::<Vec<_>>()),
        ));
    }
    for expectation in &run.expectations {
        let line = format_cells(&expectation_cells(expectation));
        let status = if expectation.met {
            TestCaseStatus::success()
        } else {
            failure(&line, DifferenceKind::Expectation, &line)
        };
        let name = format!("expect {}", expectation.metric);
        cases.push(TestCase::new(name, status));
    }
    cases
}

fn compared(differ: &[&Difference]) -> TestCaseStatus {
    let Some(worst) = differ.first() else {
        return TestCaseStatus::success();
    };
    let lines: Vec<String> = differ
        .iter()
        .map(|it| format_cells(&difference_cells(it)))
        .collect();
    let message = match lines.len() {
        1 => lines[0].clone(),
        many => format!("{} and {} more", lines[0], many - 1),
    };
    failure(&message, worst.kind, &lines.join("\n"))
}

fn failure(message: &str, kind: DifferenceKind, description: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status
        .set_message(message)
        .set_type(kind.name())
        .set_description(description);
    status
}
