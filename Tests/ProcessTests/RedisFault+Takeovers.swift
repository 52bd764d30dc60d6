// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloTesting
import TestHelpers

/// Rows of the table in which another server takes over.
extension RedisFault {
    /// Rows that follow one another bring back who was lost in the one before.
    static let sentinelTakeovers = [
        RedisFault(
            "a fail-over that sentinels are asked for", on: [.sentinel], always: true, newcomers: .unharmed, for: 0,
            begin: { try await $0.sentinels.failOver() }),
        RedisFault(
            "the primary is killed: dials are refused until another is chosen", on: [.sentinel],
            begin: { try await $0.killSettledPrimary() },
            end: { try await $0.sentinels.nextPrimary(after: $0.lost()) }),
        RedisFault(
            "it comes back empty, as a primary, and is made a replica", on: [.sentinel], newcomers: .unharmed, for: 0,
            begin: { try await $0.lost().restart() }, end: { try await $0.sentinels.settle() }),
        RedisFault(
            "the primary is killed, and comes back as soon as another is chosen", on: [.sentinel],
            begin: { try await $0.killSettledPrimary() },
            end: { world in
                try await world.sentinels.nextPrimary(after: world.lost())
                try await world.lost().restart()
            }),
        RedisFault(
            "the primary is frozen, and wakes up as one of two", on: [.sentinel],
            begin: { world in
                try await world.sentinels.settle()
                world.former = try await world.sentinels.primary()
                try world.lost().pause()
            },
            end: { world in
                try await world.sentinels.nextPrimary(after: world.lost())
                try world.lost().resume()
            }),
        RedisFault(
            "sentinels cannot reach the primary, servers can", on: [.sentinel], newcomers: .unharmed,
            begin: { world in
                try await world.sentinels.settle()
                world.former = try await world.sentinels.cutPrimary()
            },
            end: { try await $0.sentinels.nextPrimary(after: $0.lost()) }),
        RedisFault(
            "sentinels reach it again", on: [.sentinel], newcomers: .unharmed, for: 0,
            begin: { try await $0.sentinels.rejoin($0.lost()) }, end: { try await $0.sentinels.settle() }),
        RedisFault(
            "packets from sentinels to the primary are lost", on: [.sentinel], newcomers: .unharmed, inOwnNetwork: true,
            begin: { world in
                try await world.sentinels.settle()
                world.former = try await world.sentinels.primary()
                try await world.losePackets(to: world.lost())
            },
            end: { try await $0.sentinels.nextPrimary(after: $0.lost()) }),
        RedisFault(
            "packets arrive again", on: [.sentinel], newcomers: .unharmed, for: 0, inOwnNetwork: true,
            begin: { try await $0.letPackets(to: $0.lost()) }, end: { try await $0.sentinels.settle() }),
    ]

    static let clusterTakeovers = [
        RedisFault(
            "a slot moves, with its keys", on: [.cluster], always: true, newcomers: .unharmed, for: 0,
            begin: { world in
                for key in RedisWorld.busyKeys {
                    let move = try await world.move(of: key)
                    try await world.cluster.moveSlot(move.slot, from: move.from, to: move.to)
                }
            }),
        RedisFault(
            "a slot is half-way for a while", on: [.cluster], newcomers: .unharmed, for: 3,
            begin: { world in
                for key in RedisWorld.busyKeys {
                    let move = try await world.move(of: key)
                    world.moves.append(move)
                    try await world.cluster.beginMove(move.slot, from: move.from, to: move.to)
                    try await world.cluster.moveKeys(move.slot, from: move.from, to: move.to, atMost: 1)
                }
            },
            end: { world in
                for move in world.moves {
                    try await world.cluster.moveSlot(move.slot, from: move.from, to: move.to)
                }
                world.moves = []
            }),
        RedisFault(
            "a fail-over that a replica is asked for", on: [.cluster], newcomers: .unharmed, for: 0,
            begin: { _ = try await $0.cluster.failOver($0.busyShard()) }),
        RedisFault(
            "a master is killed: its slots are nobody's until its replica takes over", on: [.cluster],
            begin: { world in
                let node = try await world.cluster.killMaster(world.busyShard())
                world.former = try world.cluster.nodes[node]
            },
            end: { world in
                let node = try world.cluster.nodes.firstIndex { $0 === world.former } ?? 0
                try await world.cluster.nextMaster(of: node % world.cluster.shards, after: node)
                try await world.cluster.settle()
            }),
        RedisFault(
            "it comes back, and is made a replica", on: [.cluster], newcomers: .unharmed, for: 0,
            begin: { try await $0.lost().restart() }, end: { try await $0.cluster.settle() }),
    ]
}

extension RedisWorld {
    /// The registry's, and those of somebody who is there.
    fileprivate static let busyKeys = [
        "pomelo:{chat}:servers", "pomelo:{chat/connector-server-1}:lease", "POMELO:STATUS:bob1*hall",
    ]

    fileprivate func lost() throws -> RedisServer {
        guard let former else { throw Unmet(description: "nobody is to come back") }
        return former
    }

    /// When the one before it has become a replica.
    fileprivate func killSettledPrimary() async throws {
        try await sentinels.settle()
        former = try await sentinels.killPrimary()
    }

    /// The shard of the registry, as of the start.
    fileprivate func busyShard() async throws -> Int {
        let server = try await server()
        let node = try cluster.nodes.firstIndex { $0 === server } ?? 0
        return try node % cluster.shards
    }

    /// From the node that serves a key to the master of another shard.
    fileprivate func move(of key: String) async throws -> SlotMove {
        let from = try await server(for: key)
        let index = try cluster.nodes.firstIndex { $0 === from } ?? 0
        let slot = Int(try await from.command("CLUSTER", "KEYSLOT", key).joined()) ?? 0
        let to = try await cluster.master(of: (index + 1) % cluster.shards)
        return SlotMove(slot: slot, from: index, to: to)
    }
}
