// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloDeflate
import PomeloLoop
import PomeloWire

/// Deflates and inflates for all clients of a port: with one state of each kind, which is made when it is first wanted
/// and begins anew with each message, so that a client who says nothing costs nothing.
@Loop final class PortCompression {
    /// For messages over WebSocket, by the width of their window.
    private var deflaters: [Int: Deflater] = [:]
    /// For messages of clients that stand by themselves.
    private var messages: Inflater?
    /// For bodies that clients have compressed: pomelo's messages, whatever carries them.
    private var bodies: Inflater?
    /// What was deflated last: the same bytes are often for many clients, one after the other.
    private var last: (message: Bytes, windowBits: Int, deflated: Bytes?)?

    /// Deflates a message; nil when it would not get smaller.
    func deflate(_ message: Bytes, windowBits: Int, _ statistics: inout ConnectorStatistics) -> Bytes? {
        // The same memory is equal without a look at it.
        if let last, last.windowBits == windowBits, last.message == message { return last.deflated }
        do throws(WireError) {
            let deflated = try deflater(windowBits).deflate(message.span)
            statistics.deflated += 1
            last = (message, windowBits, deflated)
            return deflated
        } catch {
            // No memory for another state: it is sent as it is.
            return nil
        }
    }

    private func deflater(_ windowBits: Int) throws(WireError) -> Deflater {
        if let deflater = deflaters[windowBits] { return deflater }
        let deflater = try Deflater(windowBits: windowBits)
        deflaters[windowBits] = deflater
        return deflater
    }

    /// Inflates a message over WebSocket that stands by itself.
    ///
    /// - Throws: as `Inflater`.
    func inflate(message: Bytes, limit: Int) throws(WireError) -> Bytes {
        if let messages { return try messages.inflate(message.span, limit: limit) }
        let inflater = try Inflater(.raw)
        messages = inflater
        return try inflater.inflate(message.span, limit: limit)
    }

    /// Inflates a body.
    ///
    /// - Throws: as `Inflater`.
    func inflate(body: Span<UInt8>, limit: Int) throws(WireError) -> Bytes {
        if let bodies { return try bodies.inflate(body, limit: limit) }
        let inflater = try Inflater(.zlibOrGzip)
        bodies = inflater
        return try inflater.inflate(body, limit: limit)
    }
}

/// What one WebSocket has agreed on with its client.
@Loop final class AgreedCompression {
    /// As ``DeflateAgreement/serverWindowBits``: messages that are deflated for it are the same as for others with it.
    let windowBits: Int
    private let clientWindowBits: Int
    private let keepsContext: Bool
    /// Of a client whose messages refer to those before, from the first of them on.
    private var inflater: Inflater?

    init(_ agreement: DeflateAgreement) {
        windowBits = agreement.serverWindowBits
        clientWindowBits = agreement.clientWindowBits
        keepsContext = agreement.clientKeepsContext
    }

    /// Inflates a message of the client.
    ///
    /// - Throws: as `Inflater`.
    func inflate(_ message: Bytes, limit: Int, _ port: PortCompression) throws(WireError) -> Bytes {
        guard keepsContext else { return try port.inflate(message: message, limit: limit) }
        if let inflater { return try inflater.inflate(message.span, limit: limit) }
        let inflater = try Inflater(.raw, windowBits: clientWindowBits, keepsContext: true)
        self.inflater = inflater
        return try inflater.inflate(message.span, limit: limit)
    }
}

/// Stands for one way to frame a push, as its key in `PushMessage`.
final class PushFraming: Sendable {}

/// The ways to frame a push over WebSocket: as it is, or compressed for windows of 9 to 15 bits.
struct PushFramings: Sendable {
    private let plain = PushFraming()
    private let compressed = (9...15).map { _ in PushFraming() }

    @Loop subscript(compression: AgreedCompression?) -> PushFraming {
        guard let compression, compressed.indices.contains(compression.windowBits - 9) else { return plain }
        return compressed[compression.windowBits - 9]
    }
}
