// SPDX-License-Identifier: MIT
public import PomeloCore

extension RPCOptions: FileOptions {
    /// `rpc.json`.
    public static var fileName: String { "rpc" }

    /// Reads the keys, all of them optional; durations have `Seconds` behind their name.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file and the key.
    public mutating func read(_ reader: inout OptionReader) throws {
        let bytes = 1024...1 << 30
        maxInFlightPerPeer = try reader.int("maxInFlightPerPeer", in: 1...1 << 20) ?? maxInFlightPerPeer
        maxQueuedBytesPerPeer = try reader.int("maxQueuedBytesPerPeer", in: bytes) ?? maxQueuedBytesPerPeer
        maxFrameBytes = try reader.int("maxFrameBytes", in: bytes) ?? maxFrameBytes
        chunkBytes = try reader.int("chunkBytes", in: bytes) ?? chunkBytes
        pingInterval = try reader.seconds("pingIntervalSeconds") ?? pingInterval
        pingTimeout = try reader.seconds("pingTimeoutSeconds") ?? pingTimeout
        suspectAfterMisses = try reader.int("suspectAfterMisses", in: 1...100) ?? suspectAfterMisses
        reconnectAfter = try reader.seconds("reconnectAfterSeconds") ?? reconnectAfter
        reconnectAtMost = try reader.seconds("reconnectAtMostSeconds") ?? reconnectAtMost
        handshakeTimeout = try reader.seconds("handshakeTimeoutSeconds") ?? handshakeTimeout
        maxPendingHandshakes = try reader.int("maxPendingHandshakes", in: 1...65_536) ?? maxPendingHandshakes
        maxPendingHandshakesPerAddress =
            try reader.int("maxPendingHandshakesPerAddress", in: 1...65_536) ?? maxPendingHandshakesPerAddress
        seal = try reader.choice("seal") ?? seal
        confirmAfter = try reader.seconds("confirmAfterSeconds") ?? confirmAfter
        callerSilence = try reader.seconds("callerSilenceSeconds") ?? callerSilence
        drainAtMost = try reader.seconds("drainAtMostSeconds") ?? drainAtMost
    }
}
