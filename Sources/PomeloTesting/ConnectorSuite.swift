// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloCore
public import PomeloLoop

/// A client of a connector under test, as its protocol has it.
@Loop public protocol ConnectorClient: AnyObject {
    /// What the server sends.
    typealias Event = ConnectorClientEvent

    /// A message as it travels, with all that is around it; an id of 0 is a notify.
    func encode(_ message: ClientMessage) throws -> Bytes
    /// Sends bytes as they are: a message, a part of one, or several.
    func write(_ bytes: Bytes)
    /// What comes next; `.ended` again and again when nothing more comes.
    ///
    /// - Throws: when nothing comes within some seconds.
    func next() async throws -> Event
    /// Reads nothing until `startReading`, as a client that hangs does.
    func stopReading()
    /// Reads on.
    func startReading()
    /// Leaves at once, without a farewell.
    func close()
}

/// What a client of a connector under test is sent.
public enum ConnectorClientEvent: Sendable, Equatable {
    /// The answer to its request of that id.
    case response(UInt32, Bytes)
    /// A push.
    case push(String, Bytes)
    /// The server says why it will end the connection.
    case kicked(String)
    /// The connection is over.
    case ended
}

/// Where a connector under test listens, and how clients reach it.
@Loop public protocol ConnectorWorld: AnyObject {
    /// What the connector is started with, with an address that is free; its clock goes by itself.
    var context: ConnectorContext { get }
    /// A connector that was not started. All have the same address, unless the context says one.
    ///
    /// A client that reads nothing is disconnected when so many bytes wait for it, and 64 KiB are let through.
    func makeConnector(maxOutboundBytes: Int) -> any Connector
    /// A client that is ready to send messages.
    func connect(to connector: any Connector) async throws -> any ConnectorClient
    /// A connection that has said nothing; its bytes need mean nothing.
    func dial(_ connector: any Connector) async throws -> any ByteStream
}

/// What every `Connector` must do; run all cases against one of your own.
///
/// - Isolation: the loop; what is waited for has a deadline of 20 s on the context's clock.
@Loop public struct ConnectorSuite {
    /// One rule each.
    public enum Case: String, CaseIterable, Sendable {
        case restarts, addressInUse, stopClosesAll, stopTwice
        case oneSession, requestAndNotify, push, kick, pieces, joinedInOrder, manyClients
        case slowReader, pauses, clientLeaves, serverCloses, oneEnd, hostileBytes, maxConnections
    }

    let world: any ConnectorWorld

    /// `world` must be new.
    public init(_ world: any ConnectorWorld) { self.world = world }

    /// Runs one case.
    ///
    /// - Throws: `SuiteFailure` naming the rule; what connector and client throw.
    public func run(_ name: Case) async throws {
        let server = try await Server.start(world, maxConnections: name == .maxConnections ? 2 : nil)
        switch name {
        case .oneSession: try await oneSession(server)
        case .restarts: try await restarts(server)
        case .addressInUse: try await addressInUse(server)
        case .stopClosesAll: try await stopClosesAll(server)
        case .stopTwice: await server.stop()
        case .requestAndNotify: try await requestAndNotify(server)
        case .push: try await push(server)
        case .kick: try await kick(server)
        case .pieces: try await pieces(server)
        case .joinedInOrder: try await joinedInOrder(server)
        case .manyClients: try await manyClients(server)
        case .slowReader: try await slowReader(server)
        case .pauses: try await pauses(server)
        case .clientLeaves: try await clientLeaves(server)
        case .serverCloses: try await serverCloses(server)
        case .oneEnd: try await oneEnd(server)
        case .hostileBytes: try await hostileBytes(server)
        case .maxConnections: try await maxConnections(server)
        }
        await server.stop()
        try expect("sessions after the stop", server.host.sessions.count, 0)
        if let fault = server.host.faults.first { throw SuiteFailure(fault) }
    }

    // MARK: tools

