// SPDX-License-Identifier: MIT
public import PomeloBytes

/// Finds whole frames in the byte stream between two servers (the format is drawn at ``RPCFrame``).
///
/// A frame that lies whole inside one input has its payload copied once; between frames the decoder owns no
/// memory. The second argument of `each` is the frame limit: set it to change the limit for the frames that
/// follow, even within the same input (1 KiB before the peer is known, more afterwards). `each` runs while
/// the decoder is being changed, so it must not touch the decoder itself: an owner that could do so takes the
/// decoder out of its property first.
public struct RPCDecoder: Sendable {
    /// Receives one frame and the current limit; returns false to drop all that follows.
    public typealias Each = (_ frame: RPCFrame, _ maxFrameBytes: inout Int) -> Bool

    /// The longest frame accepted from the next one on, without its length field, in bytes.
    public var maxFrameBytes: Int
    private var carry = Carry()

    /// Creates a decoder.
    public init(maxFrameBytes: Int) {
        self.maxFrameBytes = maxFrameBytes
    }

    /// Reads the next bytes of the stream.
    ///
    /// - Throws: ``WireError`` for a frame that is too long, has no known type, or lacks or exceeds its
    ///   fields. The stream cannot be used afterwards.
    public mutating func decode(_ input: Span<UInt8>, _ each: Each) throws(WireError) {
        var offset = 0
        if !carry.isEmpty {
            guard try finishCarried(input, &offset, each) else { return }
        }
        while input.count &- offset >= 4 {
            let length = try length(input, at: offset)
            guard input.count &- offset &- 4 >= length else { break }
            let frame = try Self.frame(input.extracting((offset &+ 4)..<(offset &+ 4 &+ length)))
            offset &+= 4 &+ length
            guard each(frame, &maxFrameBytes) else { return }
        }
        if offset < input.count {
            _ = carry.fill(to: .max, from: input, &offset)
        }
    }

    private mutating func finishCarried(
        _ input: Span<UInt8>, _ offset: inout Int, _ each: Each
    ) throws(WireError) -> Bool {
        guard carry.fill(to: 4, from: input, &offset) else { return false }
        let length = try length(carry.bytes.span, at: 0)
        guard carry.fill(to: 4 &+ length, from: input, &offset) else { return false }
        let whole = carry.take()
        return each(try Self.frame(whole.span.extracting(4..<(4 &+ length))), &maxFrameBytes)
    }

    private func length(_ bytes: Span<UInt8>, at offset: Int) throws(WireError) -> Int {
        let length = Int(bytes.bigEndian(UInt32.self, at: offset))
        guard length > 0 else { throw .malformed("RPC: empty frame") }
        guard length <= maxFrameBytes else { throw .tooLarge(limit: maxFrameBytes) }
        return length
    }

    /// Reads one frame from the bytes after its length field, at least one.
    private static func frame(_ bytes: Span<UInt8>) throws(WireError) -> RPCFrame {
        guard let type = RPCFrameType(rawValue: bytes[0]) else { throw .malformed("RPC: unknown frame type") }
        var fields = RPCFields()
        let frame: RPCFrame
        switch type {
        case .hello: frame = .hello(try fields.greeting(bytes))
        case .noise: frame = .noise(try fields.greeting(bytes))
        case .challenge: frame = .challenge(fields.rest(bytes))
        case .proof: frame = .proof(fields.rest(bytes))
        case .welcome: frame = .welcome
        case .refused:
            frame = .refused(code: try fields.number(bytes), reason: try fields.restText(bytes))
        case .call:
            frame = .call(
                id: try fields.number(bytes), sent: try fields.number(bytes),
                remainingMilliseconds: try fields.number(bytes), try fields.target(bytes), payload: fields.rest(bytes))
        case .reply: frame = .reply(id: try fields.number(bytes), fields.rest(bytes))
        case .replyChunk:
            frame = .replyChunk(
                id: try fields.number(bytes), last: try fields.flag(bytes), fields.rest(bytes))
        case .failure:
            frame = .failure(
                id: try fields.number(bytes), kind: try fields.number(bytes), code: try fields.number(bytes),
                message: try fields.restText(bytes))
        case .cancel: frame = .cancel(id: try fields.number(bytes))
        case .ping: frame = .ping(token: try fields.number(bytes), sent: try fields.number(bytes))
        case .pong: frame = .pong(token: try fields.number(bytes), instance: try fields.restText(bytes))
        case .goAway: frame = .goAway(lastID: try fields.number(bytes))
        }
        guard fields.offset == bytes.count else { throw .malformed("RPC: bytes after the frame") }
        return frame
    }
}

/// Reads the fields of one frame from left to right.
private struct RPCFields {
    /// The type byte has been read.
    var offset = 1

    mutating func number<Value: FixedWidthInteger>(_ bytes: Span<UInt8>) throws(WireError) -> Value {
        let size = Value.bitWidth / 8
        guard bytes.count &- offset >= size else { throw .malformed("RPC: frame cut short") }
        let value = bytes.bigEndian(Value.self, at: offset)
        offset &+= size
        return value
    }

    mutating func flag(_ bytes: Span<UInt8>) throws(WireError) -> Bool {
        let value: UInt8 = try number(bytes)
        guard value <= 1 else { throw .malformed("RPC: flag") }
        return value == 1
    }

    mutating func text(_ bytes: Span<UInt8>) throws(WireError) -> String {
        let length: UInt16 = try number(bytes)
        let end = offset &+ Int(length)
        guard end <= bytes.count else { throw .malformed("RPC: frame cut short") }
        guard let text = bytes.extracting(offset..<end).text() else {
            throw .malformed("RPC: text is not UTF-8")
        }
        offset = end
        return text
    }

    mutating func target(_ bytes: Span<UInt8>) throws(WireError) -> RPCFrameTarget {
        let procedure: UInt16 = try number(bytes)
        let instance = try text(bytes)
        return RPCFrameTarget(
            procedure: procedure, instance: instance, name: procedure == 0 ? try text(bytes) : "")
    }

    mutating func rest(_ bytes: Span<UInt8>) -> Bytes {
        let rest = bytes.extracting(offset..<bytes.count).copied()
        offset = bytes.count
        return rest
    }

    /// What a peer says before it is known.
    mutating func greeting(_ bytes: Span<UInt8>) throws(WireError) -> Bytes {
        guard bytes.count &- offset <= RPCFrame.maxHelloBytes else {
            throw .tooLarge(limit: RPCFrame.maxHelloBytes)
        }
        return rest(bytes)
    }

    mutating func restText(_ bytes: Span<UInt8>) throws(WireError) -> String {
        guard let text = bytes.extracting(offset..<bytes.count).text() else {
            throw .malformed("RPC: text is not UTF-8")
        }
        offset = bytes.count
        return text
    }
}
