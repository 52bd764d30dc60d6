// SPDX-License-Identifier: MIT
public import PomeloCore
public import PomeloLoop
// Whoever writes a store needs it.
@_exported public import PomeloPublication

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
    /// Users whose binding may have been taken from this server, or whose entry another of its instances may have
    /// written or removed; not all of them when they are many.
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
    /// Whether a server may be told of users while it has none: it looks for that each second then.
    var tellsTheIdle: Bool { get }
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

extension StatusStore {
    /// False: what is not here is nowhere.
    public var tellsTheIdle: Bool { false }
}
