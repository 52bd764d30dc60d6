// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop

/// Gives versions that only rise, also when the wall clock steps back, and above all those it has seen.
@Loop final class VersionClock {
    private static let countBits: UInt64 = 16
    /// No version is so high, in two thousand years: a number that is was never given, and is not followed.
    nonisolated static let limit: UInt64 = 1 << 62
    private let clock: any LoopClock
    private let server: ServerID
    private(set) var last: UInt64 = 0

    init(_ clock: any LoopClock, _ server: ServerID) {
        self.clock = clock
        self.server = server
    }

    func next() -> UInt64 {
        let milliseconds = UInt64(clamping: clock.wallMilliseconds)
        last = max(last &+ 1, milliseconds << Self.countBits)
        return last
    }

    /// What another server, or an earlier start of this one, has given.
    func see(_ number: UInt64) { if number < Self.limit / 2 { last = max(last, number) } }

    func version(_ number: UInt64) -> SyncVersion { SyncVersion(number: number, server: server) }
}
