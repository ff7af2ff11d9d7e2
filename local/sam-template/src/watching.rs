//! `AWS::CloudWatch::Alarm` and `AWS::CloudWatch::Dashboard`: nothing runs for them here, but what
//! they speak of can be held against what there is.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::TemplateError;
use crate::intrinsic::{Declaration, Resolver};
use crate::properties::Properties;

/// An alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Logical id in the template.
    pub logical_id: String,
    /// `AlarmName`, else `<stack>-<logical id>`.
    pub name: String,
    /// `AlarmDescription`.
    pub description: String,
    /// What it watches: one metric, or those that its expressions are made of.
    pub metrics: Vec<WatchedMetric>,
}

/// A metric of `CloudWatch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedMetric {
    /// Such as `AWS/Lambda`.
    pub namespace: String,
    /// Such as `Errors`.
    pub name: String,
    /// Such as `FunctionName`, by name.
    pub dimensions: BTreeMap<String, String>,
}

/// A dashboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dashboard {
    /// Logical id in the template.
    pub logical_id: String,
    /// `DashboardName`, else `<stack>-<logical id>`.
    pub name: String,
    /// `DashboardBody`: JSON, as text.
    pub body: String,
}

pub(crate) fn alarm(
    resolver: &Resolver<'_>,
    declaration: &Declaration,
    properties: &mut Properties<'_>,
) -> Result<Alarm, TemplateError> {
    let mut metrics = Vec::new();
    if properties.node("MetricName").is_some() {
        metrics.push(metric(properties)?);
    }
    for mut part in properties.maps("Metrics")? {
        part.without_local_effect(&[
            "AccountId",
            "Expression",
            "Id",
            "Label",
            "Period",
            "ReturnData",
        ]);
        if let Some(mut statistic) = part.map("MetricStat")? {
            statistic.without_local_effect(&["Period", "Stat", "Unit"]);
            statistic.required("Metric")?;
            if let Some(mut named) = statistic.map("Metric")? {
                metrics.push(metric(&mut named)?);
                named.finish()?;
            }
            statistic.finish()?;
        }
        part.finish()?;
    }
    Ok(Alarm {
        logical_id: declaration.logical_id.clone(),
        name: resolver.physical_name(declaration)?,
        description: properties.text("AlarmDescription")?.unwrap_or_default(),
        metrics,
    })
}

fn metric(properties: &mut Properties<'_>) -> Result<WatchedMetric, TemplateError> {
    let mut dimensions = BTreeMap::new();
    for mut dimension in properties.maps("Dimensions")? {
        let name = dimension.required_text("Name")?;
        dimensions.insert(name, dimension.required_text("Value")?);
        dimension.finish()?;
    }
    Ok(WatchedMetric {
        namespace: properties.required_text("Namespace")?,
        name: properties.required_text("MetricName")?,
        dimensions,
    })
}

pub(crate) fn dashboard(
    resolver: &Resolver<'_>,
    declaration: &Declaration,
    properties: &mut Properties<'_>,
) -> Result<Dashboard, TemplateError> {
    let body = properties.required_text("DashboardBody")?;
    if let Err(error) = serde_json::from_str::<Value>(&body) {
        let problem = format!("is no JSON: {error}");
        return Err(properties.invalid("DashboardBody", problem));
    }
    Ok(Dashboard {
        logical_id: declaration.logical_id.clone(),
        name: resolver.physical_name(declaration)?,
        body,
    })
}

#[cfg(test)]
mod tests {
    use crate::{Context, Stack};

    fn read(yaml: &str) -> Result<Stack, String> {
        Stack::from_yaml(yaml, &Context::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn an_alarm_names_the_metrics_that_it_is_made_of() {
        let stack = read(
            "Resources:
  Dlq: {Type: AWS::SQS::Queue}
  One:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmDescription: too old
      Namespace: AWS/SQS
      MetricName: ApproximateAgeOfOldestMessage
      Dimensions: [{Name: QueueName, Value: !GetAtt Dlq.QueueName}]
  Ratio:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmName: ratio
      Metrics:
        - {Id: r, Expression: a / b}
        - {Id: a, ReturnData: false, MetricStat: {Period: 60, Stat: Sum, Metric: {Namespace: N, MetricName: A}}}
        - {Id: b, ReturnData: false, MetricStat: {Period: 60, Stat: Sum, Metric: {Namespace: N, MetricName: B}}}
",
        )
        .unwrap();
        let [one, ratio] = stack.alarms.as_slice() else {
            panic!("two alarms");
        };
        assert_eq!(
            (one.name.as_str(), one.description.as_str()),
            ("local-One", "too old")
        );
        assert_eq!(one.metrics[0].dimensions["QueueName"], "local-Dlq");
        let names: Vec<_> = ratio.metrics.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["A", "B"]);
        // What has a name of its own could meet another stack's.
        assert_eq!(stack.names.len(), 1);
        assert_eq!(stack.names[0].name, "ratio");
    }

    #[test]
    fn what_nobody_would_show_or_watch_is_refused() {
        let dashboard = "Resources:
  Board: {Type: AWS::CloudWatch::Dashboard, Properties: {DashboardBody: '{'}}
";
        assert!(read(dashboard).unwrap_err().contains("is no JSON"));
        let alarm = "Resources:
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties: {Metrics: [{Id: a, MetricStat: {Metric: {Namespace: N, MetricNam: A}}}]}
";
        assert!(read(alarm).unwrap_err().contains("MetricName"));
    }
}
