// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// A connection of a port as a socket that carries whole messages.
@Loop final class FramedSocket: CustomSocket, StreamUser {
    var delegate: (any CustomSocketDelegate<Bytes>)?
    private let options: CodecConnector.Options
    private let connection: StreamConnection
    /// Nil while it is at work further up the stack.
    private var splitter: FrameSplitter?
    private var lastWord = SessionEnd.disconnected("closed by the server")
    /// Something whole has come: until then it is nobody's yet.
    private var isKnown = false

    init(_ options: CodecConnector.Options, _ connection: StreamConnection) {
        self.options = options
        self.connection = connection
        splitter = FrameSplitter(options.framing, maxBytes: options.limits.maxBytesBeforeAck)
    }

    // MARK: out

    var remoteAddress: SocketAddress { connection.remoteAddress }
    var queuedBytes: Int { connection.stream.queuedBytes }
    var hasHungUp: Bool { connection.stream.peerHasHungUp }

    func send(_ buffer: Bytes) {
        if connection.kind == .tcp {
            let (head, tail) = options.framing.ends(of: buffer)
            _ = connection.send(head, buffer, tail)
        } else {
            _ = connection.send(message: buffer, options.isText ? .text : .binary)
        }
    }

    func flushEarly() { connection.stream.flushEarly() }
    func pauseReading() { connection.pauseReading() }
    func resumeReading() { connection.resumeReading() }

    func willClose(_ reason: SessionEnd) {
        lastWord = reason
        if let farewell = options.farewell?(reason), options.framing.fits(farewell) { send(farewell) }
    }

    func disconnect() { if lastWord == .stopped { connection.stop() } else { connection.finish(lastWord) } }

    // MARK: in

    var maxMessageBytes: Int { isKnown ? options.limits.maxMessageBytes : options.limits.maxBytesBeforeAck }
    var heldBytes: Int { splitter?.heldBytes ?? 0 }

    func read(_ bytes: borrowing Span<UInt8>) -> Int {
        guard var splitter else { return bytes.count }
        // It leaves the property while it works, because what it finds may lead back here.
        self.splitter = nil
        do throws(WireError) {
            let taken = try splitter.split(bytes) { receive($0) }
            splitter.maxBytes = maxMessageBytes
            if !connection.finished { self.splitter = splitter }
            return taken
        } catch {
            connection.fail(.tooLarge)
            return bytes.count
        }
    }

    func read(_ message: Bytes, isText: Bool, from start: Int) -> Int {
        _ = receive(message)
        return message.count
    }

    /// False when the next one must wait, or the connection has ended.
    private func receive(_ message: Bytes) -> Bool {
        connection.charge(1)
        if !isKnown {
            isKnown = true
            connection.port.noLongerPending(connection)
            connection.expectTraffic()
        }
        delegate?.message(message)
        return connection.mayGoOn
    }

    func drained() {
        if connection.kind == .tcp { connection.lastActivity = connection.port.clock.now }
        delegate?.drained()
    }

    func overdue() { if isKnown { connection.idle() } else { connection.fail(.handshakeTimeout) } }

    // MARK: the end

    func ending() { splitter = nil }

    func ended(_ end: SessionEnd) { delegate?.disconnect(end.description) }
}
