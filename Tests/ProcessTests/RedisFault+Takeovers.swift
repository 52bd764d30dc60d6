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
    ]
}

extension RedisWorld {
    fileprivate func lost() throws -> RedisServer {
        guard let former else { throw Unmet(description: "nobody is to come back") }
        return former
    }

    /// When the one before it has become a replica.
    fileprivate func killSettledPrimary() async throws {
        try await sentinels.settle()
        former = try await sentinels.killPrimary()
    }
}
