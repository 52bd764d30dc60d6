// SPDX-License-Identifier: MIT
import DequeModule
import PomeloBytes
import PomeloCore
import PomeloLoop

/// What the core may ask of a custom connector's client.
extension CustomClient: ClientSocket, Flushable {
    /// A message on its way to a codec that may wait, or behind one.
    enum Unencoded {
        case answer(DecodedMessage)
        case push(PushEncoding<Socket.Buffer>, bytes: Int)

        var bytes: Int {
            switch self {
            case .answer(let message): message.body.count
            case .push(_, let bytes): bytes
            }
        }
    }

    var connectorType: String? { clients.type }
    var remoteAddress: SocketAddress { socket.remoteAddress }
    var queuedBytes: Int { socket.queuedBytes + batchBytes + unencodedBytes }
    var hasHungUp: Bool { socket.hasHungUp }

    func respond(id: UInt32, body: Bytes) {
        guard isOpen else { return }
        let message = DecodedMessage(id: id, route: "", body: body)
        switch clients.encode {
        case .immediate(let encode):
            guard let buffer = encoded(message, by: encode) else { return }
            _ = send(buffer)
        case .waiting: _ = queue(.answer(message))
        }
    }

    @discardableResult
    func push(_ message: PushMessage) -> Bool {
        guard isOpen else { return false }
        let encoding = message.form(for: ObjectIdentifier(clients)) { self.encoding(of: message) }
        switch encoding.state {
        case .done(nil): return false
        case .done(let buffer?) where unencoded.isEmpty: return send(buffer)
        default: return queue(.push(encoding, bytes: message.body.count))
        }
    }

    func close(kick reason: String?) {
        finish(reason.map { .kicked($0) } ?? .disconnected("closed by the server"))
    }

    // MARK: encoding

    private func encoded(
        _ message: DecodedMessage, by encode: @Loop (DecodedMessage) throws -> Socket.Buffer?
    ) -> Socket.Buffer? {
        do {
            if let buffer = try encode(message) { return buffer }
            clients.noteUnsent(message, nil)
        } catch {
            clients.noteUnsent(message, error)
        }
        return nil
    }

    private func encoding(of push: PushMessage) -> PushEncoding<Socket.Buffer> {
        let message = DecodedMessage(route: push.route, body: push.body)
        switch clients.encode {
        case .immediate(let encode): return PushEncoding(encoded(message, by: encode))
        case .waiting(let encode):
            let encoding = PushEncoding<Socket.Buffer>()
            wait(for: message, encode) { encoding.end(with: $0) }
            return encoding
        }
    }

    private func wait(
        for message: DecodedMessage,
        _ encode: @escaping @Loop @Sendable (DecodedMessage) async throws -> Socket.Buffer?,
        _ done: @escaping @Loop @Sendable (Socket.Buffer?) -> Void
    ) {
        clients.wait(for: { try await encode(message) }) { [clients] outcome in
            switch outcome {
            case .done(let buffer):
                if buffer == nil { clients.noteUnsent(message, nil) }
                return done(buffer)
            case .failed(let error): clients.noteUnsent(message, error)
            case .late: clients.noteUnsent(message, nil, late: true)
            }
            done(nil)
        }
    }

    private func queue(_ item: Unencoded) -> Bool {
        let options = clients.options
        let fits = queuedBytes == 0 || queuedBytes + item.bytes <= options.maxOutboundBytes
        guard fits, unencoded.count < options.maxUnencoded else {
            clients.statistics.unencodedTooMuch += 1
            cut("more waits for the codec than may")
            return false
        }
        unencoded.append(item)
        unencodedBytes += item.bytes
        encodeNext()
        return true
    }

    /// The first that waits leaves when it is encoded, so that the order is kept.
    private func encodeNext() {
        while !isEncoding, let first = unencoded.first {
            switch first {
            case .answer(let message):
                guard case .waiting(let encode) = clients.encode else { return }
                isEncoding = true
                wait(for: message, encode) { self.sendFirst($0) }
            case .push(let encoding, _):
                guard case .done(let buffer) = encoding.state else {
                    isEncoding = true
                    return encoding.whenDone {
                        self.isEncoding = false
                        self.encodeNext()
                    }
                }
                sendFirst(buffer)
            }
        }
        if unencoded.isEmpty { endNow() }
    }

    private func sendFirst(_ buffer: Socket.Buffer?) {
        isEncoding = false
        // Empty when the client was cut off meanwhile.
        guard let first = unencoded.popFirst() else { return }
        unencodedBytes -= first.bytes
        if let buffer { _ = send(buffer) }
        encodeNext()
    }

    // MARK: sending

    /// Queues a buffer to the end of the turn; false when the client is too slow for it.
    private func send(_ buffer: Socket.Buffer) -> Bool {
        let size = Socket.size(of: buffer)
        guard hasRoom(for: size) else { return false }
        batch.append(buffer)
        batchBytes += size
        if !isDirty {
            isDirty = true
            EventLoop.shared.flushList.append(self)
        }
        return true
    }

    private func hasRoom(for size: Int) -> Bool {
        if fits(size) { return true }
        // Many long pushes in one turn say nothing about a client that was not offered any of them yet.
        flushBatch()
        socket.flushEarly()
        if fits(size) { return true }
        clients.statistics.slowConsumers += 1
        cut("slowConsumer")
        return false
    }

    private func fits(_ size: Int) -> Bool {
        let waiting = socket.queuedBytes + batchBytes
        return waiting == 0 || waiting + size <= clients.options.maxOutboundBytes
    }

    func flushTurn() {
        isDirty = false
        flushBatch()
    }

    func flushBatch() {
        let buffers = batch
        batch = []
        batchBytes = 0
        switch buffers.count {
        case 0: break
        case 1: socket.send(buffers[0])
        default: socket.sendBatch(buffers)
        }
    }
}
