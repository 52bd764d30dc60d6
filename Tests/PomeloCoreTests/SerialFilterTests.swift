// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloCore

/// One request of a session at a time.
@Suite struct SerialFilterTests {
    /// A connector and a backend whose handlers wait at a door of the name their body tells.
    @Loop final class Stage {
        let cluster = TestCluster(TestCluster.records(connectors: 2, chats: 1))
        let journal = Journal<String>()
        let filter: SerialFilter
        private var doors: [String: Door] = [:]

        init(_ filter: SerialFilter = .serial(), others: [any Filter] = []) async throws {
            self.filter = filter
            try await cluster.startAll { app in
                if app.serverID != "connector-2" { app.filter(filter) }
                for other in others { app.filter(Erased(other)) }
                try app.handle(
                    Routes {
                        $0.on(raw: "\(app.serverType).test.go") { body, _ in
                            let name = String(decoding: body, as: UTF8.self)
                            self.journal.note(name)
                            await self.door(name).pass()
                            return []
                        }
                    })
            }
        }

        func door(_ name: String) -> Door {
            let door = doors[name] ?? Door()
            doors[name] = door
            return door
        }

        func client(_ id: ServerID = "connector-1") throws -> TestSocket { try #require(cluster.connect(id)) }

        func settle() async { await cluster.settle(turns: 100) }
    }

    static let late = #"{"code":504,"message":"the request took too long"}"#

    /// In pomelo 2.2.7 a backend never freed the queues; lib/filters/handler/serial.js.
    @Test(arguments: ["connector", "chat"])
    @Loop func requestsOfASessionRunOneAfterTheOther(_ type: String) async throws {
        let stage = try await Stage()
        let socket = try stage.client()
        let ids = ["a", "b", "c"].map { socket.request("\(type).test.go", Array($0.utf8)) }
        await stage.settle()
        #expect(stage.journal.entries == ["a"])
        stage.door("a").open()
        await stage.settle()
        #expect(stage.journal.entries == ["a", "b"] && socket.texts(ids[0]) == ["{}"])
        stage.door("b").open()
        stage.door("c").open()
        await stage.settle()
        #expect(ids.allSatisfy { socket.texts($0) == ["{}"] })
        #expect(stage.filter.busySessions == 0, "the queue is freed")
        #expect(stage.cluster.clock.pendingTimers == 0)
    }

    /// The original knows sessions by their number alone.
    @Test @Loop func sessionsOfDifferentFrontendsNeverWaitForEachOther() async throws {
        let stage = try await Stage()
        let ann = try stage.client("connector-1")
        let bob = try stage.client("connector-2")
        ann.request("chat.test.go", Array("ann".utf8))
        bob.request("chat.test.go", Array("bob".utf8))
        await stage.settle()
        #expect(stage.journal.entries.sorted() == ["ann", "bob"])
        stage.door("ann").open()
        stage.door("bob").open()
        await stage.settle()
        #expect(stage.filter.busySessions == 0)
    }

    @Test @Loop func aLateRequestIsAnsweredAndTheQueueGoesOn() async throws {
        let stage = try await Stage(.serial(timeout: .seconds(2)))
        let socket = try stage.client()
        let first = socket.request("connector.test.go", Array("a".utf8))
        await stage.cluster.advance(by: .seconds(1))
        let second = socket.request("connector.test.go", Array("b".utf8))
        await stage.cluster.advance(by: .milliseconds(1020))
        #expect(socket.texts(first) == [Self.late])
        #expect(stage.journal.entries == ["a", "b"])
        await stage.cluster.advance(by: .milliseconds(1960))
        #expect(socket.texts(second) == [], "its time begins with its turn")
        stage.door("b").open()
        stage.door("a").open()
        await stage.settle()
        #expect(socket.texts(first) == [Self.late] && socket.texts(second) == ["{}"])
        #expect(stage.filter.busySessions == 0)
    }

