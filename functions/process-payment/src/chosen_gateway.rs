//! The gateway that the settings name.

use crate::config::GatewayChoice;
use crate::gateway::{Charge, GatewayError, PaymentGateway, Refund};
use crate::simulated_gateway::SimulatedGateway;
use crate::stripe_gateway::StripeGateway;
use aws_adapters::connection::Connection;
use aws_adapters::parameter_store;
use domain::payment::ChargeOutcome;

/// One of the gateways.
#[derive(Debug)]
pub enum ChosenGateway {
    /// Moves no money.
    Simulated(SimulatedGateway),
    /// Stripe.
    Stripe(Box<StripeGateway>),
}

impl ChosenGateway {
    /// The gateway of a choice, with its key from the parameter store.
    ///
    /// # Errors
    /// When the key cannot be read, or is none.
    pub async fn open(
        choice: GatewayChoice,
        aws: &Connection,
    ) -> Result<Self, lambda_runtime::Error> {
        Ok(match choice {
            GatewayChoice::Simulated => Self::Simulated(SimulatedGateway::default()),
            GatewayChoice::Stripe { key_parameter, url } => {
                let key = parameter_store::read(&aws.ssm(), &key_parameter).await?;
                Self::Stripe(Box::new(StripeGateway::new(url, key)?))
            }
        })
    }
}

impl PaymentGateway for ChosenGateway {
    async fn charge(&self, charge: &Charge) -> Result<ChargeOutcome, GatewayError> {
        match self {
            Self::Simulated(gateway) => gateway.charge(charge).await,
            Self::Stripe(gateway) => gateway.charge(charge).await,
        }
    }

    async fn look_up(&self, charge: &Charge) -> Result<Option<ChargeOutcome>, GatewayError> {
        match self {
            Self::Simulated(gateway) => gateway.look_up(charge).await,
            Self::Stripe(gateway) => gateway.look_up(charge).await,
        }
    }

    async fn refund(&self, refund: &Refund) -> Result<(), GatewayError> {
        match self {
            Self::Simulated(gateway) => gateway.refund(refund).await,
            Self::Stripe(gateway) => gateway.refund(refund).await,
        }
    }
}
