// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// One accepted connection: finds out what it speaks, and gives what it says to who serves that.
///
/// Kept small, for there are many: no task, no buffer while nothing is half read, one timer; what few of them need has
/// memory of its own, and truth values lie in the last bytes of what is before them.
@Loop final class StreamConnection: ByteStreamDelegate, PendingClient {
    /// What the next bytes are read as.
    enum Wire {
        /// The first bytes, too few to tell.
        case undetected(Bytes)
        indirect case request(HTTPDecoder)
        /// A request is being answered; what comes meanwhile is the next one.
        indirect case awaiting(HTTPDecoder)
        case bytes
        case webSocket(WebSocketDecoder)
        /// Nothing is read: the decoder is at work further up the stack, or the connection has ended.
        case none
    }

    /// What the client is known to speak.
    enum Kind: UInt8 { case unknown, tcp, webSocket, http }

    /// The methods a request can begin with.
    ///
    /// - Source: RFC 9110, section 9; pomelo 2.2.7, lib/connectors/hybrid/switcher.js.
    private static let methods = ["GET", "POST", "PUT", "HEAD", "OPTI"].map { Bytes($0.utf8) }
    /// How long a closing connection may take to send its last bytes.
    private static let flushDeadline = Duration.seconds(2)

    let port: ClientPort
    let stream: any ByteStream
    /// No other connection of the port has it, also when this one is gone.
    let number: Int
    /// Those of the port's first connector, until it is known whose client this is.
    var limits: SharedLimits
    var wire = Wire.undetected([])
    private(set) var kind = Kind.unknown
    /// Set when this side ended the connection over a fault.
    private var fault: ConnectionFault?
    private(set) var finished = false
    /// Whether its client is not known yet.
    var isPending = false
    /// From detection until the end.
    private(set) var user: (any StreamUser)?
    /// The request that is to be answered, and the one whose answer is on its way to the kernel.
    var exchange: HTTPExchange?
    var answered: HTTPExchange?
    /// Where it counts while it is pending; nil until it is known whom a proxy speaks for.
    var origin: Origin?

    // +Access
    enum Admission: UInt8 { case unknown, asked, granted }
    final class Forwarded {
        let address: SocketAddress
        init(_ address: SocketAddress) { self.address = address }
    }
    /// The client that a trusted proxy has named in a request.
    var forwarded: Forwarded?

    /// Over a WebSocket that may compress.
    var compression: AgreedCompression?

    // +Backlog
    var backlog: Backlog?
    var postponed: Postponed?
    var share: Int32 = 0
    var shareTurn: UInt32 = 0
    /// Memory that the decoder holds, and what the port was told that this one holds, both in bytes.
    var undecoded = 0
    var held = 0
    /// When what is being decoded was read.
    var arrival: UInt64 = 0

    // +Sending
    var outbox: Outbox<Bytes>?

    // +Timer
    var timer: TimerID?
    // +Access
    var admission = Admission.unknown
    // +Backlog
    /// Nothing more is wanted until `resumeReading`.
    var paused = false
    /// This turn's share is used up.
    var throttled = false
    var goesOn = false
    // +Timer
    var firesAt: UInt64 = 0
    var deadline: UInt64 = 0
    var lastActivity: UInt64 = 0

    init(_ port: ClientPort, _ stream: any ByteStream) {
        self.port = port
        self.stream = stream
        number = port.statistics.accepted
        limits = port.firstLimits
    }

    func start() {
        expect(within: port.limits.handshakeTimeout.clampedNanoseconds)
        stream.delegate = self
        judgePeer()
    }

    // MARK: stream

