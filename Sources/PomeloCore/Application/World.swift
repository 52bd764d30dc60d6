// SPDX-License-Identifier: MIT
public import PomeloLoop

/// What an application gets from outside: time, chance, network and transport.
///
/// Tests give their own.
@Loop public struct World {
    /// Time and timers.
    public var clock: any LoopClock
    /// Randomness; unpredictable outside of tests, for nonces come from it.
    public var random: RandomSource
    /// Makes listeners and connections.
    public var network: any Network
    /// Carries the calls between servers; an application needs one of its own.
    public var transport: any RPCTransport

    /// Puts the parts together.
    public init(clock: any LoopClock, random: RandomSource, network: any Network, transport: any RPCTransport) {
        self.clock = clock
        self.random = random
        self.network = network
        self.transport = transport
    }
}
