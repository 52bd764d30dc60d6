// SPDX-License-Identifier: MIT

/// Why a value was not taken, or is not written.
public enum SyncError: Error, Hashable, Sendable, CustomStringConvertible {
    /// No sink has this key: it must be mapped before the start.
    case unknownKey(String)
    /// The key has values of another type.
    case otherType(String)
    /// So many values wait already, or so many bytes of them; nothing was noted.
    case overloaded(limit: Int)
    /// The sink has not taken it; it waits, and is tried again.
    case notWritten(String)
    /// The sink never takes it; it is a dead letter.
    case refused(String)
    /// Redis has not confirmed it: it is in no journal. When Redis was known to be away nothing was noted; else it may
    /// be written all the same.
    case notJournaled(String)
    /// The application has stopped; nothing was noted.
    case stopped

    /// For people.
    public var description: String {
        switch self {
        case .unknownKey(let key): "sync has no sink for the key \"\(key)\""
        case .otherType(let key): "sync has values of another type for the key \"\(key)\""
        case .overloaded(let limit): "as much waits to be written as may: \(limit) (maxPending, maxPendingBytes)"
        case .notWritten(let reason): "not written yet: \(reason)"
        case .refused(let reason): "given up, see the dead letters: \(reason)"
        case .notJournaled(let reason): "not in the journal: \(reason)"
        case .stopped: "sync has stopped"
        }
    }
}
