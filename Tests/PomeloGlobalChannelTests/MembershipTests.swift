// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloGlobalChannel

/// Who is a member, from when on, and until when.
@Suite struct MembershipTests {
    @Test @Loop func whoIsAddedIsReachedByTheNextPush() async throws {
        let world = try await World()
        let ann = try await world.client("connector-1", "ann")
        let bob = try await world.client("connector-2", "bob")
        #expect(try await world.push("nobody") == PushReport())
        try await world.chat.add("room", "ann", "connector-1")
        try await world.chat.add("room", "ann", "connector-1")
        try await world.chat.add("room", "bob", "connector-2")
        let report = try await world.push("hello")
        #expect(report.queued == 2 && report.isComplete)
        #expect(ann.texts == ["hello"] && bob.texts == ["hello"])
        try await world.chat.leave("room", "ann", "connector-1")
        try await world.chat.leave("room", "ann", "connector-1")
        #expect(try await world.push("bye").queued == 1 && ann.texts.count == 1)
        #expect(await world.members() == [])
    }

    @Test @Loop func addsThatCannotBeAreRefusedByKind() async throws {
        let world = try await World()
        let app = world.chat
        #expect(await failureCode { try await app.add("room", "ann", "connector-1") } == "noSession")
        #expect(await failureCode { try await app.add("room", "ann", "connector-9") } == "unknownServer")
        #expect(await failureCode { try await app.add("room", "ann", "chat-1") } == "notAFrontend")
        #expect(await failureCode { try await app.leave("room", "ann", "connector-9") } == "none")
        #expect(await failureCode { try await app.leave("room", "ann", "chat-1") } == "notAFrontend")
        #expect(await failureCode { try await app.leave("room", "ann", "connector-1") } == "none")
        world.cluster.crash("connector-1")
        for body: @Loop () async throws -> Void in [
            { try await app.add("room", "ann", "connector-1") }, { try await app.leave("room", "ann", "connector-1") },
        ] {
            #expect(await failureCode(body) == "unreachable")
        }
        try await world.cluster.endLease(of: "connector-1")
        #expect(await failureCode { try await app.leave("room", "ann", "connector-1") } == "none")
    }

    @Test @Loop func aFrozenFrontendFailsAnAddAfterTwoSeconds() async throws {
        let world = try await World()
        _ = try await world.client("connector-1", "ann")
        world.cluster.network.freeze("connector-1")
        let journal = Journal<String>()
        Loop.spawn { journal.note(await failureCode { try await world.chat.add("room", "ann", "connector-1") }) }
        await world.cluster.advance(by: .milliseconds(1900))
        #expect(journal.entries == [])
        await world.cluster.advance(by: .milliseconds(200))
        #expect(journal.entries == ["unreachable"])
    }

    @Test @Loop func aFurtherSessionOfAMemberGetsPushesToo() async throws {
        let world = try await World()
        let first = try await world.client("connector-1", "ann")
        try await world.chat.add("room", "ann", "connector-1")
        let second = try await world.client("connector-1", "ann")
        let elsewhere = try await world.client("connector-2", "ann")
        #expect(try await world.push("one").queued == 2)
        first.disconnect()
        #expect(try await world.push("two").queued == 1)
        #expect(second.texts == ["one", "two"] && elsewhere.texts == [])
        #expect(await world.members() == ["ann"])
        second.disconnect()
        #expect(await world.members() == [])
        #expect(try await world.push("three") == PushReport())
    }

    @Test(arguments: ["disconnect", "kick", "unbind"])
    @Loop func theLastSessionEndsTheMembershipBeforeTheEvent(_ how: String) async throws {
        let world = try await World()
        let ann = try await world.client("connector-1", "ann")
        try await world.chat.add("room", "ann", "connector-1")
        let app = world.cluster["connector-1"]
        let journal = Journal<String>()
        app.sessionService.on { event in
            switch event {
            case .closed, .unbound:
                // In the turn of the event: what others see is gone already.
                let caller = RPCCaller(server: "chat-1", instance: "c", deadline: .max)
                app.procedures.run(.channelMembers, caller, Self.page) { journal.note("\($0)") }
            case .bound: break
            }
        }
        let session = try #require(ann.session)
        switch how {
        case "disconnect": ann.disconnect()
        case "kick": app.sessionService.kick("ann")
        default: try app.sessionService.unbind(session.id, "ann")
        }
        #expect(journal.entries == ["success(\([UInt8](repeating: 0, count: 12)))"])
        #expect(await failureCode { try await world.chat.leave("room", "ann", "connector-1") } == "none")
        #expect(try await world.push("late") == PushReport())
        await world.cluster.settle()
        #expect(world.published() == [])
    }

    private static var page: Bytes {
        var payload = PayloadWriter()
        payload.text("room")
        payload.number(0)
        return payload.bytes
    }

    // MARK: starts of a frontend

