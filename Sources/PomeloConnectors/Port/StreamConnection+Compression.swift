// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloDeflate
import PomeloLoop
import PomeloWire

/// Messages over WebSocket that are compressed where client and server have agreed to it.
///
/// The decoder hands them on as they came, and what is sent is compressed before it is framed.
extension StreamConnection {
    /// Agrees to one of the client's offers, if it is to.
    ///
    /// - Returns: what to say in the answer; nil says nothing.
    /// - Throws: `WireError` `.malformed` for a broken request.
    func agree(to request: UpgradeRequest, _ options: CompressionOptions) throws(WireError) -> String? {
        guard options.isOn else { return nil }
        let agreement = try request.deflateAgreement(keepsClientContext: options.keepsClientContext)
        guard let agreement else { return nil }
        compression = AgreedCompression(agreement)
        return agreement.answer
    }

    /// A message in a frame of its own, compressed if it gets smaller.
    func frame(_ opcode: WebSocketOpcode, _ message: Bytes) -> Bytes {
        guard let deflated = deflate(message) else { return WebSocketFrame.encode(opcode, message) }
        return WebSocketFrame.encode(opcode, deflated, compressed: true)
    }

    /// Nil for a message that is sent as it is.
    func deflate(_ message: Bytes) -> Bytes? {
        guard let compression, message.count >= limits.compression.minBytes else { return nil }
        return port.compression.deflate(message, windowBits: compression.windowBits, &port.statistics)
    }

    /// What the client has compressed; nil when the connection was closed for it.
    func inflated(_ message: Bytes, isText: Bool) -> Bytes? {
        guard let user, let compression else { return nil }
        do throws(WireError) {
            let inflated = try compression.inflate(message, limit: user.maxMessageBytes, port.compression)
            port.statistics.inflated += 1
            charge(inflated.count / Self.bytesPerPackage)
            if !isText || inflated.span.isUTF8 { return inflated }
            fail(.badFrame, closeCode: 1007, "text is not UTF-8")
        } catch {
            switch error {
            case .tooLarge: fail(.tooLarge, closeCode: 1009, "message too large")
            case .malformed: fail(.badFrame, closeCode: 1007, "nothing that was compressed")
            case .unsupported(let what): fail(.badFrame, closeCode: 1011, what)
            }
        }
        return nil
    }
}
