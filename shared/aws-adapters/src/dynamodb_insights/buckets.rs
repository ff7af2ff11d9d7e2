//! Devices of a result in items of their own: as many as keep each small enough to be read for one
//! device.

use super::{DynamoDbInsights, bytes, bytes_of, damaged, expiry, number, send};
use jiff::{SignedDuration, Timestamp};
use streaming_analytics::devices::{self, Devices};
use streaming_analytics::insights_table::TableError;
use streaming_analytics::stable_hash;

/// So many bytes of devices are in an item, about: 16 read units for one device, and 64 write units.
const BUCKET_BYTES: usize = 64_000;

/// How many items these devices take.
fn count(devices: &Devices) -> Result<u32, TableError> {
    if devices.is_empty() {
        return Ok(0);
    }
    let bytes = encode(devices)?.len();
    Ok(u32::try_from(bytes.div_ceil(BUCKET_BYTES)).unwrap_or(u32::MAX))
}

/// In which of them a device is.
pub(super) fn of(device: &str, buckets: u32) -> u32 {
    let hash = stable_hash("bucket", &[device.as_bytes()]);
    u32::try_from(hash % u64::from(buckets.max(1))).unwrap_or_default()
}

fn encode(devices: &Devices) -> Result<Vec<u8>, TableError> {
    devices::encode(devices).map_err(|error| TableError::Refused(error.to_string()))
}

fn split(devices: &Devices, buckets: u32) -> Vec<Devices> {
    let mut split = vec![Devices::new(); buckets as usize];
    for (key, readings) in devices {
        let bucket = of(key.device.as_str(), buckets) as usize;
        split[bucket].insert(key.clone(), readings.clone());
    }
    split
}

fn sort_key(bucket: u32) -> String {
    format!("{bucket:06}")
}

impl DynamoDbInsights {
    /// Writes them under a scope, unless those of a higher revision are there, and tells into how
    /// many items.
    pub(super) async fn put_devices(
        &self,
        scope: &str,
        devices: &Devices,
        revision: u64,
        expires: (Timestamp, Option<SignedDuration>),
    ) -> Result<u32, TableError> {
        let buckets = count(devices)?;
        for (bucket, devices) in (0..).zip(&split(devices, buckets)) {
            let mut put = self
                .put(scope, sort_key(bucket))
                .item("devices", bytes(encode(devices)?))
                .item("revision", number(revision))
                .condition_expression("attribute_not_exists(revision) OR revision <= :revision")
                .expression_attribute_values(":revision", number(revision));
            if let (end, Some(kept)) = expires {
                put = put.item("expiresAt", expiry(end, kept));
            }
            send(put).await?;
        }
        Ok(buckets)
    }

    /// Reads one of them; nothing where it expired.
    pub(super) async fn bucket(&self, scope: &str, bucket: u32) -> Result<Devices, TableError> {
        let Some(item) = self.item(scope, &sort_key(bucket)).await? else {
            return Ok(Devices::new());
        };
        let bytes = bytes_of(&item, "devices").unwrap_or_default();
        devices::decode(bytes).map_err(|error| damaged(&item, error))
    }

    /// Reads all of them.
    pub(super) async fn devices(&self, scope: &str, buckets: u32) -> Result<Devices, TableError> {
        let mut devices = Devices::new();
        for bucket in 0..buckets {
            devices.append(&mut self.bucket(scope, bucket).await?);
        }
        Ok(devices)
    }
}
