// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import Testing

@testable import PomeloRPC

@Suite struct SilenceMeterTests {
    private func meter() -> SilenceMeter { SilenceMeter(interval: 1000, timeout: 500, limit: 2, now: 0) }

    @Test func aSilentPeerIsFoundAfterOneIntervalAndTwoTimeouts() {
        var meter = meter()
        #expect(meter.check(at: 0) == .wait(until: 1000))
        #expect(meter.check(at: 1000) == .ping(until: 1500))
        #expect(meter.check(at: 1500) == .ping(until: 2000))
        #expect(meter.check(at: 2000) == .silent)
    }

    @Test func anythingHeardStartsAnew() {
        var meter = meter()
        _ = meter.check(at: 1000)
        _ = meter.check(at: 1500)
        meter.heard(at: 1900)
        #expect(meter.check(at: 2000) == .wait(until: 2900))
    }

    @Test func lifeOnAnotherConnectionCountsUntilThisOneWasSilentForTooLong() {
        var meter = SilenceMeter(interval: 1000, timeout: 500, limit: 2, longest: 3000, now: 0)
        var heard = false
        for instant in [900, 1800, 2700] as [UInt64] { heard = meter.heardElsewhere(at: instant) }
        #expect(heard && meter.check(at: 3600) == .wait(until: 3700))
        heard = meter.heardElsewhere(at: 3600)
        #expect(!heard && meter.check(at: 3700) == .ping(until: 4200) && !meter.pingsAgain)
    }

    @Test func anAnswerThatDoesNotArriveCountsAsAMiss() {
        var meter = meter()
        let isNews = meter.wasMissed()
        #expect(isNews && meter.check(at: 5000) == .ping(until: 5500) && !meter.pingsAgain)
        let again = meter.wasMissed()
        #expect(!again && meter.check(at: 5500) == .silent)
    }

    @Test func timeThatThisProcessSleptIsNotTheFaultOfThePeer() {
        var meter = meter()
        #expect(meter.check(at: 60_000) == .ping(until: 60_500))
        #expect(meter.check(at: 60_100) == .wait(until: 60_500))
    }
}

@Suite struct ChunkQueueTests {
    @Test func longRepliesTakeTurns() {
        var queue = ChunkQueue()
        queue.append(1, [1, 1, 1, 1, 1])
        queue.append(2, [2, 2])
        queue.append(3, [3, 3, 3])
        var order: [String] = []
        while let chunk = queue.next(upTo: 2) {
            order.append("\(chunk.id):\(chunk.bytes.count)\(chunk.last ? "." : "")")
        }
        #expect(order == ["1:2", "2:2.", "3:2", "1:2", "3:1.", "1:1."])
        #expect(queue.bytes == 0 && queue.isEmpty)
    }

    @Test(arguments: [1, 2, 3] as [UInt32])
    func aReplyNobodyWaitsForIsForgotten(id: UInt32) {
        var queue = ChunkQueue()
        for id in 1...3 as ClosedRange<UInt32> { queue.append(id, Bytes(repeating: 0, count: 4)) }
        _ = queue.next(upTo: 2)
        _ = queue.next(upTo: 2)
        queue.remove(id)
        var left: Set<UInt32> = []
        var bytes = 0
        while let chunk = queue.next(upTo: 2) {
            left.insert(chunk.id)
            bytes += chunk.bytes.count
        }
        #expect(left == Set([1, 2, 3]).subtracting([id]))
        #expect(bytes == (id == 3 ? 4 : 6) && queue.bytes == 0)
    }
}

@Suite struct DeadlineSweepTests {
    @Test @Loop func oneTimerServesManyDeadlines() {
        let clock = ManualClock()
        var deadlines: [UInt64] = []
        var fired: [UInt64] = []
        let sweep = DeadlineSweep(clock) { now in
            fired += deadlines.filter { $0 <= now }
            deadlines.removeAll { $0 <= now }
            return deadlines.min()
        }
        for milliseconds in [30, 10, 20] {
            deadlines.append(clock.deadline(after: .milliseconds(milliseconds)))
            sweep.note(deadlines[deadlines.count - 1])
            #expect(clock.pendingTimers == 1)
        }
        let expected = deadlines.sorted()
        clock.advance(by: .milliseconds(15))
        #expect(fired == [expected[0]])
        clock.advance(by: .milliseconds(100))
        #expect(fired == expected && clock.pendingTimers == 0)
    }
}
