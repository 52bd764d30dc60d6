// SPDX-License-Identifier: MIT
import CLibuv
import PomeloLoop
import Testing

/// What a profile finds the loop at.
@Suite struct LoopProfileTests {
    @inline(never) @Loop private func burn(_ time: Duration) -> Int {
        let end = uv_hrtime() + UInt64(time / .nanoseconds(1))
        var turns = 0
        while uv_hrtime() < end { turns &+= 1 }
        return turns
    }

    @Test @Loop func whatTheLoopIsBusyWith() async throws {
        async let profile = LoopProfile.take(for: .seconds(1))
        // In pieces, as turns are.
        var turns = 0
        for _ in 0..<20 {
            turns &+= burn(.milliseconds(60))
            await Task.yield()
        }
        let found = try await profile
        let counted = found.stacks.compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }
        #expect(turns > 0 && counted.count == found.stacks.count)
        #expect(found.samples > 10 && counted.reduce(0, +) == found.samples)
        #expect(counted == counted.sorted(by: >))
        #expect(found.stacks.contains { $0.contains("burn") && $0.contains(";") }, "\(found.stacks.prefix(3))")
    }

    @Test @Loop func noTimeIsNoProfile() async throws {
        let found = try await LoopProfile.take(for: .zero)
        #expect(found.samples == 0 && found.stacks == [])
    }
}