    /// A late add or leave of a handler whose frontend has been started anew touches nobody there.
    @Test @Loop func aLateAddOrLeaveTouchesNobodyOfTheNextStart() async throws {
        let world = try await World()
        let old = try await world.copy(of: try await world.client("connector-1", "ann"))
        world.cluster.crash("connector-1")
        try await world.start("connector-1")
        let ann = try await world.client("connector-1", "ann")
        let chat = world.chat
        #expect(await failureCode { try await chat.add("room", session: old) } == "replaced")
        let former = old.instance
        #expect(await failureCode { try await chat.add("room", "ann", "connector-1", instance: former) } == "replaced")
        #expect(await world.members() == [])
        #expect(try await world.push("nobody") == PushReport())
        try await chat.add("room", "ann", "connector-1", instance: world.cluster["connector-1"].instance)
        try await chat.leave("room", "ann", "connector-1", instance: former)
        try await chat.leave("room", session: old)
        #expect(try await world.push("hello").queued == 1)
        #expect(ann.texts == ["hello"])
    }

    // MARK: devices

    @Test @Loop func aDeviceIsAMemberByItself() async throws {
        let world = try await World()
        let phone = try await world.client("connector-1", "ann")
        let desk = try await world.client("connector-1", "ann")
        let session = try await world.copy(of: phone)
        try await world.chat.add("room", session: session)
        #expect(try await world.push("phone").queued == 1)
        #expect(phone.texts == ["phone"] && desk.texts == [])
        #expect(await world.members() == ["ann"])
        try await world.chat.add("room", "ann", "connector-1")
        try await world.chat.leave("room", session: session)
        #expect(try await world.push("both").queued == 2)
        try await world.chat.add("room", session: session)
        try await world.chat.leave("room", "ann", "connector-1")
        #expect(try await world.push("nobody") == PushReport())
    }

    @Test @Loop func aClosedDeviceEndsItsMembershipThoughItsUserStays() async throws {
        let world = try await World()
        let phone = try await world.client("connector-1", "ann")
        _ = try await world.client("connector-1", "ann")
        let session = try await world.copy(of: phone)
        try await world.chat.add("room", session: session)
        await world.cluster.settle()
        #expect(world.published() == ["ann"])
        phone.disconnect()
        #expect(await world.members() == [])
        await world.cluster.settle()
        #expect(world.published() == [])
        #expect(await failureCode { try await world.chat.add("room", session: session) } == "noSession")
        #expect(await failureCode { try await world.chat.leave("room", session: session) } == "none")
        let unbound = try await world.client()
        let other = try await world.copy(of: unbound)
        #expect(await failureCode { try await world.chat.add("room", session: other) } == "noSession")
    }

    // MARK: pending

    @Test @Loop func anAddMayComeBeforeTheBind() async throws {
        let world = try await World { $0.pending = .seconds(10) }
        let ann = try await world.client()
        let bob = try await world.client()
        let cid = try await world.client()
        for uid: UserID in ["ann", "bob", "cid", "dan"] { try await world.chat.add("room", uid, "connector-1") }
        #expect(await world.members() == [])
        try await world.chat.leave("room", "cid", "connector-1")
        try await world.bind(ann, "ann")
        try await world.bind(cid, "cid")
        await world.cluster.advance(by: .seconds(11), step: .milliseconds(500))
        try await world.bind(bob, "bob")
        #expect(await world.members() == ["ann"])
        #expect(try await world.push("hello").queued == 1)
    }

    @Test @Loop func destroyingForgetsPendingAdds() async throws {
        let world = try await World { $0.pending = .seconds(10) }
        try await world.chat.add("room", "ann", "connector-1")
        try await world.chat.destroyChannel("room")
        _ = try await world.client("connector-1", "ann")
        #expect(await world.members() == [])
    }

