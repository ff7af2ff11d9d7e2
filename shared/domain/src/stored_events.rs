//! One list of an aggregate's events: reading, writing and the published schemas follow from it.

/// Implements [`event_sourcing::decider::Event`] for an enum whose every variant holds the data of
/// one event type, named as it is stored.
macro_rules! stored_events {
    ($events:ident, upcasters: $upcasters:expr; $($name:literal => $variant:ident($data:ty),)+) => {
        impl event_sourcing::decider::Event for $events {
            fn event_type(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)+
                }
            }

            fn to_data(&self) -> Result<serde_json::Value, serde_json::Error> {
                match self {
                    $(Self::$variant(event) => serde_json::to_value(event),)+
                }
            }

            fn from_data(
                event_type: &str,
                data: &serde_json::Value,
            ) -> Result<Option<Self>, serde_json::Error> {
                Ok(Some(match event_type {
                    $($name => Self::$variant(serde::Deserialize::deserialize(data)?),)+
                    _ => return Ok(None),
                }))
            }

            fn upcasters() -> &'static [event_sourcing::upcaster::Upcaster] {
                $upcasters
            }
        }

        impl $events {
            /// Every `eventType` of the aggregate.
            pub const TYPES: &'static [&'static str] = &[$($name),+];

            /// The schema of every type's data in its current version.
            #[cfg(feature = "schema")]
            #[must_use]
            pub fn schemas() -> Vec<crate::schema::EventSchema> {
                vec![$(crate::schema::EventSchema::of::<Self, $data>($name)),+]
            }
        }
    };
}

pub(crate) use stored_events;
