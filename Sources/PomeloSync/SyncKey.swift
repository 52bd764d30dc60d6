// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloCore
import PomeloJSON

/// What is kept under one name: the type of its values, how they become bytes, and how two of them become one.
///
/// ```swift
/// extension SyncKey<Bag> { static let bag = SyncKey("bag") }
/// try await app.sync.exec(.bag, player, bag)
/// ```
///
/// - Source: the mapping keys of pomelo-sync, whose values have no type.
public struct SyncKey<Value: Sendable>: Sendable {
    /// Names the mapping; unique in its cluster.
    public let name: Text
    let encode: @Sendable (Value) throws -> Bytes
    /// Nil: the later one.
    let merge: (@Sendable (_ earlier: Value, _ later: Value) -> Value)?
    let place = SyncPlace<Value>()

    /// A key whose values become bytes by `encode`.
    ///
    /// `merge` makes one of two values of which neither is written; without it the later one stands for both. A value
    /// that is being written when the next one comes is merged with it only when the write fails.
    public init(
        _ name: String, encode: @escaping @Sendable (Value) throws -> Bytes,
        merge: (@Sendable (_ earlier: Value, _ later: Value) -> Value)? = nil
    ) {
        self.name = Text(name)
        self.encode = encode
        self.merge = merge
    }
}

extension SyncKey where Value: Body {
    /// A key whose values are written as JSON.
    public init(_ name: String, merge: (@Sendable (_ earlier: Value, _ later: Value) -> Value)? = nil) {
        self.init(name, encode: { try JSONCoder.encode($0) }, merge: merge)
    }
}
