//! `AWS::IAM::Role`: what a service may do that a rule or a delivery stream lets act.

use serde_json::Value;

use crate::error::TemplateError;
use crate::intrinsic::{Declaration, Resolver};
use crate::policy::{self, Statement};
use crate::properties::Properties;

/// A role.
#[derive(Debug, Clone, PartialEq)]
pub struct Role {
    /// Logical id in the template.
    pub logical_id: String,
    /// The role's ARN.
    pub arn: String,
    /// `Policies`, resolved; none when it has managed policies, which say elsewhere what they
    /// allow.
    pub permissions: Option<Vec<Statement>>,
}

pub(crate) fn read(
    resolver: &Resolver<'_>,
    declaration: &Declaration,
    properties: &mut Properties<'_>,
) -> Result<Role, TemplateError> {
    properties.without_local_effect(&[
        "AssumeRolePolicyDocument",
        "Description",
        "MaxSessionDuration",
        "Path",
        "PermissionsBoundary",
        "RoleName",
        "Tags",
    ]);
    let managed = properties.list("ManagedPolicyArns")?;
    let managed = managed.is_some_and(|policies| !policies.is_empty());
    let mut documents: Vec<Value> = Vec::new();
    for mut policy in properties.maps("Policies")? {
        policy.required_text("PolicyName")?;
        policy.required("PolicyDocument")?;
        documents.extend(policy.json("PolicyDocument"));
        policy.finish()?;
    }
    let statements = policy::statements(&documents);
    let statements = statements.map_err(|problem| properties.invalid("Policies", problem))?;
    Ok(Role {
        logical_id: declaration.logical_id.clone(),
        arn: resolver.arn(declaration)?,
        permissions: statements.filter(|_| !managed),
    })
}

/// The ARN of a role of this template.
pub(crate) fn role_arn(
    resolver: &Resolver<'_>,
    properties: &mut Properties<'_>,
    name: &'static str,
) -> Result<String, TemplateError> {
    let arn = properties.required_text(name)?;
    let owner = resolver.owner_of(&arn)?;
    if owner.is_some_and(|owner| owner.type_name == "AWS::IAM::Role") {
        return Ok(arn);
    }
    let problem = format!("is `{arn}`, which is the ARN of no role of this template");
    Err(properties.invalid(name, problem))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::{Context, Stack, policy};

    fn stack(properties: &str) -> Stack {
        let yaml = format!(
            "Resources:
  R:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {{}}
{properties}"
        );
        Stack::from_yaml(&yaml, &Context::default()).unwrap()
    }

    #[test]
    fn a_role_allows_what_its_policies_say() {
        let stack = stack(
            "      Policies:
        - PolicyName: put
          PolicyDocument:
            Statement: [{Effect: Allow, Action: kinesis:PutRecord, Resource: a}]
",
        );
        let role = stack
            .role("arn:aws:iam::000000000000:role/local-R")
            .unwrap();
        let statements = role.permissions.as_deref().unwrap();
        let allows = |action, resource| {
            policy::allowing(statements, action, resource, &BTreeMap::new()).is_some()
        };
        assert!(allows("kinesis:PutRecord", "a"));
        assert!(!allows("kinesis:PutRecord", "b"));
        assert!(!allows("kinesis:PutRecords", "a"));
    }

    #[test]
    fn what_a_managed_policy_allows_is_not_known() {
        let stack = stack("      ManagedPolicyArns: [arn:aws:iam::aws:policy/x]\n");
        assert_eq!(stack.roles[0].permissions, None);
    }
}
