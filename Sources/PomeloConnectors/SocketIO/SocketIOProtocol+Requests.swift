// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// What a request asks for, by its path and query.
///
/// ```
/// GET  /socket.io/?EIO=4&transport=polling            begins a session, and polls
/// GET  /socket.io/?EIO=4&transport=polling&sid=…      polls
/// POST /socket.io/?EIO=4&transport=polling&sid=…      says something
/// GET  /socket.io/?EIO=4&transport=websocket[&sid=…]  a WebSocket, the first transport or a better one
/// GET  /socket.io/1/                                  0.9: begins a session
/// GET  /socket.io/1/xhr-polling/<sid>                 0.9: polls; with ?disconnect ends; POST says something
/// GET  /socket.io/1/websocket/<sid>                   0.9: a WebSocket
/// ```
extension SocketIOProtocol {
    /// A request that is understood.
    private struct Wish {
        let revision: SocketIORevision
        let sid: String?
        let isWebSocket: Bool
        let endsSession: Bool
    }

    private func wish(_ request: UpgradeRequest) throws(EngineIOError) -> Wish {
        guard allows(request) else { throw .forbidden }
        let target: HTTPTarget
        do throws(WireError) {
            target = try HTTPTarget(request.path)
        } catch { throw .badRequest }
        // "socket.io", then nothing, or "1", a transport and a session.
        let parts = Array(target.segments.dropFirst())
        if parts.first == "1" {
            let transport = parts.count > 1 ? parts[1] : ""
            guard parts.count == 1 || parts.count <= 3 && offers(transport) else { throw .unknownTransport }
            return Wish(
                revision: .one, sid: parts.count > 2 ? parts[2] : nil, isWebSocket: transport == "websocket",
                endsSession: target.value("disconnect") != nil)
        }
        guard parts.isEmpty else { throw .badRequest }
        guard let revision = SocketIORevision(engineIO: target.value("EIO")) else { throw .unsupportedVersion }
        let transport = target.value("transport") ?? ""
        guard offers(transport) else { throw .unknownTransport }
        return Wish(
            revision: revision, sid: target.value("sid"), isWebSocket: transport == "websocket", endsSession: false)
    }

    private func offers(_ transport: String) -> Bool {
        switch transport {
        case "websocket": rules.webSocket
        case "polling", "xhr-polling": rules.polling
        default: false
        }
    }

    /// The session that a request is of.
    private func session(of wish: Wish) throws(EngineIOError) -> SocketIOClient {
        guard let client = session(wish.sid), client.state.revision == wish.revision else { throw .unknownSession }
        return client
    }

    // MARK: requests

    func answer(_ exchange: HTTPExchange) {
        let request = exchange.request
        if request.method == "OPTIONS" {
            return exchange.answer(
                allows(request) ? origins.preflight(request) : EngineIOError.forbidden.response)
        }
        do throws(EngineIOError) {
            try serve(exchange, try wish(request))
        } catch {
            refused(error)
            answer(exchange, error.response)
        }
    }

    private func serve(_ exchange: HTTPExchange, _ wish: Wish) throws(EngineIOError) {
        let method = exchange.request.method
        guard !wish.isWebSocket else { throw .badRequest }
        if wish.sid == nil {
            guard method == "GET" else { throw .badHandshakeMethod }
            return try beginSession(exchange, wish)
        }
        let client = try session(of: wish)
        switch method {
        case "GET" where wish.endsSession: client.closeRequested(exchange)
        case "GET": client.poll(exchange)
        case "POST": exchange.awaitsBody ? client.post(exchange) : answer(exchange, EngineIOError.badRequest.response)
        default: throw .badRequest
        }
    }

