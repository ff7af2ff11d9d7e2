"""What MiniStack cannot do, and the template without it. Stated in the run's output, so that nobody
takes the run for a proof of it; `cargo test-all` and `cargo sim` are."""

import copy

NOT_DONE = """\
What MiniStack does not do, and this run therefore does not show:
  - SAM's HttpApi events give no routes: they were made from the transform's OpenAPI document.
  - A rule's target is called once: no retries, no dead-letter queue of the target.
  - Stream mappings ignore ReportBatchItemFailures, BisectBatchOnFunctionError,
    MaximumRetryAttempts and their on-failure destination.
  - IAM: policies are stored and not enforced.
  - It has no CodeDeploy: DeploymentPreference was left out, each alias goes to its version at once.
  - Alarms over several metrics were left out: {alarms}.
  - Throttling, access logs, alarms, dashboard and keys are accepted and not carried out."""


def within(template):
    """The template without what MiniStack refuses, and the alarms that were left out."""
    template = copy.deepcopy(template)
    resources = template["Resources"]
    for properties in [template["Globals"]["Function"],
                       *(one.get("Properties", {}) for one in resources.values())]:
        properties.pop("DeploymentPreference", None)
    alarms = [name for name, one in resources.items()
              if one["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in one["Properties"]]
    for name in alarms:
        del resources[name]
    return template, alarms
