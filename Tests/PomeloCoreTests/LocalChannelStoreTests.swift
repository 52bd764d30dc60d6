// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Channels that outlive their process: written behind, restored before clients come.
@Suite struct LocalChannelStoreTests {
    /// Two connectors, and a chat whose channels are kept.
    @Loop private final class StoreWorld {
        let store = MemoryLocalChannelStore()
        let world: ChannelWorld

        init() async throws {
            let store = self.store
            world = try await ChannelWorld { if $0.serverID == "chat-1" { $0.channelService.store = store } }
        }

        var service: ChannelService { world["chat-1"].channelService }

        func restart() async throws {
            await world.cluster.settle()
            world.cluster.crash("chat-1")
            let store = self.store
            try await world.cluster.start("chat-1") { $0.channelService.store = store }
        }

        func members(_ name: ChannelName) -> [UserID]? { service.getChannel(name)?.getMembers() }
    }

    /// Without a prefix pomelo 2.2.7 wrote the text "undefined"; lib/common/service/channelService.js.
    @Test @Loop func theKeysArePomelos() async throws {
        let kept = try await StoreWorld()
        try await kept.world.user("ann", "connector-1")
        _ = kept.world.channel("room", ("ann", "connector-1"))
        kept.service.createChannel("empty")
        await kept.world.cluster.settle()
        #expect(
            kept.store.sets == [
                "pomelo:channels:chat-1": ["pomelo:channels:chat-1:room", "pomelo:channels:chat-1:empty"],
                "pomelo:channels:chat-1:room": ["connector-1:ann"],
            ])
        kept.service.getChannel("room")?.leave("ann", "connector-1")
        kept.service.destroyChannel("empty")
        await kept.world.cluster.settle()
        #expect(kept.store.sets == ["pomelo:channels:chat-1": ["pomelo:channels:chat-1:room"]])
        kept.service.destroyChannel("room")
        await kept.world.cluster.settle()
        #expect(kept.store.sets.isEmpty)
    }

    /// All members came back into the channel that was listed last, and the amounts were lost.
    @Test @Loop func regressionMembersComeBackIntoTheirOwnChannels() async throws {
        let kept = try await StoreWorld()
        for (uid, frontend) in [("ann", "connector-1"), ("bob", "connector-2"), ("cid", "connector-2")] {
            try await kept.world.user(UserID(uid), ServerID(frontend))
        }
        _ = kept.world.channel("a", ("ann", "connector-1"))
        _ = kept.world.channel("b", ("bob", "connector-2"), ("cid", "connector-2"))
        kept.service.createChannel("c")
        try await kept.restart()
        #expect(kept.service.names == ["a", "b", "c"])
        #expect(kept.members("a") == ["ann"] && kept.members("b") == ["bob", "cid"] && kept.members("c") == [])
        #expect(kept.service.getChannel("b")?.count == 2)
        await kept.world.cluster.settle()
        #expect(try await kept.service.getChannel("b")?.pushMessage(ChannelWorld.hello, "hi").queued == 2)
    }

    /// A user id was cut at its first colon.
    @Test @Loop func regressionNamesWithColonsSurvive() async throws {
        let kept = try await StoreWorld()
        try await kept.world.user("a:b:c", "connector-1")
        _ = kept.world.channel("room:1:x", ("a:b:c", "connector-1"))
        try await kept.restart()
        #expect(kept.service.names == ["room:1:x"] && kept.members("room:1:x") == ["a:b:c"])
    }

    /// In pomelo 2.2.7 an add was written that had been refused, and a leave of somebody who was no member;
    /// lib/common/service/channelService.js.
    @Test @Loop func regressionWhatChangesNothingIsNotWritten() async throws {
        let kept = try await StoreWorld()
        try await kept.world.user("ann", "connector-1")
        let room = kept.world.channel("room", ("ann", "connector-1"))
        await kept.world.cluster.settle()
        let (sets, calls) = (kept.store.sets, kept.store.calls)
        #expect(!room.add("ann", "connector-1") && !room.add("bob", "chat-1"))
        #expect(!room.leave("ann", "connector-2") && !room.leave("bob", "connector-1"))
        await kept.world.cluster.settle()
        #expect(kept.store.sets == sets && kept.store.calls == calls)
    }

    @Test @Loop func theKeysMayHaveAPrefixOfTheirOwn() async throws {
        let store = MemoryLocalChannelStore()
        try await store.add(["game:chat-1:old"], to: "game:chat-1")
        let cluster = TestCluster(TestCluster.records(connectors: 0, chats: 1))
        let app = try await cluster.start("chat-1") { app in
            app.channelService.store = store
            app.channelService.storePrefix = "game"
        }
        app.channelService.createChannel("new")
        await cluster.settle()
        #expect(app.channelService.names == ["new", "old"])
        #expect(store.sets == ["game:chat-1": ["game:chat-1:old", "game:chat-1:new"]])
    }

    @Test @Loop func whoIsGoneByThenLeavesAndIsForgotten() async throws {
        let kept = try await StoreWorld()
        let ann = try await kept.world.user("ann", "connector-1")
        try await kept.world.user("bob", "connector-1")
        _ = kept.world.channel("room", ("ann", "connector-1"), ("bob", "connector-1"))
        await kept.world.cluster.settle()
        kept.world.cluster.crash("chat-1")
        ann.disconnect()
        let store = kept.store
        try await kept.world.cluster.start("chat-1") { $0.channelService.store = store }
        await kept.world.cluster.settle()
        #expect(kept.members("room") == ["bob"])
        #expect(kept.store.sets["pomelo:channels:chat-1:room"] == ["connector-1:bob"])
    }

    @Test @Loop func whatCannotBeAMemberIsSkippedAndRemoved() async throws {
        let kept = try await StoreWorld()
        try await kept.store.add(["pomelo:channels:chat-1:room", "other:key"], to: "pomelo:channels:chat-1")
        try await kept.store.add(["chat-1:ann", "nocolon", ":", "connector-1:"], to: "pomelo:channels:chat-1:room")
        try await kept.restart()
        await kept.world.cluster.advance(by: .seconds(12))
        #expect(kept.service.names == ["room"] && kept.members("room") == [])
        #expect(kept.store.sets["pomelo:channels:chat-1:room"] == ["nocolon"])
    }

    /// pomelo 2.2.7 crashed; lib/common/service/channelService.js.
    @Test @Loop func aStoreThatCannotBeReadFailsTheStart() async throws {
        let world = try await ChannelWorld(chats: 0)
        let store = MemoryLocalChannelStore()
        store.isAway = true
        let cluster = TestCluster(world.cluster.records + [ServerRecord(id: "chat-1", type: "chat", port: 6001)])
        let app = try cluster.make("chat-1") { $0.channelService.store = store }
        #expect(await failureCode { try await app.start() } == "unreachable")
        #expect(app.state == .stopped && store.sets.isEmpty)
    }

    @Test @Loop func channelsOfBeforeTheStartAreKeptToo() async throws {
        let cluster = TestCluster(TestCluster.records())
        let store = MemoryLocalChannelStore()
        try await store.add(["pomelo:channels:chat-1:old"], to: "pomelo:channels:chat-1")
        try await store.add(["connector-1:ann"], to: "pomelo:channels:chat-1:old")
        try await cluster.start("chat-1") { app in
            app.channelService.store = store
            app.channelService.createChannel("old")
            app.channelService.createChannel("new")
        }
        await cluster.settle()
        #expect(cluster["chat-1"].channelService.names == ["new", "old"])
        #expect(cluster["chat-1"].channelService.getChannel("old")?.getMembers() == ["ann"])
        #expect(
            store.sets["pomelo:channels:chat-1"] == ["pomelo:channels:chat-1:old", "pomelo:channels:chat-1:new"])
        #expect(store.sets["pomelo:channels:chat-1:old"] == ["connector-1:ann"])
    }

    // MARK: outages

    @Test @Loop func anOutageIsMadeUpForAfterwards() async throws {
        let kept = try await StoreWorld()
        for uid in ["ann", "bob", "cid"] as [UserID] { try await kept.world.user(uid, "connector-1") }
        let room = kept.world.channel("room", ("ann", "connector-1"), ("bob", "connector-1"))
        kept.service.createChannel("gone")
        await kept.world.cluster.settle()
        kept.store.isAway = true
        room.leave("ann", "connector-1")
        room.add("cid", "connector-1")
        kept.service.destroyChannel("gone")
        kept.service.createChannel("new")
        room.leave("cid", "connector-1")
        room.add("cid", "connector-1")
        await kept.world.cluster.advance(by: .seconds(3))
        kept.store.isAway = false
        await kept.world.cluster.advance(by: .seconds(1))
        #expect(
            kept.store.sets == [
                "pomelo:channels:chat-1": ["pomelo:channels:chat-1:room", "pomelo:channels:chat-1:new"],
                "pomelo:channels:chat-1:room": ["connector-1:bob", "connector-1:cid"],
            ])
    }

    /// One channel only, so that no order of channels decides whether the failed one is looked at.
    @Test(arguments: ["a member came", "a member left", "the channel came", "the channel went", "all is written"])
    @Loop func aBatchThatFailedIsWrittenAgain(_ change: String) async throws {
        let kept = try await StoreWorld()
        for uid in ["ann", "bob"] as [UserID] { try await kept.world.user(uid, "connector-1") }
        let room = kept.world.channel("room", ("ann", "connector-1"))
        if change == "the channel came" { kept.service.destroyChannel("room") }
        await kept.world.cluster.settle()
        kept.store.isAway = true
        switch change {
        case "a member came": room.add("bob", "connector-1")
        case "a member left": room.leave("ann", "connector-1")
        case "the channel came": kept.service.createChannel("room")
        case "the channel went": kept.service.destroyChannel("room")
        default:
            for number in 0..<1500 {
                room.add(UserID("u\(number)"), "connector-1")
                room.leave(UserID("u\(number)"), "connector-1")
            }
            room.add("bob", "connector-1")
        }
        // Twice in vain.
        await kept.world.cluster.advance(by: .milliseconds(1100))
        kept.store.isAway = false
        await kept.world.cluster.advance(by: .milliseconds(700))
        let members: [String: Set<Text>] = [
            "a member came": ["connector-1:ann", "connector-1:bob"],
            "all is written": ["connector-1:ann", "connector-1:bob"],
        ]
        #expect(kept.store.sets["pomelo:channels:chat-1:room"] == members[change])
        let isThere = kept.store.sets["pomelo:channels:chat-1"]?.contains("pomelo:channels:chat-1:room") ?? false
        #expect(isThere == (change != "the channel went"))
    }

    @Test @Loop func aLongOutageIsBoundedByChannelsAndMembers() async throws {
        let kept = try await StoreWorld()
        try await kept.world.user("ann", "connector-1")
        let room = kept.world.channel("room", ("ann", "connector-1"))
        kept.service.createChannel("gone")
        await kept.world.cluster.settle()
        kept.store.isAway = true
        // More passers-by than marks are kept for one channel, and more channels than marks are kept for.
        for number in 0..<1500 {
            room.add(UserID("u\(number)"), "connector-1")
            room.leave(UserID("u\(number)"), "connector-1")
        }
        kept.service.destroyChannel("gone")
        for number in 0..<11_000 {
            kept.service.createChannel(ChannelName("c\(number)"))
            kept.service.destroyChannel(ChannelName("c\(number)"))
        }
        await kept.world.cluster.advance(by: .seconds(1))
        kept.store.isAway = false
        let calls = kept.store.calls
        await kept.world.cluster.advance(by: .seconds(2))
        #expect(
            kept.store.sets == [
                "pomelo:channels:chat-1": ["pomelo:channels:chat-1:room"],
                "pomelo:channels:chat-1:room": ["connector-1:ann"],
            ])
        #expect(kept.store.calls - calls < 100)
    }

    @Test @Loop func aStopWritesWhatIsLeft() async throws {
        let kept = try await StoreWorld()
        try await kept.world.user("ann", "connector-1")
        _ = kept.world.channel("room", ("ann", "connector-1"))
        await kept.world.cluster.stop("chat-1")
        #expect(kept.store.sets["pomelo:channels:chat-1:room"] == ["connector-1:ann"])
        kept.store.isAway = true
        let store = kept.store
        kept.store.isAway = false
        try await kept.world.cluster.start("chat-1") { $0.channelService.store = store }
        kept.store.isAway = true
        kept.service.createChannel("unwritten")
        await kept.world.cluster.stop("chat-1")
        #expect(store.sets["pomelo:channels:chat-1"] == ["pomelo:channels:chat-1:room"], "stopped all the same")
    }
}
