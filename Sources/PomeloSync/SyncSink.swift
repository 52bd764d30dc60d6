// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloCore
public import PomeloLoop

/// Which of two values of one id is the later one, on whichever server they came to be.
///
/// - Source: hybrid logical clocks, S. Kulkarni et al., "Logical Physical Clocks and Consistent Snapshots in Globally
///   Distributed Databases", 2014; here 48 bits of milliseconds since 1970 and 16 bits of a count.
public struct SyncVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Time and count.
    public let number: UInt64
    /// Decides between equal numbers.
    public let server: ServerID

    /// A version that came from somewhere else.
    public init(number: UInt64, server: ServerID) {
        self.number = number
        self.server = server
    }

    /// Orders by number, then by server.
    public static func < (one: SyncVersion, other: SyncVersion) -> Bool {
        (one.number, one.server) < (other.number, other.server)
    }

    /// Both parts.
    public var description: String { "\(number)@\(server)" }
}

/// One value on its way to a sink.
public struct SyncEntry: Sendable, Hashable {
    /// The name of its key.
    public let key: Text
    /// What it is the value of; nil for one that is appended.
    public let id: Text?
    /// As its key encodes it.
    public let value: Bytes
    /// Higher than that of every earlier value of this id.
    public let version: SyncVersion

    /// An entry made by hand, for tests of a sink.
    public init(key: Text, id: Text?, value: Bytes, version: SyncVersion) {
        self.key = key
        self.id = id
        self.value = value
        self.version = version
    }
}

/// What became of one entry.
public enum SyncOutcome: Sendable, Hashable {
    /// It is in the sink, or a later one of its id is.
    case written
    /// Not now: it is tried again.
    case failed(String)
    /// Never: it becomes a dead letter.
    case refused(String)
}

/// Where values end up: a database, a file, another service.
///
/// - Guarantee: at least once; the values of one id one after the other, in the order of their versions, as long as one
///   server has it. A sink that two servers may write to keeps the version beside the value, and leaves a later one as
///   it is.
@Loop public protocol SyncSink: AnyObject {
    /// Prepares: connects, looks whether what it needs is there.
    ///
    /// - Throws: what keeps the server from starting.
    func start() async throws
    /// Writes entries of one key, no two of one id, and tells what became of each, in their order.
    ///
    /// Of values without ids it writes none behind one that failed.
    ///
    /// - Throws: when nothing is known of any of them: all are tried again, in smaller batches. A value without an id
    ///   that makes it throw each time holds those behind it up: that is an outcome, `.refused`.
    func write(_ batch: [SyncEntry]) async throws -> [SyncOutcome]
    /// Nothing more comes.
    func stop() async
}

extension SyncSink {
    /// Nothing to prepare.
    public func start() async throws {}
    /// Nothing to end.
    public func stop() async {}
}
