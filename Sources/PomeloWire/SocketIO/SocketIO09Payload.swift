// SPDX-License-Identifier: MIT
public import PomeloBytes
import PomeloJSON

/// Several packets of socket.io 0.9 in one body: each as `U+FFFD length U+FFFD packet`; one alone has no frame.
///
/// The browser's client counts UTF-16 units, Python's counts code points.
///
/// - Source: socket.io 0.9.6, lib/parser.js; transcripts of socket.io-client 0.9.6 and socketIO-client 0.5.7.2.
public enum SocketIO09Payload {
    /// Receives one packet; returns false to stop after it.
    public typealias Each = (SocketIO09Packet) -> Bool

    /// Reads a body.
    ///
    /// - Throws: ``WireError/malformed(_:)`` for what is no UTF-8, a length that fits in neither counting and a broken
    ///   packet; ``WireError/tooLarge(limit:)`` for too many. Packets before the fault may have been given to `each`.
    public static func decode(_ body: Span<UInt8>, maxPackets: Int = 1024, _ each: Each) throws(WireError) {
        guard body.isUTF8 else { throw .malformed("payload is not UTF-8") }
        guard isMark(body, at: 0) else {
            _ = each(try SocketIO09Packet(body))
            return
        }
        let counting = fits(body, .utf16) ? EngineIOCounting.utf16 : .codePoints
        var (offset, count) = (0, 0)
        while offset < body.count {
            let range = try next(body, &offset, counting)
            try EngineIOPayloadDecoder.check(&count, maxPackets)
            guard each(try SocketIO09Packet(body.extracting(range))) else { return }
        }
    }

    /// Joins whole packets; lengths are UTF-16 units, so only ASCII is read by all clients.
    static func encode(_ packets: [Bytes]) -> Bytes {
        if packets.count == 1 { return packets[0] }
        var body: Bytes = []
        body.reserveCapacity(packets.reduce(0) { $0 &+ $1.count &+ 25 })
        for packet in packets {
            body += mark
            JSONWriter.write(Int64(utf16Length(packet.span)), into: &body)
            body += mark
            body.put(packet.span)
        }
        return body
    }

    /// U+FFFD.
    private static let mark: Bytes = [0xEF, 0xBF, 0xBD]

    private static func isMark(_ body: Span<UInt8>, at offset: Int) -> Bool {
        body.count &- offset >= 3 && body[offset] == 0xEF && body[offset &+ 1] == 0xBF && body[offset &+ 2] == 0xBD
    }

    private static func fits(_ body: Span<UInt8>, _ counting: EngineIOCounting) -> Bool {
        var offset = 0
        do throws(WireError) {
            while offset < body.count { _ = try next(body, &offset, counting) }
            return true
        } catch {
            return false
        }
    }

    private static func next(
        _ body: Span<UInt8>, _ offset: inout Int, _ counting: EngineIOCounting
    ) throws(WireError) -> Range<Int> {
        guard isMark(body, at: offset) else { throw .malformed("0.9 payload: mark") }
        offset &+= 3
        let digits = offset
        var length = 0
        while offset < body.count, body[offset] &- UInt8(ascii: "0") < 10 {
            guard offset &- digits < 10 else { throw .malformed("0.9 payload: length") }
            length = length &* 10 &+ Int(body[offset] &- UInt8(ascii: "0"))
            offset &+= 1
        }
        guard offset > digits, isMark(body, at: offset) else { throw .malformed("0.9 payload: length") }
        let start = offset &+ 3
        offset = start
        try counting.skip(length, body, &offset)
        return start..<offset
    }

    /// First bytes count one each, those of four bytes two; bytes within a character none.
    private static func utf16Length(_ text: Span<UInt8>) -> Int {
        var length = 0
        for index in text.indices {
            if text[index] & 0xC0 != 0x80 { length &+= 1 }
            if text[index] >= 0xF0 { length &+= 1 }
        }
        return length
    }
}

/// The answer to a client of 0.9 that begins.
public enum SocketIO09Handshake {
    /// Writes the body: `sid:heartbeat:close:transport,transport`.
    ///
    /// - Parameters:
    ///   - sid: the name of the session; without a colon.
    ///   - heartbeatSeconds: when the client ends without a sign of life; nil writes a large number, because an empty
    ///     field ends the browser's client at once.
    ///   - closeSeconds: when the server gives up a client that does not come back.
    ///   - transports: `websocket`, `xhr-polling`.
    /// - Returns: the whole body, plain text.
    public static func body(
        sid: String, heartbeatSeconds: Int?, closeSeconds: Int, transports: [String]
    ) -> Bytes {
        let heartbeat = heartbeatSeconds ?? 1_000_000
        return Bytes("\(sid):\(heartbeat):\(closeSeconds):\(transports.joined(separator: ","))".utf8)
    }
}
