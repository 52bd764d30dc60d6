// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloStatus
import PomeloTesting
import TestHelpers
import Testing

/// Frontends and one backend whose statuses share a store with faults.
@Loop final class World {
    static let say = Push<String>("onSay")

    let cluster: TestCluster
    let entries = MemoryStatusStore.Entries()
    let faults: StoreFaults
    private let options: Status.Options

    /// Unless it is `young`, nothing is in doubt any more.
    init(
        connectors: Int = 2, seed: UInt64 = 1, policy: Status.SingleSession = .allow, isYoung: Bool = false
    ) async throws {
        cluster = TestCluster(TestCluster.records(connectors: connectors), seed: seed)
        faults = StoreFaults(clock: cluster.clock, random: RandomSource(seed: seed))
        var options = Status.Options()
        options.singleSession = policy
        self.options = options
        for record in cluster.records { try await start(record.id) }
        if !isYoung { await cluster.advance(by: .seconds(11), step: .seconds(1)) }
    }

    func start(_ id: ServerID) async throws {
        try await cluster.start(id) { app in
            try app.use(Status(store: FaultyStatusStore(MemoryStatusStore(entries), faults), options: options))
        }
    }

    subscript(_ id: ServerID) -> StatusService { cluster[id].status }
    var chat: StatusService { self["chat-1"] }

    func client(_ frontend: ServerID = "connector-1", _ uid: UserID? = nil) async throws -> TestSocket {
        try await cluster.client(frontend, uid)
    }

    func bind(_ socket: TestSocket, _ uid: UserID, _ frontend: ServerID = "connector-1") async throws {
        try await cluster.bind(socket, uid, frontend)
    }

    /// Starts a bind; its outcome comes into the journal.
    func begin(_ socket: TestSocket, _ uid: UserID, _ frontend: ServerID = "connector-1") -> Journal<String> {
        let journal = Journal<String>()
        Loop.spawn { journal.note(await failureCode { try await self.bind(socket, uid, frontend) }) }
        return journal
    }

    /// Starts a push; its outcome comes into the journal.
    func beginPush(_ text: String, _ uids: UserID...) -> Journal<String> {
        let journal = Journal<String>()
        Loop.spawn {
            let outcome = await failureCode {
                let report = try await self.chat.pushByUids(uids, Self.say, text)
                journal.note(
                    "\(report.queued) queued, offline \(report.noSession), unknown \(report.failedUids), "
                        + "failed \(report.failed.keys.sorted())")
            }
            if outcome != "none" { journal.note(outcome) }
        }
        return journal
    }

    func push(_ text: String, _ uids: UserID...) async throws -> PushReport {
        try await chat.pushByUids(uids, Self.say, text)
    }
}
