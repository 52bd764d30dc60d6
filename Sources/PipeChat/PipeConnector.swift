// SPDX-License-Identifier: MIT
import Pomelo

/// A connector of one's own: a line of JSON for each message, over a Unix-domain socket.
///
///     {"id": 1, "route": "chat.chatHandler.say", "body": {…}}     a request; without an id, a notify
///     {"id": 1, "body": {…}}                                      its answer
///     {"route": "onSay", "body": {…}}                             a push
///     {"closed": "why"}                                           the last line, when the server ends it
@Loop final class PipeConnector: CustomConnector {
    private let path: String
    private var listener: (any StreamListener)?

    init(path: String) { self.path = path }

    func start(_ context: ConnectorContext, _ connection: @escaping @Loop (PipeSocket) -> Void) async throws {
        listener = try await context.network.listen(atPath: path, permissions: 0o600) { connection(PipeSocket($0)) }
    }

    func stop(force: Bool) async { listener?.close() }
    func pauseAccepting() { listener?.pauseAccepting() }
    func resumeAccepting() { listener?.resumeAccepting() }

    var codec: MessageCodec<Bytes> {
        MessageCodec(
            decode: .immediate { line, _ in
                let message = try JSON.parse(line)
                guard let route = message["route"]?.string else { return nil }
                let id = message["id"]?.int.flatMap(UInt32.init(exactly:))
                return DecodedMessage(id: id, route: route, body: (message["body"] ?? [:]).encoded())
            },
            encode: .immediate { message in
                let head = message.id.map { "\"id\":\($0)" } ?? "\"route\":\(JSON.string(message.route))"
                return Bytes("{\(head),\"body\":".utf8) + message.body + Bytes("}\n".utf8)
            })
    }
}

/// One client: cuts what it says into lines.
@Loop final class PipeSocket: CustomSocket, ByteStreamDelegate {
    private static let longestLine = 64 * 1024
    private let stream: any ByteStream
    private var line: Bytes = []

    init(_ stream: any ByteStream) { self.stream = stream }

    var delegate: (any CustomSocketDelegate<Bytes>)? {
        didSet { if delegate != nil { stream.delegate = self } }
    }
    var remoteAddress: SocketAddress { stream.remoteAddress }
    var queuedBytes: Int { stream.queuedBytes }

    func send(_ buffer: Bytes) { stream.write(buffer) }
    func flushEarly() { stream.flushEarly() }
    func disconnect() { stream.closeAfterFlush(within: .seconds(1)) }
    func pauseReading() { stream.pauseReading() }
    func resumeReading() { stream.resumeReading() }

    func willClose(_ reason: SessionEnd) {
        stream.write(JSON.object(["closed": .string("\(reason)")]).encoded() + [UInt8(ascii: "\n")])
    }

    func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
        for index in 0..<bytes.count {
            if bytes[index] != UInt8(ascii: "\n") {
                line.append(bytes[index])
            } else if !line.isEmpty {
                delegate?.message(line)
                line = []
            }
        }
        if line.count > Self.longestLine { delegate?.error(LineTooLong()) }
    }

    func streamDidDrain(_ stream: any ByteStream) { delegate?.drained() }

    func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {
        if case .failed(let error) = reason { delegate?.disconnect(error) } else { delegate?.disconnect("left") }
    }

    struct LineTooLong: Error {}
}