    /// A core that remembers, and answers requests with their bodies.
    @Loop final class Host: ConnectorHost {
        private(set) var sessions: [SessionID: ClientSession] = [:]
        private(set) var ends: [SessionEnd] = []
        private(set) var most = 0
        private(set) var messages: [ClientMessage] = []
        private(set) var faults: [String] = []
        var onMessage: (@Loop (ClientMessage, ClientSession) -> Void)?
        private var lastID: UInt64 = 0

        func opened(_ socket: any ClientSocket) -> ClientSession? {
            if sessions.values.contains(where: { $0.socket === socket }) { faults.append("a socket was opened twice") }
            lastID += 1
            let session = ClientSession(id: SessionID(lastID), socket: socket)
            sessions[session.id] = session
            most = max(most, sessions.count)
            return session
        }

        func received(_ message: ClientMessage, from session: ClientSession) {
            if sessions[session.id] == nil { faults.append("a message came after the end") }
            messages.append(message)
            onMessage?(message, session)
            if message.id > 0 { session.socket.respond(id: message.id, body: message.body) }
        }

        func route(utf8 bytes: borrowing Span<UInt8>) -> Route? { bytes.text().map { Route($0) } }

        func closed(_ session: ClientSession, _ reason: SessionEnd) {
            if sessions.removeValue(forKey: session.id) == nil { faults.append("a session ended twice") }
            ends.append(reason)
        }
    }

    /// A started connector and its core.
    @Loop final class Server {
        let world: any ConnectorWorld
        let host = Host()
        let connector: any Connector
        let context: ConnectorContext

        private init(_ world: any ConnectorWorld, _ context: ConnectorContext) {
            self.world = world
            self.context = context
            connector = world.makeConnector(maxOutboundBytes: ConnectorSuite.maxOutboundBytes)
        }

        static func start(
            _ world: any ConnectorWorld, at address: SocketAddress? = nil, maxConnections: Int? = nil
        ) async throws -> Server {
            let given = world.context
            let server = Server(
                world,
                ConnectorContext(
                    network: given.network, clock: given.clock, random: given.random, address: address ?? given.address,
                    maxConnections: maxConnections, tls: given.tls))
            try await server.connector.start(server.host, server.context)
            return server
        }

        func stop() async { await connector.stop() }
        func connect() async throws -> any ConnectorClient { try await world.connect(to: connector) }

        /// A client whose session the core has.
        func client() async throws -> (any ConnectorClient, ClientSession) {
            let known = Set(host.sessions.keys)
            let client = try await connect()
            // A connector may know a client only by its first words.
            try await client.roundTrip()
            let session = host.sessions.values.first { !known.contains($0.id) }
            guard let session else { throw SuiteFailure("a client has no session") }
            return (client, session)
        }

        func wait(for what: String, _ condition: @Loop () -> Bool) async throws {
            let limit = context.clock.deadline(after: .seconds(20))
            while !condition() {
                guard context.clock.now < limit else { throw SuiteFailure("\(what): not within 20 s") }
                await context.clock.sleep(for: .milliseconds(1))
            }
        }
    }

    static var maxOutboundBytes: Int { 256 * 1024 }

    func expect<Value: Equatable>(_ what: String, _ value: Value, _ expected: Value) throws {
        if value != expected { throw SuiteFailure("\(what): \(value), not \(expected)") }
    }
}

extension ConnectorClient {
    /// A request, of the suite's own kind.
    func request(_ id: UInt32, _ text: String = "{}") throws -> Bytes {
        try encode(ClientMessage(id: id, route: Route("suite.handler.echo"), body: Bytes(text.utf8)))
    }

    /// A request and its answer; nothing else may come before it.
    func roundTrip() async throws {
        write(try request(1_000_000, "{\"round\":\"trip\"}"))
        let event = try await next()
        guard event == .response(1_000_000, Bytes("{\"round\":\"trip\"}".utf8)) else {
            throw SuiteFailure("instead of an answer: \(event)")
        }
    }
}
