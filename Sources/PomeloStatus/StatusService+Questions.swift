// SPDX-License-Identifier: MIT
public import PomeloCore
import PomeloLoop

/// Who is online where, and pushes to users wherever they are.
///
/// "Offline" is said when it is known. What is not known is asked again within `Limits.pushCall`, and is an error then.
extension StatusService {
    private static let retryAfter = Duration.milliseconds(200)

    /// The servers a user is connected to.
    ///
    /// - Throws: `PomeloError` `.redisUnavailable`; `.presenceUnknown` when a server that may have the user does not
    ///   answer after Redis has lost data.
    public func getSidsByUid(_ uid: UserID) async throws -> [ServerID] {
        try await known([uid]) {
            let located = try await self.places.locate([uid], cached: false)
            return located.unknown.isEmpty ? located.servers[uid] ?? [] : nil
        }
    }

    /// Whether a user is online.
    ///
    /// - Throws: as `getSidsByUid`.
    public func getStatusByUid(_ uid: UserID) async throws -> Bool {
        try await getStatusByUids([uid])[uid] ?? false
    }

    /// Whether each of some users is online.
    ///
    /// - Complexity: one round trip, one more when somebody is not.
    /// - Throws: as `getSidsByUid`.
    public func getStatusByUids(_ uids: [UserID]) async throws -> [UserID: Bool] {
        if uids.isEmpty { return [:] }
        return try await known(uids) {
            let online = try await self.places.asked { try await self.store.areOnline(uids) }
            var states = Dictionary(zip(uids, online)) { first, _ in first }
            let further = try await self.places.elsewhere(states.filter { !$0.value }.keys.sorted())
            for uid in further.servers.keys { states[uid] = true }
            return further.unknown.isEmpty ? states : nil
        }
    }

    /// Asks until there is an answer, or the time is up.
    private func known<Answer>(_ uids: [UserID], _ question: @Loop () async throws -> Answer?) async throws -> Answer {
        let clock = context.clock
        let deadline = clock.deadline(after: context.limits.pushCall)
        while true {
            if let answer = try await question() { return answer }
            guard await pause(until: deadline) else { throw Self.unknown(uids) }
        }
    }

    /// False when the time is up, or nobody waits any more.
    private func pause(until deadline: UInt64) async -> Bool {
        guard context.clock.now < deadline, !Task.isCancelled else { return false }
        await context.clock.sleep(for: Self.retryAfter)
        return true
    }

    private static func unknown(_ uids: [UserID]) -> PomeloError {
        PomeloError(.presenceUnknown, "whether \(uids.count) users are online is not known now, \(uids[0]) among them")
    }

    // MARK: pushes

    /// Pushes to users wherever they are connected.
    ///
    /// Whoever is not found, or not at a server that answers, is looked up again for 2 s; no server is tried twice.
    ///
    /// - Returns: `noSession` has those who are offline, `failedUids` those of whom that is not known, never in both.
    /// - Complexity: one round trip for the users that were not asked about within 5 s, one call per frontend.
    /// - Throws: `PomeloError` `.redisUnavailable`, `.encoding`; `.presenceUnknown` when it is known of nobody.
    @discardableResult
    public func pushByUids<Message>(
        _ uids: [UserID], _ push: Push<Message>, _ message: Message
    ) async throws -> PushReport {
        let search = Search(Set(uids), try PushMessage(push, message))
        let deadline = context.clock.deadline(after: context.limits.pushCall)
        while !search.open.isEmpty {
            if try await look(search) || search.open.isEmpty { continue }
            guard await pause(until: deadline) else { break }
        }
        if !uids.isEmpty, search.open.count == search.count { throw Self.unknown(search.open.sorted()) }
        search.report.noSession = search.offline.sorted()
        search.report.failedUids = search.open.sorted()
        return search.report
    }

    /// Settles who is offline, and pushes at places that were not tried; whether that was news about the others.
    private func look(_ search: Search) async throws -> Bool {
        let located = try await places.locate(search.open, suspected: search.suspected)
        // A denial counts when a later look has found no other place.
        for uid in search.open where !located.isOld(uid) {
            let candidates = located.servers[uid] ?? []
            if candidates.allSatisfy({ search.denied[uid]?.contains($0) ?? false }) { search.settle(uid) }
        }
        var further: [ServerID: [UserID]] = [:]
        for uid in search.open.sorted() {
            for server in located.servers[uid] ?? [] where search.tried[uid, default: []].insert(server).inserted {
                further[server, default: []].append(uid)
            }
        }
        for (server, part) in await context.fanout.pushEach(search.message, to: further) {
            search.note(part, from: server, of: further[server] ?? [])
        }
        places.forget(search.open)
        return !further.isEmpty
    }
}

/// One push on its way to users who are looked for.
@Loop private final class Search {
    let message: PushMessage
    let count: Int
    /// Neither reached nor known to be offline.
    private(set) var open: Set<UserID>
    private(set) var offline: Set<UserID> = []
    var tried: [UserID: Set<ServerID>] = [:]
    private(set) var denied: [UserID: Set<ServerID>] = [:]
    /// Users at a server that has not answered.
    private(set) var suspected: Set<UserID> = []
    var report = PushReport()

    init(_ uids: Set<UserID>, _ message: PushMessage) {
        self.message = message
        open = uids
        count = uids.count
    }

    func settle(_ uid: UserID) {
        open.remove(uid)
        offline.insert(uid)
    }

    /// What became of the push at one server.
    func note(_ part: PushReport, from server: ServerID, of uids: [UserID]) {
        let absent = Set(part.noSession)
        for uid in uids {
            if !part.failed.isEmpty {
                suspected.insert(uid)
            } else if absent.contains(uid) {
                denied[uid, default: []].insert(server)
            } else {
                open.remove(uid)
            }
        }
        report.merge(part)
    }
}
