//! Calls end with their invocation: what is left of its time bounds each of them, with all its
//! attempts. What is cut off so is told as a call that was not answered.

use aws_sdk_dynamodb::config::interceptors::BeforeSerializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_types::timeout::TimeoutConfig;
use event_sourcing::retry::budget;

/// Shortens a call's time to what the invocation has left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InTime;

impl Intercept for InTime {
    fn name(&self) -> &'static str {
        "InTime"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        settings: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(left) = budget::left() else {
            return Ok(());
        };
        let timeouts = settings.load::<TimeoutConfig>().cloned();
        let timeouts = timeouts.unwrap_or_else(TimeoutConfig::disabled);
        if timeouts
            .operation_timeout()
            .is_none_or(|longest| left < longest)
        {
            let timeouts = timeouts.to_builder().operation_timeout(left).build();
            settings.interceptor_state().store_put(timeouts);
        }
        Ok(())
    }
}
