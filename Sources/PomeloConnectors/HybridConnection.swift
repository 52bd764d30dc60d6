// SPDX-License-Identifier: MIT
import Crypto
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// One client: finds out what it speaks, then speaks it.
///
/// Kept small, for there are many: no task, no buffer while nothing is half read, one timer.
@Loop final class HybridConnection: ByteStreamDelegate {
    /// What the next bytes are read as.
    enum Wire {
        /// The first bytes, too few to tell.
        case undetected(Bytes)
        case upgrade(UpgradeDecoder)
        case packets(PacketDecoder)
        case webSocket(WebSocketDecoder)
        /// Nothing is read: the decoder is at work further up the stack, or the connection has ended.
        case none
    }

    /// What the client is known to speak.
    enum Kind: UInt8 { case unknown, tcp, webSocket }

    /// The methods a request can begin with.
    ///
    /// - Source: pomelo 2.2.7, lib/connectors/hybrid/switcher.js (`DELETE` is listed there and cannot match).
    private static let methods = ["GET", "POST", "PUT", "HEAD"].map { Bytes($0.utf8) }
    /// How long a closing connection may take to send its last bytes.
    private static let flushDeadline = Duration.seconds(2)

    let clients: ClientConnections
    let stream: any ByteStream
    var state = HybridState()
    var wire = Wire.undetected([])
    var kind = Kind.unknown
    /// From detection until the host was told of the end.
    var session: ClientSession?
    /// Set when this side ended the connection over a fault.
    private(set) var fault: ConnectionFault?
    private var finished = false
    /// Whether its handshake is still to be done.
    var isPending = false

    // +Backlog
    /// The core wants nothing more until it says so (`resumeReading`).
    var paused = false
    /// This turn's share is used up.
    var throttled = false
    var goesOn = false
    var backlog: Backlog?
    var share = 0
    var shareTurn = 0
    /// Memory that the decoder holds, and what the clients were told that this one holds, both in bytes.
    var undecoded = 0
    var held = 0
    /// When what is being decoded was read.
    var arrival: UInt64 = 0

    // +Timer
    var timer: TimerID?
    var firesAt: UInt64 = 0
    var deadline: UInt64 = 0
    var lastActivity: UInt64 = 0

    init(_ clients: ClientConnections, _ stream: any ByteStream) {
        self.clients = clients
        self.stream = stream
    }

    func start() {
        expect(within: clients.options.handshakeTimeout.clampedNanoseconds)
        stream.delegate = self
    }

    // MARK: stream

