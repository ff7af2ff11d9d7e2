//! How faults are asked for on the command line.

use clap::Args;
use uuid::Uuid;

use super::{FaultChoice, FaultPlan};

/// What is to go wrong on purpose.
#[derive(Debug, Clone, Args)]
pub struct FaultArgs {
    /// Let things go wrong on purpose: `all`, or some kinds, separated by commas
    ///
    /// Processes are killed, calls are not served, deliveries are late or come twice: nothing is
    /// simulated.
    #[arg(long, value_name = "KINDS", value_delimiter = ',', num_args = 1)]
    pub faults: Vec<FaultChoice>,
    /// Decides who is hit: the same seed hits the same calls, counted per function and operation,
    /// and the same invocations and deliveries, counted per function [default: a random one]
    ///
    /// Processes run side by side, so which order meets a fault differs from run to run; only the
    /// simulation (`cargo sim`) replays exactly.
    #[arg(long, value_name = "S", requires = "faults")]
    pub seed: Option<u64>,
    /// The share of calls, invocations and deliveries that are hit
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, value_parser = share, requires = "faults")]
    pub fault_rate: f64,
}

impl FaultArgs {
    /// What is to go wrong; none where nothing is.
    #[must_use]
    pub fn plan(&self) -> Option<FaultPlan> {
        let asked_for = !self.faults.is_empty();
        asked_for.then(|| {
            // Short enough to be typed in again.
            let seed = self
                .seed
                .unwrap_or_else(|| Uuid::new_v4().as_fields().0.into());
            FaultPlan::of(&self.faults, seed, self.fault_rate)
        })
    }
}

/// Beyond a half, retries can hardly get anything done.
fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok();
    share
        .filter(|share| (0.0..=0.5).contains(share))
        .ok_or_else(|| "write a share from 0 to 0.5, as in 0.05 for one in twenty".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::FaultKind;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        faults: FaultArgs,
    }

    fn parse(arguments: &[&str]) -> Result<Option<FaultPlan>, clap::Error> {
        let all = std::iter::once("x").chain(arguments.iter().copied());
        Line::try_parse_from(all).map(|line| line.faults.plan())
    }

    #[test]
    fn kinds_are_a_list_and_a_seed_is_chosen_where_none_is_given() {
        assert_eq!(parse(&[]).unwrap(), None);
        let plan = parse(&["--faults", "kill,lost-answer", "--seed", "7"]).unwrap();
        let plan = plan.unwrap();
        assert_eq!(plan.kinds, [FaultKind::Kill, FaultKind::LostAnswer].into());
        assert_eq!((plan.seed, plan.rate), (7, 0.05));
        let seeds = || parse(&["--faults", "all"]).unwrap().unwrap().seed;
        assert_ne!(seeds(), seeds());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for arguments in [
            &["--faults", "fire"][..],
            &["--seed", "7"],
            &["--faults", "all", "--fault-rate", "0.9"],
            &["--faults", "all", "--fault-rate", "-1"],
            &["--faults", "all", "--fault-rate", "NaN"],
        ] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
    }
}
