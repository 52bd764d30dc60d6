// SPDX-License-Identifier: MIT
public import PomeloCore
public import PomeloLoop

/// Who holds a user id: one session of one start of one server.
public struct Holder: Sendable, Hashable {
    /// The frontend that has the session.
    public var server: ServerID
    /// Which start of that frontend.
    public var instance: InstanceID
    /// The session there.
    public var session: SessionID

    /// Puts the parts together.
    public init(server: ServerID, instance: InstanceID, session: SessionID) {
        self.server = server
        self.instance = instance
        self.session = session
    }
}

/// The answer to a claim.
public enum Claim: Sendable, Equatable {
    /// The claimant holds the user id.
    case granted
    /// Held by another; the token names exactly this holding.
    case held(Holder, token: String)
}

/// What a store says about a publication.
public struct PublishedStatus: Sendable, Equatable {
    /// The sequence the store held for this instance just before; nil when it held nothing of it.
    public var previous: UInt64?
    /// Users whose binding may have been taken from this server; not all of them when they are many.
    public var revoked: [UserID]

    /// A store's answer, made by the store.
    public init(previous: UInt64?, revoked: [UserID] = []) {
        self.previous = previous
        self.revoked = revoked
    }
}

/// Where online status and bindings live.
///
/// Every call may throw when the store is away.
@Loop public protocol StatusStore: PublishedStore {
    /// Whether calls can succeed at all now.
    var isUp: Bool { get }
    /// Publishes that users are, or are no longer, connected to this server, and a sequence that grows with every
    /// call; throws when another instance of the server has its id. Repeating is harmless.
    func publish(online: [UserID], offline: [UserID], sequence: UInt64) async throws -> PublishedStatus
    /// The users published for this server, and those it may hold a binding of.
    func publishedUsers() async throws -> [UserID]
    /// The servers each user is connected to.
    func servers(of uids: [UserID]) async throws -> [[ServerID]]
    /// Whether each user is connected anywhere.
    func areOnline(_ uids: [UserID]) async throws -> [Bool]
    /// Claims a user id; `gone` is the token of a holder found gone.
    ///
    /// Every grant has a new token, also that of a session that held the user id already. Throws when another instance
    /// of the server has its id.
    func claim(_ uid: UserID, _ holder: Holder, gone: String?) async throws -> Claim
    /// Notes for a server that does not answer that a user id is about to be taken from it: it finds out when it
    /// publishes. Comes before the claim, so that whoever makes sure of the binding has a new token or has lost it.
    func revoke(_ uid: UserID, from server: ServerID) async throws
    /// Removes revocations that this server knows of.
    func forget(revoked uids: [UserID]) async throws
    /// Gives back what this instance holds of these user ids; or one before it, as long as this one has the server's
    /// id: a store that went back to older data may name it.
    func release(_ uids: [UserID]) async throws
    /// Who holds each user id.
    func holders(of uids: [UserID]) async throws -> [Holder?]
    /// Calls back each time the store can be asked again, before anybody asks: it may have come back with less.
    func observeReturns(_ handler: @escaping @Loop () -> Void)
    /// Removes the entries and bindings of a gone instance, or of one before it, and nothing of a later one: then it
    /// throws. At most 50 users go between two calls of `proceed`.
    func cleanUp(
        _ server: ServerID, instance: InstanceID, proceed: @escaping @Loop () async throws -> Void
    ) async throws
}

extension StatusStore {
    /// Never calls: such a store is not away.
    public func observeReturns(_ handler: @escaping @Loop () -> Void) {}
}

/// A store in this process's memory, for one process or for tests that share it between applications.
@Loop public final class MemoryStatusStore: StatusStore {
    /// The entries; shared by the stores of several applications.
    @Loop public final class Entries {
        fileprivate var online: [UserID: Set<ServerID>] = [:]
        fileprivate var bindings: [UserID: (holder: Holder, token: String)] = [:]
        fileprivate var lastToken = 0
        fileprivate var revoked: [ServerID: Set<UserID>] = [:]
        fileprivate var sequences: [ServerID: (instance: InstanceID, sequence: UInt64)] = [:]
        /// Who has each server id: outlives every loss, as the membership that it stands for puts it right.
        fileprivate var owners: [ServerID: InstanceID] = [:]

