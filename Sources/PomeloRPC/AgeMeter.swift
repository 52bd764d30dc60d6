// SPDX-License-Identifier: MIT

/// Tells how old a frame is by the time its sender wrote into it: instants in, age out.
///
/// Two processes' monotonic clocks share their pace, not their origin. The least difference seen between the own time
/// and the sender's is that of the origins plus the least latency; what a frame has beyond it is its age, whatever
/// stood still: this process, the network, a relay. The least difference is that of the last 30 to 60 s, for clocks
/// drift. A machine that is suspended together with its clock is not noticed.
struct AgeMeter {
    private static let window: UInt64 = 30_000_000_000

    private var least: Int64?
    private var leastBefore: Int64?
    private var windowEnd: UInt64 = 0

    /// Nanoseconds throughout.
    mutating func age(sent: UInt64, at now: UInt64) -> UInt64 {
        let difference = Int64(bitPattern: now &- sent)
        if now >= windowEnd {
            // What comes after a long pause is late: the window before it still knows better.
            leastBefore = least
            least = nil
            windowEnd = now &+ Self.window
        }
        let smallest = min(difference, least ?? difference)
        least = smallest
        return UInt64(bitPattern: difference) &- UInt64(bitPattern: min(smallest, leastBefore ?? smallest))
    }
}