    @Test @Loop func theDefaultTimeoutIsThreeSeconds() async throws {
        let stage = try await Stage()
        let socket = try stage.client()
        let id = socket.request("connector.test.go", Array("a".utf8))
        await stage.cluster.advance(by: .milliseconds(2980))
        #expect(socket.texts(id) == [])
        await stage.cluster.advance(by: .milliseconds(40))
        #expect(socket.texts(id) == [Self.late])
        stage.door("a").open()
    }

    @Test @Loop func aFullQueueRefuses() async throws {
        let stage = try await Stage(.serial(maxWaiting: 2))
        let socket = try stage.client()
        let ids = (0..<5).map { socket.request("connector.test.go", Array("\($0)".utf8)) }
        await stage.settle()
        #expect(ids.map { socket.texts($0).count } == [0, 0, 0, 1, 1])
        #expect(socket.texts(ids[3]) == [#"{"code":429,"message":"too many requests wait"}"#])
        for number in 0..<3 { stage.door("\(number)").open() }
        await stage.settle()
        #expect(stage.journal.entries == ["0", "1", "2"] && stage.filter.busySessions == 0)
    }

    @Test @Loop func whatAClosedSessionHasWaitingIsDropped() async throws {
        let stage = try await Stage()
        let socket = try stage.client()
        for name in ["a", "b", "c"] { socket.request("connector.test.go", Array(name.utf8)) }
        await stage.settle()
        socket.disconnect()
        stage.door("a").open()
        await stage.settle()
        #expect(stage.journal.entries == ["a"])
        #expect(stage.filter.busySessions == 0 && stage.cluster.clock.pendingTimers == 0)
    }

    @Test @Loop func aRefusedRequestGivesItsTurnBack() async throws {
        let stage = try await Stage(others: [RefuseOnce()])
        let socket = try stage.client()
        stage.door("b").open()
        let ids = ["a", "b"].map { socket.request("connector.test.go", Array($0.utf8)) }
        await stage.settle()
        #expect(socket.texts(ids[0]) == [#"{"code":403}"#] && socket.texts(ids[1]) == ["{}"])
        #expect(stage.filter.busySessions == 0)
    }

    @Test @Loop func anAfterFilterThatNeverReturnsDoesNotHoldTheQueue() async throws {
        let stage = try await Stage(others: [NeverAfter()])
        let socket = try stage.client()
        stage.door("a").open()
        for name in ["a", "b"] { socket.request("connector.test.go", Array(name.utf8)) }
        await stage.cluster.advance(by: .milliseconds(2900))
        #expect(stage.journal.entries == ["a"])
        await stage.cluster.advance(by: .milliseconds(200))
        #expect(stage.journal.entries == ["a", "b"])
        await stage.cluster.advance(by: .seconds(30), step: .seconds(1))
        #expect(stage.filter.busySessions == 0)
        stage.door("b").open()
    }

    @Test @Loop func aRequestWhoseTurnComesAfterItsDeadlineIsNotHandled() async throws {
        let stage = try await Stage(.serial(timeout: .seconds(20)))
        let socket = try stage.client()
        let ids = ["a", "b", "c"].map { socket.request("connector.test.go", Array($0.utf8)) }
        await stage.cluster.advance(by: .seconds(41), step: .seconds(1))
        #expect(stage.journal.entries == ["a", "b"])
        #expect(ids.map { socket.texts($0) } == [[Self.late], [#"{"code":500}"#], [#"{"code":500}"#]])
        #expect(stage.filter.busySessions == 0)
        for name in ["a", "b"] { stage.door(name).open() }
    }
}

/// `filter` takes one type of filter at a time.
@Loop private struct Erased: Filter {
    let filter: any Filter
    init(_ filter: any Filter) { self.filter = filter }
    func before(_ request: Request) async throws { try await filter.before(request) }
    func after(_ request: Request, _ outcome: Outcome) async -> Outcome { await filter.after(request, outcome) }
}

@Loop private final class RefuseOnce: Filter {
    private var hasRefused = false
    func before(_ request: Request) async throws {
        if !hasRefused {
            hasRefused = true
            throw Fault(403)
        }
    }
}

@Loop private struct NeverAfter: Filter {
    private let door = Door()
    func after(_ request: Request, _ outcome: Outcome) async -> Outcome {
        await door.pass()
        return outcome
    }
}