    func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
        arrival = clients.clock.now
        lastActivity = arrival
        receive(bytes)
    }

    func streamDidDrain(_ stream: any ByteStream) {
        if clients.tracksActivity, kind == .tcp { lastActivity = clients.clock.now }
    }

    func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {
        _ = state.close()
        finished = true
        letGo()
        cancelTimer()
        switch kind {
        case .unknown: clients.statistics.undetected -= 1
        case .tcp: clients.statistics.openTCP -= 1
        case .webSocket: clients.statistics.openWebSocket -= 1
        }
        switch reason {
        case .closed: report(.disconnected(fault?.rawValue ?? "closed"))
        case .peerClosed: report(.disconnected("client closed the connection"))
        case .failed(let error): report(.disconnected("connection failed: \(error)"))
        }
        clients.remove(self)
    }

    // MARK: detection

    /// Returns how many bytes were taken: all, unless the connection must wait before it goes on.
    func read(_ bytes: borrowing Span<UInt8>) -> Int {
        guard bytes.count > 0 else { return 0 }
        // The decoder leaves the property while it works, because what it finds may lead back here.
        let current = wire
        wire = .none
        switch consume current {
        case .undetected(let earlier): return detect(earlier, bytes)
        case .upgrade(let decoder): return readUpgrade(decoder, bytes)
        case .packets(let decoder): return readPackets(decoder, bytes)
        case .webSocket(let decoder): return readFrames(decoder, bytes)
        case .none: return bytes.count
        }
    }

    /// The decoder has done its work on what was read.
    func put(back decoder: Wire, holding bytes: Int) {
        guard state.phase != .closed else { return }
        wire = decoder
        undecoded = bytes
    }

    private func detect(_ earlier: Bytes, _ bytes: borrowing Span<UInt8>) -> Int {
        var start = earlier
        for index in 0..<min(bytes.count, 4 - earlier.count) { start.append(bytes[index]) }
        if Self.methods.contains(where: { start.starts(with: $0) }) {
            wire = .upgrade(UpgradeDecoder())
        } else if Self.methods.contains(where: { $0.starts(with: start) }) {
            wire = .undetected(start)
            return bytes.count
        } else {
            guard open(.tcp) else {
                finish(.disconnected("refused"))
                return bytes.count
            }
            wire = .packets(PacketDecoder(maxBodyBytes: clients.options.maxBytesBeforeAck))
        }
        // Fewer than four bytes: no whole package, so all of them are taken.
        if !earlier.isEmpty { _ = read(earlier.span) }
        return read(bytes)
    }

    /// Shows the connection to the core; false when it is not wanted.
    private func open(_ kind: Kind) -> Bool {
        self.kind = kind
        clients.statistics.undetected -= 1
        if kind == .tcp {
            clients.statistics.openTCP += 1
        } else {
            clients.statistics.openWebSocket += 1
        }
        session = clients.host.opened(self)
        if session == nil { clients.statistics.refused += 1 }
        return session != nil
    }

    // MARK: upgrade

    private func readUpgrade(_ upgrade: UpgradeDecoder, _ bytes: borrowing Span<UInt8>) -> Int {
        var decoder = upgrade
        do throws(WireError) {
            switch try decoder.decode(bytes) {
            case .needMore:
                put(back: .upgrade(decoder), holding: decoder.heldBytes)
            case .request(let request, let consumed):
                answer(request)
                return consumed + read(bytes.extracting(consumed..<bytes.count))
            }
        } catch {
            if case .tooLarge = error {
                stream.write(UpgradeReply.headTooLarge)
                fail(.tooLarge)
            } else {
                stream.write(UpgradeReply.badRequest)
                fail(.notAnUpgrade)
            }
        }
        return bytes.count
    }

    private func answer(_ request: UpgradeRequest) {
        switch request.verdict() {
        case .accept(let key, let subprotocol):
            stream.write(
                UpgradeReply.accept(key: key, protocol: subprotocol) { Bytes(Insecure.SHA1.hash(data: $0)) })
            guard open(.webSocket) else {
                return finish(.disconnected("refused"), closeCode: 1013, "try again later")
            }
            let limit = clients.options.maxBytesBeforeAck + Packet.headerLength
            put(back: .webSocket(WebSocketDecoder(maxMessageBytes: limit)), holding: 0)
            return
        case .upgradeRequired: stream.write(UpgradeReply.upgradeRequired)
        case .versionMismatch: stream.write(UpgradeReply.versionMismatch)
        case .badRequest: stream.write(UpgradeReply.badRequest)
        }
        fail(.notAnUpgrade)
    }

    // MARK: the end

    /// Ends the connection because the client did wrong.
    func fail(_ fault: ConnectionFault, closeCode: UInt16 = 1000, _ text: String = "") {
        finish(.disconnected(fault.rawValue), fault: fault, closeCode: closeCode, text)
    }

    /// Ends the connection: what is queued leaves first, then a WebSocket's close frame; the host is told
    /// now.
    func finish(
        _ end: SessionEnd, fault: ConnectionFault? = nil, closeCode: UInt16? = 1000, _ text: String = ""
    ) {
        guard startEnding(fault) else { return }
        if kind == .webSocket { stream.write(WebSocketFrame.close(code: closeCode, reason: text)) }
        stream.closeAfterFlush(within: Self.flushDeadline)
        report(end)
    }

    /// Ends the connection without another byte; the host is told when the stream has ended, for it may be in
    /// the middle of a call to this socket.
    func cut(_ fault: ConnectionFault) {
        guard startEnding(fault) else { return }
        stream.close()
    }

    /// Says goodbye because the server stops.
    func stop() {
        if kind == .unknown {
            if startEnding(nil) { stream.close() }
        } else {
            finish(.stopped, closeCode: 1001, "server stops")
        }
    }

    private func startEnding(_ fault: ConnectionFault?) -> Bool {
        _ = state.close()
        guard !finished else { return false }
        finished = true
        letGo()
        cancelTimer()
        clients.noLongerPending(self)
        if let fault {
            self.fault = fault
            clients.statistics.faults[fault, default: 0] += 1
            clients.faultLog.write([
                "pomelo.fault": "\(fault.rawValue)", "pomelo.remote": "\(stream.remoteAddress)",
                "pomelo.session": "\(session.map { $0.id.description } ?? "-")",
            ])
        }
        return true
    }

    private func report(_ end: SessionEnd) {
        guard let session else { return }
        self.session = nil
        clients.host.closed(session, end)
    }
}
