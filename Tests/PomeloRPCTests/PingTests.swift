// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloRPC
import PomeloWire
import Testing

/// Two servers watch each other over two connections, and one ping serves both.
@Suite struct PingTests {
    @Test @Loop func onePingServesBothAsLongAsNobodyCalls() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        await settle()
        var pings = 0
        cluster.net.fate = { _, frame in
            if case .ping = frame { pings += 1 }
            return .pass
        }
        await cluster.advance(.seconds(60))
        // One a second, a little faster; and one each ten seconds over the other connection.
        #expect((60...75).contains(pings))
        #expect(!a.directory.isSuspect("b") && !b.directory.isSuspect("a"))
    }

    /// The first of the two pings for both, so the connection of the other one is the one that nobody pings.
    @Test @Loop func aConnectionThatAloneIsStuckIsNoticedWhenItIsUsed() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        await cluster.advance(.milliseconds(3300))
        cluster.net.frozen = [a.info.record.port]
        await cluster.advance(.seconds(3))
        #expect(!b.directory.isSuspect("a"))
        let call = b.begin(a, within: .seconds(60))
        await cluster.advance(.milliseconds(2100))
        #expect(call.kind == "maybeExecuted" && b.directory.isSuspect("a"))
    }

    @Test @Loop func andWithoutUseBeforeItIsSilentForAThirdOfWhatClosesIt() async throws {
        let cluster = MemoryCluster()
        let (a, b) = try await cluster.pair()
        await cluster.advance(.milliseconds(3300))
        cluster.net.frozen = [a.info.record.port]
        await cluster.advance(.seconds(13))
        #expect(b.directory.isSuspect("a") && !a.directory.isSuspect("b"))
    }
}
