//! The outcome as JUnit XML: a suite for each run; a case for its log, for each group of metrics that was compared,
//! and for each expectation.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::checked::Checked;
use super::rows::{line, of_finding, of_judgement};
use super::text::{remarks, verdict};
use crate::report::check::{Finding, Kind};

/// The file's text.
pub(super) fn render(runs: &[Checked]) -> anyhow::Result<String> {
    let mut report = Report::new("tok-recompute");
    for run in runs {
        let mut suite = TestSuite::new(&*run.run);
        for mut case in cases(run) {
            case.set_classname(&*run.run);
            suite.add_test_case(case);
        }
        let mut said = vec![verdict(run)];
        said.extend(remarks(run));
        suite.set_system_out(said.join("\n"));
        report.add_test_suite(suite);
    }
    Ok(report.to_string()?)
}

fn cases(run: &Checked) -> Vec<TestCase> {
    if let Some(error) = &run.error {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(&**error);
        return vec![TestCase::new("check", status)];
    }
    let log = if run.is_incomplete() {
        failure(
            &run.reasons().join("; "),
            Kind::Incomplete,
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
    for judgement in &run.expectations {
        let line = line(&of_judgement(judgement));
        let status = if judgement.met {
            TestCaseStatus::success()
        } else {
            failure(&line, Kind::Expectation, &line)
        };
        cases.push(TestCase::new(
            format!("expect {}", judgement.metric),
            status,
        ));
    }
    cases
}

fn compared(differ: &[&Finding]) -> TestCaseStatus {
    let Some(worst) = differ.first() else {
        return TestCaseStatus::success();
    };
    let lines: Vec<String> = differ
        .iter()
        .map(|finding| line(&of_finding(finding)))
        .collect();
    let message = match lines.len() {
        1 => lines[0].clone(),
        many => format!("{} and {} more", lines[0], many - 1),
    };
    failure(&message, worst.kind, &lines.join("\n"))
}

fn failure(message: &str, kind: Kind, description: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status
        .set_message(message)
        .set_type(kind.name())
        .set_description(description);
    status
}
