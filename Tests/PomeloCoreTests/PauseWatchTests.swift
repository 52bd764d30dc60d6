// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloTesting
import Testing

/// A process that did not run notices.
@Suite struct PauseWatchTests {
    @Test @Loop func aPauseIsToldOnceAndTimeThatPassesIsNone() async throws {
        let cluster = TestCluster(TestCluster.records(connectors: 1))
        let app = try await cluster.start("connector-1")
        var pauses: [Duration] = []
        app.pauseWatch.on { pauses.append($0) }
        await cluster.advance(by: .seconds(10))
        #expect(pauses.isEmpty)
        for pause in [Duration.milliseconds(900), .seconds(2), .seconds(16)] {
            cluster.pause("connector-1")
            await cluster.advance(by: pause)
            cluster.resume("connector-1")
            await cluster.advance(by: .seconds(1))
        }
        #expect(pauses.count == 2 && app.pauseWatch.count == 2)
        #expect(pauses.allSatisfy { $0 >= PauseWatch.threshold })
        #expect(pauses[1] > .seconds(15))
        await cluster.stop("connector-1")
    }
}
