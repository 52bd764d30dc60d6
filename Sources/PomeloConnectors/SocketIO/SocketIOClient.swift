// SPDX-License-Identifier: MIT
import DequeModule
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// One client of socket.io: its state, and the requests and WebSockets by which it comes.
@Loop final class SocketIOClient {
    let shared: SocketIOProtocol
    let port: ClientPort
    let sid: String
    let remoteAddress: SocketAddress
    /// The number of the connection that brought its first request, which it may outlive.
    let opener: Int
    var state: EngineIOSession
    /// From the client's entrance until the host was told of its end.
    var session: ClientSession?
    let rate: ClientRate?
    /// Whether it may enter once more: a client that was refused, or has left, may not.
    var hasEntered = false
    /// When it must have; nil once it has.
    var entersBy: UInt64?

    /// Requests that wait for their answer or for its way to the kernel, and WebSockets, by their numbers.
    var exchanges: [EngineIOSession.Number: HTTPExchange] = [:]
    var sockets: [EngineIOSession.Number: StreamConnection] = [:]
    /// The one among them that is the transport: what is sent goes there at once.
    private(set) var webSocket: StreamConnection?
    /// When the last request ended, while there is none.
    private(set) var awaySince: UInt64

    // +Receiving
    /// What the client said and nobody has heard yet, and when it was read.
    var inbox: Deque<(packet: SocketIOPacket, arrival: UInt64)> = []
    /// POSTs that are answered when it has been heard.
    var unanswered: [EngineIOSession.Number] = []
    var paused = false
    var waitsForTurn = false
    var isHearing = false
    var inboxBytes = 0
    /// Of this turn.
    var share = 0
    var shareTurn = 0

    // +Sending
    /// What waits for polls and to be heard, as the connector was told, in bytes.
    var told = 0

    private var timer: TimerID?
    private var firesAt: UInt64 = 0

    init(
        _ shared: SocketIOProtocol, _ revision: SocketIORevision, sid: String, over connection: StreamConnection,
        isWebSocket: Bool
    ) {
        self.shared = shared
        self.sid = sid
        port = connection.port
        remoteAddress = connection.remoteAddress
        opener = connection.number
        rate = ClientRate(shared.limits.rates)
        awaySince = shared.clock.now
        var greeting: [Bytes] = []
        if revision != .one {
            greeting.append(shared.openPacket(revision, sid: sid, isWebSocket: isWebSocket))
        }
        if revision != .five { greeting.append(SocketIOPacket.connected(sid: sid, revision)) }
        state = EngineIOSession(
            revision, options: shared.engineOptions(revision), greeting: greeting, now: shared.clock.now)
        // A client of 0.9 may take its time for another transport; it is told how long.
        entersBy = revision == .one ? nil : shared.clock.deadline(after: port.limits.handshakeTimeout)
    }

    var now: UInt64 { shared.clock.now }
    /// Whether no request of it is being answered, and it has no WebSocket.
    ///
    /// A request with more behind it proves nothing: whether its connection still is, nobody knows.
    var isAway: Bool { sockets.isEmpty && exchanges.values.allSatisfy(\.isFollowed) }

    // MARK: what the state wants

    /// Does what the state says; calls may lead back here, each with the actions of its own input.
    func run(_ actions: [EngineIOSession.Action]) {
        for action in actions {
            switch action {
            case .answer(let number, let payload):
                answer(number, HTTPResponse(contentType: payload.contentType, body: payload.body))
            case .accept(let number): accept(number)
            case .refuse(let number, let error):
                shared.refused(error)
                answer(number, error.response)
            case .send(let number, let packet): _ = sockets[number]?.send(message: packet, .text)
            case .closeWebSocket(let number): sockets[number]?.finish(.disconnected("closed by the server"))
            case .receive(let packet): keep(packet)
            case .end(let reason):
                if reason == .clientClosed { hearTheRest() }
                ended(reason)
            }
        }
        hear()
        tellWaiting()
    }

    private func accept(_ number: EngineIOSession.Number) {
        if inbox.isEmpty && !paused { acceptNow(number) } else { unanswered.append(number) }
    }

    func acceptNow(_ number: EngineIOSession.Number) {
        let body = state.revision == .one ? "1" : "ok"
        answer(number, HTTPResponse(contentType: "text/plain; charset=UTF-8", body: Bytes(body.utf8)))
    }

    private func answer(_ number: EngineIOSession.Number, _ response: HTTPResponse) {
        guard let exchange = exchanges[number] else { return }
        shared.answer(exchange, response)
    }

    // MARK: requests and WebSockets

    /// The first poll of Engine.IO begins the session; with every other request the client shows that it is there.
    func poll(_ exchange: HTTPExchange, isFirst: Bool = false) {
        loseAnswers(but: exchange.connection)
        take(exchange, isFirst: isFirst) { number in state.pollArrived(number, now: now) }
    }

    /// A client that polls anew has given up an answer that is still on its way.
    private func loseAnswers(but connection: StreamConnection) {
        for exchange in exchanges.values
        where exchange.isAnswered && exchange.request.method == "GET" && exchange.connection !== connection {
            exchange.connection.stream.close()
            connectionEnded(exchange)
        }
    }

    func post(_ exchange: HTTPExchange) {
        // What was said before is not heard yet: this one had to wait for its answer.
        let isEarly = !unanswered.isEmpty
        take(exchange) { number in isEarly ? state.postOverlaps(number) : state.postBegan(number) }
    }

    func closeRequested(_ exchange: HTTPExchange) {
        take(exchange) { number in state.closeRequested(number) }
    }

