//! `KeyConditionExpression`: one partition, and at most one range of sort keys.

use serde_json::Value;

use super::super::attributes::type_of;
use super::super::schema::KeySchema;
use super::condition::{Comparison, Condition, Operand};
use super::placeholders::Placeholders;
use crate::ApiError;

/// What a Query reads.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeyCondition {
    pub(crate) partition: Value,
    pub(crate) range: Option<RangeCondition>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RangeCondition {
    Compare(&'static str, Value),
    Between(Value, Value),
    BeginsWith(Value),
}

impl KeyCondition {
    /// Reads a Query's key condition for the table or index it names.
    pub(crate) fn of(
        request: &Value,
        keys: &KeySchema,
        aliases: &Placeholders,
    ) -> Result<Self, ApiError> {
        let Some(condition) = Condition::of(request, "KeyConditionExpression", aliases)? else {
            return Err(ApiError::validation(
                "Either the KeyConditions or KeyConditionExpression parameter must be specified \
                 in the request.",
            ));
        };
        let mut terms = Vec::new();
        flatten(condition, &mut terms)?;
        let (mut partition, mut range) = (None, None);
        for term in terms {
            let (attribute, term) = single_key_term(term)?;
            let twice = if attribute == keys.partition.name {
                match term {
                    RangeCondition::Compare("=", value) => partition.replace(value).is_some(),
                    _ => return Err(unsupported()),
                }
            } else if keys
                .sort
                .as_ref()
                .is_some_and(|sort| sort.name == attribute)
            {
                range.replace(term).is_some()
            } else {
                return Err(missed(&keys.partition.name));
            };
            if twice {
                return Err(ApiError::validation(
                    "Invalid KeyConditionExpression: KeyConditionExpressions must only contain \
                     one condition per key",
                ));
            }
        }
        let partition = partition.ok_or_else(|| missed(&keys.partition.name))?;
        check_type(&partition, &keys.partition.name, keys.partition.key_type)?;
        if let (Some(range), Some(sort)) = (&range, &keys.sort) {
            let values = match range {
                RangeCondition::Compare(_, value) | RangeCondition::BeginsWith(value) => {
                    vec![value]
                }
                RangeCondition::Between(low, high) => vec![low, high],
            };
            for value in values {
                check_type(value, &sort.name, sort.key_type)?;
            }
            if matches!(range, RangeCondition::BeginsWith(_)) && sort.key_type != "S" {
                return Err(ApiError::unsupported(
                    "begins_with on a sort key that is not a string",
                ));
            }
        }
        Ok(Self { partition, range })
    }
}

fn check_type(value: &Value, name: &str, expected: &str) -> Result<(), ApiError> {
    if type_of(value) == expected {
        return Ok(());
    }
    Err(ApiError::validation(format!(
        "One or more parameter values were invalid: Condition parameter type does not match \
         schema type: attribute {name}, expected {expected}, actual {}",
        type_of(value)
    )))
}

fn flatten(condition: Condition, terms: &mut Vec<Condition>) -> Result<(), ApiError> {
    match condition {
        Condition::And(left, right) => {
            flatten(*left, terms)?;
            flatten(*right, terms)
        }
        Condition::Or(..) => Err(ApiError::validation(
            "Invalid operator used in KeyConditionExpression: OR",
        )),
        Condition::Not(_) => Err(ApiError::validation(
            "Invalid operator used in KeyConditionExpression: NOT",
        )),
        term => {
            terms.push(term);
            Ok(())
        }
    }
}

fn single_key_term(term: Condition) -> Result<(String, RangeCondition), ApiError> {
    match term {
        Condition::Compare(Operand::Path(path), comparison, Operand::Value(value))
            if path.steps.is_empty() =>
        {
            let symbol = match comparison {
                Comparison::Equal => "=",
                Comparison::Less => "<",
                Comparison::LessOrEqual => "<=",
                Comparison::Greater => ">",
                Comparison::GreaterOrEqual => ">=",
                Comparison::NotEqual => {
                    return Err(ApiError::validation(
                        "Unsupported operator on KeyCondition: <>",
                    ));
                }
            };
            Ok((path.attribute, RangeCondition::Compare(symbol, value)))
        }
        Condition::Between(Operand::Path(path), Operand::Value(low), Operand::Value(high))
            if path.steps.is_empty() =>
        {
            Ok((path.attribute, RangeCondition::Between(low, high)))
        }
        Condition::BeginsWith(Operand::Path(path), Operand::Value(prefix))
            if path.steps.is_empty() =>
        {
            Ok((path.attribute, RangeCondition::BeginsWith(prefix)))
        }
        _ => Err(unsupported()),
    }
}

fn unsupported() -> ApiError {
    ApiError::validation("Query key condition not supported")
}

fn missed(partition: &str) -> ApiError {
    ApiError::validation(format!(
        "Query condition missed key schema element: {partition}"
    ))
}