    func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
        arrival = port.clock.now
        lastActivity = arrival
        receive(bytes)
    }

    func streamDidDrain(_ stream: any ByteStream) {
        if outbox != nil { emptyOutbox() }
        if answered != nil { noteWritten() }
        user?.drained()
    }

    func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {
        if !finished { noteEnd(nil) }
        loseAnswer()
        switch kind {
        case .unknown: port.statistics.undetected -= 1
        case .tcp: port.statistics.openTCP -= 1
        case .webSocket: port.statistics.openWebSocket -= 1
        case .http: port.statistics.openHTTP -= 1
        }
        switch reason {
        case .closed: tell(.disconnected(fault?.rawValue ?? "closed"))
        case .peerClosed: tell(.disconnected("client closed the connection"))
        case .failed(let error): tell(.disconnected("connection failed: \(error)"))
        }
        port.remove(self)
    }

    // MARK: detection

    /// Returns how many bytes were taken: all, unless the connection must wait before it goes on.
    func read(_ bytes: borrowing Span<UInt8>) -> Int {
        guard bytes.count > 0 else { return 0 }
        // The decoder leaves the property while it works, because what it finds may lead back here.
        let current = wire
        wire = .none
        switch consume current {
        case .bytes: return readBytes(bytes)
        case .webSocket(let decoder): return readFrames(decoder, bytes)
        case .undetected(let earlier): return detect(earlier, bytes)
        case .request(let decoder): return readRequest(decoder, bytes)
        case .awaiting(let decoder):
            wire = .awaiting(decoder)
            pauseReading()
            exchange?.noteMore()
            return 0
        case .none: return bytes.count
        }
    }

    /// The decoder has done its work on what was read.
    func put(back decoder: Wire, holding bytes: Int) {
        guard !finished else { return }
        wire = decoder
        undecoded = bytes
    }

    private func readBytes(_ bytes: borrowing Span<UInt8>) -> Int {
        guard let user else { return bytes.count }
        let taken = user.read(bytes)
        put(back: .bytes, holding: user.heldBytes)
        return taken
    }

    private func detect(_ earlier: Bytes, _ bytes: borrowing Span<UInt8>) -> Int {
        var start = earlier
        for index in 0..<min(bytes.count, 4 - earlier.count) { start.append(bytes[index]) }
        let isForged = port.door.isForged(start)
        if isForged == true {
            fail(.notSpoken)
            return bytes.count
        }
        if Self.methods.contains(where: { start.starts(with: $0) }) {
            wire = .request(HTTPDecoder(maxBodyBytes: port.maxBodyBytes))
        } else if isForged == nil || Self.methods.contains(where: { $0.starts(with: start) }) {
            wire = .undetected(start)
            return bytes.count
        } else {
            guard
                let one = port.protocols.first(where: { $0.firstByte == start.first })
                    ?? port.protocols.last(where: \.servesBytes)
            else {
                fail(.notSpoken)
                return bytes.count
            }
            guard isAdmitted() else {
                // What was read comes again.
                put(back: .undetected(earlier), holding: 0)
                return 0
            }
            guard serve(as: .tcp, by: one, { one.serveBytes(of: self) }) != nil else {
                finish(.disconnected("refused"))
                return bytes.count
            }
            wire = .bytes
        }
        // Fewer than four bytes: no whole package, so all of them are taken.
        if !earlier.isEmpty { _ = read(earlier.span) }
        return read(bytes)
    }

    /// Has somebody serve the connection; nil when that was refused.
    func serve(
        as kind: Kind, by service: any PortProtocol, _ begin: () -> (any StreamUser)?
    ) -> (any StreamUser)? {
        limits = service.limits
        note(kind)
        let served = begin()
        // It may have ended the connection at once.
        if finished { served?.ended(.disconnected("refused")) } else { user = served }
        return user
    }

    /// The connection brings requests that are answered.
    func serveRequests() { note(.http) }

    private func note(_ new: Kind) {
        if new == kind { return }
        switch kind {
        case .unknown: port.statistics.undetected -= 1
        default: port.statistics.openHTTP -= 1
        }
        kind = new
        switch new {
        case .tcp: port.statistics.openTCP += 1
        case .webSocket: port.statistics.openWebSocket += 1
        default: port.statistics.openHTTP += 1
        }
    }

    // MARK: the end

    /// Ends the connection because the client did wrong.
    func fail(_ fault: ConnectionFault, closeCode: UInt16 = 1000, _ text: String = "") {
        finish(.disconnected(fault.rawValue), fault: fault, closeCode: closeCode, text)
    }

    /// Ends the connection: what is queued leaves first, then a WebSocket's close frame; its user is told now.
    func finish(
        _ end: SessionEnd, fault: ConnectionFault? = nil, closeCode: UInt16? = 1000, _ text: String = ""
    ) {
        guard !finished else { return }
        emptyOutbox(whole: true)
        noteEnd(fault)
        if kind == .webSocket { stream.write(WebSocketFrame.close(code: closeCode, reason: text)) }
        stream.closeAfterFlush(within: Self.flushDeadline)
        tell(end)
    }

    /// Ends the connection without another byte; its user is told when the stream has ended, for it may be in the
    /// middle of a call to this connection.
    func cut(_ fault: ConnectionFault) {
        guard !finished else { return }
        noteEnd(fault)
        stream.close()
    }

    /// What lies below has ended the connection, and will say so when its last bytes have left: it is in nobody's way.
    func lost(_ fault: ConnectionFault, _ error: any Error) { if !finished { noteEnd(fault, error) } }

    /// Says goodbye because the server stops.
    func stop() {
        if user != nil || kind == .http { return finish(.stopped, closeCode: 1001, "server stops") }
        guard !finished else { return }
        noteEnd(nil)
        stream.close()
    }

    private func noteEnd(_ fault: ConnectionFault?, _ error: (any Error)? = nil) {
        finished = true
        user?.ending()
        endExchange()
        letGo()
        cancelTimer()
        port.noLongerPending(self)
        guard let fault else { return }
        self.fault = fault
        port.noteFault(fault, of: self, error)
    }

    private func tell(_ end: SessionEnd) {
        user?.ended(end)
        user = nil
    }
}
