// SPDX-License-Identifier: MIT
public import PomeloBytes

/// What a WebSocket peer said.
public enum WebSocketEvent: Equatable, Sendable {
    /// A whole message, its fragments joined; text has been checked to be UTF-8.
    case message(text: Bool, Bytes)
    /// A whole message as the peer has compressed it, its fragments joined: to be inflated, then checked if it is text.
    case compressed(text: Bool, Bytes)
    /// A ping; it wants a pong with the same payload.
    case ping(Bytes)
    /// A pong.
    case pong(Bytes)
    /// The peer's last frame; whatever follows it is ignored.
    case close(code: UInt16?, reason: String)
}

/// Finds messages and control frames in the byte stream of a WebSocket.
///
/// A message in one frame that lies whole inside one input costs one allocation, its payload. Between frames
/// and messages the decoder owns no memory.
///
/// The second argument of `each` is the message limit: set it to change the limit for the frames that follow,
/// even within the same input. `each` runs while the decoder is being changed, so it must not touch the
/// decoder itself: an owner that could do so takes the decoder out of its property first.
///
/// - Source: RFC 6455 §5 (framing), §7.4 (close codes), §8.1 (UTF-8).
public struct WebSocketDecoder: Sendable {
    /// Receives one event and the current limit; returns false to stop after it.
    public typealias Each = (_ event: WebSocketEvent, _ maxMessageBytes: inout Int) -> Bool

    /// The longest message accepted from the next frame on, all fragments together, in bytes.
    public var maxMessageBytes: Int
    private let expectsMask: Bool
    private let allowsCompressed: Bool
    private var carry = Carry()
    private var fragments: Bytes = []
    private var fragmentedOpcode: WebSocketOpcode?
    private var fragmentsAreCompressed = false
    private var isClosed = false

    /// Creates a decoder; a client passes `expectsMask: false`, because servers do not mask.
    ///
    /// `allowsCompressed` is for who has agreed on permessage-deflate.
    public init(maxMessageBytes: Int, expectsMask: Bool = true, allowsCompressed: Bool = false) {
        self.maxMessageBytes = maxMessageBytes
        self.expectsMask = expectsMask
        self.allowsCompressed = allowsCompressed
    }

    /// The memory that the parts of a frame and of a message read so far take, in bytes.
    public var heldBytes: Int { carry.size &+ (fragments.isEmpty ? 0 : fragments.capacity) }

    /// Reads the next bytes of the stream.
    ///
    /// - Returns: how many bytes were taken: all, unless `each` said stop. The rest is to be given again.
    /// - Throws: ``WebSocketError`` with the close code to send; the stream cannot be used afterwards.
    @discardableResult
    public mutating func decode(_ input: Span<UInt8>, _ each: Each) throws(WebSocketError) -> Int {
        var offset = 0
        if !carry.isEmpty, !isClosed {
            guard try finishCarried(input, &offset, each) else { return offset }
        }
        while offset < input.count, !isClosed {
            guard let head = try readHead(input, at: offset), input.count &- offset >= head.frameLength else {
                _ = carry.fill(to: .max, from: input, &offset)
                return offset
            }
            let start = offset &+ head.headLength
            offset &+= head.frameLength
            guard try accept(head, input.extracting(start..<offset), each) else { return offset }
        }
        return input.count
    }

    /// Completes the frame begun in earlier input; false when more is needed or `each` said stop.
    private mutating func finishCarried(
        _ input: Span<UInt8>, _ offset: inout Int, _ each: Each
    ) throws(WebSocketError) -> Bool {
        var head = try readHead(carry.bytes.span, at: 0)
        while head == nil {
            // The head grows by single bytes: it is at most 14 long, and its length depends on itself.
            guard carry.fill(to: carry.bytes.count &+ 1, from: input, &offset) else { return false }
            head = try readHead(carry.bytes.span, at: 0)
        }
        guard let head, carry.fill(to: head.frameLength, from: input, &offset) else { return false }
        let frame = carry.take()
        return try accept(head, frame.span.extracting(head.headLength..<head.frameLength), each)
    }

    private func readHead(_ bytes: Span<UInt8>, at offset: Int) throws(WebSocketError) -> WebSocketHead? {
        let head = try WebSocketHead.read(
            bytes, at: offset, expectsMask: expectsMask, allowsCompressed: allowsCompressed,
            room: maxMessageBytes &- fragments.count)
        guard let head, !head.opcode.isControl else { return head }
        if (head.opcode == .continuation) != (fragmentedOpcode != nil) {
            throw .protocolError(
                fragmentedOpcode == nil ? "continuation of nothing" : "message begun inside another")
        }
        return head
    }

    /// Takes in one whole frame; false when `each` said stop.
    private mutating func accept(
        _ head: WebSocketHead, _ masked: Span<UInt8>, _ each: Each
    ) throws(WebSocketError) -> Bool {
        switch head.opcode {
        case .ping: return each(.ping(payload(head, masked)), &maxMessageBytes)
        case .pong: return each(.pong(payload(head, masked)), &maxMessageBytes)
        case .close:
            isClosed = true
            fragments = []
            return each(try Self.closeEvent(payload(head, masked).span), &maxMessageBytes)
        case .text, .binary, .continuation:
            return try acceptData(head, masked, each)
        }
    }

    private mutating func acceptData(
        _ head: WebSocketHead, _ masked: Span<UInt8>, _ each: Each
    ) throws(WebSocketError) -> Bool {
        if head.isFinal, fragmentedOpcode == nil {
            return try deliver(payload(head, masked), head.opcode, head.isCompressed, each)
        }
        fragments.add(masked.count) { output in
            expectsMask ? output.put(masked, unmaskedWith: head.maskKey) : output.put(masked)
        }
        if fragmentedOpcode == nil { fragmentsAreCompressed = head.isCompressed }
        let opcode = fragmentedOpcode ?? head.opcode
        guard head.isFinal else {
            fragmentedOpcode = opcode
            return true
        }
        let message = fragments
        fragments = []
        fragmentedOpcode = nil
        return try deliver(message, opcode, fragmentsAreCompressed, each)
    }

    private mutating func deliver(
        _ message: Bytes, _ opcode: WebSocketOpcode, _ isCompressed: Bool, _ each: Each
    ) throws(WebSocketError) -> Bool {
        if isCompressed { return each(.compressed(text: opcode == .text, message), &maxMessageBytes) }
        if opcode == .text, !Self.isUTF8(message.span) { throw .notUTF8 }
        return each(.message(text: opcode == .text, message), &maxMessageBytes)
    }

    private func payload(_ head: WebSocketHead, _ masked: Span<UInt8>) -> Bytes {
        guard expectsMask else { return masked.copied() }
        return Bytes(reserving: masked.count) { output in output.put(masked, unmaskedWith: head.maskKey) }
    }

    private static func isUTF8(_ bytes: Span<UInt8>) -> Bool {
        do {
            _ = try UTF8Span(validating: bytes)
            return true
        } catch {
            return false
        }
    }

    private static func closeEvent(_ payload: Span<UInt8>) throws(WebSocketError) -> WebSocketEvent {
        guard payload.count > 0 else { return .close(code: nil, reason: "") }
        guard payload.count >= 2 else { throw .protocolError("close code cut short") }
        let code = payload.bigEndian(UInt16.self, at: 0)
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: break
        default: throw .protocolError("close code not allowed")
        }
        guard let reason = payload.extracting(2..<payload.count).text() else { throw .notUTF8 }
        return .close(code: code, reason: reason)
    }
}
