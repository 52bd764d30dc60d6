// SPDX-License-Identifier: MIT
public import PomeloCore
public import PomeloLoop

/// Who holds a user id: one session of one start of one server.
public struct Holder: Sendable, Hashable {
    public var server: ServerID
    public var instance: InstanceID
    public var session: SessionID

    public init(server: ServerID, instance: InstanceID, session: SessionID) {
        self.server = server
        self.instance = instance
        self.session = session
    }
}

/// The answer to a claim.
public enum Claim: Sendable, Equatable {
    case granted
    /// Held by another; the token names exactly this holding.
    case held(Holder, token: String)
}

/// Where online status and bindings live. Every call may throw when the store is away.
@Loop public protocol StatusStore: AnyObject {
    /// Whether entries live under a lease, and so need a cluster membership.
    var needsMembership: Bool { get }
    /// Whether calls can succeed at all now.
    var isUp: Bool { get }
    func start(_ application: Application, _ membership: (any Membership)?) async throws
    /// Publishes that users are, or are no longer, connected to this server, and a sequence that grows with every
    /// call; returns the sequence the store held for this instance before. Repeating is harmless.
    func publish(online: [UserID], offline: [UserID], sequence: UInt64) async throws -> UInt64?
    /// The last sequence the store holds for this instance; nil when it holds nothing of it.
    func publishedSequence() async throws -> UInt64?
    /// The users published for this server, and those it may hold a binding of.
    func publishedUsers() async throws -> [UserID]
    /// The servers each user is connected to.
    func servers(of uids: [UserID]) async throws -> [[ServerID]]
    /// Whether each user is connected anywhere.
    func areOnline(_ uids: [UserID]) async throws -> [Bool]
    /// Claims a user id; `gone` is the token of a holder found gone.
    func claim(_ uid: UserID, _ holder: Holder, gone: String?) async throws -> Claim
    /// Gives back what this instance holds of these user ids.
    func release(_ uids: [UserID]) async throws
    /// Removes what this server's former instances have published.
    func clean() async throws
    /// Removes a gone server's entries and bindings.
    func cleanUp(_ server: ServerID, proceed: @Loop () async throws -> Void) async throws
}

extension StatusStore {
    public var needsMembership: Bool { false }
    public func start(_ application: Application, _ membership: (any Membership)?) async throws {}
    public func clean() async throws {}
}

/// A store in this process's memory, for one process or for tests that share it between applications.
@Loop public final class MemoryStatusStore: StatusStore {
    /// The entries; shared by the stores of several applications.
    @Loop public final class Entries {
        fileprivate var online: [UserID: Set<ServerID>] = [:]
        fileprivate var bindings: [UserID: (holder: Holder, token: String)] = [:]
        fileprivate var lastToken = 0
        fileprivate var sequences: [ServerID: (instance: InstanceID, sequence: UInt64)] = [:]

        public nonisolated init() {}

        /// Who holds a user id.
        public func holder(of uid: UserID) -> Holder? { bindings[uid]?.holder }

        /// Loses everything, as an emptied Redis does.
        public func removeAll() { restore(Entries()) }

        /// The entries as they are now.
        public func copy() -> Entries {
            let copy = Entries()
            copy.restore(self)
            return copy
        }

        /// Goes back to what they were, as a replica that was behind does; tokens go on growing.
        public func restore(_ old: Entries) {
            online = old.online
            bindings = old.bindings
            sequences = old.sequences
        }
    }

    private let entries: Entries
    private var own = ServerID("")
    private var instance = InstanceID("")

    public nonisolated init(_ entries: Entries = Entries()) { self.entries = entries }

    public var needsMembership: Bool { false }
    public var isUp: Bool { true }

    public func start(_ application: Application, _ membership: (any Membership)?) {
        own = application.serverID
        instance = application.instance
    }

    public func publish(online: [UserID], offline: [UserID], sequence: UInt64) -> UInt64? {
        defer { entries.sequences[own] = (instance, sequence) }
        for uid in online { entries.online[uid, default: []].insert(own) }
        for uid in offline { remove(uid, own) }
        return publishedSequence()
    }

    public func publishedSequence() -> UInt64? {
        entries.sequences[own].flatMap { $0.instance == instance ? $0.sequence : nil }
    }

    public func publishedUsers() -> [UserID] {
        let online = entries.online.filter { $0.value.contains(own) }.keys
        let bound = entries.bindings.filter { $0.value.holder.server == own }.keys
        return Set(online).union(bound).sorted()
    }

    public func servers(of uids: [UserID]) -> [[ServerID]] { uids.map { (entries.online[$0] ?? []).sorted() } }
    public func areOnline(_ uids: [UserID]) -> [Bool] { uids.map { entries.online[$0] != nil } }

    public func claim(_ uid: UserID, _ holder: Holder, gone: String?) -> Claim {
        if let bound = entries.bindings[uid], bound.holder != holder, bound.token != gone {
            return .held(bound.holder, token: bound.token)
        }
        entries.lastToken += 1
        entries.bindings[uid] = (holder, String(entries.lastToken))
        return .granted
    }

    public func release(_ uids: [UserID]) {
        for uid in uids {
            if let bound = entries.bindings[uid]?.holder, bound.server == own, bound.instance == instance {
                entries.bindings[uid] = nil
            }
        }
    }

    public func clean() { cleanUp(own) }
    public func cleanUp(_ server: ServerID, proceed: @Loop () async throws -> Void) async throws {
        try await proceed()
        cleanUp(server)
    }

    private func cleanUp(_ server: ServerID) {
        for uid in Array(entries.online.keys) { remove(uid, server) }
        entries.bindings = entries.bindings.filter { $0.value.holder.server != server }
    }

    private func remove(_ uid: UserID, _ server: ServerID) {
        entries.online[uid]?.remove(server)
        if entries.online[uid]?.isEmpty == true { entries.online[uid] = nil }
    }
}
