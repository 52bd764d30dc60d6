// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloGlobalChannel
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Who gets a push, and what the sender is told.
@Suite struct PushTests {
    @Loop private func world(_ users: [(UserID, ServerID)], connectors: Int = 2) async throws -> (World, [TestSocket]) {
        let world = try await World(connectors: connectors)
        var sockets: [TestSocket] = []
        for (uid, frontend) in users {
            sockets.append(try await world.client(frontend, uid))
            try await world.chat.add("room", uid, frontend)
        }
        return (world, sockets)
    }

    @Test @Loop func exceptionsAreNotPushedTo() async throws {
        let (world, sockets) = try await world([("ann", "connector-1"), ("bob", "connector-1"), ("cid", "connector-2")])
        let report = try await world.push("hello", except: ["ann", "cid", "nobody"])
        #expect(report.queued == 1 && report.isComplete)
        #expect(sockets.map(\.texts) == [[], ["hello"], []])
    }

    @Test @Loop func slowReadersAreCounted() async throws {
        let (world, sockets) = try await world([("ann", "connector-1"), ("bob", "connector-1"), ("cid", "connector-2")])
        sockets[0].isSlow = true
        let report = try await world.push("hello")
        #expect(report.queued == 2 && report.slow == 1 && !report.isComplete && report.failed.isEmpty)
    }

    /// pomelo's plugin read all members from Redis for each push, and called its own server too.
    @Test @Loop func oneCallPerFrontendAndNoneToTheStore() async throws {
        let (world, _) = try await world([("ann", "connector-1"), ("bob", "connector-1"), ("cid", "connector-2")])
        await world.cluster.settle()
        let (calls, writes) = (world.cluster.network.calls, world.faults.writes)
        _ = try await world.push("hello")
        #expect(world.cluster.network.calls - calls == 2)
        _ = try await world["connector-1"].pushMessage("connector", World.say, "from a frontend", "room")
        #expect(world.cluster.network.calls - calls == 3 && world.faults.writes == writes)
    }

    /// With pomelo's plugin such a push never called back.
    @Test @Loop func aFrontendThatIsGoneIsInTheReport() async throws {
        let (world, sockets) = try await world([("ann", "connector-1"), ("bob", "connector-2")])
        world.cluster.crash("connector-1")
        let report = try await world.push("hello")
        #expect(report.queued == 1 && sockets[1].texts == ["hello"])
        guard case .notSent = report.failed["connector-1"] else { return #expect(Bool(false), "\(report)") }
        try await world.cluster.endLease(of: "connector-1")
        #expect(try await world.push("again").isComplete)
    }

    @Test @Loop func aFrozenFrontendIsReportedAtTwoSecondsAndTheOthersAreReachedAtOnce() async throws {
        let (world, sockets) = try await world(
            [("ann", "connector-1"), ("bob", "connector-2"), ("cid", "connector-3")], connectors: 3)
        world.cluster.network.freeze("connector-2")
        let journal = Journal<String>()
        Loop.spawn {
            do {
                let report = try await world.push("hello")
                journal.note("\(report.queued) queued, failed \(report.failed)")
            } catch { journal.note("\(error)") }
        }
        await world.cluster.settle()
        #expect(sockets.map(\.texts) == [["hello"], [], ["hello"]])
        await world.cluster.advance(by: .milliseconds(1900))
        #expect(journal.entries == [])
        await world.cluster.advance(by: .milliseconds(200))
        #expect(journal.entries.count == 1 && journal.entries.first?.contains("may have executed") == true)
        #expect(journal.entries.first?.hasPrefix("2 queued") == true)
        world.cluster.network.thaw("connector-2")
        await world.cluster.settle()
        #expect(sockets[1].texts == [])
    }

    @Test @Loop func frontendsThatJoinOrDrainAreNotLeftOut() async throws {
        let (world, _) = try await world([("ann", "connector-1"), ("bob", "connector-2")])
        for state in [ServerState.draining, .joining] {
            var info = try #require(world.cluster["chat-1"].servers["connector-2"])
            info.state = state
            world.cluster["chat-1"].servers.add([info])
            #expect(try await world.push("hello").queued == 2)
        }
    }

    @Test @Loop func whatCannotBeEncodedIsAnError() async throws {
        struct Broken: Codable, Sendable {
            func encode(to encoder: any Encoder) throws { throw Fault(1) }
        }
        let world = try await World()
        let outcome = await failureCode {
            _ = try await world.chat.pushMessage("connector", Push<Broken>("onBroken"), Broken(), "room")
        }
        #expect(outcome == "encoding")
    }

    // MARK: many members

    @Loop private func crowd(_ count: Int) async throws -> (World, [TestSocket]) {
        let world = try await World()
        var sockets: [TestSocket] = []
        for number in 0..<count {
            let uid = UserID("user-\(number)")
            sockets.append(try await world.client("connector-1", uid))
            try await world["connector-1"].add("room", uid, "connector-1")
        }
        return (world, sockets)
    }

    @Test @Loop func tenThousandMembersAreServedInSlicesAndInOrder() async throws {
        let (world, sockets) = try await crowd(10_000)
        let journal = Journal<String>()
        for text in ["one", "two"] {
            Loop.spawn {
                do { journal.note("\(try await world.push(text).queued)") } catch { journal.note("\(error)") }
            }
        }
        // Other work gets its turn before a push is through.
        whenFirstIsServed(sockets) {
            let served = sockets.count(where: { $0.texts.count == 1 })
            journal.note(served == 256 ? "others after a slice" : "others after \(served)")
        }
        await world.cluster.settle(turns: 400)
        #expect(Set(journal.entries) == ["10000", "others after a slice"] && journal.entries.count == 3)
        #expect(sockets.allSatisfy { $0.texts == ["one", "two"] })
    }

    @Test @Loop func whoLeavesDuringAPushOfManyDisturbsNobody() async throws {
        let (world, sockets) = try await crowd(9000)
        let journal = Journal<String>()
        Loop.spawn {
            do { journal.note("\(try await world.push("hello").queued)") } catch { journal.note("\(error)") }
        }
        let door = Journal<String>()
        whenFirstIsServed(sockets) {
            for socket in sockets.suffix(100) { socket.disconnect() }
            door.note("\(sockets.count(where: { $0.isClosed && $0.texts.isEmpty }))")
        }
        await world.cluster.settle(turns: 400)
        #expect(door.entries == ["100"] && journal.entries == ["8900"])
        #expect(sockets.allSatisfy { $0.texts == ($0.isClosed ? [] : ["hello"]) })
        #expect(await world.members().count == 8900)
    }

    /// Asks again each time its turn comes, behind all other work.
    @Loop private func whenFirstIsServed(_ sockets: [TestSocket], _ body: @escaping @Loop @Sendable () -> Void) {
        Loop.spawn {
            if sockets[0].texts.isEmpty { self.whenFirstIsServed(sockets, body) } else { body() }
        }
    }
}
