// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Calls from server to server as an application makes them: routed, addressed, by name.
@Suite struct RPCClientTests {
    struct Word: Codable, Sendable, Equatable { var text: String }
    struct Number: Codable, Sendable { var number: Int }
    struct Opaque: Error {}
    static let echo = Remote<Word, Word>("chat.remote.echo")
    static let note = Remote<Word, Nothing>("chat.remote.note")

    /// A connector with one client, and two chats that tell who they are.
    @Loop final class Stage {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 2))
        let door = Door()
        let app: Application
        let session: Session

        init() async throws {
            let door = self.door
            for id in ["chat-1", "chat-2"] as [ServerID] {
                try await cluster.start(id) { app in
                    try app.handle(
                        Routes {
                            $0.on(RPCClientTests.echo) { Word(text: "\(id) \($0.text)") }
                            $0.on(RPCClientTests.note) { word in
                                app.set("noted", .init(word.text))
                                return Nothing()
                            }
                            $0.on(remote: "chat.remote.json") { ["server": .string("\(id)"), "query": $0] }
                            $0.on(remote: "chat.remote.fault") { _ in throw Fault(1001, "no such room") }
                            $0.on(remote: "chat.remote.error") { _ in throw Opaque() }
                            $0.on(remote: "chat.remote.hangs") { query in
                                await door.pass()
                                return query
                            }
                        })
                }
            }
            app = try await cluster.start("connector-1") { app in
                app.route("chat") { session, servers in
                    session.get("room")?.string.map { ServerID($0) } ?? servers[0].id
                }
            }
            await cluster.settle()
            let id = try #require(cluster.connect("connector-1")?.session).id
            session = try #require(try await app.backendSessionService.get("connector-1", id))
        }
    }

    @Test @Loop func aRoutedCallReachesTheServerOfItsSessionAndComesBackTyped() async throws {
        let stage = try await Stage()
        for chat in ["chat-2", "chat-1"] {
            stage.session.set("room", .string(chat))
            let reply = try await stage.app.rpc.call(Self.echo, Word(text: "hi"), for: stage.session)
            #expect(reply == Word(text: "\(chat) hi"))
        }
    }

    /// Without `_ =`, which the compiler would ask for.
    @Test @Loop func aCallThatAnswersNothingNeedsNoName() async throws {
        let stage = try await Stage()
        stage.session.set("room", "chat-2")
        try await stage.app.rpc.call(Self.note, Word(text: "a"), for: stage.session)
        try await stage.app.rpc.call(Self.note, Word(text: "b"), to: "chat-1")
        #expect(stage.cluster["chat-2"].get("noted") == "a" && stage.cluster["chat-1"].get("noted") == "b")
        try await stage.app.channelService.broadcast(to: "connector", Push<Word>("onWord"), Word(text: "c"))
    }

    /// What a remote throws at the handler that called it, and what the client is answered when nobody catches it.
    @Test(arguments: [
        ("fault", #"{"code":1001,"message":"no such room"}"#), ("error", #"{"code":500}"#), ("none", #"{"code":500}"#),
    ])
    @Loop func aFaultOfARemoteIsTheClientsAnswer(_ method: String, _ answer: String) async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 2))
        try await cluster.startAll { app in
            app.route("chat") { _, _ in "chat-1" }
            guard app.serverType == "chat" else {
                return try app.handle(
                    Routes {
                        $0.on(json: "connector.test.ask") { _, _ in
                            try await app.rpc.invoke("chat-1", "chat.remote.\(method)", [:])
                        }
                    })
            }
            try app.handle(
                Routes {
                    $0.on(remote: "chat.remote.fault") { _ in throw Fault(1001, "no such room") }
                    $0.on(remote: "chat.remote.error") { _ in throw Opaque() }
                    $0.on(json: "chat.test.ask") { _, _ in
                        try await app.rpc.invoke("chat-2", "chat.remote.\(method)", [:])
                    }
                })
        }
        let socket = try #require(cluster.connect("connector-1"))
        #expect(await socket.ask("connector.test.ask") == answer)
        #expect(await socket.ask("chat.test.ask") == answer)
        await cluster.stopAll()
    }

    @Test @Loop func anAddressedCallReachesThatServer() async throws {
        let stage = try await Stage()
        for chat in ["chat-1", "chat-2"] as [ServerID] {
            #expect(try await stage.app.rpc.call(Self.echo, Word(text: "hi"), to: chat) == Word(text: "\(chat) hi"))
        }
    }

    @Test @Loop func aCallByNameTakesAndGivesJSON() async throws {
        let stage = try await Stage()
        let reply = try await stage.app.rpc.invoke("chat-2", "chat.remote.json", ["a": [1, nil]])
        #expect(reply == ["server": "chat-2", "query": ["a": [1, nil]]])
    }

    @Test @Loop func aReplyOfAnotherShapeIsAnErrorThatSaysSo() async throws {
        let stage = try await Stage()
        let other = Remote<Word, Number>(Self.echo.route.text)
        let rpc = stage.app.rpc
        #expect(await failureCode { _ = try await rpc.call(other, Word(text: "hi"), to: "chat-1") } == "encoding")
    }

    // MARK: calls that fail

    struct Failure: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var server: ServerID?
        var method = "echo"
        var prepare: @Loop @Sendable (TestCluster) async -> Void = { _ in }
        var seconds: UInt64 = 0
        let outcome: String
    }

    static let failures = [
        Failure(
            testDescription: "a server that nobody knows", server: "chat-9",
            outcome: "not sent: no server chat-9 is known"),
        Failure(
            testDescription: "a server that has crashed", server: "chat-2", prepare: { $0.crash("chat-2") },
            outcome: "not sent: chat-2 does not listen"),
        Failure(
            testDescription: "a type without a server",
            prepare: { cluster in for id in ["chat-1", "chat-2"] as [ServerID] { await cluster.stop(id) } },
            outcome: "not sent: no chat server is up"),
        Failure(
            testDescription: "a server that stands still", server: "chat-2",
            prepare: { $0.network.freeze("chat-2") }, seconds: 5,
            outcome: "no answer (may have executed): no answer within the deadline"),
        Failure(
            testDescription: "a method that never returns", server: "chat-2", method: "hangs", seconds: 5,
            outcome: "no answer (may have executed): no answer within the deadline"),
        Failure(
            testDescription: "a method that nobody serves", server: "chat-2", method: "none",
            outcome: "not served there: chat-2, of type chat, has no remote chat.remote.none"),
        Failure(
            testDescription: "a fault", server: "chat-2", method: "fault", outcome: "fault 1001: no such room"),
        Failure(
            testDescription: "an error", server: "chat-2", method: "error",
            outcome: "failed with 500: Opaque() (at chat-2)"),
    ]

    /// In pomelo 2.2.7 a caller never heard of an unknown or dead server, and an error lost its text on the way;
    /// pomelo-rpc 1.0.7, lib/rpc-client/failureProcess.js.
    @Test(arguments: failures) @Loop func regressionEveryCallEndsAndSaysWhy(_ failure: Failure) async throws {
        let stage = try await Stage()
        await failure.prepare(stage.cluster)
        let remote = Remote<Word, Word>("chat.remote.\(failure.method)")
        let began = stage.cluster.clock.now
        let outcome = Journal<String>()
        Loop.spawn {
            do {
                if let server = failure.server {
                    _ = try await stage.app.rpc.call(remote, Word(text: "hi"), to: server)
                } else {
                    _ = try await stage.app.rpc.call(remote, Word(text: "hi"), for: stage.session)
                }
                outcome.note("a reply")
            } catch {
                outcome.note("\(error) after \((stage.cluster.clock.now - began) / 1_000_000_000) s")
            }
        }
        await stage.cluster.advance(by: .seconds(20), step: .milliseconds(500))
        #expect(outcome.entries == ["\(failure.outcome) after \(failure.seconds) s"])
        stage.door.open()
    }

    /// A procedure travels as a number: who is told of one has no names for them.
    @Test(arguments: [
        (Procedure(64, "channel.add"), "channel.add: it does not use the plugin GlobalChannel"),
        (Procedure(97, "status.here"), "status.here: it does not use the plugin Status"),
        (Procedure(40_000, "mine.count"), "mine.count"),
    ]) @Loop func aServiceThatIsNotServedIsNamed(_ procedure: Procedure, _ what: String) async throws {
        let stage = try await Stage()
        let text = await failureText { _ = try await stage.app.rpc.system("chat-2", procedure, []) }
        #expect(text == "not served there: chat-2, of type chat, has no \(what)")
        await stage.cluster.stopAll()
    }

    @Test @Loop func aCallMayHaveADeadlineOfItsOwn() async throws {
        let stage = try await Stage()
        let outcome = Journal<String>()
        Loop.spawn {
            outcome.note(
                await failureCode {
                    _ = try await stage.app.rpc.invoke("chat-2", "chat.remote.hangs", [:], within: .seconds(1))
                })
        }
        await stage.cluster.advance(by: .milliseconds(900))
        #expect(outcome.entries == [])
        await stage.cluster.advance(by: .milliseconds(200))
        #expect(outcome.entries == ["no answer (may have executed): no answer within the deadline"])
        stage.door.open()
    }
}
