//! AWS's quotas that the host enforces, in bytes.
//! <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>

/// Largest request payload of a synchronous invocation: 6 MB.
pub const SYNC_PAYLOAD_BYTES: usize = 6 * 1024 * 1024;

/// Largest request payload of an asynchronous invocation: 1 MB.
pub const ASYNC_PAYLOAD_BYTES: usize = 1024 * 1024;

/// Largest answer of a function: 6 MB and the 100 bytes that Lambda's own runtime interface grants.
pub const RESPONSE_PAYLOAD_BYTES: usize = 6 * 1024 * 1024 + 100;

/// Largest event that an event source mapping hands to a function: 6 MB.
pub const MAPPING_PAYLOAD_BYTES: usize = SYNC_PAYLOAD_BYTES;

/// Largest state that a window is carried on with: 1 MB for a shard.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-windows.html>
pub const WINDOW_STATE_BYTES: usize = 1024 * 1024;

/// Longest log line kept in one piece: 256 KB, as CloudWatch Logs has it.
pub const LOG_LINE_BYTES: u64 = 256 * 1024;
