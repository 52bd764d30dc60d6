// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloPublication

/// The published status and the bindings of this server's users: what differs, and how it is written and compared.
@Loop final class StatusPublisher: PublishedState {
    private static let batch = 500
    /// Users whose publication is repeated each second, round-robin: heals what others removed.
    private static let sweepUsers = 200
    /// Users that differ beyond those who are here.
    private static let spareMarks = 10_000

    let name = "status"
    private let sessions: SessionService
    private let store: any StatusStore
    /// Whether clients come to this server.
    private let mayHoldUsers: Bool
    private var dirty: Set<UserID> = []
    /// Too many have come and gone while nothing could be written: who is published is to be compared.
    private var comparesAll = false
    /// Nothing differs, but others may have told of users that a former instance had.
    private var looks = false
    /// Marks that a comparison has made.
    private var compared = 0
    private var sweepCursor: [UserID] = []
    /// Users whose binding is being claimed: their entry is not touched meanwhile.
    private var claiming: Set<UserID> = []
    /// Users whose binding is being given back, and who waits for the end of that.
    private var releasing: [UserID: [CheckedContinuation<Void, Never>]] = [:]
    /// Users whose binding the store may have lost, or given to another server.
    private var unclaimed: Set<UserID> = []
    /// Users among them whom another server has taken, as it says, because this one did not answer.
    private var taken: Set<UserID> = []
    /// Makes sure of the binding of a user who is here; false when that cannot be decided now.
    var reclaim: @Loop @Sendable (_ uid: UserID, _ isTaken: Bool) async throws -> Bool = { _, _ in true }
    /// Who should hold a user id, when this server should; nil when nobody holds any.
    var holder: (@Loop (UserID) -> Holder?)?

    init(_ sessions: SessionService, _ store: any StatusStore, mayHoldUsers: Bool) {
        self.mayHoldUsers = mayHoldUsers
        self.sessions = sessions
        self.store = store
    }

    /// Users whose status is not published.
    var count: Int { comparesAll ? max(1, dirty.count) : dirty.count }
    var isBehind: Bool { comparesAll || !dirty.isEmpty || !claiming.isEmpty || undecided > 0 }
    /// Claims that the store may grant yet, whether somebody waits for them or not.
    var undecided = 0
    var hasChanges: Bool { comparesAll || looks || !dirty.isSubset(of: claiming) }

    /// A user came or went.
    func note(_ uid: UserID) {
        dirty.insert(uid)
        guard dirty.count > sessions.users.count + Self.spareMarks + compared else { return }
        dirty = []
        unclaimed = unclaimed.filter { isHere($0) }
        taken.formIntersection(unclaimed)
        comparesAll = true
    }

    /// False when the user id is being claimed already.
    func beginClaim(_ uid: UserID) -> Bool { claiming.insert(uid).inserted }

    /// What was not touched during the claim can be published now.
    func endClaim(_ uid: UserID) { claiming.remove(uid) }

    var looksAtStart: Bool { mayHoldUsers && store.tellsTheIdle }

    private func isHere(_ uid: UserID) -> Bool { !sessions.get(byUid: uid).isEmpty }

    // MARK: writing

    func publish(_ sequence: UInt64, written: @Loop (UInt64?) -> Void) async throws {
        looks = false
        if comparesAll { try await compare() }
        let batch = Set(dirty.lazy.filter { !self.claiming.contains($0) }.prefix(Self.batch))
        dirty.subtract(batch)
        do {
            let offline = batch.filter { !isHere($0) }
            let published = try await store.publish(
                online: batch.subtracting(offline).sorted(), offline: offline.sorted(), sequence: sequence)
            written(published.previous)
            try await recheck(published.revoked)
            try await forEach(batch.filter { isHere($0) && unclaimed.contains($0) }) { try await self.settle($0) }
            try await forEach(offline) { try await self.release($0) }
        } catch {
            dirty.formUnion(batch)
            throw error
        }
    }

