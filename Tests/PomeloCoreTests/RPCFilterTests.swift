// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Filters around calls to other servers; their order is in FilterTranscripts.swift.
@Suite struct RPCFilterTests {
    struct Word: Codable, Sendable, Equatable { var text: String }
    static let echo = Remote<Word, Word>("chat.remote.echo")

    /// `chat-1` calls; every server tells who it is.
    @Loop final class Stage {
        let cluster = TestCluster(TestCluster.records(connectors: 0, chats: 3))
        let app: Application

        init(_ setUp: @Loop (Application) -> Void = { _ in }) async throws {
            try await cluster.startAll { app in
                if app.serverID == "chat-1" { setUp(app) }
                try app.handle(
                    Routes {
                        $0.on(RPCFilterTests.echo) { Word(text: "\(app.serverID) \($0.text)") }
                        $0.on(remote: "chat.remote.json") { ["server": .string("\(app.serverID)"), "query": $0] }
                    })
            }
            app = cluster["chat-1"]
        }

        func ask(_ server: ServerID = "chat-2") async -> String {
            do {
                return try await app.rpc.call(RPCFilterTests.echo, Word(text: "hi"), to: server).text
            } catch {
                return "\(error)"
            }
        }
    }

    @Test @Loop func aBeforeMayChooseAnotherServer() async throws {
        let stage = try await Stage { $0.rpcBefore(Act { $0.server = "chat-3" }) }
        #expect(await stage.ask() == "chat-3 hi")
    }

    /// The original takes an error that is not exactly an `Error` for a server's id.
    @Test @Loop func anErrorOfAnyTypeRefusesTheCall() async throws {
        struct Odd: Error, CustomStringConvertible { let description = "odd" }
        let stage = try await Stage { $0.rpcBefore(Act { _ in throw Odd() }) }
        #expect(await stage.ask() == "odd")
        #expect(stage.cluster.network.calls == 0)
    }

    /// In the original the caller never hears of it.
    @Test @Loop func anUnknownServerIsAnOutcomeAndNotSilence() async throws {
        let stage = try await Stage { $0.rpcBefore(Act { $0.server = "chat-9" }) }
        #expect(await stage.ask() == "not sent: no server chat-9 is known")
    }

