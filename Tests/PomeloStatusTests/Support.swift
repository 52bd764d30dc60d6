// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloStatus
import PomeloTesting
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
        let socket = try #require(cluster.connect(frontend))
        if let uid { try await bind(socket, uid, frontend) }
        return socket
    }

    func bind(_ socket: TestSocket, _ uid: UserID, _ frontend: ServerID = "connector-1") async throws {
        try await cluster[frontend].sessionService.bind(try #require(socket.session).id, uid)
    }

    /// Starts a bind; its outcome comes into the journal.
    func begin(_ socket: TestSocket, _ uid: UserID, _ frontend: ServerID = "connector-1") -> Journal {
        let journal = Journal()
        Loop.spawn { journal.note(await failure { try await self.bind(socket, uid, frontend) }) }
        return journal
    }

    /// Starts a push; its outcome comes into the journal.
    func beginPush(_ text: String, _ uids: UserID...) -> Journal {
        let journal = Journal()
        Loop.spawn {
            let outcome = await failure {
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

/// Notes in order.
@Loop final class Journal {
    private(set) var entries: [String] = []
    func note(_ entry: String) { entries.append(entry) }
}

/// The code of the framework's error that a body throws, or what else it throws.
@Loop func failure(_ body: @Loop () async throws -> Void) async -> String {
    do {
        try await body()
        return "none"
    } catch let error as PomeloError {
        return "\(error.code)"
    } catch {
        return "\(error)"
    }
}

extension TestSocket {
    var texts: [String] { pushes.map { String($0.text.dropFirst().dropLast()) } }
}
