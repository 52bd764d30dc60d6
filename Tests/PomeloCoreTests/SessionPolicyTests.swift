// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Who may bind a user id a second time at one frontend, and the settings a session carries.
@Suite struct SessionPolicyTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let policy: SessionService.SingleSession
        let outcome: String
        let kick: String?
        let sessions: Int
        var testDescription: String { "\(policy)" }
    }

    static let cases = [
        Case(policy: .allow, outcome: "none", kick: nil, sessions: 2),
        Case(policy: .refuse, outcome: "binding", kick: nil, sessions: 1),
        Case(policy: .kickOld(reason: "replaced"), outcome: "none", kick: "replaced", sessions: 1),
    ]

    @Test(arguments: cases)
    @Loop func aSecondSessionOfAUser(_ example: Case) async throws {
        let world = try await ChannelWorld(chats: 0)
        let service = world["connector-1"].sessionService
        service.singleSession = example.policy
        let first = try await world.user("ann", "connector-1")
        let second = try world.client("connector-1")
        let id = try #require(second.session).id
        #expect(await failureCode { try await service.bind(id, "ann") } == example.outcome)
        #expect(first.kick == example.kick && service.get(byUid: "ann").count == example.sessions)
        #expect((second.session?.uid == "ann") == (example.outcome == "none") && !second.isClosed)
    }

    @Test @Loop func theOldSessionHasClosedBeforeTheNewOneIsBound() async throws {
        let world = try await ChannelWorld(chats: 0)
        let service = world["connector-1"].sessionService
        service.singleSession = .kickOld()
        let first = try await world.user("ann", "connector-1")
        let second = try world.client("connector-1")
        let names = [first.session?.id: "first", second.session?.id: "second"]
        let journal = Journal<String>()
        service.on { event in
            switch event {
            case .bound(let session): journal.note("bound \(names[session.id] ?? "")")
            case .unbound: journal.note("unbound")
            case .closed(let session, let end):
                journal.note("closed \(names[session.id] ?? "") \(session.uid ?? "-"): \(end)")
            }
        }
        try await service.bind(try #require(second.session).id, "ann")
        #expect(journal.entries == ["closed first ann: kicked: bound elsewhere", "bound second"])
        #expect(first.kick == "bound elsewhere" && second.kick == nil)
    }

    @Test @Loop func aListenerMayCloseTheNewSessionToo() async throws {
        let world = try await ChannelWorld(chats: 0)
        let service = world["connector-1"].sessionService
        service.singleSession = .kickOld()
        _ = try await world.user("ann", "connector-1")
        let second = try #require(try world.client("connector-1").session)
        service.on { if case .closed(let session, _) = $0, session.id != second.id { service.kick(second.id) } }
        #expect(await failureCode { try await service.bind(second.id, "ann") } == "noSession")
        #expect(service.get(byUid: "ann").isEmpty && service.count == 0)
    }

    @Test @Loop func ofTwoClaimsUnderWayOneSessionStays() async throws {
        for policy in [SessionService.SingleSession.refuse, .kickOld()] {
            let world = try await ChannelWorld(chats: 0)
            let service = world["connector-1"].sessionService
            service.singleSession = policy
            let authority = SlowAuthority()
            service.authority = authority
            let sockets = [try world.client("connector-1"), try world.client("connector-1")]
            let journal = Journal<String>()
            let ids = try sockets.map { try #require($0.session).id }
            for (index, id) in ids.enumerated() {
                Loop.spawn { journal.note("\(index + 1) " + (await failureCode { try await service.bind(id, "ann") })) }
            }
            await world.cluster.settle()
            #expect(authority.door.count == 2)
            authority.door.open()
            await world.cluster.settle()
            #expect(journal.entries == (policy == .refuse ? ["1 none", "2 binding"] : ["1 none", "2 none"]))
            #expect(service.get(byUid: "ann").map(\.id) == [ids[policy == .refuse ? 0 : 1]])
            #expect(authority.released == [ids[policy == .refuse ? 1 : 0]])
        }
    }

    // MARK: settings

    /// In pomelo 2.2.7 a remove removed nothing; lib/common/service/sessionService.js.
    @Test @Loop func aRemovedSettingIsGoneAtTheFrontend() async throws {
        let world = try await ChannelWorld()
        let session = try #require(try await world.user("ann", "connector-1").session)
        for (key, value) in [("a", JSON.int(1)), ("b", .int(2)), ("c", .int(3))] { session.set(key, value) }
        for asker in ["connector-1", "chat-1"] as [ServerID] {
            session.set("a", 1)
            session.set("b", 2)
            let service = world[asker].backendSessionService
            let copy = try #require(try await service.get("connector-1", session.id))
            copy.remove("a")
            copy.remove("b")
            copy.set("b", 4)
            #expect(copy.get("a") == nil && session.get("a") == 1)
            try await copy.push("a")
            #expect(session.get("a") == nil && session.get("b") == 2)
            session.set("a", 1)
            try await copy.pushAll()
            #expect(session.settings == ["c": 3, "b": 4])
        }
        session.remove("c")
        #expect(session.get("c") == nil && session.settings == ["b": 4])
    }

    @Test @Loop func theLastWriterOfAKeyWins() async throws {
        let world = try await ChannelWorld(chats: 2)
        let session = try #require(try await world.user("ann", "connector-1").session)
        var copies: [Session] = []
        for chat in ["chat-1", "chat-2"] as [ServerID] {
            copies.append(try #require(try await world[chat].backendSessionService.get("connector-1", session.id)))
        }
        copies[0].set("room", "a")
        copies[1].set("room", "b")
        copies[1].set("level", 1)
        try await copies[1].pushAll()
        try await copies[0].pushAll()
        #expect(session.settings == ["room": "a", "level": 1])
    }

    @Test @Loop func settingsAreMergedIntoASessionByItsId() async throws {
        let world = try await ChannelWorld(chats: 0)
        let service = world["connector-1"].sessionService
        let session = try #require(try world.client("connector-1").session)
        try service.push(session.id, ["a": 1, "b": 2])
        try service.push(session.id, ["b": 3, "c": 4], removing: ["a"])
        #expect(session.settings == ["b": 3, "c": 4])
        #expect(await failureCode { try service.push(SessionID(99), ["a": 1]) } == "noSession")
    }

    /// In pomelo 2.2.7 a copy shared what was nested in its settings with the session;
    /// lib/common/service/sessionService.js.
    @Test @Loop func regressionACopyOfASessionSharesNothingWithIt() async throws {
        let world = try await ChannelWorld(chats: 0)
        let session = try #require(try await world.user("ann", "connector-1").session)
        session.set("bag", ["gold": 1])
        let service = world["connector-1"].backendSessionService
        let copies = try await [
            #require(service.get("connector-1", session.id)), #require(service.get("connector-1", session.id)),
        ]
        copies[0].set("bag", ["gold": 99])
        session.set("bag", ["gold": 5])
        #expect(copies.map { $0.get("bag") } == [["gold": 99], ["gold": 1]] && session.get("bag") == ["gold": 5])
    }

    // MARK: users and clients

    /// In pomelo 2.2.7 what is false in JavaScript never counted as a user, and could not leave a channel.
    @Test @Loop func regressionAUserNamedZeroIsAUserLikeOthers() async throws {
        let world = try await ChannelWorld()
        let service = world["connector-1"].sessionService
        let zero = try await world.user("0", "connector-1")
        let id = try #require(zero.session).id
        #expect(service.get(byUid: "0").map(\.id) == [id] && service.bound.count == 1)
        #expect(await failureCode { try await service.bind(id, "1") } == "binding")
        let channel = world.channel("room", ("0", "connector-1"))
        _ = try await channel.pushMessage(ChannelWorld.hello, "hi")
        #expect(zero.pushes.count == 1 && channel.leave("0", "connector-1"))
        zero.disconnect()
        #expect(service.get(byUid: "0").isEmpty)
    }

    @Test @Loop func aMessageIsSentToOneSession() async throws {
        let world = try await ChannelWorld(chats: 0)
        let sockets = [try world.client("connector-1"), try world.client("connector-1")]
        let session = try #require(sockets[0].session)
        let message = try PushMessage(ChannelWorld.hello, "hi")
        #expect(session.send(message) && sockets.map(\.pushes.count) == [1, 0])
        #expect(sockets[0].pushes.first?.text == "\"hi\"")
        sockets[0].isSlow = true
        #expect(!session.send(message))
        sockets[0].disconnect()
        #expect(!session.send(message) && sockets[0].pushes.count == 1)
    }

    /// pomelo 0.8 walked a list that its kicks made shorter, and spared every other session.
    @Test @Loop func kicksCountTheSessionsAndBoundOnesAreListed() async throws {
        let world = try await ChannelWorld(chats: 0)
        let service = world["connector-1"].sessionService
        let sockets = [try await world.user("ann", "connector-1"), try await world.user("ann", "connector-1")]
        let stranger = try world.client("connector-1")
        #expect(service.count == 3 && service.all.count == 3 && service.bound.map(\.uid) == ["ann", "ann"])
        #expect(service.kick("ann", reason: "bye") == 2 && service.kick("bob") == 0)
        #expect(sockets.map(\.kick) == ["bye", "bye"] && service.bound.isEmpty)
        let id = try #require(stranger.session).id
        #expect(service.get(id)?.address == stranger.remoteAddress)
        #expect(service.kick(id, reason: "unbound") && stranger.kick == "unbound" && service.count == 0)
    }
}

/// Grants every claim, once its door is open.
@Loop private final class SlowAuthority: BindAuthority {
    let door = Door()
    private(set) var released: [SessionID] = []

    func claim(_ uid: UserID, for session: ClientSession) async throws { await door.pass() }
    func release(_ uid: UserID, for session: ClientSession) { released.append(session.id) }
}
