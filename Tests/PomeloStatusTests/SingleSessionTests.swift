// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloStatus
import PomeloTesting
import TestHelpers
import Testing

/// A frontend's own rule for second sessions, together with the cluster's.
@Suite struct SingleSessionTests {
    @Test @Loop func theNewSessionTakesOverHereAndIsRefusedElsewhere() async throws {
        let world = try await World(policy: .refuse)
        for frontend in ["connector-1", "connector-2"] as [ServerID] {
            world.cluster[frontend].sessionService.singleSession = .kickOld(reason: "replaced")
        }
        let first = try await world.client("connector-1", "ann")
        let elsewhere = try await world.client("connector-2")
        #expect(await failureCode { try await world.bind(elsewhere, "ann", "connector-2") } == "binding")
        #expect(first.kick == nil)
        let second = try await world.client("connector-1", "ann")
        #expect(first.kick == "replaced" && !second.isClosed)
        // The release of the first session's claim must not take the second one's away.
        await world.cluster.advance(by: .seconds(5))
        #expect(try await world.chat.getSidsByUid("ann") == ["connector-1"])
        #expect(await failureCode { try await world.bind(elsewhere, "ann", "connector-2") } == "binding")
        second.disconnect()
        await world.cluster.advance(by: .seconds(1))
        try await world.bind(elsewhere, "ann", "connector-2")
    }
}