    @Test @Loop func aBeforeMayReplaceTheArgument() async throws {
        let stage = try await Stage { $0.rpcBefore(Act { $0.payload = Array(#"{"text":"other"}"#.utf8) }) }
        #expect(await stage.ask() == "chat-2 other")
    }

    @Test @Loop func anAfterMayReplaceTheReply() async throws {
        let stage = try await Stage { $0.rpcAfter(Act(after: { _ in .success(Array(#"{"text":"mine"}"#.utf8)) })) }
        #expect(await stage.ask() == "mine")
    }

    /// In the original after-filters are skipped when a call fails.
    @Test @Loop func aftersSeeCallsThatFailed() async throws {
        let seen = Journal<String>()
        let stage = try await Stage { app in
            app.rpcAfter(
                Act(after: {
                    seen.note("\($0)")
                    return $0
                }))
        }
        stage.cluster.crash("chat-2")
        #expect(await stage.ask() == "not sent: chat-2 does not listen")
        #expect(seen.entries.count == 1)
    }

    /// In the original it has no way to answer.
    @Test @Loop func theErrorHandlerHasTheCallAndMayReply() async throws {
        let stage = try await Stage { app in
            app.rpcErrorHandler = { error, request in
                .success(Array(#"{"text":"\#(request.route) at \#(request.server): \#(error)"}"#.utf8))
            }
        }
        #expect(await stage.ask("chat-9") == "chat.remote.echo at chat-9: not sent: no server chat-9 is known")
        #expect(await stage.ask() == "chat-2 hi")
    }

    @Test @Loop func callsByNameAreFilteredToo() async throws {
        let seen = Journal<String>()
        let stage = try await Stage { $0.rpcBefore(Act { seen.note("\($0.route) at \($0.server)") }) }
        let reply = try await stage.app.rpc.invoke("chat-2", "chat.remote.json", ["a": 1])
        #expect(reply == ["server": "chat-2", "query": ["a": 1]])
        #expect(seen.entries == ["chat.remote.json at chat-2"])
    }

    @Test @Loop func aRoutedCallKnowsItsSession() async throws {
        let seen = Journal<String>()
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 1))
        try await cluster.start("chat-1") { try $0.handle(Routes { $0.on(Self.echo) { $0 } }) }
        try await cluster.start("connector-1") { app in
            app.rpcBefore(Act { seen.note("\($0.session?.frontend ?? "nobody's") \($0.isForwarded)") })
            try app.handle(
                Routes {
                    $0.on(raw: "connector.test.go") { _, session in
                        _ = try await app.rpc.call(Self.echo, Word(text: "hi"), for: session)
                        _ = try await app.rpc.call(Self.echo, Word(text: "hi"), to: "chat-1")
                        return []
                    }
                })
        }
        let socket = try #require(cluster.connect("connector-1"))
        #expect(await socket.ask("connector.test.go") == "{}")
        #expect(await socket.ask("chat.test.missing") == #"{"code":500}"#)
        #expect(seen.entries == ["connector-1 false", "nobody's false", "connector-1 true"])
    }

    @Test(.timeLimit(.minutes(1)), arguments: ["before", "after"])
    @Loop func aFilterThatNeverReturnsDoesNotKeepTheCaller(_ place: String) async throws {
        let door = Door()
        let stage = try await Stage { app in
            if place == "before" {
                app.rpcBefore(Act { _ in await door.pass() })
            } else {
                app.rpcAfter(
                    Act(after: {
                        await door.pass()
                        return $0
                    }))
            }
        }
        let began = stage.cluster.clock.now
        let outcome = Task { @Loop in
            let answer = await stage.ask()
            return "\(answer) after \((stage.cluster.clock.now - began) / 1_000_000_000) s"
        }
        await stage.cluster.advance(by: .seconds(6), step: .milliseconds(500))
        let expected =
            place == "before"
            ? "not sent: the filters of chat.remote.echo took all its time after 5 s" : "chat-2 hi after 5 s"
        #expect(await outcome.value == expected)
        door.open()
    }

    /// The original keeps filters' marks in an object that all calls share.
    @Test @Loop func callsUnderWayAtOnceShareNothing() async throws {
        let seen = Journal<String>()
        let stage = try await Stage { app in
            app.rpcFilter(
                Act(
                    before: { $0.notes["server"] = .string("\($0.server)") },
                    after: { outcome, request in
                        seen.note("\(request.server) \(request.notes["server"]?.string ?? "")")
                        return outcome
                    }))
        }
        async let one = stage.ask("chat-2")
        async let other = stage.ask("chat-3")
        #expect(await [one, other] == ["chat-2 hi", "chat-3 hi"])
        #expect(seen.entries.sorted() == ["chat-2 chat-2", "chat-3 chat-3"])
    }
}

@Loop private struct Act: RPCFilter {
    private let onBefore: @Loop (RPCRequest) async throws -> Void
    private let onAfter: @Loop (Outcome, RPCRequest) async -> Outcome

    init(
        before: @escaping @Loop (RPCRequest) async throws -> Void,
        after: @escaping @Loop (Outcome, RPCRequest) async -> Outcome
    ) {
        onBefore = before
        onAfter = after
    }

    init(_ before: @escaping @Loop (RPCRequest) async throws -> Void) {
        self.init(before: before, after: { outcome, _ in outcome })
    }

    init(after: @escaping @Loop (Outcome) async -> Outcome) {
        self.init(before: { _ in }, after: { outcome, _ in await after(outcome) })
    }

    func before(_ request: RPCRequest) async throws { try await onBefore(request) }
    func after(_ request: RPCRequest, _ outcome: Outcome) async -> Outcome { await onAfter(outcome, request) }
}
