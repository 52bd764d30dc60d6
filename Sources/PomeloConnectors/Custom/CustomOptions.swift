// SPDX-License-Identifier: MIT

/// How the clients of a custom connector are treated; `Buffer` is what its sockets carry.
public struct CustomOptions<Buffer: Sendable>: Sendable {
    /// Above the connector's own, each of the two by itself.
    public var codec = MessageCodec<Buffer>()
    /// What may wait for a client to read, in bytes; what happens to one that is slower is `slowReaders`.
    ///
    /// One message longer than that is let through to a client that has read everything before it.
    public var maxOutboundBytes = 1024 * 1024
    /// What happens to a client that reads slower than it is sent to; what is left out are whole messages.
    public var slowReaders = SlowReaderPolicy.disconnect
    /// What a client may have sent that waits to be decoded or served, in bytes, 64 of them for each message.
    ///
    /// From half of it on its socket is not read; a client that sends more all the same is disconnected.
    public var maxHeldBytes = 1024 * 1024
    /// The same of all clients together; beyond it those of whom most waits are disconnected.
    public var maxTotalHeldBytes = 64 * 1024 * 1024
    /// Messages to a client that may wait for the codec; beyond them it is disconnected.
    public var maxUnencoded = 256
    /// How long a codec that waits may take for one message; then the message is dropped, and the client lives on.
    public var codecDeadline: Duration = .seconds(5)
    /// Messages of one client in a turn of the loop; the rest comes in the next.
    public var maxMessagesPerTurn = 128
    /// How much one client may say in a time; nothing is limited by default.
    public var rate = RateLimits()

    /// Everything at its default.
    public init() {}
}
