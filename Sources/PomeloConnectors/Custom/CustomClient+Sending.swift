// SPDX-License-Identifier: MIT
import DequeModule
import PomeloBytes
import PomeloCore
import PomeloLoop

/// What the core may ask of a custom connector's client.
extension CustomClient: RatedClient, Flushable {
    /// A message on its way to a codec that may wait, or behind one.
    enum Unencoded {
        case answer(DecodedMessage)
        case push(PushEncoding<Socket.Buffer>, bytes: Int, route: String)

        var bytes: Int {
            switch self {
            case .answer(let message): message.body.count
            case .push(_, let bytes, _): bytes
            }
        }

        /// A push's, which may be left out.
        var route: String? { if case .push(_, _, let route) = self { route } else { nil } }
    }

    var connectorType: String? { clients.type }
    var remoteAddress: SocketAddress { socket.remoteAddress }
    var queuedBytes: Int { socket.queuedBytes + batchBytes + (outbox?.size ?? 0) + unencodedBytes }
    var hasHungUp: Bool { socket.hasHungUp }

    func respond(id: UInt32, body: Bytes) {
        guard isOpen else { return }
        let message = DecodedMessage(id: id, route: "", body: body)
        switch clients.encode {
        case .immediate(let encode):
            guard let buffer = encoded(message, by: encode) else { return }
            _ = send(buffer, route: nil)
        case .waiting: _ = queue(.answer(message))
        }
    }

    @discardableResult
    func push(_ message: PushMessage) -> Bool {
        guard isOpen else { return false }
        let encoding = message.form(for: ObjectIdentifier(clients)) { self.encoding(of: message) }
        switch encoding.state {
        case .done(nil): return false
        case .done(let buffer?) where unencoded.isEmpty: return send(buffer, route: message.route)
        default: return queue(.push(encoding, bytes: message.body.count, route: message.route))
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
        // Where slow readers stay, what waits for them is no matter of the codec.
        let waiting = options.slowReaders == .disconnect ? queuedBytes : unencodedBytes
        let fits = waiting == 0 || waiting + item.bytes <= options.maxOutboundBytes
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
            case .push(let encoding, _, _):
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
        if let buffer { _ = send(buffer, route: first.route) }
        encodeNext()
    }

    // MARK: sending

    /// Queues a buffer to the end of the turn, or for a slow reader; false when the client is too slow for it.
    ///
    /// Only a push has a route.
    private func send(_ buffer: Socket.Buffer, route: String?) -> Bool {
        let size = Socket.size(of: buffer)
        if clients.options.slowReaders != .disconnect, outbox != nil || route != nil && !fits(size, in: queueStart) {
            return keep(buffer, size, route.map { Text($0) })
        }
        guard hasRoom(for: size) else { return false }
        batch.append(buffer)
        batchBytes += size
        flushLater()
        return true
    }

    private func flushLater() {
        if isDirty { return }
        isDirty = true
        EventLoop.shared.flushList.append(self)
    }

    private func hasRoom(for size: Int) -> Bool {
        let limit = clients.options.maxOutboundBytes
        if fits(size, in: limit) { return true }
        offer()
        return fits(size, in: limit) || tooSlow()
    }

    /// Many long pushes in one turn say nothing about a client that was not offered any of them yet.
    private func offer() {
        flushBatch()
        socket.flushEarly()
    }

    private func tooSlow() -> Bool {
        clients.statistics.slowConsumers += 1
        cut("slowConsumer")
        return false
    }

    private func fits(_ size: Int, in limit: Int) -> Bool {
        let waiting = socket.queuedBytes + batchBytes
        return waiting == 0 || waiting + size <= limit
    }

    func flushTurn() {
        isDirty = false
        repeat {
            emptyOutbox()
            flushBatch()
        } while outbox != nil && socket.queuedBytes < queueStart
    }

    // MARK: slow readers that are not disconnected

    /// So many bytes the socket itself keeps for a slow reader, before messages wait where they can be left out.
    private var queueStart: Int { clients.options.maxOutboundBytes / 4 }

    private func keep(_ buffer: Socket.Buffer, _ size: Int, _ route: Text?) -> Bool {
        guard isOpen else { return false }
        let limit = clients.options.maxOutboundBytes - queueStart
        if outbox.map({ $0.size + size > limit }) ?? true {
            offer()
            emptyOutbox()
        }
        let waiting = outbox ?? Outbox(latestOnly: clients.options.slowReaders == .latestOnly)
        outbox = nil
        let before = waiting.dropped
        let hasRoom = waiting.put(buffer, size: size, route: route, limit: limit)
        clients.statistics.droppedPushes += waiting.dropped - before
        outbox = waiting
        flushLater()
        return hasRoom || tooSlow()
    }

    /// Hands on what waits, as far as the socket should keep it, or all of it.
    func emptyOutbox(whole: Bool = false) {
        guard let waiting = outbox else { return }
        outbox = nil
        while whole || socket.queuedBytes + batchBytes < queueStart, let next = waiting.take() {
            batch.append(next)
            batchBytes += Socket.size(of: next)
        }
        if !waiting.isEmpty { outbox = waiting }
    }

    func drained() { if outbox != nil { flushLater() } }

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
