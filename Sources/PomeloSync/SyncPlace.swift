// SPDX-License-Identifier: MIT
import PomeloLoop

/// Where the values of a key wait, of the service that was given one last: a call finds it without the key's name.
///
/// It is kept as long as the key is; a process has one service, but for tests.
@Loop final class SyncPlace<Value: Sendable> {
    var table: (line: SyncTable, values: ValueSlots<Value>, writer: SyncWriter)?
    var queue: (line: SyncQueue<Value>, writer: SyncWriter)?

    nonisolated init() {}
}
