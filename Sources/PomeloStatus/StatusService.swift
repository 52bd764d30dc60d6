// SPDX-License-Identifier: MIT
import Logging
public import PomeloCore
public import PomeloLoop
import PomeloWire

/// Who is online and where, pushes to users wherever they are, and one identity in the whole cluster.
///
/// - Source: pomelo-status-plugin 0.0.4, lib/service/statusService.js; also on `unbind`, and with a lease.
@Loop public final class StatusService: Component, SessionObserver {
    /// Answers about one user are used again within this time.
    static let cacheFor = Duration.seconds(5)
    private static let cacheLimit = 10_000
    /// A claim is decided within this time, or fails.
    static let claimDeadline = Duration.milliseconds(1800)

    /// `status`.
    public let name = "status"
    let application: Application
    let store: any StatusStore
    let publisher: StatusPublisher
    private let options: Status.Options
    private var cache: [UserID: (servers: [ServerID], until: UInt64)] = [:]

    init(_ application: Application, _ store: any StatusStore, _ options: Status.Options) {
        self.application = application
        self.store = store
        self.options = options
        publisher = StatusPublisher(application, store)
        application.sessionService.addObserver(self)
        application.membership?.addPublisher(publisher)
        application.membership?.addCleaner(self)
        if options.singleSession == .refuse {
            application.sessionService.authority = self
            publisher.reclaim = { [unowned self] uid in try await self.reclaim(uid) }
        }
        application.procedures.immediate("sys/status.holds") { _, payload in
            var reader = PayloadReader(payload)
            let uid = UserID(try reader.text())
            let session = SessionID(try reader.number())
            let held = application.sessionService.get(session)
            return [held?.uid == uid || held?.binding == true ? 1 : 0]
        }
    }

    /// Users whose status is not yet published.
    public var backlog: Int { publisher.backlog }

    /// Starts the store, cleans it when the options say so, and begins to publish at a frontend.
    ///
    /// - Throws: what the store throws.
    public func start() async throws {
        try await store.start(application, application.membership)
        if options.cleanOnStartUp { try await store.clean() }
        if application.isFrontend { publisher.start() }
    }

    /// Publishes what is left, once, and nothing further.
    public func stop() async { await publisher.stop() }

    // MARK: questions

    /// The servers a user is connected to.
    ///
    /// - Throws: `PomeloError` `.redisUnavailable`.
    public func getSidsByUid(_ uid: UserID) async throws -> [ServerID] {
        try await asked { try await self.store.servers(of: [uid]) }.first ?? []
    }

    /// Whether a user is online.
    ///
    /// - Throws: `PomeloError` `.redisUnavailable`.
    public func getStatusByUid(_ uid: UserID) async throws -> Bool {
        try await getStatusByUids([uid])[uid] ?? false
    }

    /// Whether each of some users is online.
    ///
    /// - Complexity: one round trip.
    /// - Throws: `PomeloError` `.redisUnavailable`.
    public func getStatusByUids(_ uids: [UserID]) async throws -> [UserID: Bool] {
        if uids.isEmpty { return [:] }
        let online = try await asked { try await self.store.areOnline(uids) }
        return Dictionary(zip(uids, online)) { first, _ in first }
    }

    private func asked<Value>(_ question: @Loop () async throws -> Value) async throws -> Value {
        do {
            return try await question()
        } catch {
            throw PomeloError(.redisUnavailable, "status is unknown: \(error)", cause: error)
        }
    }

    // MARK: pushes

    /// Pushes to users wherever they are connected.
    ///
    /// - Returns: `noSession` has those who are offline; other failures are in `failed`, never in both.
    /// - Complexity: one round trip for the users that were not asked about within 5 s, one call per frontend.
    /// - Throws: `PomeloError` `.redisUnavailable`, `.encoding`.
    public func pushByUids<Message>(
        _ uids: [UserID], _ push: Push<Message>, _ message: Message
    ) async throws -> PushReport {
        let encoded = try PushMessage(push, message)
        var places = try await located(Set(uids))
        var report = await application.fanout.push(encoded, to: Self.grouped(places))
        // Who was not where the cache said is looked up once more; a server that was tried is not tried again.
        let moved = Set(report.noSession)
        if !moved.isEmpty {
            for uid in moved { cache[uid] = nil }
            let now = try await located(moved).mapValues { Set($0) }
            var further: [UserID: [ServerID]] = [:]
            for (uid, servers) in now {
                further[uid] = servers.subtracting(places[uid] ?? []).sorted()
                places[uid, default: []] += further[uid] ?? []
            }
            report.merge(await application.fanout.push(encoded, to: Self.grouped(further)))
        }
        report.noSession = Self.offline(places, report)
        return report
    }

    private static func grouped(_ places: [UserID: [ServerID]]) -> [ServerID: [UserID]] {
        var grouped: [ServerID: [UserID]] = [:]
        for (uid, servers) in places {
            for server in servers { grouped[server, default: []].append(uid) }
        }
        return grouped.mapValues { $0.sorted() }
    }

    /// Users that all servers they were looked for at denied; one server that failed leaves it open.
    private static func offline(_ places: [UserID: [ServerID]], _ report: PushReport) -> [UserID] {
        let denials = Dictionary(report.noSession.map { ($0, 1) }, uniquingKeysWith: +)
        return places.filter { uid, servers in servers.count == denials[uid] ?? 0 }.keys.sorted()
    }

