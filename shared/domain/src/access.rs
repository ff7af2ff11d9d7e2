//! Who may do what: the scopes of a caller, and whose orders they reach. Pure, like every decision.

use crate::ids::UserId;
use std::collections::BTreeSet;
use std::fmt;

/// Longest subject, in bytes (`OpenID` Connect Core 1.0, section 2).
pub const MAX_SUBJECT_BYTES: usize = 255;

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// To see one's own orders.
    OrdersRead,
    /// To place orders for oneself, and to cancel them.
    OrdersWrite,
    /// To see everybody's orders, place them for anybody and cancel them: an operator, or the
    /// shop's own server.
    OrdersOperate,
    /// To change stock and prices.
    InventoryWrite,
    /// To send readings of devices: a gateway.
    TelemetryWrite,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 5] = [
        Self::OrdersRead,
        Self::OrdersWrite,
        Self::OrdersOperate,
        Self::InventoryWrite,
        Self::TelemetryWrite,
    ];

    /// The scope as tokens and the template write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrdersRead => "orders:read",
            Self::OrdersWrite => "orders:write",
            Self::OrdersOperate => "orders:operate",
            Self::InventoryWrite => "inventory:write",
            Self::TelemetryWrite => "telemetry:write",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

/// Somebody who was authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    subject: String,
    scopes: BTreeSet<Scope>,
}

/// The subject of a token names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token's sub must be 1 to {MAX_SUBJECT_BYTES} bytes without control characters")]
pub struct NobodyNamed;

/// A caller whose scopes do not allow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied {
    /// One of these is needed.
    pub needed: &'static [Scope],
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needed: Vec<_> = self.needed.iter().map(|scope| scope.as_str()).collect();
        match needed.as_slice() {
            [one] => write!(f, "the token must have the scope {one}"),
            several => write!(
                f,
                "the token must have one of the scopes {}",
                several.join(", ")
            ),
        }
    }
}

impl std::error::Error for Denied {}

/// Whose orders a caller reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach<'c> {
    /// Those of this user.
    Own(&'c str),
    /// Everybody's.
    Everybodys,
}

impl Reach<'_> {
    /// Whether orders of this user are within reach.
    #[must_use]
    pub fn covers(&self, user: &UserId) -> bool {
        match self {
            Self::Own(subject) => user.as_str() == *subject,
            Self::Everybodys => true,
        }
    }
}

