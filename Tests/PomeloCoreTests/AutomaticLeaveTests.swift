// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloCore

/// Members of channels leave when their last session ends, wherever it is.
@Suite struct AutomaticLeaveTests {
    @Test(arguments: ["disconnect", "kick", "unbind"])
    @Loop func aMemberAtTheOwnFrontendIsGoneBeforeTheClosedEvent(_ how: String) async throws {
        let world = try await ChannelWorld(chats: 0)
        let service = world["connector-1"].sessionService
        let ann = try await world.user("ann", "connector-1")
        let channel = world.channel("room", at: "connector-1", ("ann", "connector-1"))
        let journal = Journal<String>()
        service.on { _ in journal.note("\(channel.getMembers())") }
        switch how {
        case "disconnect": ann.disconnect()
        case "kick": service.kick("ann")
        default: try service.unbind(try #require(ann.session).id, "ann")
        }
        #expect(journal.entries == ["[]"] && channel.count == 0)
    }

    /// In pomelo 2.2.7 members stayed until the application removed them; lib/common/service/channelService.js.
    @Test(arguments: ["disconnect", "kick", "unbind"])
    @Loop func aMemberAtAnotherFrontendLeavesWithItsLastSession(_ how: String) async throws {
        let world = try await ChannelWorld()
        let service = world["connector-1"].sessionService
        let sockets = [try await world.user("ann", "connector-1"), try await world.user("ann", "connector-1")]
        try await world.user("bob", "connector-1")
        let rooms = ["a", "b"].map { world.channel($0, ("ann", "connector-1"), ("bob", "connector-1")) }
        await world.cluster.settle()
        for (index, socket) in sockets.enumerated() {
            #expect(rooms.map { $0.getMembers() } == [["ann", "bob"], ["ann", "bob"]], "after \(index) ends")
            switch how {
            case "disconnect": socket.disconnect()
            case "kick": service.kick(try #require(socket.session).id)
            default: try service.unbind(try #require(socket.session).id, "ann")
            }
            await world.cluster.settle()
        }
        #expect(rooms.map { $0.getMembers() } == [["bob"], ["bob"]])
    }

    @Test @Loop func whoHasNoSessionThereDoesNotStay() async throws {
        let world = try await ChannelWorld()
        let channel = world.channel("room", ("ann", "connector-1"))
        #expect(channel.getMembers() == ["ann"])
        await world.cluster.settle()
        #expect(channel.getMembers().isEmpty)
    }

    @Test @Loop func aTurnsMembersAreAskedAboutInOneCallAndEndInOne() async throws {
        let world = try await ChannelWorld()
        var sockets: [TestSocket] = []
        for number in 0..<100 { sockets.append(try await world.user(UserID("u\(number)"), "connector-1")) }
        let calls = world.cluster.network.calls
        let channel = world.channel("room")
        for number in 0..<100 { channel.add(UserID("u\(number)"), "connector-1") }
        await world.cluster.settle()
        #expect(world.cluster.network.calls == calls + 1 && channel.count == 100)
        for socket in sockets { socket.disconnect() }
        await world.cluster.settle()
        #expect(world.cluster.network.calls == calls + 2 && channel.count == 0)
    }

    @Test @Loop func aLateWordAboutAnOldSessionDoesNotEndANewMembership() async throws {
        let world = try await ChannelWorld()
        let old = try await world.user("ann", "connector-1")
        let channel = world.channel("room", ("ann", "connector-1"))
        await world.cluster.settle()
        world.cluster.network.delay = .milliseconds(100) ... .milliseconds(100)
        old.disconnect()
        await world.cluster.advance(by: .milliseconds(60))
        // The word is on its way: the user comes back, and is added again.
        let new = try await world.user("ann", "connector-1")
        #expect(!channel.add("ann", "connector-1"), "it is still a member")
        await world.cluster.advance(by: .seconds(1))
        #expect(channel.getMembers() == ["ann"])
        new.disconnect()
        await world.cluster.advance(by: .seconds(1))
        #expect(channel.getMembers().isEmpty)
    }

    /// Left and added again while the session goes on: the word about its end is about the later membership.
    @Test @Loop func aMembershipAfterAnotherEndsWithTheSession() async throws {
        let world = try await ChannelWorld()
        let ann = try await world.user("ann", "connector-1")
        let channel = world.channel("room", ("ann", "connector-1"))
        await world.cluster.settle()
        for _ in 1...3 {
            #expect(channel.leave("ann", "connector-1"))
            await world.cluster.settle()
            #expect(channel.add("ann", "connector-1"))
            await world.cluster.settle()
        }
        ann.disconnect()
        await world.cluster.advance(by: .milliseconds(500))
        #expect(channel.getMembers().isEmpty)
    }

    @Test @Loop func aQuestionThatFailsIsAskedAgain() async throws {
        let world = try await ChannelWorld()
        let ann = try await world.user("ann", "connector-1")
        world.cluster.network.partition("chat-1", "connector-1")
        let channel = world.channel("room", ("ann", "connector-1"), ("nobody", "connector-1"))
        await world.cluster.advance(by: .seconds(30))
        #expect(channel.getMembers() == ["ann", "nobody"], "the frontend is in the view and may know better")
        world.cluster.network.healAll()
        await world.cluster.advance(by: .seconds(12))
        #expect(channel.getMembers() == ["ann"])
        ann.disconnect()
        await world.cluster.settle()
        #expect(channel.getMembers().isEmpty)
    }

    @Test @Loop func aWordThatFailsIsTriedAgain() async throws {
        let world = try await ChannelWorld()
        let ann = try await world.user("ann", "connector-1")
        let channel = world.channel("room", ("ann", "connector-1"))
        await world.cluster.settle()
        world.cluster.network.freeze("chat-1")
        ann.disconnect()
        await world.cluster.advance(by: .seconds(10))
        #expect(channel.getMembers() == ["ann"])
        world.cluster.network.healAll()
        await world.cluster.advance(by: .seconds(12))
        #expect(channel.getMembers().isEmpty)
    }

    @Test(arguments: ["leaves", "loses its lease", "starts anew"])
    @Loop func theMembersOfAFrontendGoWithIt(_ how: String) async throws {
        let world = try await ChannelWorld()
        try await world.user("ann", "connector-1")
        try await world.user("bob", "connector-2")
        let channel = world.channel("room", ("ann", "connector-1"), ("bob", "connector-2"))
        await world.cluster.settle()
        switch how {
        case "leaves": await world.cluster.stop("connector-1")
        case "loses its lease":
            world.cluster.crash("connector-1")
            #expect(channel.getMembers() == ["ann", "bob"])
            try await world.cluster.endLease(of: "connector-1")
        default:
            world.cluster.crash("connector-1")
            try await world.cluster.start("connector-1")
        }
        #expect(channel.getMembers() == ["bob"])
        await world.cluster.settle()
        #expect(channel.getMembers() == ["bob"])
    }

    @Test @Loop func aFrontendThatStaysUnknownLosesItsMembers() async throws {
        let world = try await ChannelWorld()
        let channel = world.channel("room", ("ann", "connector-9"))
        await world.cluster.advance(by: .seconds(2))
        #expect(channel.getMembers() == ["ann"], "the view may be behind")
        await world.cluster.advance(by: .seconds(10))
        #expect(channel.getMembers().isEmpty)
    }

    @Test(arguments: ["a push", "the sweep"])
    @Loop func aFrontendThatForgotTheQuestionIsAskedAgainBy(_ how: String) async throws {
        let world = try await ChannelWorld()
        let ann = try await world.user("ann", "connector-1")
        let channel = world.channel("room", ("ann", "connector-1"))
        await world.cluster.settle()
        // For a moment the frontend takes the channel's server for gone.
        let servers = world["connector-1"].servers
        let chat = try #require(servers["chat-1"])
        servers.remove(["chat-1"])
        servers.add([chat])
        ann.disconnect()
        await world.cluster.settle()
        #expect(channel.getMembers() == ["ann"])
        if how == "a push" {
            #expect(try await channel.pushMessage(ChannelWorld.hello, "hi").noSession == ["ann"])
            await world.cluster.settle()
        } else {
            await world.cluster.advance(by: .seconds(70), step: .seconds(1))
        }
        #expect(channel.getMembers().isEmpty)
    }

    @Test @Loop func aWordForAFormerInstanceIsIgnored() async throws {
        let world = try await ChannelWorld()
        try await world.user("ann", "connector-1")
        let channel = world.channel("room", ("ann", "connector-1"))
        await world.cluster.settle()
        var word = PayloadWriter()
        word.count(1)
        word.text("ann")
        word.number(1)
        let rpc = world["connector-1"].rpc
        let refused = await #expect(throws: RPCError.self) {
            try await rpc.system("chat-1", .channelEnded.at("another"), word.bytes)
        }
        #expect(refused?.isReplaced == true)
        await #expect(throws: RPCError.self, "to nobody in particular") {
            try await rpc.system("chat-1", .channelEnded, word.bytes)
        }
        #expect(channel.getMembers() == ["ann"])
        _ = try await rpc.system("chat-1", .channelEnded.at(world["chat-1"].instance), word.bytes)
        #expect(channel.getMembers().isEmpty)
    }

    @Test @Loop func nothingIsLeftBehindByAStop() async throws {
        let world = try await ChannelWorld(connectors: 1)
        await world.cluster.stopAll()
        let timers = world.cluster.clock.pendingTimers
        for _ in 0..<3 {
            try await world.cluster.startAll()
            let ann = try await world.user("ann", "connector-1")
            _ = world.channel("room", ("ann", "connector-1"), ("bob", "connector-9"))
            world.cluster.network.freeze("chat-1")
            await world.cluster.settle()
            ann.disconnect()
            await world.cluster.advance(by: .seconds(3))
            world.cluster.network.healAll()
            await world.cluster.stopAll()
            #expect(world.cluster.clock.pendingTimers == timers)
        }
    }
}
