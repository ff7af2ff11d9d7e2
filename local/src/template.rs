//! The template: found, read, and refused where it asks for what is not done here.

use std::path::{Path, PathBuf};

use sam_template::{Context, MappingSource, RuleTarget, Stack, Target};

use crate::error::LocalError;

/// The template that was named, or the `template.yaml` of this folder or the next one above.
///
/// # Errors
/// [`LocalError::TemplateNotFound`].
pub fn find(named: Option<&Path>, from: &Path) -> Result<PathBuf, LocalError> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    from.ancestors()
        .map(|folder| folder.join("template.yaml"))
        .find(|path| path.is_file())
        .ok_or_else(|| LocalError::TemplateNotFound(from.to_owned()))
}

/// Reads a template.
///
/// # Errors
/// [`LocalError::Template`] names the resource and the property, [`LocalError::NotDriven`] what
/// the local run does not do, [`LocalError::File`] a file that cannot be read.
pub fn read(path: &Path, context: &Context) -> Result<Stack, LocalError> {
    let yaml = std::fs::read_to_string(path).map_err(|error| LocalError::file(path, error))?;
    let stack = Stack::from_yaml(&yaml, context).map_err(|source| LocalError::Template {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    refuse_undriven(&stack)?;
    Ok(stack)
}

/// What the template language knows and the local run does not do.
fn refuse_undriven(stack: &Stack) -> Result<(), LocalError> {
    let refuse = |resource: &str, problem: String| {
        Err(LocalError::NotDriven {
            resource: resource.to_owned(),
            problem,
        })
    };
    if let Some(stream) = stack.kinesis_streams.first() {
        return refuse(
            &stream.logical_id,
            "is a Kinesis stream, which the local run does not serve".to_owned(),
        );
    }
    for rule in &stack.rules {
        refuse_targets(&rule.name, &rule.targets)?;
    }
    for schedule in &stack.schedules {
        refuse_targets(&schedule.name, &schedule.targets)?;
    }
    for mapping in &stack.mappings {
        if let MappingSource::Kinesis { stream } = &mapping.source {
            let problem = format!("reads the Kinesis stream {stream}, which is not served here");
            return refuse(&mapping.logical_id, problem);
        }
        if mapping.tumbling_window.is_some() {
            return refuse(
                &mapping.logical_id,
                "has tumbling windows, which the local run does not keep".to_owned(),
            );
        }
    }
    for api in &stack.apis {
        if api.cors.is_some() {
            let problem = "has a CorsConfiguration, which the local run does not answer";
            return refuse(&api.logical_id, problem.to_owned());
        }
        if api.auth.is_some() {
            let problem = "has Auth, and the local run has no authorizers";
            return refuse(&api.logical_id, problem.to_owned());
        }
    }
    if let Some(route) = stack.routes.iter().find(|route| route.auth.is_some()) {
        let problem = format!(
            "has Auth on {}, and the local run has no authorizers",
            route.key()
        );
        return refuse(&route.function, problem);
    }
    if let [first, second, ..] = stack.apis.as_slice() {
        let problem = format!(
            "is a second HTTP API beside `{}`; the local run serves one",
            first.logical_id
        );
        return refuse(&second.logical_id, problem);
    }
    if let Some(queue) = stack.queues.iter().find(|queue| queue.fifo) {
        let problem = "is a FIFO queue, and the local run has standard queues only";
        return refuse(&queue.logical_id, problem.to_owned());
    }
    Ok(())
}

fn refuse_targets(owner: &str, targets: &[RuleTarget]) -> Result<(), LocalError> {
    for target in targets {
        let what = match &target.target {
            Target::Function { .. } => continue,
            Target::Queue {
                message_group_id: None,
                ..
            } => continue,
            Target::Queue { arn, .. } => format!("the FIFO queue {arn}"),
            Target::Kinesis { stream, .. } => format!("the Kinesis stream {stream}"),
            Target::Firehose { stream } => format!("the Firehose stream {stream}"),
            Target::Bus { name } => format!("the bus {name}"),
        };
        return Err(LocalError::NotDriven {
            resource: owner.to_owned(),
            problem: format!("has the target {what}, which the local run does not deliver to"),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(yaml: &str) -> Result<Stack, LocalError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("template.yaml");
        std::fs::write(&path, yaml).unwrap();
        read(&path, &Context::default())
    }

    #[test]
    fn the_template_is_found_from_a_folder_below() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        let path = folder.path().join("template.yaml");
        std::fs::write(&path, "Resources: {}").unwrap();
        assert_eq!(find(None, &below).unwrap(), path);
    }

    #[test]
    fn a_rule_with_a_kinesis_target_is_refused_by_name() {
        let refused = read_text(
            "Resources:
  Stream: {Type: AWS::Kinesis::Stream, Properties: {ShardCount: 1}}
  ToStream:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {source: [orderflow]}
      Targets: [{Id: one, Arn: !GetAtt Stream.Arn}]
",
        );
        let message = refused.unwrap_err().to_string();
        assert!(
            message.contains("`Stream` is a Kinesis stream"),
            "{message}"
        );
    }

    #[test]
    fn an_api_with_authorizers_is_refused_by_name() {
        let refused = read_text(
            "Resources:
  Api: {Type: AWS::Serverless::HttpApi, Properties: {Auth: {DefaultAuthorizer: A}}}
",
        );
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("`Api` has Auth"), "{message}");
    }
}
