// SPDX-License-Identifier: MIT
public import PomeloCore
public import PomeloLoop
public import PomeloPublication

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
    public func start(_ owner: StoreOwner) async throws {
        self.owner = owner
        entries.owners[owner.server] = owner.instance
    }

    private func check(_ server: ServerID, _ instance: InstanceID) throws {
        if let other = entries.owners[server], other != instance { throw PomeloError.replaced(server, by: other) }
    }

    /// Applies the changes to the entries, at once.
    ///
    /// - Throws: `PomeloError` `.replaced` when another instance of this server has started.
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
    /// - Throws: `PomeloError` `.replaced` when another instance of this server has started.
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
    /// - Throws: `PomeloError` `.replaced` when an instance other than this one has started; what `proceed` throws.
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
