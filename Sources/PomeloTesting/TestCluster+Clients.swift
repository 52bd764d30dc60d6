// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloCore
public import PomeloJSON
public import PomeloLoop

/// The client side of a frontend without sockets: tests make its clients.
@Loop public final class ManualConnector: Connector {
    /// The address it was told to listen on.
    public private(set) var localAddress: SocketAddress?
    /// Clients that are connected now.
    public private(set) var clients: [TestSocket] = []
    private var host: (any ConnectorHost)?
    private var clock: (any LoopClock)?
    private var made = 0

    /// Listens to nothing before `start`.
    public init() {}

    /// Keeps the host; nothing listens.
    public func start(_ host: any ConnectorHost, _ context: ConnectorContext) async throws {
        self.host = host
        clock = context.clock
        localAddress = context.address
    }

    /// Closes every socket.
    public func stop() async {
        host = nil
        for client in clients { client.end(.stopped) }
    }

    /// A new client; nil when it was refused.
    public func connect() -> TestSocket? {
        guard let host, let clock else { return nil }
        made += 1
        let socket = TestSocket(host, clock, number: made) { [weak self] socket in
            self?.clients.removeAll { $0 === socket }
        }
        guard let session = host.opened(socket) else { return nil }
        socket.session = session
        clients.append(socket)
        return socket
    }

    /// Forgets all clients without telling anybody, as a crash does.
    public func crash() {
        host = nil
        for client in clients { client.crash() }
        clients = []
    }
}

/// A client and its connection in one: records what it is sent.
@Loop public final class TestSocket: ClientSocket {
    /// A push as it arrived.
    public struct Pushed: Sendable, Equatable {
        /// As the server named it.
        public let route: String
        /// As it came.
        public let body: Bytes
        /// The body as text.
        public var text: String { String(decoding: body, as: UTF8.self) }
    }

    /// Made up, different for each socket.
    public let remoteAddress: SocketAddress
    /// Set once it is connected.
    public internal(set) var session: ClientSession?
    /// A slow one takes no push.
    public var isSlow = false
    /// Set by the test.
    public var queuedBytes = 0
    /// Set by the test: the client has closed its end, and the server has not read that yet.
    public var hasHungUp = false
    /// Answers by request id, in order of arrival; more than one for an id is a fault of the server.
    public private(set) var answers: [UInt32: [Bytes]] = [:]
    /// Pushes in order of arrival.
    public private(set) var pushes: [Pushed] = []
    /// Why the server closed the connection.
    public private(set) var kick: String?
    /// Whether the core has closed it.
    public private(set) var isClosed = false
    /// Whether the core does not read.
    public private(set) var isPaused = false

    private var host: (any ConnectorHost)?
    private let clock: any LoopClock
    private let onEnd: @Loop (TestSocket) -> Void
    private var lastID: UInt32 = 0
    private var held: [ClientMessage] = []
    private var waiters: [UInt32: CheckedContinuation<Bytes?, Never>] = [:]

    init(
        _ host: any ConnectorHost, _ clock: any LoopClock, number: Int,
        _ onEnd: @escaping @Loop (TestSocket) -> Void
    ) {
        self.host = host
        self.clock = clock
        self.onEnd = onEnd
        remoteAddress = SocketAddress(host: "client", port: number)
    }

    // MARK: as client

    /// Sends a request; returns its id.
    @discardableResult
    public func request(_ route: String, _ body: Bytes = Array("{}".utf8)) -> UInt32 {
        lastID += 1
        receive(ClientMessage(id: lastID, route: Route(route), body: body, arrival: clock.now))
        return lastID
    }

    /// Sends a message that has no answer.
    public func notify(_ route: String, _ body: Bytes = Array("{}".utf8)) {
        receive(ClientMessage(id: 0, route: Route(route), body: body, arrival: clock.now))
    }

    /// Sends a request and awaits its answer; nil when the connection ends first.
    public func ask(_ route: String, _ body: JSON = .object(JSONObject())) async -> String? {
        let id = request(route, body.encoded())
        let answer = await withCheckedContinuation { (waiter: CheckedContinuation<Bytes?, Never>) in
            let answer = answers[id]?.first
            if answer != nil || isClosed { waiter.resume(returning: answer) } else { waiters[id] = waiter }
        }
        return answer.map { String(decoding: $0, as: UTF8.self) }
    }

    /// The client goes away.
    public func disconnect() { end(.disconnected("client left")) }

    private func receive(_ message: ClientMessage) {
        guard let host, let session, !isClosed else { return }
        if isPaused { return held.append(message) }
        host.received(message, from: session)
    }

    func end(_ reason: SessionEnd) {
        guard !isClosed else { return }
        let host = self.host
        crash()
        onEnd(self)
        if let session { host?.closed(session, reason) }
    }

    func crash() {
        isClosed = true
        host = nil
        let waiting = waiters
        waiters = [:]
        for id in waiting.keys.sorted() { waiting[id]?.resume(returning: nil) }
    }

    // MARK: ClientSocket

    /// Notes an answer.
    public func respond(id: UInt32, body: Bytes) {
        guard !isClosed else { return }
        answers[id, default: []].append(body)
        waiters.removeValue(forKey: id)?.resume(returning: body)
    }

    /// Notes a push, unless the socket is closed or slow.
    @discardableResult
    public func push(_ message: PushMessage) -> Bool {
        guard !isClosed, !isSlow else { return false }
        pushes.append(Pushed(route: message.route, body: message.body))
        return true
    }

    /// Notes the end and its reason.
    public func close(kick reason: String?) {
        if !isClosed { kick = reason }
        end(.kicked(reason ?? "closed"))
    }

    /// Notes that the core wants nothing more.
    public func pauseReading() { isPaused = true }

    /// Notes that the core reads on.
    public func resumeReading() {
        isPaused = false
        while !isPaused, !held.isEmpty { receive(held.removeFirst()) }
    }
}
