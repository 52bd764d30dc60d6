// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloExtensions
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// What an application brings along: its events, its bindings, its routes.
@Suite struct ApplicationTests {
    /// Notes what all servers are told, as text.
    @Loop final class Ear {
        private(set) var heard: [(server: ServerID, point: String, key: String, data: JSON)] = []

        func listen(_ app: Application) {
            for point in ExtensionPoint.all where !point.isAsked {
                app.extensions.follow(point, as: "ear") { event in
                    self.heard.append((event.server, event.point.name.text, event.key, event.data))
                }
            }
        }

        func take(_ server: ServerID) -> [(point: String, key: String, data: JSON)] {
            let taken = heard.filter { $0.server == server }.map { ($0.point, $0.key, $0.data) }
            heard.removeAll { $0.server == server }
            return taken
        }
    }

    @Loop private func cluster(
        connectors: Int = 1, chats: Int = 0, _ setUp: @Loop (Application) throws -> Void
    ) async throws -> TestCluster {
        let cluster = TestCluster(TestCluster.records(connectors: connectors, chats: chats))
        try await cluster.startAll(setUp)
        return cluster
    }

    @Test @Loop func aSessionsLifeIsTold() async throws {
        let ear = Ear()
        let cluster = try await cluster { app in
            try app.use(Extensions())
            ear.listen(app)
        }
        _ = ear.take("connector-1")
        let client = try await cluster.client("connector-1", "ann")
        let id = try #require(client.session).id
        try cluster["connector-1"].sessionService.unbind(id, "ann")
        try await cluster["connector-1"].sessionService.bind(id, "bob")
        client.disconnect()
        try #require(cluster.connect("connector-1")).disconnect()
        await cluster.settle()
        let told = ear.take("connector-1")
        #expect(
            told.map(\.point) == [
                "bind_session", "unbind_session", "bind_session", "close_session", "close_session",
            ])
        #expect(told.prefix(4).allSatisfy { $0.key == id.description && $0.data["sid"] == .init(id) })
        #expect(told.map { $0.data["uid"] } == ["ann", "ann", "bob", "bob", .null])
        #expect(told.allSatisfy { $0.data["frontend"] == "connector-1" })
        #expect(told.map { $0.data["reason"] } == [nil, nil, nil, "client left", "client left"])
        await cluster.stopAll()
    }

    @Test @Loop func theViewIsToldWhole() async throws {
        let ear = Ear()
        let cluster = try await cluster(connectors: 2) { app in ear.listen(app) }
        await cluster.settle()
        #expect(ear.take("connector-1").map(\.point).contains("start_all"))
        let servers = cluster["connector-1"].servers
        await cluster.stop("connector-2")
        await cluster.settle()
        let removed = try #require(ear.take("connector-1").first { $0.point == "remove_servers" })
        #expect(removed.key == "connector-1" && removed.data["ids"] == ["connector-2"])
        let instance = cluster["connector-1"].instance
        #expect(
            removed.data["servers"] == [
                [
                    "id": "connector-1", "type": "connector", "instance": .init(instance), "state": "up",
                    "host": "127.0.0.1", "port": 4001, "frontend": true,
                ]
            ])
        // Two at once: the later one says all.
        let other = ServerInfo(
            record: ServerRecord(id: "chat-8", type: "chat", port: 8), instance: "i", state: .up)
        servers.add([other])
        var next = other
        next.record.id = "chat-9"
        servers.add([next])
        await cluster.settle()
        let added = ear.take("connector-1").filter { $0.point == "add_servers" }
        #expect(added.map { $0.data["ids"] } == [["chat-9"]])
        #expect(added.first?.data["servers"]?.array?.count == 3)
        #expect(added.first?.data["epoch"] == .init(servers.version))
        servers.replace(servers.all)
        await cluster.settle()
        #expect(ear.take("connector-1").map(\.point) == ["replace_servers"])
        await cluster.stopAll()
    }

    @Test @Loop func aStopTellsDrainWhileClientsAreThere() async throws {
        let ear = Ear()
        let outside = FakeOutside()
        let cluster = try await cluster { app in
            ear.listen(app)
            app.extensions.outside = outside
        }
        let client = try await cluster.client("connector-1", "ann")
        await cluster.settle()
        _ = ear.take("connector-1")
        let wasThere = Journal<Bool>()
        cluster["connector-1"].extensions.follow(.drain, as: "look") { _ in wasThere.note(!client.isClosed) }
        await cluster.stop("connector-1")
        await cluster.settle()
        #expect(wasThere.entries == [true])
        let told = ear.take("connector-1").map(\.point)
        #expect(told.first == "drain" && told.filter { $0 == "drain" }.count == 1 && told.contains("close_session"))
        #expect(outside.delivered.filter { $0.event.point == .drain }.map(\.isCoalesced) == [true])
    }

    // MARK: before-bind

    /// Who decides about user ids, as `Status` does.
    @Loop final class Authority: BindAuthority {
        private(set) var claimed: [UserID] = []
        private(set) var released: [UserID] = []
        func claim(_ uid: UserID, for session: ClientSession) async throws { claimed.append(uid) }
        func release(_ uid: UserID, for session: ClientSession) { released.append(uid) }
    }

    @Test @Loop func whoIsRefusedIsNotBoundAndNeverClaimed() async throws {
        let authority = Authority()
        let asked = Journal<JSON>()
        let cluster = try await cluster { app in
            app.extensions.implement(.beforeBind, as: "list") { event in
                asked.note(event.data)
                switch event.key {
                case "mallory": return .refuse("not you")
                case "nobody": return .drop
                default: return .ok
                }
            }
            // After the extensions: the chain is ahead of whoever decides when the start begins.
            app.sessionService.authority = authority
        }
        let client = try await cluster.client("connector-1")
        let session = try #require(client.session)
        let sessions = cluster["connector-1"].sessionService
        #expect(await failureText { try await sessions.bind(session.id, "mallory") } == "mallory is refused: not you")
        #expect(await failureCode { try await sessions.bind(session.id, "nobody") } == "binding")
        #expect(session.uid == nil && authority.claimed.isEmpty)
        try await sessions.bind(session.id, "ann")
        #expect(session.uid == "ann" && authority.claimed == ["ann"])
        #expect(
            asked.entries.last == [
                "sid": .init(session.id), "uid": "ann", "frontend": "connector-1", "address": "client",
            ])
        client.disconnect()
        #expect(authority.released == ["ann"])
        await cluster.stopAll()
    }

    @Test @Loop func whoIsNotAnsweredIsNotBound() async throws {
        let cluster = try await cluster { app in
            app.extensions.implement(.beforeBind, by: Scripted("a", app.clock) { _ in .hang })
        }
        let client = try await cluster.client("connector-1")
        let session = try #require(client.session)
        let outcome = Journal<String>()
        Loop.spawn {
            outcome.note(
                await failureCode { try await cluster["connector-1"].sessionService.bind(session.id, "ann") })
        }
        await cluster.advance(by: .milliseconds(280))
        #expect(outcome.entries.isEmpty)
        await cluster.advance(by: .milliseconds(20))
        #expect(outcome.entries == ["binding"] && session.uid == nil)
        await cluster.stopAll()
    }

    @Test @Loop func aSessionThatClosesWhileItsBindingIsJudgedIsNotBound() async throws {
        let cluster = try await cluster { app in
            app.extensions.implement(
                .beforeBind, by: Scripted("a", app.clock) { _ in .after(.milliseconds(100), .ok) })
        }
        let client = try await cluster.client("connector-1")
        let session = try #require(client.session)
        let outcome = Journal<String>()
        Loop.spawn {
            outcome.note(
                await failureCode { try await cluster["connector-1"].sessionService.bind(session.id, "ann") })
        }
        await cluster.advance(by: .milliseconds(40))
        client.disconnect()
        await cluster.advance(by: .milliseconds(100))
        #expect(outcome.entries == ["noSession"])
        #expect(cluster["connector-1"].sessionService.get(byUid: "ann").isEmpty)
        await cluster.stopAll()
    }

    /// Whoever uses them first: a plugin, a handler, a server that runs.
    @Test @Loop func theServiceIsThereWhenItIsFirstUsed() async throws {
        let cluster = try await cluster { app in
            let service = app.extensions
            try app.use(Extensions())
            #expect(app.extensions === service)
        }
        await cluster.stop("connector-1")
        let late = try await cluster.start("connector-1")
        let authority = Authority()
        late.sessionService.authority = authority
        late.extensions.implement(.beforeBind, as: "a") { _ in .refuse("no") }
        let client = try await cluster.client("connector-1")
        let id = try #require(client.session).id
        #expect(await failureCode { try await late.sessionService.bind(id, "ann") } == "binding")
        #expect(authority.claimed.isEmpty)
        await cluster.stopAll()
    }

    // MARK: route

    @Test @Loop func anImplementerChoosesTheServer() async throws {
        let cluster = try await cluster(connectors: 1, chats: 2) { app in
            if app.serverType == "chat" {
                try app.handle(WhoHandler(id: app.serverID))
            } else {
                app.routeByExtensions("chat", otherwise: { _, _ in "chat-1" })
            }
        }
        let client = try await cluster.client("connector-1", "ann")
        #expect(await client.ask("chat.test.who") == #""chat-1""#)
        let asked = Journal<JSON>()
        let chosen = Journal<JSON>()
        chosen.note(["server": "chat-2"])
        cluster["connector-1"].extensions.implement(.route, as: "a") { event in
            asked.note(event.data)
            return .replace(chosen.entries.last ?? [:])
        }
        for _ in 0..<3 { #expect(await client.ask("chat.test.who") == #""chat-2""#) }
        #expect(asked.entries.count == 1)
        #expect(asked.entries.first?["uid"] == "ann" && asked.entries.first?["servers"] == ["chat-1", "chat-2"])
        // One that is not there, and none.
        for answer: JSON in [["server": "chat-7"], ["server": 2], [:], "chat-2"] {
            await cluster.advance(by: .seconds(1))
            chosen.note(answer)
            #expect(await client.ask("chat.test.who") == #""chat-1""#, "\(answer)")
        }
        await cluster.stopAll()
    }

    @Test @Loop func whoIsNotAnsweredGoesByTheRule() async throws {
        let cluster = try await cluster(connectors: 1, chats: 2) { app in
            if app.serverType == "chat" {
                try app.handle(WhoHandler(id: "chat"))
            } else {
                app.routeByExtensions("chat")
                app.extensions.implement(.route, by: Scripted("a", app.clock) { _ in .hang })
            }
        }
        let client = try await cluster.client("connector-1", "ann")
        let answer = Journal<String?>()
        Loop.spawn { answer.note(await client.ask("chat.test.who")) }
        await cluster.settle()
        #expect(answer.entries.isEmpty)
        await cluster.advance(by: .milliseconds(20))
        #expect(answer.entries == [#""chat""#])
        await cluster.stopAll()
    }
}
