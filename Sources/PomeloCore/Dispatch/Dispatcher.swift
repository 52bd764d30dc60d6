// SPDX-License-Identifier: MIT
import Logging
import Metrics
import PomeloBytes
import PomeloJSON
import PomeloLoop

/// What a connector reports to, and the way of a client's message: own handler, or forward to a server of its type;
/// exactly one answer.
///
/// - Source: pomelo 2.2.7, lib/server/server.js, without its requests that are never answered.
@Loop final class Dispatcher: ConnectorHost {
    /// `{"code":500}`: the answer to everything that carries no public code.
    static let internalError = Array(#"{"code":500}"#.utf8)
    static let emptyReply = Array("{}".utf8)
    /// The answer of a server that stops: nothing has been begun, and another will do it.
    static let stopping = Array(#"{"code":503,"message":"the server stops"}"#.utf8)

    private let context: ServiceContext
    private let sessions: BackendSessionService
    private let forwarding: Forwarding
    private let serverType: ServerType
    private let clock: any LoopClock
    private var handlers: [Route: ServedRoute.Answer] = [:]
    /// Routes seen so far, by their bytes' hash, so that a known one costs no allocation.
    private var interned: [UInt64: Route] = [:]
    let global: FilterChain
    let local: FilterChain
    private let dropped = Counter(label: "pomelo.dispatch.dropped")
    private let overdue = Counter(label: "pomelo.dispatch.overdue")
    private let abandoned = Counter(label: "pomelo.dispatch.abandoned")

    private lazy var failures = LimitedLog(context.log, clock, "request failed")
    private lazy var attacks = LimitedLog(context.log, clock, "attack")
    private lazy var refusals = LimitedLog(context.log, clock, "connection refused")
    /// Sessions at once; nil without a limit.
    private let maxSessions: Int?
    /// Whether the server serves, or is about to.
    var isServing: @Loop () -> Bool = { true }
    private var isDraining = false

    private lazy var open = OpenRequests(clock) { [unowned self] request in
        overdue.increment()
        answer(request, .failure(Fault(500)))
    }

    init(
        _ record: ServerRecord, _ context: ServiceContext, _ sessions: BackendSessionService, _ forwarding: Forwarding
    ) {
        serverType = record.type
        maxSessions = record.maxConnections
        self.context = context
        self.sessions = sessions
        self.forwarding = forwarding
        clock = context.clock
        global = FilterChain(clock, context.log)
        local = FilterChain(clock, context.log)
    }

    /// Adds a route.
    ///
    /// - Throws: `PomeloError` `.configuration` for a route of another type, incomplete, or served already.
    func serve(_ route: Route, _ answer: ServedRoute.Answer) throws {
        try checkOwn(route)
        guard handlers.updateValue(answer, forKey: route) == nil else {
            throw PomeloError(.configuration, "the route \(route) is served twice")
        }
        intern(route)
    }

    /// - Throws: `PomeloError` `.configuration` for a route that has not three parts, or is another type's.
    func checkOwn(_ route: Route) throws {
        guard route.isComplete else { throw Self.incomplete(route.text) }
        guard route.serverType == serverType else {
            let remedy = "handle it within configure(\"all\", \"\(route.serverType)\")"
            throw PomeloError(
                .configuration, "\(context.serverID) cannot serve \(route), for its type is \(serverType): \(remedy)")
        }
    }

    private static func incomplete(_ route: String) -> PomeloError {
        PomeloError(.configuration, "the route \(route) must have three parts: serverType.handler.method")
    }

    var servedRoutes: [String] { handlers.keys.map { Text($0.text) }.sorted().map(\.string) }

    // MARK: routes

    /// Interned routes; unknown ones are made anew each time, so a client cannot grow the table.
    func route(utf8 bytes: borrowing Span<UInt8>) -> Route? {
        if let known = interned[FNV1a.hash64(bytes)], known.text.utf8Span.span.hasSameBytes(as: bytes) { return known }
        return bytes.text().map { Route($0) }
    }

    /// Whether a route is served here or was announced: one of a bounded number.
    func knows(_ route: Route) -> Bool { interned[route.hash] == route }

    /// Remembers the routes of other server types that clients may address.
    func intern(_ route: Route) { interned[route.hash] = route }

    // MARK: a client, at its frontend

    /// Makes a session for a new connection; nil while the server does not serve, or has as many as it may.
    func opened(_ socket: any ClientSocket) -> ClientSession? {
        guard isServing() else { return nil }
        if let maxSessions, context.sessions.count >= maxSessions {
            context.sessions.refused += 1
            refusals.write(["pomelo.open": "\(maxSessions)", "pomelo.peer": "\(socket.remoteAddress)"])
            return nil
        }
        return context.sessions.open(socket)
    }

    /// Ends a session whose connection is gone; one that has ended already is ignored.
    func closed(_ session: ClientSession, _ reason: SessionEnd) { context.sessions.close(session, reason) }

    /// Takes a message of a session; a request is answered exactly once, at the latest at its deadline.
    func received(_ message: ClientMessage, from client: ClientSession) {
        let limits = context.limits
        guard !message.route.serverType.rawValue.isEmpty, message.route.isComplete else {
            failed(message.route, Self.incomplete(message.route.text.forLog))
            return refuse(message, client)
        }
        if Text(message.route.method) == "constructor" {
            attacks.write(["pomelo.session": "\(client.id)"])
            context.sessions.kick(client.id, reason: "attack")
            return
        }
        if isDraining { return refuse(message, client, Self.stopping) }
        guard client.inFlight < limits.requestsInFlightHard, client.bytesInFlight < limits.requestBytesInFlightHard
        else { return refuse(message, client) }
        let now = clock.now
        if context.pauseWatch.mayHaveWaited(message.arrival ?? now, at: now), client.socket.hasHungUp {
            // Given up while this process stood still; its client may have said newer things elsewhere since.
            return abandoned.increment()
        }
        let deadline = clock.deadline(after: limits.clientRequest, from: message.arrival ?? now)
        guard deadline > now else {
            // It waited so long behind others of its client that it may no longer run.
            overdue.increment()
            return refuse(message, client)
        }
        let request = Request(
            id: message.id, route: message.route, body: message.body, session: sessions.copy(of: client),
            deadline: deadline)
        request.client = client
        open.insert(request)
        begin(request, of: client, limits)
        enqueue(request)
    }

    /// Queues a request behind all that came before; one that waits for nothing here needs no task.
    private func enqueue(_ request: Request) {
        let isOwn = request.route.serverType == serverType
        if global.isEmpty, isOwn, let method = synchronousMethod(of: request.route) {
            Loop.enqueueSynchronous {
                guard self.isDue(request) else { return }
                do {
                    self.answer(request, .success(try method(request.body, request.session)))
                } catch {
                    self.answer(request, .failure(error))
                }
            }
        } else if global.isEmpty, !isOwn, forwarding.needsNoTask(request.route.serverType) {
            Loop.enqueueSynchronous {
                guard self.isDue(request) else { return }
                self.forwarding.relay(request) { self.answer(request, $0) }
            }
        } else {
            Loop.enqueue { await self.serve(request) }
        }
    }

    /// Whether a request is still to be begun: one that waited long was answered already, or is about to be.
    private func isDue(_ request: Request) -> Bool { request.client != nil && clock.now < request.deadline }

    private func serve(_ request: Request) async {
        guard isDue(request) else { return }
        if global.isEmpty {
            do {
                answer(request, .success(try await perform(request)))
            } catch {
                answer(request, .failure(error))
            }
        } else {
            answer(request, await global.run(request) { try await self.perform(request) })
        }
    }

    @inline(__always)
    private func perform(_ request: Request) async throws -> Bytes {
        request.route.serverType == serverType
            ? try await handle(request) : try await forwarding.forward(request)
    }

    /// Runs the handler of this server, within the local filters.
    @inline(__always)
    func handle(_ request: Request) async throws -> Bytes {
        let answer = handlers[request.route]
        if local.isEmpty, let answer { return try await Self.run(answer, request) }
        return try await local.run(request) {
            guard let answer else {
                let (id, route) = (self.context.serverID, request.route.text.forLog)
                throw PomeloError(.configuration, "\(id), of type \(self.serverType), has no handler for \(route)")
            }
            return try await Self.run(answer, request)
        }.get()
    }

    @inline(__always)
    private static func run(_ answer: ServedRoute.Answer, _ request: Request) async throws -> Bytes {
        switch answer {
        case .synchronous(let method): try method(request.body, request.session)
        case .asynchronous(let method): try await method(request.body, request.session)
        }
    }

    /// The handler of a route, if neither it nor a local filter can wait.
    func synchronousMethod(of route: Route) -> (@Loop @Sendable (Bytes, Session) throws -> Bytes)? {
        guard local.isEmpty, case .synchronous(let method) = handlers[route] else { return nil }
        return method
    }

    /// Gives a request its one answer: whoever comes first, handler or deadline.
    private func answer(_ request: Request, _ outcome: Outcome) {
        guard let client = request.client else { return }
        request.client = nil
        open.settle()
        end(request, of: client)
        let body = body(of: outcome, request.route)
        if request.id == 0 {
            if case .failure = outcome { dropped.increment() }
        } else if client.isOpen {
            client.socket.respond(id: request.id, route: request.route, body: body)
        }
    }

    private func refuse(_ message: ClientMessage, _ client: ClientSession, _ body: Bytes = internalError) {
        if message.id != 0 {
            client.socket.respond(id: message.id, route: message.route, body: body)
        } else {
            dropped.increment()
        }
    }

    // MARK: requests in flight

    /// Begins nothing more, and suspends until what was begun is answered, or for so long.
    func drain(within limit: Duration) async {
        isDraining = true
        let left = await open.empty(within: limit)
        guard left > 0 else { return }
        context.log.notice("clients' requests are not answered", metadata: ["pomelo.requests": "\(left)"])
    }

    private func begin(_ request: Request, of client: ClientSession, _ limits: Limits) {
        client.inFlight += 1
        client.bytesInFlight += request.body.count
        if !client.paused, isBusy(client, limits) {
            client.paused = true
            client.socket.pauseReading()
        }
    }

    private func end(_ request: Request, of client: ClientSession) {
        client.inFlight -= 1
        client.bytesInFlight -= request.body.count
        if client.paused, !isBusy(client, context.limits) {
            client.paused = false
            client.socket.resumeReading()
        }
    }

    private func isBusy(_ client: ClientSession, _ limits: Limits) -> Bool {
        client.inFlight >= limits.requestsInFlight || client.bytesInFlight >= limits.requestBytesInFlight
    }

    /// The body that answers an outcome; errors without a public code are logged, never sent.
    func body(of outcome: Outcome, _ route: Route) -> Bytes {
        switch outcome {
        case .success(let bytes):
            return bytes.isEmpty ? Self.emptyReply : bytes
        case .failure(let error):
            if let fault = Fault(error) { return fault.reply.encoded() }
            failed(route, error)
            return Self.internalError
        }
    }
    /// Notes an error that says nothing to clients.
    func failed(_ route: Route, _ error: any Error) {
        failures.write(["pomelo.route": "\(route.text.forLog)", "error": "\(error)"])
    }
}
