// SPDX-License-Identifier: MIT
import DequeModule
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop

/// One client of a custom connector: its messages in order, to their bounds, and one end.
@Loop final class CustomClient<Socket: CustomSocket>: CustomSocketDelegate {
    typealias Buffer = Socket.Buffer

    /// A message that waits: for the ones before it, for the core, or for its turn.
    private struct Held {
        let buffer: Buffer
        let size: Int
        let arrival: UInt64
    }

    /// What a message takes beside its buffer.
    private nonisolated static var overhead: Int { 64 }

    let clients: CustomClients<Socket>
    let socket: Socket
    /// From the beginning until the host was told of the end.
    private(set) var session: ClientSession?
    let rate: ClientRate?
    private(set) var isOpen = true
    /// Set while this side is ending the connection.
    private var lastWord: SessionEnd?

    private var held: Deque<Held> = []
    private(set) var heldBytes = 0
    /// The codec has a message of this client.
    private var isDecoding = false
    /// The core wants nothing more until it says so.
    private var isPaused = false
    private var socketIsPaused = false
    private var goesOn = false
    private var share = 0
    private var shareTurn = 0

    // +Sending
    var unencoded: Deque<Unencoded> = []
    var unencodedBytes = 0
    var isEncoding = false
    var batch: [Buffer] = []
    var batchBytes = 0
    /// What waits for a slow reader and may be left out.
    var outbox: Outbox<Buffer>?
    var isDirty = false

    init(_ clients: CustomClients<Socket>, _ socket: Socket) {
        self.clients = clients
        self.socket = socket
        rate = ClientRate(clients.rates)
    }

    func start() {
        session = clients.host.opened(self)
        guard session != nil else {
            clients.statistics.refused += 1
            isOpen = false
            clients.remove(self)
            return socket.disconnect()
        }
        socket.delegate = self
    }

    // MARK: in

    func message(_ buffer: Buffer) {
        guard isOpen else { return }
        if held.isEmpty, canGoOn {
            decode(buffer, arrival: nil)
        } else {
            hold(buffer)
        }
    }

    private func hold(_ buffer: Buffer) {
        let size = Socket.size(of: buffer) + Self.overhead
        guard heldBytes + size <= clients.options.maxHeldBytes else { return cutForHolding() }
        held.append(Held(buffer: buffer, size: size, arrival: clients.clock.now))
        heldBytes += size
        clients.held(size)
        watchSocket()
        if !isPaused, !isDecoding { goOnSoon() }
    }

    /// Whether the next message may be decoded now.
    private var canGoOn: Bool {
        if shareTurn != EventLoop.shared.turns {
            shareTurn = EventLoop.shared.turns
            share = clients.options.maxMessagesPerTurn
        }
        return isOpen && !isPaused && !isDecoding && share > 0
    }

    private func goOnSoon() {
        if goesOn { return }
        goesOn = true
        EventLoop.shared.inNextTurn {
            self.goesOn = false
            self.goOn()
        }
    }

    private func goOn() {
        while canGoOn, let next = held.popFirst() {
            heldBytes -= next.size
            clients.held(-next.size)
            decode(next.buffer, arrival: next.arrival)
        }
        guard isOpen else { return }
        watchSocket()
        if !held.isEmpty, !isPaused, !isDecoding { goOnSoon() }
    }

    /// The socket rests while the core does, and while half of what may be held is.
    private func watchSocket() {
        let rests = isPaused || heldBytes > clients.options.maxHeldBytes / 2 || (socketIsPaused && !held.isEmpty)
        guard isOpen, rests != socketIsPaused else { return }
        socketIsPaused = rests
        if rests { socket.pauseReading() } else { socket.resumeReading() }
    }

    private func decode(_ buffer: Buffer, arrival: UInt64?) {
        guard let session else { return }
        share -= 1
        switch clients.decode {
        case .immediate(let decode):
            do { take(.done(try decode(buffer, session)), arrival) } catch { take(.failed(error), arrival) }
        case .waiting(let decode):
            isDecoding = true
            let arrival = arrival ?? clients.clock.now
            clients.wait(for: { try await decode(buffer, session) }) { outcome in
                self.isDecoding = false
                self.take(outcome, arrival)
                self.goOn()
            }
        }
    }

