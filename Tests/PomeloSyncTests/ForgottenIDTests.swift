// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloSync

/// What a key has no values of any more takes no room: memory would grow with every id that ever was.
@Suite @Loop struct ForgottenIDTests {
    private let world: SyncWorld

    init() async throws { world = try await SyncWorld() }

    private func expectNothingKnown() throws {
        let table = try world.sync.lanes.table(.level).line
        for id in 0..<100 { #expect(table.items.number(of: Text("\(id)")) == nil) }
    }

    @Test func anIDWhoseValuesHaveLeftIsForgotten() async throws {
        for round in 0..<3 {
            for id in 0..<100 { try await world.sync.exec(.level, "\(id)", round) }
            await world.sync.sync()
            #expect(world.sync.isDone)
            try expectNothingKnown()
        }
    }

    @Test func oneThatIsOfNoUseToItsSinkIsForgotten() async throws {
        world.sink.answer = { _ in .refused("no") }
        for id in 0..<100 { try await world.sync.exec(.level, "\(id)", 1) }
        await world.sync.sync()
        #expect(world.sync.deadLetters.count == 100)
        try expectNothingKnown()
    }

    @Test func oneThatComesWhileItIsOnItsWayIsForgottenAfterwards() async throws {
        for id in 0..<100 { try await world.sync.exec(.level, "\(id)", 1) }
        async let synced = world.sync.sync()
        await Loop.yield()
        for id in 0..<100 { try await world.sync.exec(.level, "\(id)", 2) }
        _ = await synced
        await world.sync.sync()
        await world.pass(.seconds(60))
        #expect(world.sync.isDone)
        try expectNothingKnown()
    }
}
