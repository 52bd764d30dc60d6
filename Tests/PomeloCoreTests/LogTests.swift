// SPDX-License-Identifier: MIT
import Logging
import PomeloLoop
import PomeloTesting
import Synchronization
import TestHelpers
import Testing

@testable import PomeloCore

/// What outsiders can cause is logged, but neither as they like nor as often as they like.
@Suite struct LogTests {
    /// Writes lines as swift-log's own handler does.
    private final class Lines: Sendable {
        let texts = Mutex<[String]>([])

        var logger: Logger {
            Logger(label: "test") { label in
                StreamLogHandler(label: label, stream: Stream(lines: self), metadataProvider: nil)
            }
        }

        struct Stream: TextOutputStream, Sendable {
            let lines: Lines
            func write(_ string: String) { lines.texts.withLock { $0.append(string) } }
        }

        /// What stands in the file, cut where a reader cuts.
        var all: [String] {
            texts.withLock { $0.joined() }.split { $0 == "\n" || $0 == "\r" || $0 == "\r\n" }.map(String.init)
        }
    }

    private static let hostile = "a.b.c\r\n2026-01-01T00:00:00+0000 critical pomelo: all is lost\u{1B}[2J\u{2028}x"

    @Test func aLineCannotBeForged() {
        let lines = Lines()
        var logger = lines.logger.lineSafe
        logger[metadataKey: "server"] = "\(Self.hostile)"
        logger.warning("one \(Self.hostile)", metadata: ["route": "\(Self.hostile)"])
        logger.warning(
            "two",
            metadata: [
                "list": ["\(Self.hostile)"], "map": ["key": .stringConvertible(PomeloError(.network, Self.hostile))],
            ])
        #expect(lines.all.count == 2)
        #expect(lines.all.allSatisfy { !$0.contains("\u{1B}") && !$0.contains("\u{2028}") })
        #expect(lines.all.allSatisfy { $0.contains("all is lost") })
    }

    @Test func aLongLineIsCut() {
        let lines = Lines()
        let long = String(repeating: "x", count: 1_000_000)
        lines.logger.lineSafe.warning("\(long)", metadata: ["error": "\(long)"])
        #expect(lines.all.count == 1 && (lines.all.first?.utf8.count ?? 0) < 4096)
    }

    @Test func levelAndMetadataAreThoseOfTheHandlerBelow() {
        let lines = Lines()
        var logger = lines.logger.lineSafe
        logger.logLevel = .error
        logger.warning("not written")
        #expect(lines.all.isEmpty)
        #expect(logger.lineSafe.logLevel == .error)
    }

    // MARK: limited

    @Test @Loop func whatIsTooMuchIsCountedAndTold() {
        let (lines, clock) = (Lines(), ManualClock())
        let log = LimitedLog(lines.logger, clock, "request failed", lines: 3)
        for index in 0..<1000 { log.write(["n": "\(index)"]) }
        #expect(lines.all.count == 3)
        clock.advance(by: .seconds(1))
        #expect(lines.all.count == 4)
        #expect(lines.all.last?.contains("pomelo.leftOut=997") == true)
        log.write(["n": "again"])
        #expect(lines.all.count == 5)
        clock.advance(by: .seconds(5))
        #expect(lines.all.count == 5 && clock.pendingTimers == 0)
    }

    @Test @Loop func whatIsNotLoggedIsNotCounted() {
        let (lines, clock) = (Lines(), ManualClock())
        var logger = lines.logger
        logger.logLevel = .error
        let log = LimitedLog(logger, clock, "request failed", lines: 1)
        for _ in 0..<10 { log.write([:]) }
        #expect(lines.all.isEmpty && clock.pendingTimers == 0)
    }

    /// Each failing request used to write a line at once: most of what a flood of them costs.
    @Test @Loop func failingRequestsOfAFloodWriteFewLines() async throws {
        let logs = CapturedLogs.installed
        let cluster = TestCluster(TestCluster.records(connectors: 1, chats: 0))
        try await cluster.start("connector-1")
        let socket = try #require(cluster.connect("connector-1"))
        let route = "connector.flood.\(ObjectIdentifier(socket).hashValue)"
        let ids = (0..<500).map { _ in socket.request(route) }
        await cluster.settle(turns: 2000)
        #expect(ids.allSatisfy { socket.texts($0) == [#"{"code":500}"#] })
        let count = logs.lines("pomelo", where: "pomelo.route", is: route).count
        #expect((1...10).contains(count), "\(count)")
    }
}
