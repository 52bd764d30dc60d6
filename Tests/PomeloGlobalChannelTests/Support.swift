// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloGlobalChannel
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// Frontends and one backend whose channels share a store with faults.
@Loop final class World {
    static let say = Push<String>("onSay")

    let cluster: TestCluster
    let entries = MemoryChannelStore.Entries()
    let faults: StoreFaults
    private(set) var stores: [ServerID: MemoryChannelStore] = [:]
    private let options: GlobalChannel.Options
    private let onLost: [ServerID: Journal<String>]
    private let tells: Bool

    init(
        connectors: Int = 2, chats: Int = 1, seed: UInt64 = 1, onLost: [ServerID: Journal<String>] = [:],
        tells: Bool = false, options: (inout GlobalChannel.Options) -> Void = { _ in }
    ) async throws {
        cluster = TestCluster(TestCluster.records(connectors: connectors, chats: chats), seed: seed)
        faults = StoreFaults(clock: cluster.clock, random: RandomSource(seed: seed))
        var chosen = GlobalChannel.Options()
        options(&chosen)
        self.options = chosen
        self.onLost = onLost
        self.tells = tells
        for record in cluster.records { try await start(record.id) }
    }

    func start(_ id: ServerID) async throws {
        let store = MemoryChannelStore(entries)
        stores[id] = store
        try await cluster.start(id) { app in
            try app.use(GlobalChannel(store: FaultyChannelStore(store, faults), options: options))
            if let journal = onLost[id] {
                app.globalChannel.onGone { journal.note("\($0.channel) \($0.uids) \($0.server)") }
            }
            if tells { tell(app) }
        }
    }

    /// Comings and goings are told to the members, as a chat tells them.
    private func tell(_ app: Application) {
        let channels = app.globalChannel
        let say: @Loop @Sendable (GoneMembers) async -> Void = { gone in
            do {
                try await channels.tell("connector", PresenceTests.onLeave, gone) { $0.rawValue }
            } catch { Issue.record(error) }
        }
        channels.onGone(say)
        channels.onReturned { members in
            for uid in members.uids {
                do {
                    _ = try await channels.pushMessage(
                        "connector", PresenceTests.onAdd, uid.rawValue, members.channel, except: [uid], arrival: uid)
                } catch { Issue.record(error) }
            }
        }
        channels.onGap { gap in
            for channel in gap.channels {
                Loop.spawn {
                    do {
                        _ = try await channels.pushHere(Push<Nothing>("onGap"), Nothing(), channel)
                    } catch { Issue.record(error) }
                }
            }
        }
    }

    /// Has the published copy list a member that was removed from it.
    func publish(again uid: UserID, at server: ServerID) async {
        let change = ChannelBatch.Change(channel: "room", added: [uid], count: 1)
        do {
            _ = try stores[server]?.publish(ChannelBatch(changes: [change], sequence: 1))
        } catch { Issue.record(error) }
    }

    subscript(_ id: ServerID) -> GlobalChannelService { cluster[id].globalChannel }
    var chat: GlobalChannelService { self["chat-1"] }

    /// A connected client, bound when it has a user id.
    func client(_ frontend: ServerID = "connector-1", _ uid: UserID? = nil) async throws -> TestSocket {
        try await cluster.client(frontend, uid)
    }

    func bind(_ socket: TestSocket, _ uid: UserID, _ frontend: ServerID = "connector-1") async throws {
        try await cluster.bind(socket, uid, frontend)
    }

    /// What a handler sees of a client's session.
    func copy(of socket: TestSocket, _ frontend: ServerID = "connector-1") async throws -> Session {
        let id = try #require(socket.session).id
        return try #require(try await cluster["chat-1"].backendSessionService.get(frontend, id))
    }

    func push(_ text: String, _ channel: ChannelName = "room", except: Set<UserID> = []) async throws -> PushReport {
        try await chat.pushMessage("connector", Self.say, text, channel, except: except)
    }

    func published(_ channel: ChannelName = "room", _ server: ServerID = "connector-1") -> [UserID] {
        MemoryChannelStore(entries).members(of: channel, at: server)
    }

    func members(_ channel: ChannelName = "room", _ server: ServerID = "connector-1") async -> [UserID] {
        await self[server].getMembersBySid(channel, server).uids
    }
}
