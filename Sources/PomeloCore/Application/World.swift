// SPDX-License-Identifier: MIT
public import PomeloLoop

/// What an application gets from outside: time, chance, network and transport. Tests give their own.
@Loop public struct World {
    public var clock: any LoopClock
    public var random: RandomSource
    public var network: any Network
    public var transport: any RPCTransport

    public init(clock: any LoopClock, random: RandomSource, network: any Network, transport: any RPCTransport) {
        self.clock = clock
        self.random = random
        self.network = network
        self.transport = transport
    }
}
