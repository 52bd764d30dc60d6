// SPDX-License-Identifier: MIT
import DequeModule
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// From packets to what the core hears, in shares of a turn and no more than it wants.
extension SocketIOClient: TurnTaker {
    func keep(_ packet: SocketIOPacket) {
        inbox.append((packet, now))
        inboxBytes += packet.cost
    }

    /// Hears what waits, as far as the turn allows.
    func hear() {
        if waitsForTurn || isHearing { return }
        // What is heard is answered, which leads back here.
        isHearing = true
        defer { isHearing = false }
        renewShare()
        while !paused, !inbox.isEmpty {
            guard port.shares.allows(more: share) else {
                waitsForTurn = true
                return port.shares.wait(self)
            }
            hearNext()
        }
        guard inbox.isEmpty, !paused else { return }
        let answered = unanswered
        unanswered = []
        for number in answered { acceptNow(number) }
    }

    private func hearNext() {
        guard let (packet, arrival) = inbox.popFirst() else { return }
        inboxBytes -= packet.cost
        share += 1
        port.shares.charge(1)
        hear(packet, arrival)
    }

    /// A client may say something and leave in one breath; what is heard here is one request, at most.
    func hearTheRest() {
        if isHearing { return }
        isHearing = true
        defer { isHearing = false }
        while !paused, !inbox.isEmpty { hearNext() }
    }

    func goOn() {
        waitsForTurn = false
        hear()
        tellWaiting()
    }

    private func renewShare() {
        let turn = EventLoop.shared.turns
        if turn == shareTurn { return }
        shareTurn = turn
        share = 0
    }

    private func hear(_ packet: SocketIOPacket, _ arrival: UInt64) {
        switch packet {
        case .connect(let namespace) where namespace.isEmpty: enter()
        case .connect(let namespace):
            send(SocketIOPacket.connectError("Invalid namespace", namespace: namespace, state.revision))
        case .disconnect: break
        case .message(let text): received(text, arrival)
        case .foreign(let kind):
            shared.statistics.foreignPackets += 1
            shared.foreignLog.write(["pomelo.packet": "\(kind.rawValue)", "pomelo.remote": "\(remoteAddress)"])
        }
    }

    /// Shows the client to the core; before it nothing it says is heard.
    func enter() {
        guard !hasEntered else { return }
        shared.enters(self)
        hasEntered = true
        entersBy = nil
        for connection in sockets.values { port.noLongerPending(connection) }
        for exchange in exchanges.values { port.noLongerPending(exchange.connection) }
        session = shared.host.opened(self)
        guard session != nil else {
            port.statistics.refused += 1
            send(SocketIOPacket.connectError("try again later", state.revision))
            return end(.disconnected("refused"))
        }
        if state.revision == .five { send(SocketIOPacket.connected(sid: sid, .five)) }
    }

    private func received(_ text: Bytes, _ arrival: UInt64) {
        guard let session else { return port.statistics.droppedMessages += 1 }
        do throws(WireError) {
            let head = try PomeloText(text.span)
            guard let route = shared.host.route(utf8: text.span.extracting(head.routeRange)) else {
                return drop(head.id)
            }
            let message = ClientMessage(id: head.id, route: route, body: head.body(in: text.span), arrival: arrival)
            if mayPass(message, at: arrival) { shared.host.received(message, from: session) }
        } catch {
            port.statistics.droppedMessages += 1
        }
    }

    /// A message nobody can be given; a request is answered, so that its sender does not wait for ever.
    private func drop(_ id: UInt32) {
        port.statistics.droppedMessages += 1
        if id > 0 { respond(id: id, body: HybridProtocol.failure) }
    }

    // MARK: what the core wants

    func pauseReading() {
        guard !paused else { return }
        paused = true
        for connection in sockets.values { connection.pauseReading() }
    }

    func resumeReading() {
        guard paused else { return }
        paused = false
        for connection in sockets.values { connection.resumeReading() }
        guard !inbox.isEmpty || !unanswered.isEmpty, !waitsForTurn else { return }
        // Not now: the core is in the middle of ending a request.
        waitsForTurn = true
        port.shares.wait(self)
    }
}

extension SocketIOPacket {
    /// The memory that it takes while it waits, in bytes.
    fileprivate var cost: Int {
        if case .message(let text) = self { text.count + 64 } else { 64 }
    }
}