    /// A gate, for instance: it is a frontend, and has no channels.
    @Test @Loop func aFrontendWithoutTheServiceHasNobodyAndHoldsNothingUp() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 2, chats: 1))
        let entries = MemoryChannelStore.Entries()
        try await cluster.startAll { app in
            if app.serverID != "connector-2" { try app.use(GlobalChannel(store: MemoryChannelStore(entries))) }
        }
        _ = try await cluster.client("connector-1", "ann")
        let channels = cluster["chat-1"].globalChannel
        try await channels.add("room", "ann", "connector-1")
        let calls = cluster.network.calls
        let report = try await channels.pushMessage("connector", World.say, "hi", "room")
        #expect(report.queued == 1 && report.failed.isEmpty)
        let members = await channels.getMembersByChannelName("connector", "room")
        #expect(members.uids == ["ann"] && members.failed.isEmpty && members.stale.isEmpty)
        // Asked again it would say the same: no reason to retry.
        _ = try await cluster.client("connector-2", "bob")
        let add: @Loop () async throws -> Void = { try await channels.add("room", "bob", "connector-2") }
        #expect(await failureCode(add) == "configuration")
        let lack = "connector-2, of type connector, has no channel.add: it does not use the plugin GlobalChannel"
        #expect(await failureText(add) == "no user can be a member there: \(lack)")
        try await channels.destroyChannel("room")
        #expect(cluster.network.calls - calls == 5, "the registry says that it need not be asked")
        #expect(try await channels.pushMessage("connector", World.say, "hi", "room").queued == 0)
        // Where the registry does not say it, it says so itself.
        let servers = cluster["chat-1"].servers
        var unsaid = try #require(servers["connector-2"])
        unsaid.services = nil
        servers.add([unsaid])
        #expect(try await channels.pushMessage("connector", World.say, "hi", "room").failed.isEmpty)
        #expect(await channels.getMembersBySid("room", "connector-2").stale.isEmpty)
        try await channels.destroyChannel("room")
        #expect(cluster.network.calls - calls == 11, "it is asked")
        await cluster.stopAll()
    }

    // MARK: reading

    @Test @Loop func membersArePaged() async throws {
        let world = try await World()
        var expected: [UserID] = []
        for number in 0..<2500 {
            let uid = UserID("user-\(number)")
            _ = try await world.client("connector-1", uid)
            try await world.chat.add("room", uid, "connector-1")
            expected.append(uid)
        }
        let calls = world.cluster.network.calls
        let members = await world.chat.getMembersBySid("room", "connector-1")
        #expect(members.uids == expected.sorted() && members.stale.isEmpty && members.failed.isEmpty)
        #expect(world.cluster.network.calls - calls == 3)
    }

    /// pomelo's plugin listed it once per frontend.
    @Test @Loop func aUserAtTwoFrontendsIsListedOnce() async throws {
        let world = try await World()
        for frontend: ServerID in ["connector-1", "connector-2"] {
            for uid: UserID in ["ann", UserID("only at \(frontend)")] {
                _ = try await world.client(frontend, uid)
                try await world.chat.add("room", uid, frontend)
            }
        }
        let members = await world.chat.getMembersByChannelName("connector", "room")
        #expect(members.uids == ["ann", "only at connector-1", "only at connector-2"])
        #expect(await world.chat.getMembersByChannelName("gate", "room").uids == [])
        #expect(await world.chat.getMembersByChannelName("connector", "hall").uids == [])
    }

    /// Two servers that fail are one answer, which names them.
    @Test @Loop func regression2MembersHaveOneOutcomeWhoeverFails() async throws {
        let world = try await World(connectors: 3)
        for frontend: ServerID in ["connector-1", "connector-2", "connector-3"] {
            let uid = UserID("user of \(frontend)")
            _ = try await world.client(frontend, uid)
            try await world.chat.add("room", uid, frontend)
        }
        await world.cluster.settle()
        for frontend: ServerID in ["connector-1", "connector-2"] { world.cluster.crash(frontend) }
        let stale = await world.chat.getMembersByChannelName("connector", "room")
        #expect(stale.uids.count == 3 && stale.stale == ["connector-1", "connector-2"] && stale.failed.isEmpty)
        world.faults.isDown = true
        let failed = await world.chat.getMembersByChannelName("connector", "room")
        #expect(failed.uids == ["user of connector-3"] && failed.stale.isEmpty)
        #expect(failed.failed.keys.sorted() == ["connector-1", "connector-2"])
    }

    // MARK: the end of a channel

    @Test @Loop func aDestroyedChannelIsGoneEverywhere() async throws {
        let world = try await World()
        for frontend: ServerID in ["connector-1", "connector-2"] {
            for channel: ChannelName in ["room", "hall"] {
                let uid = UserID("user of \(frontend)")
                _ = try await world.client(frontend, uid)
                try await world.chat.add(channel, uid, frontend)
            }
        }
        await world.cluster.settle()
        await world.cluster.stop("chat-1")
        try await world.start("chat-1")
        try await world.chat.destroyChannel("room")
        await world.cluster.settle()
        #expect(await world.chat.getMembersByChannelName("connector", "room").uids == [])
        #expect(world.published("room") == [] && world.published("room", "connector-2") == [])
        #expect(world.published("hall").count == 1)
        #expect(await world.chat.getMembersByChannelName("connector", "hall").uids.count == 2)
    }

    /// pomelo's plugin missed frontends that were away, and said nothing.
    @Test @Loop func destroyingSaysWhatRemains() async throws {
        let world = try await World()
        _ = try await world.client("connector-1", "ann")
        try await world.chat.add("room", "ann", "connector-1")
        await world.cluster.settle()
        world.cluster.crash("connector-1")
        #expect(await failureCode { try await world.chat.destroyChannel("room") } == "unreachable")
        try await world.cluster.endLease(of: "connector-1")
        try await world.chat.destroyChannel("room")
        world.faults.isDown = true
        #expect(await failureCode { try await world.chat.destroyChannel("room") } == "redisUnavailable")
    }
}
