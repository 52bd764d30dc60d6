// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloCore
public import PomeloJSON
public import PomeloLoop

/// The client side of a frontend without sockets: tests make its clients.
@Loop public final class ManualConnector: Connector {
    /// It stands for connectors of all types, whose ports it takes.
    public let type = "*"
    /// The address it was told to listen on.
    public private(set) var localAddress: SocketAddress?
    /// Clients that are connected now.
    public private(set) var clients: [TestSocket] = []
    private var host: (any ConnectorHost)?
    private var clock: (any LoopClock)?
    private var time: TestTime?
    private var made = 0

    /// Listens to nothing before `start`.
    public init() {}

    /// Keeps the host; nothing listens.
    public func start(_ host: any ConnectorHost, _ context: ConnectorContext) async throws {
        self.host = host
        clock = context.clock
        time = (context.clock as? ServerClock)?.time ?? TestTime(context.clock)
        localAddress = context.address
    }

    /// Closes every socket.
    public func stop() async {
        host = nil
        for client in clients { client.end(.stopped) }
    }

    /// A new client; nil when it was refused.
    public func connect() -> TestSocket? {
        guard let host, let clock, let time else { return nil }
        made += 1
        let socket = TestSocket(host, clock, time, number: made) { [weak self] socket in
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
///
/// What it awaits in the types of a contract has a deadline, and time is moved until then: a test does not hang.
@Loop public final class TestSocket: ClientSocket, ContractClient {
    /// The type of connector that it comes through; a gate may look at it.
    public var connectorType: String?
    /// A push as it arrived.
    public struct Pushed: Sendable, Equatable {
        /// As the server named it.
        public let route: String
        /// As it came.
        public let body: Bytes
        /// The body as text.
        public var text: String { String(decoding: body, as: UTF8.self) }
    }

    /// Beyond them nothing is kept, and `next` says so.
    private static let maxPushes = 100_000

    /// Made up, different for each socket.
    public let remoteAddress: SocketAddress
    /// How long anything awaited in the types of a contract may take, by the cluster's clock.
    public var patience = Duration.seconds(20)
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
    /// Pushes that `next` has not taken, in order of arrival; 100 000 at most.
    public private(set) var pushes: [Pushed] = []
    /// Why the server closed the connection.
    public private(set) var kick: String?
    /// Whether the core has closed it.
    public private(set) var isClosed = false
    /// Whether the core does not read.
    public private(set) var isPaused = false

    private var host: (any ConnectorHost)?
    private let clock: any LoopClock
    private let time: TestTime
    private let onEnd: @Loop (TestSocket) -> Void
    private var lostPushes = 0
    private var lastID: UInt32 = 0
    private var held: [ClientMessage] = []
    private var waiters: [UInt32: CheckedContinuation<Bytes?, Never>] = [:]

    init(
        _ host: any ConnectorHost, _ clock: any LoopClock, _ time: TestTime, number: Int,
        _ onEnd: @escaping @Loop (TestSocket) -> Void
    ) {
        self.host = host
        self.clock = clock
        self.time = time
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
    ///
    /// It moves no clock: an answer that takes time comes when the test moves it.
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

    // MARK: ContractClient

    /// Sends a request and waits for the body that answers it.
    ///
    /// - Throws: `TestClient.Failure` when none comes in time, or the connection ends before.
    public func exchange(_ route: String, _ body: Bytes) async throws -> Bytes {
        let id = request(route, body)
        let answer = try await time.wait(within: patience) {
            if let answer = answers[id]?.first { return answer }
            if isClosed { throw ended("\(route) was answered") }
            return nil
        }
        guard let answer else { throw TestClient.Failure(description: "\(route) was not answered within \(patience)") }
        return answer
    }

    /// Sends a message that wants no answer.
    ///
    /// - Throws: `TestClient.Failure` when the connection has ended.
    public func tell(_ route: String, _ body: Bytes) throws {
        if isClosed { throw ended("\(route) was sent") }
        notify(route, body)
    }

    /// Waits for a push of a route, and takes the oldest.
    ///
    /// - Throws: `TestClient.Failure`, naming what came instead.
    public func nextBody(of route: String, within limit: Duration) async throws -> Bytes {
        let body = try await time.wait(within: limit) {
            if let index = pushes.firstIndex(where: { $0.route == route }) { return pushes.remove(at: index).body }
            if lostPushes > 0 { throw failure(route, "was kept: \(lostPushes) were too many") }
            if isClosed { throw failure(route, "has come, and the connection has ended\(reason)") }
            return nil
        }
        guard let body else { throw failure(route, "has come within \(limit)") }
        return body
    }

    /// Takes the pushes of a route that are there, in the order in which they came.
    public func takeBodies(of route: String) -> [Bytes] {
        defer { pushes.removeAll { $0.route == route } }
        return pushes.filter { $0.route == route }.map(\.body)
    }

    private var reason: String { kick.map { " (kicked: \($0))" } ?? "" }

    private func ended(_ before: String) -> TestClient.Failure {
        TestClient.Failure(description: "the connection ended\(reason) before \(before)")
    }

    private func failure(_ route: String, _ why: String) -> TestClient.Failure {
        TestClient.Failure(noPush: route, why, instead: pushes.map { ($0.route, $0.body) })
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
        guard pushes.count < Self.maxPushes else {
            lostPushes += 1
            return true
        }
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
