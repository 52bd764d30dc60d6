// SPDX-License-Identifier: MIT

/// A small, fast, seedable generator.
///
/// - Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
public struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Equal seeds give equal sequences.
    public init(seed: UInt64) { state = seed }

    /// The next 64 bits of the sequence.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z &>> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z &>> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z &>> 31)
    }
}

/// The only source of randomness of an application: instance ids, jitter, nonces.
///
/// Nonces need an unpredictable source; a seeded one is for simulation only.
@Loop public final class RandomSource {
    private var seeded: SplitMix64?
    private var system = SystemRandomNumberGenerator()

    /// Without a seed, the operating system's generator.
    public nonisolated init(seed: UInt64? = nil) { seeded = seed.map(SplitMix64.init) }

    /// 64 random bits.
    public func next() -> UInt64 {
        if var generator = seeded {
            defer { seeded = generator }
            return generator.next()
        }
        return system.next()
    }

    /// `count` random bytes.
    public func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in UInt8(truncatingIfNeeded: next() >> 17) }
    }

    /// `duration` scaled by a factor drawn evenly from `1 ± fraction`.
    public func jittered(_ duration: Duration, by fraction: Double = 0.1) -> Duration {
        let unit = Double(next() >> 11) / Double(1 << 53)
        return duration * (1 + (unit * 2 - 1) * fraction)
    }

    /// A name that no other start of a process has: 16 hexadecimal digits.
    public func instanceID() -> String {
        let digits = String(next(), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
