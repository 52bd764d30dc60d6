// SPDX-License-Identifier: MIT
import Logging
import Metrics
import PomeloLoop
import PomeloWire

/// The way of a client's message: own handler, or forward to a server of its type; exactly one answer.
///
/// - Source: pomelo 2.2.7, lib/server/server.js, without its requests that are never answered.
@Loop final class Dispatcher {
    /// `{"code":500}`: the answer to everything that carries no public code.
    static let internalError = Array(#"{"code":500}"#.utf8)
    static let emptyReply = Array("{}".utf8)

    private unowned let application: Application
    private var handlers: [String: ServedRoute.Answer] = [:]
    /// Routes seen so far, by their bytes' hash, so that a known one costs no allocation.
    private var interned: [UInt64: Route] = [:]
    let global: FilterChain
    let local: FilterChain
    private let dropped = Counter(label: "pomelo.dispatch.dropped")
    private let overdue = Counter(label: "pomelo.dispatch.overdue")

    init(_ application: Application) {
        self.application = application
        global = FilterChain(application)
        local = FilterChain(application)
    }

    /// Adds a route.
    ///
    /// - Throws: `PomeloError` `.configuration` for a route of another type, incomplete, or served already.
    func serve(_ route: Route, _ answer: @escaping ServedRoute.Answer) throws {
        guard route.isComplete, route.serverType == application.serverType else {
            throw PomeloError(
                .configuration,
                "\(application.serverID) cannot serve \(route): its type is \(application.serverType)")
        }
        guard handlers.updateValue(answer, forKey: route.text) == nil else {
            throw PomeloError(.configuration, "the route \(route) is served twice")
        }
        intern(route)
    }

    var servedRoutes: [String] { handlers.keys.sorted() }

    // MARK: routes

    /// Interned routes; unknown ones are made anew each time, so a client cannot grow the table.
    func route(utf8 bytes: borrowing Span<UInt8>) -> Route? {
        if let known = interned[Self.hash(bytes)], Self.equal(known.text, bytes) { return known }
        var copy: Bytes = []
        for index in bytes.indices { copy.append(bytes[index]) }
        guard let text = String(validating: copy, as: UTF8.self) else { return nil }
        return Route(text)
    }

    /// Whether a route is served here or was announced: one of a bounded number.
    func knows(_ route: Route) -> Bool { interned[Self.hash(Array(route.text.utf8).span)] == route }

    /// Remembers the routes of other server types that clients may address.
    func intern(_ route: Route) { interned[Self.hash(Array(route.text.utf8).span)] = route }

    private static func hash(_ bytes: borrowing Span<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for index in bytes.indices { hash = (hash ^ UInt64(bytes[index])) &* 0x100_0000_01B3 }
        return hash
    }

    private static func equal(_ text: String, _ bytes: borrowing Span<UInt8>) -> Bool {
        let utf8 = text.utf8
        guard utf8.count == bytes.count else { return false }
        var index = 0
        for byte in utf8 {
            if byte != bytes[index] { return false }
            index += 1
        }
        return true
    }

    // MARK: a client's message, at its frontend

    /// Takes a message of a session; a request is answered exactly once, at the latest at its deadline.
    func receive(_ message: ClientMessage, from client: ClientSession) {
        guard !message.route.serverType.rawValue.isEmpty, message.route.isComplete else {
            return refuse(message, client)
        }
        if message.route.method == "constructor" {
            application.log.warning("attack", metadata: ["pomelo.session": "\(client.id)"])
            application.sessionService.kick(client.id, reason: "attack")
            return
        }
        guard client.inFlight < application.limits.requestsInFlightHard else { return refuse(message, client) }
        begin(client)
        let ticket = Ticket(message, client, self, application)
        let deadline = application.clock.deadline(after: application.limits.clientRequest)
        ticket.timer = application.clock.schedule(at: deadline) { [weak self] in
            self?.overdue.increment()
            ticket.finish(.failure(Fault(500)))
        }
        let request = Request(
            id: message.id, route: message.route, body: message.body, session: application.sessionCopy(client),
            deadline: deadline)
        Loop.spawn { await self.process(request, ticket) }
    }

    private func process(_ request: Request, _ ticket: Ticket) async {
        let outcome: Outcome
        if global.isEmpty {
            do { outcome = .success(try await perform(request)) } catch { outcome = .failure(error) }
        } else {
            outcome = await global.run(request) { try await self.perform(request) }
        }
        ticket.finish(outcome)
    }

    private func perform(_ request: Request) async throws -> Bytes {
        request.route.serverType == application.serverType
            ? try await handle(request) : try await application.forwarding.forward(request)
    }

    /// Runs the handler of this server, within the local filters.
    func handle(_ request: Request) async throws -> Bytes {
        let answer = handlers[request.route.text]
        if local.isEmpty, let answer { return try await answer(request.body, request.session) }
        return try await local.run(request) {
            guard let answer else { throw PomeloError(.configuration, "no handler for \(request.route)") }
            return try await answer(request.body, request.session)
        }.get()
    }

    private func refuse(_ message: ClientMessage, _ client: ClientSession) {
        if message.id != 0 {
            client.socket.respond(id: message.id, body: Self.internalError)
        } else {
            dropped.increment()
        }
    }

    // MARK: requests in flight

    private func begin(_ client: ClientSession) {
        client.inFlight += 1
        if client.inFlight >= application.limits.requestsInFlight, !client.paused {
            client.paused = true
            client.socket.pauseReading()
        }
    }

    fileprivate func end(_ client: ClientSession) {
        client.inFlight -= 1
        if client.paused, client.inFlight < application.limits.requestsInFlight {
            client.paused = false
            client.socket.resumeReading()
        }
    }

    /// The body that answers an outcome; errors without a public code are logged, never sent.
    func body(of outcome: Outcome, _ route: Route) -> Bytes {
        switch outcome {
        case .success(let bytes):
            return bytes.isEmpty ? Self.emptyReply : bytes
        case .failure(let fault as Fault):
            return fault.reply.encoded()
        case .failure(let error):
            application.log.warning("request failed", metadata: ["pomelo.route": "\(route)", "error": "\(error)"])
            return Self.internalError
        }
    }
}

/// The one answer of one request: whoever comes first, handler or deadline, gives it.
@Loop private final class Ticket {
    private let id: UInt32
    private let route: Route
    private let client: ClientSession
    /// Held while the request is under way, also when the application was dropped.
    private let application: Application
    private var dispatcher: Dispatcher?
    var timer: TimerID?

    init(_ message: ClientMessage, _ client: ClientSession, _ dispatcher: Dispatcher, _ application: Application) {
        id = message.id
        route = message.route
        self.client = client
        self.dispatcher = dispatcher
        self.application = application
    }

    func finish(_ outcome: Outcome) {
        guard let dispatcher else { return }
        self.dispatcher = nil
        if let timer { application.clock.cancel(timer) }
        dispatcher.end(client)
        let body = dispatcher.body(of: outcome, route)
        if id != 0, client.isOpen { client.socket.respond(id: id, body: body) }
    }
}
