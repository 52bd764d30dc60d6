// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloRedis
import PomeloSync
import PomeloTesting
import TestHelpers
import Testing

/// One call of Redis or of the sink fails, each in turn, with its effect or without: what was acknowledged is in
/// the database in the end.
@Suite(.onEachLayout) struct JournalFaultTests {
    enum Kind: String, CaseIterable {
        case redisFails, redisAnswerIsLost, redisRefuses, sinkFails, sinkAnswerIsLost
    }

    /// Values come, merge, are written, are claimed by another, and by the next start.
    @Loop private final class Story {
        let world: JournalWorld
        var last = 0
        /// What was acknowledged last, and what was tried since, of each id.
        var acknowledged: [String: Int] = [:]
        var tried: [String: Int] = [:]
        var appended: [String] = []

        init() async throws {
            var options = SyncOptions()
            options.interval = .seconds(4)
            world = try await JournalWorld(options)
        }

        func write(_ id: String, at server: ServerID) async {
            last += 1
            tried[id] = last
            if await world.exec([id: last], at: server)[id] == nil { acknowledged[id] = last }
            let text = "\(last)"
            let sync = world.sync(server)
            var isDone = false
            Loop.spawn {
                do throws(SyncError) {
                    try await sync.exec(.log, text)
                    self.appended.append("\"\(text)\"")
                } catch {}
                isDone = true
            }
            await world.cluster.settle()
            for _ in 0..<200 where !isDone { await world.pass(.milliseconds(20)) }
        }

        func run() async throws {
            for round in 0..<2 {
                await write("ann", at: "chat-1")
                await write("bob", at: "chat-1")
                await world.pass(.seconds(round))
                await write("ann", at: "chat-1")
            }
            world.cluster.crash("chat-1")
            try await world.cluster.endLease(of: "chat-1")
            await write("ann", at: "chat-2")
            await world.pass(.seconds(8))
            world.cluster.crash("chat-2")
        }

        func check(_ n: Int) async throws {
            try await world.start("chat-2")
            try await world.start("chat-1")
            try await world.cluster.endLease(of: "chat-2")
            await world.pass(.seconds(30))
            for (id, value) in acknowledged {
                let stored = world.database.value(id).flatMap { Int($0) } ?? 0
                #expect(stored >= value && stored <= tried[id] ?? 0, "operation \(n): \(id) is \(stored), not \(value)")
            }
            let missing = Set(appended).subtracting(world.database.appended)
            #expect(missing.isEmpty, "operation \(n): without ids \(missing.sorted())")
        }
    }

    @Test(arguments: Kind.allCases) @Loop func theNthOperationFails(_ kind: Kind) async throws {
        var reached = true
        var n = 0
        while reached, n < 300 {
            reached = false
            let story = try await Story()
            let note = { @Loop in reached = true }
            switch kind {
            case .redisFails: story.world.redis.failCall(n, note)
            case .redisAnswerIsLost: story.world.redis.failCall(n, executes: true, note)
            case .redisRefuses: story.world.redis.failCall(n, error: .reply("OOM command not allowed"), note)
            case .sinkFails: story.world.database.failure = (n, false, note)
            case .sinkAnswerIsLost: story.world.database.failure = (n, true, note)
            }
            try await story.run()
            try await story.check(n)
            n += 1
        }
        #expect(n > 3 && n < 300)
    }
}
