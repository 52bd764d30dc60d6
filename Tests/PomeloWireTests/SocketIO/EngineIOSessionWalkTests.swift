// SPDX-License-Identifier: MIT
import PomeloWire
import Testing

@Suite("Engine.IO sessions, at random")
struct EngineIOSessionWalkTests {
    /// Whatever happens: one answer a request, every packet once and in order, nothing behind the end.
    @Test(arguments: SocketIORevision.allCases, 0..<8 as Range<UInt64>)
    func anyOrder(revision: SocketIORevision, seed: UInt64) {
        var random = Seeded(seed * 1000 + UInt64(revision.rawValue))
        for walk in 0..<300 {
            var model = SessionModel(revision)
            var steps: [(UInt8, UInt8)] = []
            for _ in 0..<(5 + random.below(60)) {
                let step = (UInt8(random.below(16)), UInt8(random.below(256)))
                steps.append(step)
                model.step(step.0, step.1)
            }
            model.settle()
            if !model.faults.isEmpty {
                Issue.record("walk \(walk): \(model.faults) after \(steps)")
                return
            }
        }
    }

    /// The walks do go everywhere: every reason to end is met, and packets come by polls and WebSockets.
    @Test func walksMeetEveryEnd() {
        var (ends, reached): (Set<EngineIOSession.EndReason>, Int) = ([], 0)
        var random = Seeded(1)
        for walk in 0..<3000 {
            var model = SessionModel(SocketIORevision.allCases[walk % 3])
            for _ in 0..<(5 + random.below(60)) { model.step(UInt8(random.below(16)), UInt8(random.below(256))) }
            model.settle()
            ends.formUnion(model.ends)
            reached += model.reached.count
        }
        #expect(ends == Set(EngineIOSession.EndReason.allCases))
        #expect(reached > 3000)
    }
}
