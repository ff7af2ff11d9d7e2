//! Throttling by route, as the template says: a bucket of tokens that fills as time goes by.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html>

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use sam_template::{Route, Throttle};
use tokio::time::Instant;

/// The buckets of all routes that have one, by route key.
pub(super) struct Throttles(BTreeMap<String, Mutex<Bucket>>);

struct Bucket {
    throttle: Throttle,
    tokens: f64,
    filled_at: Instant,
}

impl Throttles {
    /// Full buckets for the routes of the API.
    pub(super) fn of(stack: &sam_template::Stack) -> Self {
        let now = Instant::now();
        let api = stack.apis.first();
        let throttled = |route: &Route| Some((route.key(), api?.throttle_of(route)?));
        let buckets = stack.routes.iter().filter_map(throttled);
        Self(
            buckets
                .map(|(key, throttle)| (key, Mutex::new(Bucket::full(throttle, now))))
                .collect(),
        )
    }

    /// Whether a request may pass now.
    pub(super) fn let_pass(&self, route: &Route, now: Instant) -> bool {
        let Some(bucket) = self.0.get(&route.key()) else {
            return true;
        };
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.take(now)
    }
}

impl Bucket {
    fn full(throttle: Throttle, now: Instant) -> Self {
        Self {
            throttle,
            tokens: f64::from(throttle.burst),
            filled_at: now,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let seconds = now.saturating_duration_since(self.filled_at).as_secs_f64();
        let most = f64::from(self.throttle.burst);
        self.tokens = (self.tokens + seconds * self.throttle.rate).min(most);
        self.filled_at = now;
        let pass = self.tokens >= 1.0;
        if pass {
            self.tokens -= 1.0;
        }
        pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_passes_and_then_as_many_as_the_rate_lets() {
        let start = Instant::now();
        let throttle = Throttle {
            rate: 2.0,
            burst: 3,
        };
        let mut bucket = Bucket::full(throttle, start);
        let mut passed = |millis: u64| {
            let now = start + Duration::from_millis(millis);
            (0..10).filter(|_| bucket.take(now)).count()
        };
        assert_eq!(passed(0), 3);
        assert_eq!(passed(400), 0);
        assert_eq!(passed(500), 1);
        assert_eq!(passed(1_500), 2);
        assert_eq!(passed(60_000), 3, "never more than the burst");
    }
}
