// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Sessions at their frontend: binding, ending, and what others are told in which order.
@Suite struct SessionTests {
    @Loop private func frontend() async throws -> (cluster: TestCluster, app: Application) {
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 1))
        return (cluster, try await cluster.start("connector-1"))
    }

    @Loop private func session(_ cluster: TestCluster) throws -> (TestSocket, ClientSession) {
        let socket = try #require(cluster.connect("connector-1"))
        return (socket, try #require(socket.session))
    }

    @Test @Loop func bindingIsByTextAndOnce() async throws {
        let (cluster, app) = try await frontend()
        let (_, session) = try session(cluster)
        #expect(await failureCode { try await app.sessionService.bind(session.id, "") } == "binding")
        try await app.sessionService.bind(session.id, "ann")
        try await app.sessionService.bind(session.id, "ann")
        #expect(app.sessionService.get(byUid: "ann").count == 1)
        #expect(await failureCode { try await app.sessionService.bind(session.id, "bob") } == "binding")
        #expect(await failureCode { try await app.sessionService.bind(SessionID(99), "bob") } == "noSession")
        #expect(await failureCode { try app.sessionService.unbind(session.id, "bob") } == "binding")
        try app.sessionService.unbind(session.id, "ann")
        #expect(session.uid == nil && app.sessionService.get(byUid: "ann").isEmpty)
        #expect(await failureCode { try app.sessionService.unbind(session.id, "ann") } == "binding")
        try await app.sessionService.bind(session.id, "bob")
    }

    @Test @Loop func aUserHasSeveralSessionsOldestFirst() async throws {
        let (cluster, app) = try await frontend()
        let (first, one) = try session(cluster)
        let (_, two) = try session(cluster)
        for session in [one, two] { try await app.sessionService.bind(session.id, "ann") }
        #expect(app.sessionService.get(byUid: "ann").map(\.id) == [one.id, two.id])
        first.disconnect()
        #expect(app.sessionService.get(byUid: "ann").map(\.id) == [two.id])
        #expect(app.sessionService.kick("ann", reason: "bye") == 1)
        #expect(app.sessionService.count == 0 && two.socket.queuedBytes == 0)
        #expect(app.sessionService.kick("ann") == 0)
    }

    @Test(arguments: ["disconnect", "kick", "unbind"])
    @Loop func observersAreToldBeforeListenersWithTheUserStillReadable(_ how: String) async throws {
        let (cluster, app) = try await frontend()
        let (socket, session) = try session(cluster)
        let journal = Journal<String>()
        let observer = Observer(journal)
        app.sessionService.addObserver(observer)
        session.onClosed { session, _ in journal.note("listener of \(session.uid?.rawValue ?? "-")") }
        app.sessionService.on { event in
            switch event {
            case .bound(let session): journal.note("event bound \(session.uid?.rawValue ?? "-")")
            case .unbound(let session, let uid): journal.note("event unbound \(uid) \(session.uid?.rawValue ?? "-")")
            case .closed(let session, let end): journal.note("event closed \(session.uid?.rawValue ?? "-"): \(end)")
            }
        }
        try await app.sessionService.bind(session.id, "ann")
        switch how {
        case "disconnect": socket.disconnect()
        case "kick": app.sessionService.kick(session.id, reason: "bye")
        default: try app.sessionService.unbind(session.id, "ann")
        }
        let bound = ["observer bound ann", "event bound ann", "observer unbound ann, last true"]
        switch how {
        case "disconnect": #expect(journal.entries == bound + ["listener of ann", "event closed ann: client left"])
        case "kick": #expect(journal.entries == bound + ["listener of ann", "event closed ann: kicked: bye"])
        default: #expect(journal.entries == bound + ["event unbound ann -"])
        }
        #expect(socket.kick == (how == "kick" ? "bye" : nil))
    }

    @Test @Loop func closingTwiceTellsOnceAndLateListenersAreToldAtOnce() async throws {
        let (cluster, app) = try await frontend()
        let (socket, session) = try session(cluster)
        let journal = Journal<String>()
        app.sessionService.on { if case .closed = $0 { journal.note("closed") } }
        app.sessionService.kick(session.id)
        socket.disconnect()
        session.onClosed { _, end in journal.note("late: \(end)") }
        #expect(journal.entries == ["closed", "late: kicked: kick"])
        #expect(app.sessionService.kick(session.id) == false)
    }

    // MARK: authority

    @Test @Loop func theAuthorityDecides() async throws {
        let (cluster, app) = try await frontend()
        let (_, session) = try session(cluster)
        let authority = Authority()
        app.sessionService.authority = authority
        authority.answer = .failure(PomeloError(.binding, "held elsewhere"))
        #expect(await failureCode { try await app.sessionService.bind(session.id, "ann") } == "binding")
        authority.answer = .failure(PomeloError(.redisUnavailable, "away"))
        #expect(await failureCode { try await app.sessionService.bind(session.id, "ann") } == "redisUnavailable")
        #expect(session.uid == nil && !session.binding && authority.journal.entries == ["claim ann", "claim ann"])
        authority.answer = .success(())
        try await app.sessionService.bind(session.id, "ann")
        try app.sessionService.unbind(session.id, "ann")
        #expect(authority.journal.entries.suffix(2) == ["claim ann", "release ann"])
    }

    @Test @Loop func aSessionThatClosesDuringTheClaimGivesItBack() async throws {
        let (cluster, app) = try await frontend()
        let (socket, session) = try session(cluster)
        let authority = Authority()
        app.sessionService.authority = authority
        let journal = Journal<String>()
        Loop.spawn { journal.note(await failureCode { try await app.sessionService.bind(session.id, "ann") }) }
        await cluster.settle()
        #expect(session.binding)
        #expect(await failureCode { try await app.sessionService.bind(session.id, "bob") } == "binding")
        socket.disconnect()
        authority.door.open()
        await cluster.settle()
        #expect(journal.entries == ["noSession"])
        #expect(authority.journal.entries == ["claim ann", "release ann"])
        #expect(app.sessionService.get(byUid: "ann").isEmpty)
    }

    // MARK: from a backend

    @Test @Loop func aBackendActsOnTheSessionAtItsFrontend() async throws {
        let (cluster, app) = try await frontend()
        let chat = try await cluster.start("chat-1")
        let (socket, session) = try session(cluster)
        let copy = try #require(try await chat.backendSessionService.get("connector-1", session.id))
        try await copy.bind("ann")
        #expect(session.uid == "ann")
        copy.set("room", "lobby")
        copy.set("level", 3)
        try await copy.push("room")
        #expect(session.settings["room"] == "lobby" && session.settings["level"] == nil)
        try await copy.pushAll()
        #expect(session.settings["level"] == 3)
        let copies = try await chat.backendSessionService.get("connector-1", byUid: "ann")
        #expect(copies.map(\.id) == [session.id] && copies.first?.get("room") == "lobby")
        try await copy.unbind()
        #expect(session.uid == nil && copy.uid == nil)
        try await copy.kick("bye")
        #expect(socket.kick == "bye")
        #expect(try await chat.backendSessionService.kick("connector-1", session.id) == false)
        #expect(try await chat.backendSessionService.get("connector-1", session.id) == nil)
        #expect(await failureCode { try await copy.bind("ann") } == "noSession")
        _ = app
    }

    /// In the original an error lost its text and its kind on the way.
    @Test @Loop func errorsOfTheFrontendKeepTheirKind() async throws {
        let (cluster, app) = try await frontend()
        let chat = try await cluster.start("chat-1")
        let (_, session) = try session(cluster)
        let authority = Authority()
        authority.door.open()
        app.sessionService.authority = authority
        let copy = try #require(try await chat.backendSessionService.get("connector-1", session.id))
        for code in [PomeloError.Code.binding, .redisUnavailable] {
            authority.answer = .failure(PomeloError(code, "no"))
            #expect(await failureCode { try await copy.bind("ann") } == code.description)
        }
        #expect(await failureCode { try await copy.unbind() } == "binding")
        cluster.crash("connector-1")
        #expect(await failureCode { try await copy.bind("ann") } == "unreachable")
    }

    /// A refused connection is not counted, whatever was refused before.
    @Test @Loop func regression10RefusedConnectionsAreNotCounted() async throws {
        var records = TestCluster.records(connectors: 1, chats: 0)
        records[0].maxConnections = 2
        let cluster = TestCluster(records)
        let app = try await cluster.start("connector-1")
        let first = try #require(cluster.connect("connector-1"))
        #expect(cluster.connect("connector-1") != nil)
        for _ in 0..<5 { #expect(cluster.connect("connector-1") == nil) }
        first.disconnect()
        #expect(cluster.connect("connector-1") != nil && app.sessionService.count == 2)
    }
}

@Loop private final class Observer: SessionObserver {
    private let journal: Journal<String>
    init(_ journal: Journal<String>) { self.journal = journal }

    func bound(_ session: ClientSession, to uid: UserID) { journal.note("observer bound \(uid)") }
    func unbound(_ session: ClientSession, from uid: UserID, last: Bool) {
        journal.note("observer unbound \(uid), last \(last)")
    }
}

@Loop private final class Authority: BindAuthority {
    let journal = Journal<String>()
    let door = Door()
    var answer: Result<Void, PomeloError>? {
        didSet { door.open() }
    }

    func claim(_ uid: UserID, for session: ClientSession) async throws {
        journal.note("claim \(uid)")
        await door.pass()
        try answer?.get()
    }

    func release(_ uid: UserID, for session: ClientSession) { journal.note("release \(uid)") }
}