    private func take(
        _ exchange: HTTPExchange, isFirst: Bool = false,
        _ input: (EngineIOSession.Number) -> [EngineIOSession.Action]
    ) {
        if entersBy == nil { port.noLongerPending(exchange.connection) }
        let number = shared.nextNumber()
        exchanges[number] = exchange
        exchange.owner = self
        run(input(number))
        if !isFirst { isThere() }
        watchTime()
    }

    private func number(of exchange: HTTPExchange) -> EngineIOSession.Number? {
        exchanges.first { $0.value === exchange }?.key
    }

    /// Whether a WebSocket may be opened for it; the number is the WebSocket's from then on.
    func webSocketOpened(_ number: EngineIOSession.Number, _ connection: StreamConnection) {
        if shared.options.heartbeats { connection.cancelTimer() } else { connection.expectTraffic() }
        if entersBy == nil { port.noLongerPending(connection) }
        sockets[number] = connection
        run(state.webSocketOpened(number, now: now))
        noteTransport()
        watchTime()
    }

    func webSocketReceived(_ number: EngineIOSession.Number, _ message: Bytes, isText: Bool) {
        let (wasPolling, wasAsked) = (state.webSocket == nil, state.awaitsPong)
        run(state.webSocketReceived(number, message.span, isText: isText, now: now))
        if wasPolling { noteTransport() }
        // Else a deadline has only moved back.
        if wasPolling || wasAsked { watchTime() }
    }

    func webSocketClosed(_ number: EngineIOSession.Number, _ end: SessionEnd) {
        guard let connection = sockets.removeValue(forKey: number) else { return }
        if webSocket === connection { webSocket = nil }
        if state.webSocket == number { report(end) }
        if isAway { awaySince = now }
        run(state.webSocketClosed(number))
        watchTime()
    }

    private func noteTransport() {
        guard let number = state.webSocket else { return }
        webSocket = sockets[number]
        shared.noLongerPolling(self)
        if paused { for connection in sockets.values { connection.pauseReading() } }
        isThere()
    }

    /// In the older revisions everybody has entered who comes; in the newest a client says when it does.
    private func isThere() {
        if state.revision != .five, !state.isClosed, !state.isClosing { enter() }
    }

    // MARK: time

    /// A deadline that has moved back costs nothing: the timer finds out when it fires.
    func watchTime() {
        guard !state.isClosed, let deadline = [state.deadline, entersBy].compactMap({ $0 }).min() else {
            return cancelTimer()
        }
        if timer != nil {
            if firesAt <= deadline { return }
            cancelTimer()
        }
        firesAt = deadline
        timer = shared.clock.schedule(at: deadline) { self.fire() }
    }

    private func cancelTimer() {
        if let timer { shared.clock.cancel(timer) }
        timer = nil
    }

    private func fire() {
        timer = nil
        if let entersBy, entersBy <= now {
            port.statistics.faults[.handshakeTimeout, default: 0] += 1
            return drop(.disconnected(ConnectionFault.handshakeTimeout.rawValue))
        }
        // While this side does not read, silence proves nothing.
        if paused || !inbox.isEmpty { state.noteHeard(now: now) }
        run(state.timePassed(now: now))
        watchTime()
    }

    // MARK: the end

    private func ended(_ reason: EngineIOSession.EndReason) {
        cancelTimer()
        shared.remove(self, reason)
        inbox = []
        inboxBytes = 0
        for number in unanswered { acceptNow(number) }
        unanswered = []
        let open = sockets.values
        sockets = [:]
        webSocket = nil
        for connection in open { connection.finish(.disconnected(reason.rawValue)) }
        report(.disconnected(Self.words(reason)))
    }

    private static func words(_ reason: EngineIOSession.EndReason) -> String {
        switch reason {
        case .clientClosed, .transportClosed: "client closed the connection"
        case .serverClosed: "closed by the server"
        case .silent: ConnectionFault.heartbeatTimeout.rawValue
        case .absent: ConnectionFault.idleTimeout.rawValue
        case .overlap, .malformed: ConnectionFault.badPackage.rawValue
        }
    }

    func report(_ end: SessionEnd) {
        guard let session else { return }
        self.session = nil
        shared.host.closed(session, end)
    }

    /// Ends it without another word than the end itself; the host is told now.
    func end(_ end: SessionEnd) {
        report(end)
        run(state.close(now: now))
        watchTime()
    }

    /// Ends it at once and keeps nothing: nobody is expected to come for its end.
    func drop(_ end: SessionEnd) {
        self.end(end)
        if !state.isClosed { run(state.abandon()) }
    }

    /// Goes because the server stops; without goodbye, so that the client connects again.
    func stop() {
        report(.stopped)
        run(state.abandon())
    }
}

extension SocketIOClient: HTTPExchangeOwner {
    func bodyArrived(_ body: Bytes, of exchange: HTTPExchange) {
        guard let number = number(of: exchange) else { return }
        run(state.postArrived(number, body: body.span, now: now))
        watchTime()
    }

    func answerWritten(_ exchange: HTTPExchange) {
        guard let number = number(of: exchange) else { return }
        exchanges[number] = nil
        state.answerWritten(number)
        if isAway { awaySince = now }
    }

    func connectionEnded(_ exchange: HTTPExchange) {
        guard let number = number(of: exchange) else { return }
        exchanges[number] = nil
        state.requestClosed(number, now: now)
        if isAway { awaySince = now }
        tellWaiting()
        watchTime()
    }

    func moreWaits(behind exchange: HTTPExchange) {
        if isAway { awaySince = now }
    }
}