    /// Marks who is here, and whom the store has and is not.
    private func compare() async throws {
        comparesAll = false
        do {
            let published = try await store.publishedUsers()
            dirty.formUnion(sessions.users)
            dirty.formUnion(published.filter { !isHere($0) })
            compared = dirty.count
        } catch {
            comparesAll = true
            throw error
        }
    }

    /// Noted here before it is forgotten there, and forgotten before it is settled: a revocation that comes in between
    /// is either settled with this one or found the next time.
    private func recheck(_ revoked: [UserID]) async throws {
        guard !revoked.isEmpty else { return }
        let here = revoked.filter { isHere($0) }
        unclaimed.formUnion(here)
        taken.formUnion(here)
        // Who is not here may have been published by a former instance that was late.
        dirty.formUnion(revoked)
        try await store.forget(revoked: revoked)
    }

    /// Together, so that a store may answer many in one round trip; the first error ends it.
    private func forEach(
        _ uids: Set<UserID>, _ body: @escaping @Loop @Sendable (UserID) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for uid in uids.sorted() { group.addTask { @Loop @Sendable in try await body(uid) } }
            try await group.waitForAll()
        }
    }

    /// Takes the binding of a user who is here back, or learns that another has it; undecided, it waits for the sweep.
    private func settle(_ uid: UserID) async throws {
        unclaimed.remove(uid)
        let wasTaken = taken.remove(uid) != nil
        var isDecided = false
        defer {
            if !isDecided {
                unclaimed.insert(uid)
                if wasTaken { taken.insert(uid) }
            }
        }
        isDecided = try await reclaim(uid, wasTaken)
    }

    /// Gives up the binding of a user who is gone, and still is when its turn comes.
    private func release(_ uid: UserID) async throws {
        guard !isHere(uid), !claiming.contains(uid) else {
            // REENTRANCY: who came back during the awaits was published as gone: once more.
            dirty.insert(uid)
            return
        }
        unclaimed.remove(uid)
        taken.remove(uid)
        try await releaseAlone(uid)
        // Who came back meanwhile is to be published anew; a claim waits for the release to end.
        if isHere(uid) || claiming.contains(uid) { dirty.insert(uid) }
    }

    private func releaseAlone(_ uid: UserID) async throws {
        releasing[uid] = []
        defer { for waiter in releasing.removeValue(forKey: uid) ?? [] { waiter.resume() } }
        try await store.release([uid])
    }

    /// Suspends while a user id is being given back: a claim that overtook it would be undone by it.
    func releaseHasEnded(_ uid: UserID) async {
        await withCheckedContinuation { waiter in
            if releasing[uid] == nil { waiter.resume() } else { releasing[uid]?.append(waiter) }
        }
    }

    // MARK: healing

    var storeRun: String { store.run }
    func publishedSequence() async throws -> UInt64? { try await store.publishedSequence() }

    /// Everybody is published again, bindings are taken back, and who came back with older data is removed.
    func lost(since held: UInt64?) async throws {
        dirty.formUnion(sessions.users)
        unclaimed.formUnion(sessions.users)
        dirty.formUnion(try await store.publishedUsers().filter { !isHere($0) })
    }

    /// Publishes some users once more, and looks whether they are still bound to their sessions here.
    func sweep() async throws {
        guard store.isUp else { return }
        if sweepCursor.isEmpty { sweepCursor = Array(sessions.users) }
        let users = Array(sweepCursor.suffix(Self.sweepUsers))
        sweepCursor.removeLast(users.count)
        dirty.formUnion(users)
        looks = users.isEmpty && mayHoldUsers && store.tellsTheIdle
        guard let holder, !users.isEmpty else { return }
        let expected = users.map(holder)
        let found = try await store.holders(of: users)
        // REENTRANCY: who was bound anew during the await has just made sure of it.
        for ((uid, own), other) in zip(zip(users, expected), found) where own != nil && own != other {
            if holder(uid) == own, !claiming.contains(uid) { unclaimed.insert(uid) }
        }
        dirty.formUnion(users)
    }
}