    private func take(_ outcome: CodecOutcome<DecodedMessage>, _ arrival: UInt64?) {
        guard isOpen, let session else { return }
        switch outcome {
        case .done(let message?):
            guard let route = clients.host.route(utf8: message.route.utf8.span) else { fallthrough }
            let heard = ClientMessage(id: message.id ?? 0, route: route, body: message.body, arrival: arrival)
            if mayPass(heard, at: arrival ?? clients.clock.now) { clients.host.received(heard, from: session) }
        case .done(nil): clients.statistics.undecoded += 1
        case .failed(let error):
            clients.statistics.failedDecodes += 1
            clients.decodeLog.write(["pomelo.session": "\(session.id)", "error": "\("\(error)".forLog)"])
        case .late:
            clients.statistics.lateDecodes += 1
            clients.decodeLog.write(["pomelo.session": "\(session.id)", "error": "no answer of the codec in time"])
        }
    }

    func pauseReading() {
        isPaused = true
        watchSocket()
    }

    func resumeReading() {
        guard isPaused else { return }
        isPaused = false
        // The core may say so inside `received`: what waits comes when that has returned.
        if held.isEmpty { watchSocket() } else { goOnSoon() }
    }

    // MARK: the end

    func disconnect(_ reason: String) { ended(reason) }

    func error(_ error: any Error) {
        guard isOpen else { return }
        let reason = "connection failed: \("\(error)".forLog)"
        socket.willClose(.disconnected(reason))
        ended(reason)
    }

    /// The socket says that it is over.
    private func ended(_ reason: String) {
        guard isOpen else { return }
        isOpen = false
        forgetHeld()
        forgetUnsent()
        release()
        report(.disconnected(reason))
    }

    /// Ends the connection: what was sent leaves first, as far as a codec has it by its deadline; the host is told now.
    func finish(_ end: SessionEnd) {
        guard isOpen else { return }
        isOpen = false
        forgetHeld()
        lastWord = end
        clients.leaves(self)
        if unencoded.isEmpty { endNow() }
        report(end)
    }

    /// The socket's last moment, when nothing waits for the codec any more, or nobody waits for that.
    func endNow() {
        guard let end = lastWord else { return }
        lastWord = nil
        unencoded = []
        emptyOutbox(whole: true)
        flushBatch()
        socket.willClose(end)
        release()
        clients.hasLeft(self)
    }

    /// Ends the connection without another message; the host is told in a later turn, for it may be in the middle of
    /// a call to this socket.
    func cut(_ fault: String) {
        guard isOpen else { return }
        isOpen = false
        forgetHeld()
        forgetUnsent()
        clients.faultLog.write([
            "pomelo.fault": "\(fault)", "pomelo.remote": "\(socket.remoteAddress)",
            "pomelo.session": "\(session.map { $0.id.description } ?? "-")",
        ])
        EventLoop.shared.inNextTurn { [self] in
            socket.willClose(.disconnected(fault))
            release()
            report(.disconnected(fault))
        }
    }

    func noteOverRate() { clients.statistics.overRate += 1 }

    func endOverRate() {
        clients.statistics.saidTooMuch += 1
        cut(ConnectionFault.overRate.rawValue)
    }

    /// Too much waits of what it, or what all said.
    func cutForHolding() {
        clients.statistics.heldTooMuch += 1
        cut("more waits than may")
    }

    private func forgetHeld() {
        held = []
        clients.held(-heldBytes)
        heldBytes = 0
    }

    private func forgetUnsent() {
        (batch, batchBytes) = ([], 0)
        outbox = nil
        (unencoded, unencodedBytes) = ([], 0)
    }

    private func release() {
        socket.disconnect()
        socket.delegate = nil
    }

    private func report(_ end: SessionEnd) {
        guard let session else { return }
        self.session = nil
        clients.host.closed(session, end)
        // Last, for there may be room for another client now, whose session must not stand beside this one's.
        clients.remove(self)
    }
}
