// SPDX-License-Identifier: MIT
public import PomeloCore

extension HybridOptions: FileOptions {
    /// `connector.json`.
    public static var fileName: String { "connector" }

    /// No heartbeat, no dictionary.
    public init() { self.init(heartbeat: nil) }

    /// Reads the keys, all of them optional; durations have `Seconds` behind their name, 0 turns heartbeats off.
    ///
    /// - Throws: `PomeloError` `.configuration` naming the file and the key.
    public mutating func read(_ reader: inout OptionReader) throws {
        let bytes = 64...1 << 30
        heartbeat = try reader.seconds("heartbeatSeconds", orZero: true) ?? heartbeat
        timeout = try reader.seconds("timeoutSeconds") ?? timeout
        resetOnData = try reader.bool("resetOnData") ?? resetOnData
        idleTimeout = try reader.seconds("idleTimeoutSeconds") ?? idleTimeout
        handshakeTimeout = try reader.seconds("handshakeTimeoutSeconds") ?? handshakeTimeout
        maxPending = try reader.int("maxPending", in: 1...1 << 20) ?? maxPending
        maxPendingPerAddress = try reader.int("maxPendingPerAddress", in: 1...1 << 20) ?? maxPendingPerAddress
        maxBytesBeforeAck = try reader.int("maxBytesBeforeAck", in: bytes) ?? maxBytesBeforeAck
        maxMessageBytes = try reader.int("maxMessageBytes", in: bytes) ?? maxMessageBytes
        maxHeldBytes = try reader.int("maxHeldBytes", in: bytes) ?? maxHeldBytes
        maxOutboundBytes = try reader.int("maxOutboundBytes", in: bytes) ?? maxOutboundBytes
        maxIgnoredPackages = try reader.int("maxIgnoredPackages", in: 0...1 << 20) ?? maxIgnoredPackages
    }
}
