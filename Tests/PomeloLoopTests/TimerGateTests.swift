// SPDX-License-Identifier: MIT
import TestHelpers
import Testing

@testable import PomeloLoop

@Suite struct TimerGateTests {
    private static let start: UInt64 = 5_000_000_000

    private func begins(_ gate: inout TimerGate, _ now: UInt64) -> Bool { gate.pollBegins { now } }
    private func ended(_ gate: inout TimerGate, _ now: UInt64) -> UInt64? { gate.pollEnded { now } }

    @Test func nothingPassesWithoutADueTimer() {
        var gate = TimerGate()
        #expect(!begins(&gate, Self.start))
        #expect(ended(&gate, Self.start) == nil)
    }

    @Test func aTimerThatBecomesDueDuringAPollWaitsForTheNextOne() {
        var gate = TimerGate()
        _ = gate.pollBegins(at: { Self.start })
        gate.note()
        #expect(ended(&gate, Self.start + 1) == nil)
        #expect(begins(&gate, Self.start + 2), "that poll does not wait")
        #expect(ended(&gate, Self.start + 3) == Self.start + 2)
        #expect(!begins(&gate, Self.start + 4))
        #expect(ended(&gate, Self.start + 5) == nil)
    }

    @Test func aPauseBetweenPollAndTimersMakesThemWaitForOneMorePoll() {
        var gate = TimerGate()
        gate.note()
        _ = gate.pollBegins(at: { Self.start })
        let woken = Self.start + TimerGate.stale + 1
        #expect(ended(&gate, woken) == nil)
        #expect(begins(&gate, woken), "that poll does not wait")
        #expect(ended(&gate, woken + 1) == woken)
    }

    @Test func aLoopThatIsAlwaysSlowDoesNotStarveItsTimers() {
        var gate = TimerGate()
        gate.note()
        var now = Self.start
        var fired: [Int] = []
        for turn in 0..<6 {
            _ = gate.pollBegins(at: { now })
            now += 2 * TimerGate.stale
            if gate.pollEnded(at: { now }) != nil {
                fired.append(turn)
                gate.note()
            }
        }
        #expect(fired == [1, 3, 5])
    }
}
