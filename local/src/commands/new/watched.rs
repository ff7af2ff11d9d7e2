//! What watches a consumer: its log group, its alarms with their rows in the runbooks, its lines
//! in the dashboard, the URL of its queue among the stack's outputs.

use super::fill;
use super::name::Name;
use super::plan::Plan;
use crate::error::LocalError;

const TEMPLATE: &str = "template.yaml";
const LOG_GROUP: &str = include_str!("templates/consumer/log-group.yaml.txt");
const DLQ_ALARMS: &str = include_str!("templates/consumer/dlq-alarms.yaml.txt");
const FUNCTION_ALARMS: &str = include_str!("templates/consumer/function-alarms.yaml.txt");

/// Plans all of it.
pub(super) fn plan(plan: &mut Plan, name: &Name) -> Result<(), LocalError> {
    let pascal = name.pascal();
    let values = [("name", name.kebab()), ("Name", pascal.as_str())];
    for (section, before, text) in [
        ("  # ---- Logs", "  NotifyUserLogGroup:", LOG_GROUP),
        ("  # ---- Alarms", "  NotifyUserDlqAlarm:", DLQ_ALARMS),
        (
            "  # ---- Alarms",
            "  NotifyUserErrorsAlarm:",
            FUNCTION_ALARMS,
        ),
    ] {
        plan.insert(TEMPLATE, &[section, before], &fill(text, &values))?;
    }
    dashboard(plan, &pascal)?;
    runbooks(plan, name.kebab())?;
    plan.insert(
        TEMPLATE,
        &["Outputs:", "  NotifyUserDlqUrl:"],
        &format!(
            "  {pascal}DlqUrl:\n    Description: The dead-letter queue of {}.\n    \
             Value: !Ref {pascal}Dlq\n",
            name.kebab()
        ),
    )
}

fn dashboard(plan: &mut Plan, pascal: &str) -> Result<(), LocalError> {
    for (title, of) in [
        ("Failing functions", "Function"),
        ("Dead letters", "Dlq.QueueName"),
        ("Cost: calls of functions", "Function"),
        ("Cost: milliseconds of functions", "Function"),
    ] {
        let row = |name: &str| format!("                [\"...\", \"${{{name}{of}}}\"],");
        let widget = format!("              \"title\": \"{title}\"");
        plan.insert(
            TEMPLATE,
            &["  Dashboard:", &widget, &row("NotifyUser")],
            &(row(pascal) + "\n"),
        )?;
    }
    Ok(())
}

fn runbooks(plan: &mut Plan, name: &str) -> Result<(), LocalError> {
    for (runbook, alarm, what) in [
        ("dead-letter-queue", "dlq", "what it does, for these events"),
        ("dead-letter-queue-age", "dlq-age", "nothing new"),
        (
            "function-errors",
            "errors",
            "what it does, for these events",
        ),
        ("function-throttles", "throttles", "what it does is late"),
    ] {
        plan.insert(
            &format!("docs/runbooks/{runbook}.md"),
            &[&format!("| `notify-user-{alarm}`")],
            &format!("| `{name}-{alarm}` | {what} |\n"),
        )?;
    }
    Ok(())
}
