//! Which tables of order rows the projection writes, in a parameter, so that it costs no unit of a
//! table to know it: a parameter that is not there stands for the blue one.

use crate::connection::Deferred;
use crate::dynamodb_event_store::describe;
use crate::dynamodb_order_summaries::SummaryError;
use crate::order_tables::Side;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::operation::get_parameter::GetParameterError;
use aws_sdk_ssm::types::ParameterType;

/// The parameter.
#[derive(Debug, Clone)]
pub struct WrittenTables {
    client: Deferred<Client>,
    parameter: String,
}

impl WrittenTables {
    /// The parameter of this name.
    #[must_use]
    pub fn new(client: Deferred<Client>, parameter: impl Into<String>) -> Self {
        Self {
            client,
            parameter: parameter.into(),
        }
    }

    /// The tables, in the order in which they are to be written.
    ///
    /// # Errors
    /// [`SummaryError`].
    pub async fn read(&self) -> Result<Vec<Side>, SummaryError> {
        let request = self.client.get_parameter().name(&self.parameter);
        let answer = match Box::pin(request.send()).await {
            Ok(answer) => answer,
            Err(error) => {
                return match error.as_service_error() {
                    Some(GetParameterError::ParameterNotFound(_)) => Ok(vec![Side::Blue]),
                    _ => Err(SummaryError::Unavailable(describe(&error))),
                };
            }
        };
        let value = answer.parameter.and_then(|parameter| parameter.value);
        parse(&value.unwrap_or_default()).ok_or_else(|| {
            let reason = format!("parameter {} names no tables", self.parameter);
            SummaryError::Unavailable(reason)
        })
    }

    /// Says which tables are to be written from now on.
    ///
    /// # Errors
    /// [`SummaryError`].
    pub async fn write(&self, sides: &[Side]) -> Result<(), SummaryError> {
        let names: Vec<_> = sides.iter().map(|side| side.as_str()).collect();
        let request = self
            .client
            .put_parameter()
            .name(&self.parameter)
            .r#type(ParameterType::String)
            .value(names.join(","))
            .overwrite(true);
        Box::pin(request.send())
            .await
            .map(|_| ())
            .map_err(|error| SummaryError::Unavailable(describe(&error)))
    }
}

fn parse(value: &str) -> Option<Vec<Side>> {
    value.split(',').map(Side::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_written_in_their_order() {
        assert_eq!(parse("green,blue"), Some(vec![Side::Green, Side::Blue]));
        assert_eq!(parse("blue"), Some(vec![Side::Blue]));
        assert_eq!(parse("red"), None);
        assert_eq!(parse(""), None);
    }
}
