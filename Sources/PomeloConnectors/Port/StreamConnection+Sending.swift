// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// What is sent, and what happens to a client that does not read it.
extension StreamConnection {
    /// Sends one message, in a frame of its own over WebSocket; false when the client is too slow for it.
    ///
    /// Who is not known yet is sent nothing compressed: that costs more than to ask for it.
    func send(message: Bytes, _ opcode: WebSocketOpcode = .binary, compressed: Bool = true) -> Bool {
        guard kind == .webSocket else { return send(frame: message) }
        let deflated = compressed ? deflate(message) : nil
        let payload = deflated ?? message
        if outbox != nil {
            return send(frame: WebSocketFrame.encode(opcode, payload, compressed: deflated != nil))
        }
        return send(
            WebSocketFrame.header(opcode, length: payload.count, compressed: deflated != nil), payload)
    }

    /// Sends a message between what frames it: the same memory to all clients.
    func send(_ head: Bytes, _ message: Bytes, _ tail: Bytes = []) -> Bool {
        guard hasRoom(for: message.count) else { return false }
        stream.write(head)
        stream.write(message)
        stream.write(tail)
        return true
    }

    /// Sends bytes as they are; false when the client is too slow for them.
    func send(frame: Bytes) -> Bool {
        if outbox != nil { return queue(frame, route: nil) }
        guard hasRoom(for: frame.count) else { return false }
        stream.write(frame)
        return true
    }

    /// Sends a push, as bytes; to a slow reader it may be left out, as the policy says.
    func send(push: Bytes, route: String) -> Bool {
        if limits.slowReaders == .disconnect { return send(frame: push) }
        if outbox == nil, fits(push.count, in: Self.queueStart(of: limits)) {
            stream.write(push)
            return true
        }
        return queue(push, route: Text(route))
    }

    /// So many bytes the stream itself keeps for a slow reader, before pushes wait where they can be left out.
    private static func queueStart(of limits: SharedLimits) -> Int { limits.maxOutboundBytes / 4 }

    /// A slow client is closed at once, without a goodbye that it would not read.
    private func hasRoom(for count: Int) -> Bool {
        if fits(count, in: limits.maxOutboundBytes) { return true }
        // Many long pushes in one turn say nothing about a client that was not offered any of them yet.
        stream.flushEarly()
        if fits(count, in: limits.maxOutboundBytes) { return true }
        cut(.slowConsumer)
        return false
    }

    private func fits(_ count: Int, in limit: Int) -> Bool {
        let waiting = stream.queuedBytes
        return waiting == 0 || waiting + count <= limit
    }

    // MARK: slow readers that are not closed

    private func queue(_ bytes: Bytes, route: Text?) -> Bool {
        guard !finished else { return false }
        let limit = limits.maxOutboundBytes - Self.queueStart(of: limits)
        if let outbox, outbox.size + bytes.count > limit {
            // What was not offered yet says nothing about a client.
            stream.flushEarly()
            emptyOutbox()
        }
        let waiting = outbox ?? Outbox(latestOnly: limits.slowReaders == .latestOnly)
        outbox = nil
        let before = waiting.dropped
        let hasRoom = waiting.put(bytes, size: bytes.count, route: route, limit: limit)
        port.statistics.droppedPushes += waiting.dropped - before
        outbox = waiting
        guard hasRoom else {
            cut(.slowConsumer)
            return false
        }
        return true
    }

    /// Hands on what waits, as far as the stream should keep it, or all of it.
    func emptyOutbox(whole: Bool = false) {
        guard let waiting = outbox, !finished else { return }
        outbox = nil
        while whole || stream.queuedBytes < Self.queueStart(of: limits), let next = waiting.take() {
            stream.write(next)
        }
        if !waiting.isEmpty { outbox = waiting }
    }
}
