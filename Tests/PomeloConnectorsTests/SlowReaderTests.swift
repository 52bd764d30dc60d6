// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import TestHelpers
import Testing

@testable import PomeloConnectors

/// What a client misses that reads slower than it is sent to: nothing it asked for, and never the order.
@Suite struct SlowReaderTests {
    /// An outbox that is asked by what it is given.
    private final class Waiting {
        private(set) var outbox: Outbox<Bytes>
        init(latestOnly: Bool) { outbox = Outbox(latestOnly: latestOnly) }

        func put(_ text: String, _ route: String? = "on", limit: Int) -> Bool {
            outbox.put(Bytes(text.utf8), size: text.utf8.count, route: route.map { Text($0) }, limit: limit)
        }

        func texts() -> [String] {
            var all: [String] = []
            while let next = outbox.take() { all.append(String(decoding: next, as: UTF8.self)) }
            return all
        }
    }

    @Test func theOldestPushesAreLeftOutUntilAnEighthIsFree() {
        let waiting = Waiting(latestOnly: false)
        for number in 0..<9 {
            #expect(waiting.put("push-----\(number)", "on", limit: 80))
        }
        #expect(waiting.outbox.size == 70)
        #expect(waiting.outbox.dropped == 2)
        #expect(waiting.texts() == (2..<9).map { "push-----\($0)" })
    }

    @Test func answersAreNeverLeftOut() {
        let waiting = Waiting(latestOnly: false)
        #expect(waiting.put("answer", nil, limit: 20))
        for number in 0..<50 { #expect(waiting.put("push\(number % 10)", "on", limit: 20)) }
        #expect(waiting.texts() == ["answer", "push8", "push9"])
        let unread = Waiting(latestOnly: false)
        for _ in 0..<3 { #expect(unread.put("answer", nil, limit: 20)) }
        #expect(!unread.put("answer", nil, limit: 20), "a client that reads no answers is closed")
        #expect(unread.outbox.dropped == 0)
    }

    @Test func ofEachRouteTheNewestStays() {
        let waiting = Waiting(latestOnly: true)
        for number in 0..<100 {
            #expect(waiting.put("move\(number)", "onMove", limit: 1000))
            if number == 50 { #expect(waiting.put("answer", nil, limit: 1000)) }
            if number % 40 == 0 { #expect(waiting.put("score\(number)", "onScore", limit: 1000)) }
        }
        #expect(waiting.texts() == ["answer", "score80", "move99"])
        #expect(waiting.outbox.dropped == 101)
    }

    @Test func oneLongMessageIsLetThrough() {
        let waiting = Waiting(latestOnly: false)
        #expect(waiting.put(String(repeating: "a", count: 100), limit: 10))
        #expect(waiting.put(String(repeating: "b", count: 100), limit: 10))
        #expect(waiting.outbox.size == 100 && waiting.outbox.dropped == 1)
    }

    /// A client at work that does not read.
    @Loop private func slow(_ policy: SlowReaderPolicy, limit: Int = 4000) throws -> Wired {
        var options = HybridOptions()
        options.limits.slowReaders = policy
        options.limits.maxOutboundBytes = limit
        let wired = try Wired(options)
        wired.work()
        wired.stream.stuck = true
        return wired
    }

    @Loop private func push(_ wired: Wired, _ numbers: Range<Int>, _ route: String = "on") throws {
        let socket = try #require(wired.host.session?.socket)
        for number in numbers {
            socket.push(try PushMessage(route: route, body: Bytes("{\"number\":\(number + 1000)}".utf8)))
        }
    }

    /// The client reads all there is, again and again, until nothing comes.
    @Loop private func readAll(_ wired: Wired) -> String {
        var all = wired.stream.taken()
        while wired.stream.queuedBytes > 0 {
            wired.stream.queuedBytes = 0
            wired.stream.delegate?.streamDidDrain(wired.stream)
            all += wired.stream.taken()
        }
        return String(decoding: all, as: UTF8.self)
    }

    @Test @Loop func aSlowReaderMissesTheOldestAndReadsOn() throws {
        let wired = try slow(.dropOldest)
        try push(wired, 0..<500)
        wired.stream.feed(Sample.echo1)
        #expect(wired.stream.closing == nil)
        let dropped = wired.port.statistics.droppedPushes
        #expect((300..<500).contains(dropped), "\(dropped)")
        let read = readAll(wired)
        #expect(read.contains("1000}") && read.contains("1499}") && !read.contains("1200}"))
        #expect(read.hasSuffix("{\"a\":1}"), "the answer comes behind them")
        wired.stream.stuck = false
        try push(wired, 500..<510)
        #expect(readAll(wired).contains("1509}"))
        #expect(wired.port.statistics.droppedPushes == dropped)
    }

    @Test @Loop func aSlowReaderGetsTheNewestOfEachRoute() throws {
        let wired = try slow(.latestOnly)
        try push(wired, 0..<500, "onMove")
        try push(wired, 0..<3, "onScore")
        #expect(wired.stream.closing == nil)
        let read = readAll(wired)
        #expect(read.contains("1499}") && read.contains("1002}"))
        #expect(!read.contains("1498}") && !read.contains("1001}onScore"))
    }

    @Test @Loop func whoReadsNoAnswersIsClosedWithEveryPolicy() throws {
        for policy in SlowReaderPolicy.allCases {
            let wired = try slow(policy, limit: 400)
            try push(wired, 0..<8)
            for _ in 0..<40 { wired.stream.feed(Sample.echo1) }
            #expect(wired.fault(.slowConsumer) == 1, "\(policy)")
        }
    }

    @Test @Loop func aKickComesBehindWhatWaits() throws {
        let wired = try slow(.dropOldest)
        try push(wired, 0..<500)
        try #require(wired.host.session).socket.close(kick: "enough")
        let read = String(decoding: wired.stream.taken(), as: UTF8.self)
        #expect(read.contains("1499}") && read.hasSuffix("{\"reason\":\"enough\"}"))
        #expect(wired.stream.flushed)
    }

    @Test @Loop func whatWasNotOfferedYetIsNotLeftOut() throws {
        let wired = try slow(.dropOldest)
        wired.stream.takesEarly = 2000
        try push(wired, 0..<180)
        #expect(wired.port.statistics.droppedPushes == 0)
        #expect(wired.stream.closing == nil)
    }
}