    /// The servers each user is connected to, as far as the cache or else the store knows.
    private func located(_ uids: Set<UserID>) async throws -> [UserID: [ServerID]] {
        guard store.isUp else { throw PomeloError(.redisUnavailable, "status is unknown: redis is away") }
        let now = application.clock.now
        var places: [UserID: [ServerID]] = [:]
        for uid in uids {
            if let entry = cache[uid], entry.until > now { places[uid] = entry.servers }
        }
        let unknown = uids.filter { places[$0] == nil }.sorted()
        if unknown.isEmpty { return places }
        let found = try await asked { try await self.store.servers(of: unknown) }
        if cache.count + unknown.count > Self.cacheLimit { cache = cache.filter { $0.value.until > now } }
        let until = application.clock.deadline(after: Self.cacheFor)
        for (uid, servers) in zip(unknown, found) {
            places[uid] = servers
            // Who is offline is asked about anew each time.
            if !servers.isEmpty, cache[uid] != nil || cache.count < Self.cacheLimit { cache[uid] = (servers, until) }
        }
        return places
    }

    // MARK: sessions

    /// Notes that a user has a session here; the store is told in the background.
    public func bound(_ session: ClientSession, to uid: UserID) { publisher.note(uid) }

    /// Notes that a user has no session here any more, when it was the last.
    public func unbound(_ session: ClientSession, from uid: UserID, last: Bool) {
        if last { publisher.note(uid) }
    }
}

extension StatusService: BindAuthority {
    /// Claims a user id when the options refuse a second session.
    ///
    /// A holder that is gone from the cluster, or denies it, or does not answer within 500 ms, loses the id.
    ///
    /// - Throws: `PomeloError` `.binding` when another session holds it; `.redisUnavailable` when that is not decided
    ///   within 1.8 s.
    public func claim(_ uid: UserID, for session: ClientSession) async throws {
        guard application.sessionService.get(byUid: uid).isEmpty, publisher.beginClaim(uid) else {
            throw Self.refused(uid)
        }
        defer { publisher.endClaim(uid) }
        let attempt = Attempt()
        do {
            let decided = try await application.clock.within(Self.claimDeadline) {
                let isOurs = try await self.decide(uid, self.holder(session.id), attempt)
                // Granted too late: nobody waits for it any more.
                if isOurs, attempt.isOver { self.publisher.note(uid) }
                return isOurs
            }
            attempt.isOver = true
            guard let decided else { throw PomeloError(.redisUnavailable, "\(uid) could not be claimed in time") }
            if !decided { throw Self.refused(uid) }
        } catch {
            // It may have been claimed after all, and it is in the index: both go when the store answers again.
            publisher.note(uid)
            if let error = error as? PomeloError, error.code == .binding { throw error }
            throw PomeloError(.redisUnavailable, "\(uid) cannot be claimed: \(error)", cause: error)
        }
    }

    /// Gives a user id back in the background, unless another session here has it by then.
    public func release(_ uid: UserID, for session: ClientSession) { publisher.note(uid) }

    private func holder(_ session: SessionID) -> Holder {
        Holder(server: application.serverID, instance: application.instance, session: session)
    }

    /// True when the claim is ours: nobody held it, or the holder is gone or denies it.
    private func decide(_ uid: UserID, _ holder: Holder, _ attempt: Attempt) async throws -> Bool {
        guard case .held(let other, let token) = try await store.claim(uid, holder, gone: nil) else { return true }
        if await stillHolds(other, uid) || attempt.isOver { return false }
        return try await store.claim(uid, holder, gone: token) == .granted
    }

    private func stillHolds(_ other: Holder, _ uid: UserID) async -> Bool {
        if other.server == application.serverID {
            return other.instance == application.instance && application.sessionService.get(other.session)?.uid == uid
        }
        guard application.servers[other.server]?.instance == other.instance else { return false }
        var payload = PayloadWriter()
        payload.text(uid.rawValue)
        payload.number(other.session.rawValue)
        do throws(RPCError) {
            let answer = try await application.rpc.system(
                other.server, "status.holds", payload.bytes, within: .milliseconds(500))
            return answer.first == 1
        } catch {
            application.log.notice("\(other.server) does not answer for \(uid): its binding is void")
            return false
        }
    }

    private func reclaim(_ uid: UserID) async throws {
        guard let session = application.sessionService.get(byUid: uid).first else { return }
        if case .held(let other, _) = try await store.claim(uid, holder(session.id), gone: nil) {
            application.log.warning("\(uid) was bound at \(other.server) while redis had lost our binding")
        } else if !session.isOpen {
            publisher.note(uid)
        }
    }

    private static func refused(_ uid: UserID) -> PomeloError {
        PomeloError(.binding, "\(uid) is bound already")
    }
}

/// Whether somebody still waits for the outcome of a claim.
@Loop private final class Attempt {
    var isOver = false
}

extension StatusService: LeaseCleaner {
    /// Removes what a gone server had published.
    ///
    /// - Throws: what the store and `proceed` throw; then it is to be called again.
    public func cleanUp(_ server: ServerID, proceed: @Loop () async throws -> Void) async throws {
        try await store.cleanUp(server, proceed: proceed)
    }
}
