// SPDX-License-Identifier: MIT
//
// PomeloPublication: state that a server owns and a store has a copy of, under the server's lease.
// Reading order: PublishedStore, StoreOwner, PublishedState, WriteBehind, CleanUpSlices.
public import PomeloCore
public import PomeloLoop

/// Where a service publishes state under its server's lease.
///
/// The owner's memory is the truth. A store may lose data: its sequence says so.
@Loop public protocol PublishedStore: AnyObject {
    /// Whether entries live under a lease, and so need a cluster membership.
    var needsMembership: Bool { get }
    /// Prepares the store to write this server's entries.
    func start(_ owner: StoreOwner) async throws
    /// The last sequence the store holds for this instance; nil when it holds nothing of it.
    func publishedSequence() async throws -> UInt64?
    /// Differs after each start of the store, which may have lost data; empty when it does not tell.
    var run: String { get }
    /// Removes what this server's former instances have published, when asked to clean on start-up.
    func clean() async throws
}

extension PublishedStore {
    /// False: entries live until they are removed.
    public var needsMembership: Bool { false }
    /// Does not tell.
    public var run: String { "" }
    /// Does nothing.
    public func start(_ owner: StoreOwner) async throws {}
    /// Does nothing.
    public func clean() async throws {}

    /// Whether a plugin can use this store, under this prefix of its keys.
    ///
    /// - Throws: `PomeloError` `.configuration` when the prefix holds a brace, or the store needs a cluster membership
    ///   and there is none.
    public func check(_ prefix: String, for plugin: String, _ membership: (any Membership)?) throws {
        guard !prefix.contains(where: { "{}".contains($0) }) else {
            throw PomeloError(.configuration, "\(plugin): prefix must not hold { or }")
        }
        if needsMembership, membership == nil {
            throw PomeloError(.configuration, "\(plugin): this store needs the Cluster plugin, used before it")
        }
    }
}
