// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Channels of one process, and pushes to users at known frontends.
@Suite struct ChannelServiceTests {
    static let hello = Push<String>("onHello")

    @Loop private func world() async throws -> (cluster: TestCluster, chat: Application) {
        let cluster = TestCluster(TestCluster.records(connectors: 2, chats: 1))
        try await cluster.startAll()
        return (cluster, cluster["chat-1"])
    }

    @Loop private func user(_ cluster: TestCluster, _ uid: UserID, _ frontend: ServerID) async throws -> TestSocket {
        try await cluster.client(frontend, uid)
    }

    @Test @Loop func membersAreAddedOnceAndGetOneMessage() async throws {
        let (cluster, chat) = try await world()
        let ann = try await user(cluster, "ann", "connector-1")
        let bob = try await user(cluster, "bob", "connector-2")
        let channel = chat.channelService.createChannel("room")
        #expect(channel === chat.channelService.createChannel("room"))
        #expect(channel.add("ann", "connector-1") && channel.add("bob", "connector-2"))
        #expect(!channel.add("ann", "connector-1"))
        #expect(channel.getMembers() == ["ann", "bob"] && channel.getMember("bob") == ["connector-2"])
        let report = try await channel.pushMessage(Self.hello, "hi")
        #expect(report.queued == 2 && report.isComplete)
        #expect(ann.pushes.map(\.text) == ["\"hi\""] && bob.pushes.map(\.route) == ["onHello"])
        #expect(channel.leave("bob", "connector-2") && !channel.leave("bob", "connector-2"))
        #expect(channel.getMembers() == ["ann"])
    }

    /// Members of several channels come back into their own one.
    @Test @Loop func regression11MembersStayInTheirOwnChannel() async throws {
        let (_, chat) = try await world()
        for (name, uid) in [("a", "ann"), ("b", "bob"), ("c", "cid")] {
            chat.channelService.createChannel(ChannelName(name)).add(UserID(uid), "connector-1")
        }
        let members = ["a", "b", "c"].map { chat.channelService.getChannel(ChannelName($0))?.getMembers() }
        #expect(members == [["ann"], ["bob"], ["cid"]])
    }

    /// In pomelo 2.2.7 a push to it never called back; lib/common/service/channelService.js.
    @Test @Loop func regression12ADestroyedChannelThrows() async throws {
        let (_, chat) = try await world()
        let channel = chat.channelService.createChannel("room")
        channel.add("ann", "connector-1")
        channel.destroy()
        #expect(channel.isDestroyed && !channel.add("bob", "connector-1"))
        #expect(await failureCode { _ = try await channel.pushMessage(Self.hello, "hi") } == "notRunning")
        #expect(chat.channelService.getChannel("room") == nil)
        #expect(chat.channelService.createChannel("room").getMembers().isEmpty)
    }

    @Test @Loop func reportsNameWhoWasNotReached() async throws {
        let (cluster, chat) = try await world()
        let ann = try await user(cluster, "ann", "connector-1")
        let slow = try await user(cluster, "slow", "connector-1")
        slow.isSlow = true
        let users: [(uid: UserID, frontend: ServerID)] = [
            ("ann", "connector-1"), ("ann", "connector-1"), ("slow", "connector-1"), ("nobody", "connector-2"),
            ("lost", "connector-9"),
        ]
        let report = try await chat.channelService.pushMessageByUids(Self.hello, "hi", users)
        #expect(report.queued == 1 && report.slow == 1 && report.noSession == ["nobody"])
        #expect(report.failed.keys.sorted() == ["connector-9"] && !report.isComplete)
        #expect(ann.pushes.count == 1)
        guard case .notSent = report.failed["connector-9"] else { return #expect(Bool(false), "\(report)") }
    }

    /// "getByUid of undefined" was what pomelo 2.2.7 threw at a backend that named itself.
    @Test(arguments: ["chat-1", "chat-2"] as [ServerID])
    @Loop func regressionAPushToUsersAtABackendEndsAndNamesThem(_ backend: ServerID) async throws {
        let world = try await ChannelWorld(chats: 2)
        let ann = try await world.user("ann", "connector-1")
        let report = try await world["chat-1"].channelService.pushMessageByUids(
            Self.hello, "hi", [("bob", backend), ("ann", "connector-1")])
        #expect(report.queued == 1 && report.noSession == ["bob"] && ann.pushes.count == 1)
    }

    /// In pomelo 2.2.7 such a push never ended, or ended twice; lib/common/service/channelService.js.
    @Test @Loop func aFrozenFrontendIsReportedAtTwoSecondsAndTheOthersAreReachedAtOnce() async throws {
        let (cluster, chat) = try await world()
        let ann = try await user(cluster, "ann", "connector-1")
        let bob = try await user(cluster, "bob", "connector-2")
        cluster.network.freeze("connector-1")
        let result = Journal<String>()
        Loop.spawn {
            let users: [(uid: UserID, frontend: ServerID)] = [("ann", "connector-1"), ("bob", "connector-2")]
            do {
                let report = try await chat.channelService.pushMessageByUids(Self.hello, "hi", users)
                result.note("\(report.queued) \(report.failed.keys.sorted())")
            } catch { result.note("\(error)") }
        }
        await cluster.settle()
        #expect(bob.pushes.count == 1 && result.entries == [])
        await cluster.advance(by: .milliseconds(1900))
        #expect(result.entries == [])
        await cluster.advance(by: .milliseconds(200))
        #expect(result.entries == [#"1 [connector-1]"#])
        cluster.network.thaw("connector-1")
        await cluster.settle()
        #expect(ann.pushes.isEmpty && result.entries.count == 1)
    }

    @Test @Loop func aFrontendPushesToItsOwnClientsWithoutACall() async throws {
        let (cluster, _) = try await world()
        let ann = try await user(cluster, "ann", "connector-1")
        let calls = cluster.network.calls
        let report = try await cluster["connector-1"].channelService.pushMessageByUids(
            Self.hello, "hi", [("ann", "connector-1")])
        #expect(report.queued == 1 && ann.pushes.count == 1 && cluster.network.calls == calls)
    }

    @Test @Loop func aMessageIsEncodedOncePerKindOfConnection() throws {
        let message = try PushMessage(Self.hello, "hi")
        let kinds = [Kind(), Kind()]
        var made = 0
        for _ in 0..<3 {
            for kind in kinds {
                _ = message.encoded(for: ObjectIdentifier(kind)) { () -> Bytes in
                    made += 1
                    return message.body
                }
            }
        }
        #expect(made == 2)
    }

    private final class Kind {}
}
