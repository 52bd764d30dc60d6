// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloCore
import PomeloJSON
public import PomeloLoop

/// What a sink has of an id.
public struct StoredValue: Sendable, Hashable {
    /// As its key encoded it; of JSON a database may have changed the spelling.
    public let value: Bytes
    /// Which one it is.
    public let version: SyncVersion

    /// What a sink of one's own has found.
    public init(value: Bytes, version: SyncVersion) {
        self.value = value
        self.version = version
    }
}

/// A sink that can be asked what it has: after a restart, for instance.
///
/// What waits to be written is not in it yet: a reader that must not see an older value asks before the first `exec` of
/// an id, or after a `flush`.
@Loop public protocol SyncReader: SyncSink {
    /// What is there of an id; nil when nothing is.
    ///
    /// - Throws: when it cannot be told.
    func stored(_ key: Text, _ id: Text) async throws -> StoredValue?
    /// The last `limit` values without an id, the oldest of them first.
    ///
    /// - Throws: when it cannot be told.
    func entries(_ key: Text, limit: Int) async throws -> [Bytes]
}

extension SyncReader {
    /// The value of an id; nil when there is none.
    ///
    /// - Throws: when it cannot be told; `DecodingError` when it is no such value.
    public func value<Value: Body>(of key: SyncKey<Value>, _ id: String) async throws -> Value? {
        try await stored(key.name, Text(id)).map { try JSONCoder.decode(Value.self, from: $0.value) }
    }

    /// The last `limit` values without an id, the oldest of them first.
    ///
    /// - Throws: when it cannot be told; `DecodingError` when one is no such value.
    public func entries<Value: Body>(of key: SyncKey<Value>, limit: Int) async throws -> [Value] {
        try await entries(key.name, limit: limit).map { try JSONCoder.decode(Value.self, from: $0) }
    }
}
