// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Members of a channel of one process: adding, leaving, destroying, and whom a push reaches.
@Suite struct ChannelTests {
    @Test @Loop func channelsAreMadeOnDemandOrNot() async throws {
        let service = try await ChannelWorld()["chat-1"].channelService
        #expect(service.getChannel("room") == nil && service.getChannel("room", create: false) == nil)
        let channel = try #require(service.getChannel("room", create: true))
        #expect(service.createChannel("room") === channel && service.names == ["room"] && service.count == 1)
        service.destroyChannel("room")
        service.destroyChannel("room")
        #expect(channel.isDestroyed && service.names.isEmpty)
    }

    @Test @Loop func aUserAtTwoFrontendsIsOneMemberWithTwoMemberships() async throws {
        let world = try await ChannelWorld()
        let sockets = [try await world.user("ann", "connector-1"), try await world.user("ann", "connector-2")]
        let channel = world.channel("room", ("ann", "connector-1"), ("ann", "connector-2"))
        #expect(channel.getMembers() == ["ann"] && channel.count == 2)
        #expect(channel.getMember("ann") == ["connector-1", "connector-2"] && channel.getMember("bob").isEmpty)
        _ = try await channel.pushMessage(ChannelWorld.hello, "hi")
        #expect(sockets.map(\.pushes.count) == [1, 1])
        channel.leave("ann", "connector-1")
        #expect(channel.getMember("ann") == ["connector-2"] && channel.count == 1)
    }

    /// A user that was added twice got every message twice, and stayed after leaving once.
    @Test @Loop func regressionAddingTwiceIsOneMembership() async throws {
        let world = try await ChannelWorld()
        let ann = try await world.user("ann", "connector-1")
        let channel = world.channel("room", ("ann", "connector-1"))
        #expect(!channel.add("ann", "connector-1") && channel.count == 1)
        _ = try await channel.pushMessage(ChannelWorld.hello, "hi")
        #expect(ann.pushes.count == 1)
        #expect(channel.leave("ann", "connector-1") && channel.count == 0 && channel.getMembers().isEmpty)
        #expect(!channel.leave("ann", "connector-1") && channel.count == 0)
    }

    /// A leave with the wrong server took the member's record away.
    @Test @Loop func regressionLeavingElsewhereChangesNothing() async throws {
        let world = try await ChannelWorld()
        try await world.user("ann", "connector-1")
        let channel = world.channel("room", ("ann", "connector-1"))
        #expect(!channel.leave("ann", "connector-2") && channel.getMember("ann") == ["connector-1"])
    }

    @Test @Loop func usersAtServersWithoutClientsCannotBeMembers() async throws {
        let world = try await ChannelWorld(chats: 2)
        let channel = world.channel("room")
        #expect(!channel.add("ann", "chat-1") && !channel.add("ann", "chat-2"))
        let own = world.channel("own", at: "connector-1")
        #expect(!own.add("ann", "connector-1"), "a user without a session at the own frontend")
        try await world.user("ann", "connector-1")
        #expect(own.add("ann", "connector-1"))
    }

    /// In pomelo 2.2.7 one that the service had destroyed could still be used; lib/common/service/channelService.js.
    @Test @Loop func aDestroyedChannelDoesNotEndItsSuccessor() async throws {
        let world = try await ChannelWorld()
        try await world.user("ann", "connector-1")
        let old = world.channel("room", ("ann", "connector-1"))
        old.destroy()
        #expect(old.getMembers().isEmpty && old.count == 0 && !old.leave("ann", "connector-1"))
        let new = world.channel("room", ("ann", "connector-1"))
        old.destroy()
        #expect(!new.isDestroyed && world["chat-1"].channelService.getChannel("room") === new)
        #expect(await failureCode { _ = try await old.pushMessage(ChannelWorld.hello, "hi") } == "notRunning")
        #expect(try await new.pushMessage(ChannelWorld.hello, "hi").queued == 1)
    }

    @Test @Loop func someUsersCanBeLeftOut() async throws {
        let world = try await ChannelWorld()
        let ann = try await world.user("ann", "connector-1")
        let bob = try await world.user("bob", "connector-1")
        try await world.user("cid", "connector-2")
        let channel = world.channel("room", ("ann", "connector-1"), ("bob", "connector-1"), ("cid", "connector-2"))
        await world.cluster.settle()
        let calls = world.cluster.network.calls
        let report = try await channel.pushMessage(ChannelWorld.hello, "hi", except: ["ann", "cid"])
        #expect(report.queued == 1 && report.isComplete && ann.pushes.isEmpty && bob.pushes.count == 1)
        #expect(world.cluster.network.calls == calls + 1, "nobody is left at the other frontend")
    }

    /// pomelo 2.2.7 left them out of the users that were not reached; lib/common/service/channelService.js.
    @Test @Loop func theReportNamesTheUsersOfSilentFrontends() async throws {
        let world = try await ChannelWorld()
        for (uid, frontend) in [("ann", "connector-1"), ("bob", "connector-2"), ("cid", "connector-2")] {
            try await world.user(UserID(uid), ServerID(frontend))
        }
        let channel = world.channel("room", ("ann", "connector-1"), ("bob", "connector-2"), ("cid", "connector-2"))
        await world.cluster.settle()
        world.cluster.crash("connector-2")
        let report = try await channel.pushMessage(ChannelWorld.hello, "hi")
        #expect(report.queued == 1 && report.failed.keys.sorted() == ["connector-2"])
        #expect(report.failedUids == ["bob", "cid"] && report.noSession.isEmpty && !report.isComplete)
    }
}
