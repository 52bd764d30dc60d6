// SPDX-License-Identifier: MIT
import Foundation
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

/// The Chat cluster through everything that happens to Redis; the table is in RedisFault.swift.
@Suite(.serialized) struct RedisFailureTests {
    /// Kinds of Redis whose faults are in the table.
    static let kinds = RedisWorld.Kind.allCases.filter { kind in chosen.contains { $0.kinds.contains(kind) } }

    /// `POMELO_FAULTS` is a part of descriptions, or empty for all; without it, those for every run.
    static let chosen = RedisFault.all.filter { fault in
        guard let words = ProcessInfo.processInfo.environment["POMELO_FAULTS"] else { return fault.isQuick }
        return words.isEmpty || fault.description.contains(words)
    }

    /// How often in a row each of them happens; `POMELO_FAULTS` and `POMELO_FAULT_TIMES` together repeat one.
    private static let times = ProcessInfo.processInfo.environment["POMELO_FAULT_TIMES"].flatMap(Int.init) ?? 1

    @Test(arguments: kinds) @Loop func survives(_ kind: RedisWorld.Kind) async throws {
        let world = try await RedisWorld.start(kind)
        do {
            try await survives(world)
        } catch {
            Issue.record(error)
        }
        try await world.stop()
    }

    @Loop private func survives(_ world: RedisWorld) async throws {
        let room = try await CountingRoom.open(world)
        let faults = Self.chosen.filter { $0.kinds.contains(world.kind) }
        for fault in faults where fault.needsOwnNetwork && !OwnNetwork.isThis {
            print("\(world.kind), \(fault): skipped, \(OwnNetwork.absence)")
        }
        for fault in faults where !fault.needsOwnNetwork || OwnNetwork.isThis {
            var healed: [Duration] = []
            for _ in 0..<Self.times {
                let outcome = try await room.live(through: fault)
                print("\(world.kind), \(fault): \(outcome)")
                #expect(outcome.wrong.isEmpty, "\(fault): \(outcome.wrong.prefix(5))")
                #expect(outcome.longestAnswer < promised(.seconds(3)), "\(fault)")
                #expect(outcome.healed < promised(.seconds(5)), "\(fault)")
                if fault.newcomers == .refused {
                    #expect(outcome.noticed.map { $0 < promised(.seconds(3)) } ?? false, "\(fault): \(outcome)")
                }
                healed.append(outcome.healed)
            }
            guard Self.times > 1 else { continue }
            healed.sort()
            let (half, nearlyAll) = (healed[healed.count / 2], healed[(healed.count * 99 - 1) / 100])
            print("\(world.kind), \(fault): healed, half \(half), 99 % \(nearlyAll), most \(healed[healed.count - 1])")
        }
    }
}