    private func beginSession(_ exchange: HTTPExchange, _ wish: Wish) throws(EngineIOError) {
        guard let client = begin(wish.revision, over: exchange.connection) else {
            return answer(exchange, HTTPResponse(status: 503))
        }
        guard wish.revision == .one else { return client.poll(exchange, isFirst: true) }
        let body = SocketIO09Handshake.body(
            sid: client.sid, heartbeatSeconds: options.heartbeats ? Self.seconds(options.heartbeatTimeout) : nil,
            closeSeconds: Self.seconds(options.closeTimeout),
            transports: (rules.webSocket ? ["websocket"] : []) + (rules.polling ? ["xhr-polling"] : []))
        answer(exchange, HTTPResponse(contentType: "text/plain; charset=UTF-8", body: body))
    }

    /// Answers with what a page needs to be shown it.
    func answer(_ exchange: HTTPExchange, _ response: HTTPResponse) {
        var response = response
        response.headers += origins.headers(for: exchange.request)
        exchange.answer(response)
    }

    // MARK: WebSockets

    func refusal(of request: UpgradeRequest) -> HTTPResponse? {
        do throws(EngineIOError) {
            let wish = try wish(request)
            guard wish.isWebSocket else { throw .badRequest }
            if wish.sid != nil {
                guard try session(of: wish).state.takesWebSocket else { throw .badRequest }
            } else if wish.revision == .one {
                throw .badRequest
            }
            return nil
        } catch {
            refused(error)
            var response = error.response
            response.headers += origins.headers(for: request)
            return response
        }
    }

    func serveWebSocket(of connection: StreamConnection, _ request: UpgradeRequest) -> (any StreamUser)? {
        do throws(EngineIOError) {
            let wish = try wish(request)
            let client =
                wish.sid == nil
                ? begin(wish.revision, over: connection, isWebSocket: true) : try session(of: wish)
            guard let client else { return nil }
            return SocketIOSocket(client, connection, nextNumber())
        } catch { return nil }
    }

    // MARK: times

    /// Names a better transport only to who has not come by it.
    func openPacket(_ revision: SocketIORevision, sid: String, isWebSocket: Bool) -> Bytes {
        let interval = options.heartbeats ? options.heartbeatInterval : .seconds(86_400)
        return EngineIOOpen.packet(
            sid: sid, upgrades: rules.webSocket && !isWebSocket ? ["websocket"] : [],
            pingIntervalMilliseconds: Self.milliseconds(interval),
            pingTimeoutMilliseconds: Self.milliseconds(options.heartbeatTimeout),
            maxPayload: revision == .five ? options.limits.maxMessageBytes : nil)
    }

    func engineOptions(_ revision: SocketIORevision) -> EngineIOSession.Options {
        var times = EngineIOSession.Options()
        times.pingInterval = options.heartbeats ? options.heartbeatInterval.clampedNanoseconds : nil
        times.pingTimeout = options.heartbeatTimeout.clampedNanoseconds
        times.closeTimeout = options.closeTimeout.clampedNanoseconds
        return times
    }

    private static func milliseconds(_ time: Duration) -> Int { Int(time.clampedNanoseconds / 1_000_000) }
    private static func seconds(_ time: Duration) -> Int {
        Int((time.clampedNanoseconds + 999_999_999) / 1_000_000_000)
    }
}

/// A WebSocket of a client of socket.io.
@Loop final class SocketIOSocket: StreamUser {
    private let client: SocketIOClient
    private let connection: StreamConnection
    private let number: EngineIOSession.Number

    init(_ client: SocketIOClient, _ connection: StreamConnection, _ number: EngineIOSession.Number) {
        self.client = client
        self.connection = connection
        self.number = number
        // The answer to the upgrade is written; what the state says leaves behind it.
        client.webSocketOpened(number, connection)
    }

    var maxMessageBytes: Int { connection.limits.maxMessageBytes }
    let heldBytes = 0

    func read(_ bytes: borrowing Span<UInt8>) -> Int { bytes.count }

    func read(_ message: Bytes, isText: Bool, from start: Int) -> Int {
        connection.charge(1)
        client.webSocketReceived(number, message, isText: isText)
        return message.count
    }

    func drained() {}
    func overdue() { if client.state.webSocket == number { connection.idle() } }
    func ending() {}
    func ended(_ end: SessionEnd) { client.webSocketClosed(number, end) }
}
