// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop
import PomeloWire
import TestHelpers

/// A client's stream of bytes in binary messages of a WebSocket, which are cut where no packet ends.
@Loop final class WebSocketBytes: ByteStream, ByteStreamDelegate {
    /// In turn: so many bytes go into a message.
    private static let cuts = [1, 2000, 7, 30_000]

    var delegate: (any ByteStreamDelegate)?
    private let lower: any ByteStream
    private var frames = WebSocketDecoder(maxMessageBytes: 1 << 24, expectsMask: false)
    private var head: Bytes = []
    private var isOpen = false
    private let opened = FirstOutcome<String>()
    private var messages = 0

    /// What a client says first.
    nonisolated static func upgrade(
        _ path: String = "/mqtt", offering protocols: String? = "mqtt", more: String = ""
    ) -> Bytes {
        let head = UpgradeRequest.clientHead(host: "test", path: path, key: "dGhlIHNhbXBsZSBub25jZQ==").dropLast(2)
        let offer = protocols.map { "Sec-WebSocket-Protocol: \($0)\r\n" } ?? ""
        return Bytes(head) + Bytes("\(offer)\(more)\r\n".utf8)
    }

    nonisolated static func frame(_ payload: Bytes, _ opcode: WebSocketOpcode = .binary) -> Bytes {
        WebSocketFrame.encode(opcode, payload, maskKey: 0x1F2E_3D4C)
    }

    private init(_ lower: any ByteStream) {
        self.lower = lower
        lower.delegate = self
    }

    static func open(over stream: any ByteStream) async throws -> WebSocketBytes {
        let bytes = WebSocketBytes(stream)
        stream.write(upgrade())
        let answer = await bytes.opened.wait()
        guard answer.hasPrefix("HTTP/1.1 101"), answer.contains("\r\nSec-WebSocket-Protocol: mqtt\r\n") else {
            throw TestFailure("not upgraded: \(answer)")
        }
        return bytes
    }

    var remoteAddress: SocketAddress { lower.remoteAddress }
    var localAddress: SocketAddress { lower.localAddress }
    var queuedBytes: Int { lower.queuedBytes }
    func pauseReading() { lower.pauseReading() }
    func resumeReading() { lower.resumeReading() }
    func closeAfterFlush(within deadline: Duration) { lower.closeAfterFlush(within: deadline) }
    func close() { lower.close() }

    func write(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            lower.write(Self.frame(Bytes(rest.prefix(Self.cuts[messages % Self.cuts.count]))))
            rest = rest.dropFirst(Self.cuts[messages % Self.cuts.count])
            messages += 1
        }
    }

    func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
        if isOpen { return read(bytes) }
        head += bytes.extracting(...).copied()
        guard let end = head.firstRange(of: Bytes("\r\n\r\n".utf8))?.upperBound else { return }
        isOpen = true
        opened.end(with: String(decoding: head[..<end], as: UTF8.self))
        read(Bytes(head[end...]).span)
    }

    private func read(_ bytes: borrowing Span<UInt8>) {
        var payloads: [Bytes] = []
        do throws(WebSocketError) {
            _ = try frames.decode(bytes) { event, _ in
                switch event {
                case .message(false, let payload): payloads.append(payload)
                case .message, .compressed: payloads.append(Bytes(repeating: 0xFF, count: 2))
                case .ping, .pong, .close: break
                }
                return true
            }
        } catch {
            // What no packet begins with.
            payloads.append(Bytes(repeating: 0xFF, count: 2))
        }
        for payload in payloads { delegate?.stream(self, didRead: payload.span) }
    }

    func streamDidDrain(_ stream: any ByteStream) { delegate?.streamDidDrain(self) }

    func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {
        opened.end(with: "the end: \(reason)")
        let last = delegate
        delegate = nil
        last?.stream(self, didEnd: reason)
    }
}
