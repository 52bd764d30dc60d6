// SPDX-License-Identifier: MIT
import CLibuv
import PomeloLoop
import TestHelpers
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
        // A second may be all of others, who share the loop.
        try await eventually("it is found at work", within: .seconds(60)) {
            let found = try await profileWhileBurning()
            let counted = found.stacks.compactMap { $0.split(separator: " ").last.flatMap { Int($0) } }
            #expect(counted.count == found.stacks.count && counted.reduce(0, +) == found.samples)
            #expect(counted == counted.sorted(by: >))
            return found.samples > 10 && found.stacks.contains { $0.contains("burn") && $0.contains(";") }
        }
    }

    @Loop private func profileWhileBurning() async throws -> LoopProfile {
        let burning = Task { @Loop in
            // In pieces, as turns are.
            while !Task.isCancelled {
                #expect(burn(.milliseconds(20)) > 0)
                await Task.yield()
            }
        }
        defer { burning.cancel() }
        return try await LoopProfile.take(for: .seconds(1))
    }

    @Test @Loop func noTimeIsNoProfile() async throws {
        let found = try await LoopProfile.take(for: .zero)
        #expect(found.samples == 0 && found.stacks == [])
    }
}
