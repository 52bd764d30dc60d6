// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// A cluster of connectors and chats, with users.
@Loop struct ChannelWorld {
    static let hello = Push<String>("onHello")
    let cluster: TestCluster

    init(
        connectors: Int = 2, chats: Int = 1, seed: UInt64 = 1, _ setUp: @Loop (Application) throws -> Void = { _ in }
    ) async throws {
        cluster = TestCluster(TestCluster.records(connectors: connectors, chats: chats), seed: seed)
        try await cluster.startAll(setUp)
    }

    subscript(_ id: ServerID) -> Application { cluster[id] }

    func client(_ frontend: ServerID) throws -> TestSocket { try #require(cluster.connect(frontend)) }

    @discardableResult
    func user(_ uid: UserID, _ frontend: ServerID) async throws -> TestSocket {
        try await cluster.client(frontend, uid)
    }

    /// A channel of a server with these members.
    func channel(_ name: ChannelName, at server: ServerID = "chat-1", _ members: (UserID, ServerID)...) -> Channel {
        let channel = cluster[server].channelService.createChannel(name)
        for (uid, frontend) in members { channel.add(uid, frontend) }
        return channel
    }
}
