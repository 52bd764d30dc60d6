// SPDX-License-Identifier: MIT
//
// PomeloConnectors: the client side of a frontend server.
// Reading order: Port/ (what every connector stands on): ClientLimits, PortConnector, ClientPort, PortProtocol,
// PendingConnections, TurnShares, StreamConnection, HTTPExchange, +WebSocket, +Backlog, +Sending, +Timer, Outbox,
// ConnectorStatistics;
// Hybrid/ (pomelo's packages): HybridOptions, +File, HybridState, HybridConnector, HybridProtocol, HybridEdition,
// HybridClient, +Packages, +Protobuf, +Sending, +Timer, RouteCodes, MessageSchemas, SchemaWatch;
// SocketIO/: SocketIOOptions, SocketIOConnector, SocketIOProtocol, +Requests, OriginRules, PollingSessions,
// SocketIOClient, +Receiving, +Sending.
import Logging
import PomeloCore
import PomeloLoop

/// A port that clients connect to: its connections, the protocols that serve them, and the limits they share.
@Loop final class ClientPort {
    let limits: ClientLimits
    let host: any ConnectorHost
    let clock: any LoopClock
    let logger: Logger
    /// Asked in order who serves a request, and the other way round who serves what is none.
    let protocols: [any PortProtocol]
    let shares = TurnShares()
    /// Of who is not known yet.
    let firstLimits: SharedLimits
    /// The longest body that any of the protocols takes.
    let maxBodyBytes: Int
    var statistics = ConnectorStatistics()
    let unsendable: LimitedLog

    /// Who comes when it is full waits in the kernel.
    private let room: ConnectionRoom
    private let pending: PendingConnections
    private var listener: (any StreamListener)?
    private var acceptsPaused = false
    private let faultLog: LimitedLog
    private let crowdLog: LimitedLog
    private let fullLog: LimitedLog
    private let memoryLog: LimitedLog
    private let acceptLog: LimitedLog
    private var connections: [ObjectIdentifier: StreamConnection] = [:]
    private var stopping = false
    private var emptied: CheckedContinuation<Void, Never>?

    init(
        _ limits: ClientLimits, _ protocols: [any PortProtocol], host: any ConnectorHost, clock: any LoopClock,
        logger: Logger, room: ConnectionRoom = ConnectionRoom(nil)
    ) {
        let limit = room.limit
        self.room = room
        pending = PendingConnections(
            limit: min(limits.maxPending, max(limit / 2, min(limit, 8))), perAddress: limits.maxPendingPerAddress)
        // Once in a burst: what somebody does to the server is told, and does not fill the log.
        let burst = Duration.seconds(10)
        crowdLog = LimitedLog(logger, clock, "clients without a handshake make room", lines: 1, per: burst)
        fullLog = LimitedLog(logger, clock, "no room for more clients: accepting pauses", lines: 1, per: burst)
        memoryLog = LimitedLog(logger, clock, "clients that send too much at once make room", lines: 1, per: burst)
        acceptLog = LimitedLog(logger, clock, "clients cannot be accepted", lines: 1, per: burst)
        faultLog = LimitedLog(logger, clock, "client closed for a fault", level: .debug, lines: 100)
        unsendable = LimitedLog(logger, clock, "a message cannot be sent", level: .error)
        self.limits = limits
        self.protocols = protocols
        self.host = host
        self.clock = clock
        self.logger = logger
        firstLimits = SharedLimits(limits)
        maxBodyBytes = protocols.map(\.limits.maxMessageBytes).max() ?? limits.maxMessageBytes
    }

    /// Begins to listen; returns when the port is bound.
    ///
    /// - Throws: `PomeloError` `.network` naming the port.
    func start(on network: any Network, _ address: SocketAddress) async throws(PomeloError) {
        do throws(NetworkError) {
            listens(on: try await network.listen(on: address) { self.accept($0) })
        } catch {
            throw PomeloError(.network, "cannot listen for clients on \(address): \(error.reason)", cause: error)
        }
    }

    var localAddress: SocketAddress? { listener?.localAddress }

    // MARK: memory

    /// Notes that what clients have sent, and nobody has decoded, takes so much more memory.
    ///
    /// Beyond the bound those that hold most are closed, until an eighth of it is free again.
    func held(_ change: Int) {
        statistics.heldBytes += change
        let bound = limits.maxHeldBytes
        guard change > 0, statistics.heldBytes > bound else { return }
        for largest in connections.values.filter({ $0.held > 0 }).sorted(by: { $0.held > $1.held }) {
            if statistics.heldBytes <= bound - bound / 8 { break }
            memoryLog.write([
                "pomelo.remote": "\(largest.stream.remoteAddress)", "pomelo.bytes": "\(largest.held)",
            ])
            largest.fail(.heldTooMuch, closeCode: 1013, "try again later")
        }
    }

    func noteFault(_ fault: ConnectionFault, of connection: StreamConnection) {
        statistics.faults[fault, default: 0] += 1
        faultLog.write(["pomelo.fault": "\(fault.rawValue)", "pomelo.remote": "\(connection.stream.remoteAddress)"])
    }

    // MARK: connections

    func listens(on listener: any StreamListener) {
        self.listener = listener
        listener.onAcceptError = { [unowned self] error in
            statistics.acceptErrors += 1
            acceptLog.write(["error": "\(error)", "pomelo.open": "\(connections.count)"])
        }
        room.onChange { [weak self] in self?.watchRoom() }
        watchRoom()
    }

    func accept(_ stream: any ByteStream) {
        if stopping { return stream.close() }
        statistics.accepted += 1
        let connection = StreamConnection(self, stream)
        connections[ObjectIdentifier(connection)] = connection
        room.enter()
        statistics.undetected += 1
        for oldest in pending.add(connection) {
            crowdLog.write(["pomelo.remote": "\(oldest.stream.remoteAddress)", "pomelo.pending": "\(pending.count)"])
            oldest.cut(.crowdedOut)
        }
        statistics.pending = pending.count
        connection.start()
    }

    /// The connection's handshake is done, or will never be.
    func noLongerPending(_ connection: StreamConnection) {
        pending.remove(connection)
        statistics.pending = pending.count
    }

    private func watchRoom() {
        guard let listener, acceptsPaused != room.isFull else { return }
        acceptsPaused.toggle()
        guard acceptsPaused else { return listener.resumeAccepting() }
        statistics.acceptPauses += 1
        fullLog.write(["pomelo.open": "\(connections.count)", "pomelo.pending": "\(pending.count)"])
        listener.pauseAccepting()
    }

    func remove(_ connection: StreamConnection) {
        noLongerPending(connection)
        guard connections.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        room.leave()
        if connections.isEmpty {
            emptied?.resume()
            emptied = nil
        }
    }

    /// Stops listening, tells every client goodbye and waits until they are gone; the rest is cut off at the deadline.
    func stop(within deadline: Duration) async {
        stopping = true
        listener?.close()
        listener = nil
        for one in protocols { await one.stop() }
        for connection in connections.values { connection.stop() }
        let timer = clock.schedule(after: deadline) { self.cutOff() }
        await withCheckedContinuation { waiter in
            if connections.isEmpty || emptied != nil { waiter.resume() } else { emptied = waiter }
        }
        clock.cancel(timer)
    }

    private func cutOff() {
        for connection in connections.values { connection.stream.close() }
    }
}
