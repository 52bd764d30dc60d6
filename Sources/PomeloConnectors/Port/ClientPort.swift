// SPDX-License-Identifier: MIT
//
// PomeloConnectors: the client side of a frontend server.
// Reading order: Port/ (what every connector stands on): ClientLimits, CompressionOptions, ClientRate,
// PortConnector, ClientPort, PortProtocol, Doorkeeper, ProxyPreface, PackageConnection, PendingConnections,
// TurnShares, StreamConnection, +Access, HTTPExchange, OriginRules, +WebSocket, +Compression, PortCompression,
// +Backlog, +Sending, +Timer, Outbox, ConnectorStatistics;
// Hybrid/ (pomelo's packages): HybridOptions, +File, HybridState, HybridConnector, HybridProtocol, HybridClient,
// +Packages, +Protobuf, +Sending, +Timer, ClientKey, RouteCodes, HybridEdition, MessageSchemas, SchemaWatch;
// SocketIO/: SocketIOOptions, SocketIOConnector, SocketIOProtocol, +Requests, PollingSessions, SocketIOClient,
// +Receiving, +Sending; MQTT/: MQTTOptions, MQTTConnector, MQTTProtocol, MQTTJSON, MQTTLedger, MQTTClient,
// +Receiving, +Sending; UDP/: UDPOptions, DatagramHead, UnprovedPeer, UDPConnector,
// UDPPort, +Handshake, UDPConnection, UDPStatistics.
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloTLS

/// A port that clients connect to: its connections, the protocols that serve them, and the limits they share.
@Loop final class ClientPort {
    let limits: ClientLimits
    let host: any ConnectorHost
    let clock: any LoopClock
    let logger: Logger
    /// Asked in order who serves a request, and the other way round who serves what is none.
    let protocols: [any PortProtocol]
    let shares = TurnShares()
    let compression = PortCompression()
    /// Of who is not known yet.
    let firstLimits: SharedLimits
    /// The longest body that any of the protocols takes.
    let maxBodyBytes: Int
    /// Who may come in.
    let door: Doorkeeper
    var statistics = ConnectorStatistics()
    let unsendable: LimitedLog

    /// Who comes when it is full waits in the kernel.
    private let room: ConnectionRoom
    private let pending: PendingConnections<StreamConnection>
    private var listener: (any StreamListener)?
    private let tls: TLSServer?
    private var acceptsPaused = false
    private let faultLog: LimitedLog
    private let crowdLog: LimitedLog
    private let fullLog: LimitedLog
    private let memoryLog: LimitedLog
    private let acceptLog: LimitedLog
    private let blockedLog: LimitedLog
    private let filterLog: LimitedLog
    private var connections: [ObjectIdentifier: StreamConnection] = [:]
    private var stopping = false
    private var emptied: CheckedContinuation<Void, Never>?

    init(
        _ limits: ClientLimits, _ protocols: [any PortProtocol], host: any ConnectorHost, clock: any LoopClock,
        logger: Logger, room: ConnectionRoom = ConnectionRoom(nil), tls: TLSServer? = nil,
        door: Doorkeeper = Doorkeeper()
    ) {
        let limit = room.limit
        self.room = room
        self.tls = tls
        self.door = door
        pending = PendingConnections(
            limit: min(limits.maxPending, max(limit / 2, min(limit, 8))), perAddress: limits.maxPendingPerAddress)
        // Once in a burst: what somebody does to the server is told, and does not fill the log.
        let burst = Duration.seconds(10)
        crowdLog = LimitedLog(logger, clock, "clients without a handshake make room", lines: 1, per: burst)
        fullLog = LimitedLog(logger, clock, "no room for more clients: accepting pauses", lines: 1, per: burst)
        memoryLog = LimitedLog(logger, clock, "clients that send too much at once make room", lines: 1, per: burst)
        acceptLog = LimitedLog(logger, clock, "clients cannot be accepted", lines: 1, per: burst)
        blockedLog = LimitedLog(logger, clock, "blocked clients are closed", level: .info, lines: 1, per: burst)
        filterLog = LimitedLog(
            logger, clock, "nobody says whether a client is blocked: it is served", lines: 1, per: burst)
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
            watchTLS()
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
                "pomelo.remote": "\(largest.remoteAddress)", "pomelo.bytes": "\(largest.held)",
            ])
            largest.fail(.heldTooMuch, closeCode: 1013, "try again later")
        }
    }

    func noteFault(_ fault: ConnectionFault, of connection: StreamConnection, _ error: (any Error)? = nil) {
        if fault == .blocked { return noteBlocked(connection.remoteAddress) }
        statistics.faults[fault, default: 0] += 1
        faultLog.write(Self.words(fault, connection.remoteAddress, error))
    }

    private static func words(
        _ fault: ConnectionFault, _ peer: SocketAddress, _ error: (any Error)?
    ) -> Logger.Metadata {
        var words: Logger.Metadata = ["pomelo.fault": "\(fault.rawValue)", "pomelo.remote": "\(peer)"]
        if let error { words["error"] = "\("\(error)".forLog)" }
        return words
    }

    private func noteBlocked(_ address: SocketAddress) {
        statistics.faults[.blocked, default: 0] += 1
        blockedLog.write(["pomelo.remote": "\(address)", "pomelo.blocked": "\(statistics.faults[.blocked] ?? 0)"])
    }

    func noteFailedFilter(_ address: SocketAddress, _ error: any Error) {
        statistics.failedFilters += 1
        filterLog.write(["pomelo.remote": "\(address)", "error": "\("\(error)".forLog)"])
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

    func accept(_ socket: any ByteStream) {
        if stopping { return socket.close() }
        statistics.accepted += 1
        let peer = socket.remoteAddress
        if door.blocks(peer) {
            noteBlocked(peer)
            return socket.close()
        }
        if !limits.noDelay { socket.setNoDelay(false) }
        let isProxy = door.trusts(peer)
        let preface =
            isProxy && door.proxyProtocol != .off
            ? ProxyPreface(socket, isRequired: door.proxyProtocol == .required) : nil
        guard let stream = encrypted(preface ?? socket) else { return }
        let connection = StreamConnection(self, stream)
        preface?.owner = connection
        connections[ObjectIdentifier(connection)] = connection
        room.enter()
        statistics.undetected += 1
        crowdOut(pending.add(connection, isPlaced: !isProxy))
        connection.start()
    }

    /// The connection's client is known: it counts at that address.
    func place(_ connection: StreamConnection) { crowdOut(pending.place(connection)) }

    private func crowdOut(_ leaving: [StreamConnection]) {
        for oldest in leaving {
            crowdLog.write(["pomelo.remote": "\(oldest.remoteAddress)", "pomelo.pending": "\(pending.count)"])
            oldest.cut(.crowdedOut)
        }
        statistics.pending = pending.count
    }

    /// The stream as clients' protocols see it; nil when there is no memory for that.
    private func encrypted(_ raw: any ByteStream) -> (any ByteStream)? {
        guard let tls else { return raw }
        do throws(TLSError) {
            return try tls.accept(raw)
        } catch {
            memoryLog.write(["pomelo.remote": "\(raw.remoteAddress)", "error": "\(error)"])
            raw.close()
            return nil
        }
    }

    private func watchTLS() {
        tls?.onFailure = { stream, error in (stream.delegate as? StreamConnection)?.lost(.brokenTLS, error) }
        tls?.watch { [logger] error in
            guard let error else { return logger.notice("clients are shown a new certificate") }
            logger.error("the new certificate is not used: the old one stays", metadata: ["error": "\(error)"])
        }
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
        tls?.stop()
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
