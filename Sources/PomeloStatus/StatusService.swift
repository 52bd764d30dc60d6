// SPDX-License-Identifier: MIT
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

    /// `status`.
    public let name = "status"
    let application: Application
    let store: any StatusStore
    let published: StatusPublisher
    /// Publishes status in the background.
    let writer: WriteBehind
    private let options: Status.Options
    private var cache: [UserID: (servers: [ServerID], until: UInt64)] = [:]

    init(_ application: Application, _ store: any StatusStore, _ options: Status.Options) {
        self.application = application
        self.store = store
        self.options = options
        published = StatusPublisher(application.sessionService, store)
        writer = WriteBehind(published, of: application)
        application.sessionService.addObserver(self)
        application.membership?.addPublisher(writer)
        application.membership?.addCleaner(self)
        if options.singleSession == .refuse {
            application.sessionService.authority = self
            published.reclaim = { [unowned self] uid in try await self.reclaim(uid) }
        }
        application.procedures.immediate("sys/status.holds", addressed: true) { [unowned self] _, payload in
            var reader = PayloadReader(payload)
            let uid = UserID(try reader.text())
            return [self.holds(uid, SessionID(try reader.number())) ? 1 : 0]
        }
    }

    /// Users whose status is not yet published.
    public var backlog: Int { published.count }

    /// Starts the store, cleans it when the options say so, and begins to publish at a frontend.
    ///
    /// - Throws: what the store throws.
    public func start() async throws {
        try await store.start(application, application.membership)
        if options.cleanOnStartUp { try await store.clean() }
        if application.isFrontend { writer.start() }
    }

    /// Publishes what is left, once, and nothing further.
    public func stop() async { await writer.stop() }

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
    public func bound(_ session: ClientSession, to uid: UserID) { changed(uid) }

    /// Notes that a user has no session here any more, when it was the last.
    public func unbound(_ session: ClientSession, from uid: UserID, last: Bool) {
        if last { changed(uid) }
    }

    func changed(_ uid: UserID) {
        published.note(uid)
        writer.kick()
    }
}

extension StatusService: LeaseCleaner {
    /// Removes what a gone server had published.
    ///
    /// - Throws: what the store and `proceed` throw; then it is to be called again.
    public func cleanUp(
        _ server: ServerID, instance: InstanceID, proceed: @escaping @Loop () async throws -> Void
    ) async throws {
        try await store.cleanUp(server, instance: instance, proceed: proceed)
    }
}