impl Caller {
    /// The caller that a verified token names; scopes that mean nothing here are left out.
    ///
    /// # Errors
    /// [`NobodyNamed`].
    pub fn new<'s>(
        subject: &str,
        scopes: impl IntoIterator<Item = &'s str>,
    ) -> Result<Self, NobodyNamed> {
        let named = !subject.is_empty()
            && subject.len() <= MAX_SUBJECT_BYTES
            && !subject.chars().any(char::is_control);
        if !named {
            return Err(NobodyNamed);
        }
        Ok(Self {
            subject: subject.to_owned(),
            scopes: scopes.into_iter().filter_map(Scope::parse).collect(),
        })
    }

    /// Who it is: the user's id, for a customer.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Whose orders the caller may see.
    ///
    /// # Errors
    /// [`Denied`], when nobody's.
    pub fn reads_orders(&self) -> Result<Reach<'_>, Denied> {
        self.reach(&[Scope::OrdersRead, Scope::OrdersOperate])
    }

    /// Whose orders the caller may place and cancel.
    ///
    /// # Errors
    /// [`Denied`], when nobody's.
    pub fn writes_orders(&self) -> Result<Reach<'_>, Denied> {
        self.reach(&[Scope::OrdersWrite, Scope::OrdersOperate])
    }

    /// Whether the caller may see stock and prices: whoever may see orders or change stock.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn reads_inventory(&self) -> Result<(), Denied> {
        self.needs(&[
            Scope::OrdersRead,
            Scope::OrdersOperate,
            Scope::InventoryWrite,
        ])
    }

    /// Whether the caller may change stock and prices.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn writes_inventory(&self) -> Result<(), Denied> {
        self.needs(&[Scope::InventoryWrite])
    }

    /// Whether the caller may see figures of the whole shop, and set what raises alarms.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn operates(&self) -> Result<(), Denied> {
        self.needs(&[Scope::OrdersOperate])
    }

    /// Whether the caller may send readings of devices.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn writes_telemetry(&self) -> Result<(), Denied> {
        self.needs(&[Scope::TelemetryWrite])
    }

    fn reach(&self, needed: &'static [Scope]) -> Result<Reach<'_>, Denied> {
        self.needs(needed)?;
        Ok(if self.scopes.contains(&Scope::OrdersOperate) {
            Reach::Everybodys
        } else {
            Reach::Own(&self.subject)
        })
    }

    fn needs(&self, needed: &'static [Scope]) -> Result<(), Denied> {
        if needed.iter().any(|scope| self.scopes.contains(scope)) {
            Ok(())
        } else {
            Err(Denied { needed })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(scopes: &str) -> Caller {
        Caller::new("abc123", scopes.split(' ')).unwrap()
    }

    fn user(id: &str) -> UserId {
        UserId::parse(id).unwrap()
    }

    #[test]
    fn a_customer_reaches_their_own_orders_only() {
        let customer = caller("orders:read orders:write");
        for reach in [customer.reads_orders(), customer.writes_orders()] {
            let reach = reach.unwrap();
            assert!(reach.covers(&user("abc123")));
            for other in ["abc124", "ABC123", "abc12", "abc1234"] {
                assert!(!reach.covers(&user(other)), "{other}");
            }
        }
    }

    #[test]
    fn an_operator_reaches_everybodys_orders() {
        let operator = caller("orders:operate");
        assert_eq!(operator.reads_orders(), Ok(Reach::Everybodys));
        assert_eq!(operator.writes_orders(), Ok(Reach::Everybodys));
        assert!(Reach::Everybodys.covers(&user("anybody")));
    }

    /// (scopes, reads orders, writes orders, reads inventory, writes inventory, operates, writes
    /// telemetry)
    #[test]
    fn each_scope_allows_what_it_says_and_nothing_else() {
        for (scopes, expected) in [
            ("", "------"),
            ("openid profile", "------"),
            ("orders:read", "r-i---"),
            ("orders:write", "-w----"),
            ("orders:operate", "rwi-o-"),
            ("inventory:write", "--iI--"),
            ("telemetry:write", "-----t"),
            ("openid orders:read inventory:write", "r-iI--"),
            (
                "orders:READ orders orders:* orders:read,orders:write",
                "------",
            ),
        ] {
            let caller = caller(scopes);
            let allowed = [
                ('r', caller.reads_orders().is_ok()),
                ('w', caller.writes_orders().is_ok()),
                ('i', caller.reads_inventory().is_ok()),
                ('I', caller.writes_inventory().is_ok()),
                ('o', caller.operates().is_ok()),
                ('t', caller.writes_telemetry().is_ok()),
            ];
            let told = |(letter, is): (char, bool)| if is { letter } else { '-' };
            assert_eq!(
                allowed.map(told).iter().collect::<String>(),
                expected,
                "{scopes}"
            );
        }
    }

    #[test]
    fn whoever_is_denied_is_told_what_is_needed() {
        let denied = caller("orders:read").writes_orders().unwrap_err();
        assert_eq!(denied.needed, [Scope::OrdersWrite, Scope::OrdersOperate]);
        assert_eq!(
            denied.to_string(),
            "the token must have one of the scopes orders:write, orders:operate"
        );
        let denied = caller("").writes_inventory().unwrap_err();
        assert_eq!(
            denied.to_string(),
            "the token must have the scope inventory:write"
        );
    }

    #[test]
    fn a_subject_is_bounded_and_printable() {
        let named = |subject: &str| Caller::new(subject, []).is_ok();
        assert!(named("auth0|5f7c8ec7c33c6c004bbafe82"));
        assert!(named(&"x".repeat(MAX_SUBJECT_BYTES)));
        assert!(!named(""));
        assert!(!named(&"x".repeat(MAX_SUBJECT_BYTES + 1)));
        assert!(!named("a\nb"));
    }
}
