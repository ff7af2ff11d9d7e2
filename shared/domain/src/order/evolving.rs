//! What remains of a state when an event ends it.

use super::{Aftermath, HeldMoney, HeldStock, Order};
use crate::inventory::StockChange;
use crate::payment::PaymentId;

impl Order {
    /// What ending the order in this state leaves to be undone.
    pub(super) fn aftermath(self) -> Aftermath {
        match self {
            Self::Absent | Self::Placed(..) => Aftermath {
                stock: HeldStock::Free,
                money: HeldMoney::Uncharged,
            },
            Self::Reserved { reserved, .. } => Aftermath {
                stock: held(reserved),
                money: HeldMoney::Uncharged,
            },
            Self::Confirmed {
                reserved, payment, ..
            } => Aftermath {
                stock: held(reserved),
                money: payment.map_or(HeldMoney::Uncharged, HeldMoney::Charged),
            },
            Self::Rejected { aftermath, .. } | Self::Cancelled { aftermath, .. } => aftermath,
        }
    }

    pub(super) fn into_reserved(self) -> Vec<StockChange> {
        match self {
            Self::Reserved { reserved, .. } | Self::Confirmed { reserved, .. } => reserved,
            Self::Rejected { aftermath, .. } | Self::Cancelled { aftermath, .. } => {
                match aftermath.stock {
                    HeldStock::Held(changes) => changes,
                    HeldStock::Free => Vec::new(),
                }
            }
            Self::Absent | Self::Placed(..) => Vec::new(),
        }
    }

    pub(super) fn with_stock_free(self) -> Self {
        self.with_aftermath(|aftermath| aftermath.stock = HeldStock::Free)
    }

    pub(super) fn with_refund(self, payment: &PaymentId) -> Self {
        self.with_aftermath(|aftermath| aftermath.money = HeldMoney::Refunded(payment.clone()))
    }

    fn with_aftermath(mut self, change: impl FnOnce(&mut Aftermath)) -> Self {
        match &mut self {
            Self::Rejected { aftermath, .. } | Self::Cancelled { aftermath, .. } => {
                change(aftermath);
            }
            Self::Absent | Self::Placed(..) | Self::Reserved { .. } | Self::Confirmed { .. } => {}
        }
        self
    }
}

fn held(reserved: Vec<StockChange>) -> HeldStock {
    if reserved.is_empty() {
        HeldStock::Free
    } else {
        HeldStock::Held(reserved)
    }
}
