// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop

/// Where users are connected, as far as is known.
struct Located {
    /// The servers of each user; none for one who is offline.
    var servers: [UserID: [ServerID]] = [:]
    /// Users who may be online although no server is known.
    var unknown: Set<UserID> = []
    /// Users whose servers were not looked up now.
    var remembered: Set<UserID> = []

    /// Whether this says nothing about a user's absence.
    func isOld(_ uid: UserID) -> Bool { unknown.contains(uid) || remembered.contains(uid) }
}

/// Where users are: by what was asked before, by the store, and, where the store may have lost data, by the frontends.
///
/// ```
/// status.here   user ids texts   → user ids texts, those with a session at the frontend
/// ```
///
/// An empty answer of the store is believed unless this server has just started, the store was away a moment ago, this
/// server's place in the registry is missing or has just been put back, or the view lacks servers: then every frontend
/// is asked, and one that does not answer leaves it open.
@Loop final class Places: LeasePublisher {
    /// Answers about one user are used again within this time.
    static let cacheFor = Duration.seconds(5)
    private static let cacheLimit = 10_000
    /// As long after an outage or a loss others may not have published again what is lost: longer than a renewal, the
    /// spread of what is written then, and a retry.
    static let doubtFor = Duration.seconds(10)

    private let context: ServiceContext
    private let store: any StatusStore
    private var cache: [UserID: (servers: [ServerID], until: UInt64)] = [:]
    private var doubtUntil: UInt64 = 0

    init(_ context: ServiceContext, _ store: any StatusStore) {
        self.context = context
        self.store = store
        // The membership tells of it later, and somebody may ask in between.
        store.observeReturns { [weak self] in self?.beginDoubt() }
        context.procedures.immediate(.statusHere) { [unowned context] _, payload in
            var reader = PayloadReader(payload)
            var answer = PayloadWriter()
            answer.texts(
                try reader.texts().filter { !context.sessions.get(byUid: UserID($0)).isEmpty })
            return answer.bytes
        }
    }

    /// Redis is back, or has lost this server.
    func redisReturned() async { beginDoubt() }

    /// What the store lacks may be online: also at the start, for nobody knows here what happened just before.
    func beginDoubt() { doubtUntil = context.clock.deadline(after: Self.doubtFor) }

    /// Users are not where they were thought to be.
    func forget(_ uids: Set<UserID>) {
        for uid in uids { cache[uid] = nil }
    }

    /// The servers each user is connected to.
    ///
    /// Of the `suspected`, whose server has not answered, the frontends are asked in any case.
    ///
    /// - Throws: `PomeloError` `.redisUnavailable`.
    func locate(_ uids: Set<UserID>, suspected: Set<UserID> = [], cached: Bool = true) async throws -> Located {
        guard store.isUp else { throw PomeloError(.redisUnavailable, "status is unknown: redis is away") }
        let now = context.clock.now
        var located = Located()
        for uid in uids where cached {
            guard let entry = cache[uid], entry.until > now else { continue }
            let servers = entry.servers.filter { context.servers[$0] != nil }
            guard !servers.isEmpty else { continue }
            located.servers[uid] = servers
            located.remembered.insert(uid)
        }
        let unknown = uids.subtracting(located.remembered).sorted()
        if unknown.isEmpty { return located }
        let found = try await asked { try await self.store.servers(of: unknown) }
        if cache.count + unknown.count > Self.cacheLimit { cache = cache.filter { $0.value.until > now } }
        let until = context.clock.deadline(after: Self.cacheFor)
        for (uid, servers) in zip(unknown, found) {
            // Servers that are gone had the user; nobody has cleaned up yet.
            located.servers[uid] = servers.filter { context.servers[$0] != nil }
            // Who is offline is asked about anew each time.
            if !servers.isEmpty, cache[uid] != nil || cache.count < Self.cacheLimit { cache[uid] = (servers, until) }
        }
        let absent = unknown.filter { located.servers[$0]?.isEmpty ?? true || suspected.contains($0) }
        let further = try await elsewhere(absent, isCertain: suspected.isDisjoint(with: absent))
        for (uid, servers) in further.servers { located.servers[uid] = Self.joined(located.servers[uid], servers) }
        located.unknown = further.unknown.filter { located.servers[$0]?.isEmpty ?? true }
        return located
    }

    private static func joined(_ known: [ServerID]?, _ others: [ServerID]) -> [ServerID] {
        Set((known ?? []) + others).sorted()
    }

    /// The frontends of users who have none in the store; they are asked when that is in doubt.
    func elsewhere(_ absent: [UserID], isCertain: Bool = true) async throws -> Located {
        guard !absent.isEmpty else { return Located() }
        if isCertain, try await !isInDoubt() { return Located() }
        var payload = PayloadWriter()
        payload.texts(absent.map(\.rawValue))
        let bytes = payload.bytes
        let frontends = context.servers.frontendIDs(with: StatusService.serviceName)
        var located = Located()
        var silent = 0
        let answers = await withTaskGroup(of: (ServerID, [UserID]?).self) { group in
            for frontend in frontends {
                group.addTask { @Loop @Sendable in (frontend, await self.users(at: frontend, bytes)) }
            }
            var answers: [(ServerID, [UserID]?)] = []
            for await answer in group { answers.append(answer) }
            return answers
        }
        for (frontend, users) in answers {
            for uid in users ?? [] { located.servers[uid, default: []].append(frontend) }
            if users == nil, context.servers[frontend] != nil { silent += 1 }
        }
        if silent > 0 || !isViewComplete { located.unknown = Set(absent.filter { located.servers[$0] == nil }) }
        return located
    }

    private func users(at frontend: ServerID, _ payload: [UInt8]) async -> [UserID]? {
        do {
            let reply = try await context.rpc.system(
                frontend, .statusHere, payload, within: StatusService.askDeadline)
            var reader = PayloadReader(reply)
            return try reader.texts().map { UserID($0) }
        } catch RPCError.unimplemented {
            // A frontend without this service, such as a gate.
            return []
        } catch {
            // Its users are unknown, and that is what is told.
            return nil
        }
    }

    private var isViewComplete: Bool { context.isViewComplete }

    /// Whether the store may lack users who are online.
    private func isInDoubt() async throws -> Bool {
        if context.clock.now < doubtUntil || !isViewComplete { return true }
        guard let membership = context.membership else { return false }
        // A registry without this server has lost more than that.
        if try await asked({ try await membership.isAlive(self.context.serverID, membership.instance) }) {
            return false
        }
        beginDoubt()
        return true
    }

    func asked<Value>(_ question: @Loop () async throws -> Value) async throws -> Value {
        do {
            return try await question()
        } catch {
            throw PomeloError(.redisUnavailable, "status is unknown: \(error)", cause: error)
        }
    }
}