        /// Entries of nobody.
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
            revoked = old.revoked
            sequences = old.sequences
        }
    }

    private let entries: Entries
    private var owner = StoreOwner()

    /// Works on entries of its own, or on some that it shares with other stores.
    public nonisolated init(_ entries: Entries = Entries()) { self.entries = entries }

    /// True: memory is always there.
    public var isUp: Bool { true }

    /// Takes the server's identity: what its former instances write from now on is refused.
    public func start(_ application: Application, _ membership: (any Membership)?) async throws {
        owner = StoreOwner(application, membership)
        entries.owners[owner.server] = owner.instance
    }

    private func check(_ server: ServerID, _ instance: InstanceID) throws {
        if let other = entries.owners[server], other != instance { throw PomeloError.replaced(server, by: other) }
    }

    /// Applies the changes to the entries, at once.
    ///
    /// - Throws: `PomeloError` `.notRunning` when another instance of this server has started.
    public func publish(online: [UserID], offline: [UserID], sequence: UInt64) throws -> PublishedStatus {
        try check(owner.server, owner.instance)
        defer { entries.sequences[owner.server] = (owner.instance, sequence) }
        for uid in online { entries.online[uid, default: []].insert(owner.server) }
        for uid in offline { remove(uid, owner.server) }
        let revoked = entries.revoked[owner.server] ?? []
        return PublishedStatus(previous: publishedSequence(), revoked: revoked.sorted())
    }

    /// The sequence of the last `publish`; nil when it was another instance's.
    public func publishedSequence() -> UInt64? {
        entries.sequences[owner.server].flatMap { $0.instance == owner.instance ? $0.sequence : nil }
    }

    /// The users that are online here or bound here, sorted.
    public func publishedUsers() -> [UserID] {
        let online = entries.online.filter { $0.value.contains(owner.server) }.keys
        let bound = entries.bindings.filter { $0.value.holder.server == owner.server }.keys
        return Set(online).union(bound).sorted()
    }

    /// The servers of each user, sorted.
    public func servers(of uids: [UserID]) -> [[ServerID]] { uids.map { (entries.online[$0] ?? []).sorted() } }
    /// Whether each user has a server.
    public func areOnline(_ uids: [UserID]) -> [Bool] { uids.map { entries.online[$0] != nil } }

    /// Grants the user id when nobody holds it, when this session does, or when `gone` names the holding.
    ///
    /// - Throws: `PomeloError` `.notRunning` when another instance of this server has started.
    public func claim(_ uid: UserID, _ holder: Holder, gone: String?) throws -> Claim {
        try check(owner.server, owner.instance)
        if let bound = entries.bindings[uid], bound.holder != holder, bound.token != gone {
            return .held(bound.holder, token: bound.token)
        }
        entries.lastToken += 1
        entries.bindings[uid] = (holder, String(entries.lastToken))
        return .granted
    }

    /// Notes it among the entries.
    public func revoke(_ uid: UserID, from server: ServerID) { entries.revoked[server, default: []].insert(uid) }

    /// Removes the notes for this server.
    public func forget(revoked uids: [UserID]) { entries.revoked[owner.server]?.subtract(uids) }

    /// Removes the bindings that this instance holds, or one before it.
    public func release(_ uids: [UserID]) {
        let isOwner = entries.owners[owner.server] == owner.instance
        for uid in uids {
            guard let bound = entries.bindings[uid]?.holder, bound.server == owner.server else { continue }
            if isOwner || bound.instance == owner.instance { entries.bindings[uid] = nil }
        }
    }

    /// Who holds each user id.
    public func holders(of uids: [UserID]) -> [Holder?] { uids.map { entries.bindings[$0]?.holder } }

    /// Removes everything of this server.
    public func clean() async throws { cleanUp(owner.server) }
    /// Removes everything of a server, all at once.
    ///
    /// - Throws: `PomeloError` `.notRunning` when an instance other than this one has started; what `proceed` throws.
    ///   Nothing is removed then.
    public func cleanUp(
        _ server: ServerID, instance: InstanceID, proceed: @escaping @Loop () async throws -> Void
    ) async throws {
        try await proceed()
        try check(server, instance)
        cleanUp(server)
    }

    private func cleanUp(_ server: ServerID) {
        for uid in Array(entries.online.keys) { remove(uid, server) }
        entries.bindings = entries.bindings.filter { $0.value.holder.server != server }
        entries.revoked[server] = nil
    }

    private func remove(_ uid: UserID, _ server: ServerID) {
        entries.online[uid]?.remove(server)
        if entries.online[uid]?.isEmpty == true { entries.online[uid] = nil }
    }
}
