// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloWire

/// The connections of one started connector, and what they share.
@Loop final class ClientConnections {
    /// Stands for one way to frame a push, as its key in `PushMessage`.
    final class Framing: Sendable {}

    let options: HybridOptions
    let host: any ConnectorHost
    let clock: any LoopClock
    let logger: Logger
    let codes: RouteCodes?
    let packets = Framing()
    let frames = Framing()
    let shares = TurnShares()
    /// In nanoseconds; nil without heartbeats.
    let heartbeatTimeout: UInt64?
    let idleTimeout: UInt64
    /// Whether connections must note when something was read.
    let tracksActivity: Bool
    var statistics = ConnectorStatistics()
    let failedHandshakes: LimitedLog
    let faultLog: LimitedLog
    let unsendable: LimitedLog

    /// Connections at once, those that are closing included; who comes beyond it waits in the kernel.
    private let maxConnections: Int
    private let pending: PendingConnections
    private var listener: (any StreamListener)?
    private var acceptsPaused = false
    private let crowdLog: LimitedLog
    private let fullLog: LimitedLog
    private let memoryLog: LimitedLog
    private let acceptLog: LimitedLog
    private let welcome: (withDictionary: Bytes, without: Bytes)
    private var connections: [ObjectIdentifier: HybridConnection] = [:]
    private var stopping = false
    private var emptied: CheckedContinuation<Void, Never>?

    /// - Throws: `WireError` when the dictionary has more than 65535 routes or does not fit a package.
    init(
        _ options: HybridOptions, host: any ConnectorHost, clock: any LoopClock, logger: Logger,
        maxConnections: Int? = nil
    ) throws(WireError) {
        let limit = max(1, maxConnections ?? .max)
        self.maxConnections = limit
        pending = PendingConnections(
            limit: min(options.maxPending, max(limit / 2, min(limit, 8))), perAddress: options.maxPendingPerAddress)
        // Once in a burst: what somebody does to the server is told, and does not fill the log.
        let burst = Duration.seconds(10)
        crowdLog = LimitedLog(logger, clock, "clients without a handshake make room", lines: 1, per: burst)
        fullLog = LimitedLog(logger, clock, "no room for more clients: accepting pauses", lines: 1, per: burst)
        memoryLog = LimitedLog(logger, clock, "clients that send too much at once make room", lines: 1, per: burst)
        acceptLog = LimitedLog(logger, clock, "clients cannot be accepted", lines: 1, per: burst)
        failedHandshakes = LimitedLog(logger, clock, "handshake refused by the application", level: .info)
        faultLog = LimitedLog(logger, clock, "client closed for a fault", level: .debug, lines: 100)
        unsendable = LimitedLog(logger, clock, "a message cannot be sent", level: .error)
        self.options = options
        self.host = host
        self.clock = clock
        self.logger = logger
        heartbeatTimeout = options.heartbeatTimeout?.clampedNanoseconds
        idleTimeout = options.idleTimeout.clampedNanoseconds
        tracksActivity = heartbeatTimeout == nil || options.resetOnData
        let codes: RouteCodes? =
            if let routes = options.dictionary {
                try RouteCodes(handlers: routes.handlers, extra: routes.extra)
            } else {
                nil
            }
        self.codes = codes
        let seconds = options.heartbeatSeconds
        welcome = (
            try HandshakeReply.success(
                heartbeatSeconds: seconds, dictionary: codes.map { ($0.dictionary, $0.version, true) }),
            try HandshakeReply.success(
                heartbeatSeconds: seconds, dictionary: codes.map { ($0.dictionary, $0.version, false) })
        )
    }

    /// The answer to a handshake that is accepted; without a user part it is the same bytes for all.
    ///
    /// - Throws: `WireError` for a user part that does not fit a package.
    func welcome(_ request: HandshakeRequest, user: JSON?) throws(WireError) -> Bytes {
        let knows = codes != nil && request.dictVersion.map { Text($0) } == codes.map { Text($0.version) }
        guard let user, user.isTruthy else { return knows ? welcome.without : welcome.withDictionary }
        return try HandshakeReply.success(
            heartbeatSeconds: options.heartbeatSeconds,
            dictionary: codes.map { ($0.dictionary, $0.version, !knows) }, user: user)
    }

    // MARK: memory

    /// Notes that what clients have sent, and nobody has decoded, takes so much more memory.
    ///
    /// Beyond the bound those that hold most are closed, until an eighth of it is free again.
    func held(_ change: Int) {
        statistics.heldBytes += change
        let bound = options.maxHeldBytes
        guard change > 0, statistics.heldBytes > bound else { return }
        for largest in connections.values.filter({ $0.held > 0 }).sorted(by: { $0.held > $1.held }) {
            if statistics.heldBytes <= bound - bound / 8 { break }
            memoryLog.write([
                "pomelo.remote": "\(largest.stream.remoteAddress)", "pomelo.bytes": "\(largest.held)",
            ])
            largest.fail(.heldTooMuch, closeCode: 1013, "try again later")
        }
    }

    // MARK: connections

    func listens(on listener: any StreamListener) {
        self.listener = listener
        listener.onAcceptError = { [unowned self] error in
            statistics.acceptErrors += 1
            acceptLog.write(["error": "\(error)", "pomelo.open": "\(connections.count)"])
        }
        watchRoom()
    }

    func accept(_ stream: any ByteStream) {
        if stopping { return stream.close() }
        let connection = HybridConnection(self, stream)
        connections[ObjectIdentifier(connection)] = connection
        statistics.accepted += 1
        statistics.undetected += 1
        for oldest in pending.add(connection) {
            crowdLog.write(["pomelo.remote": "\(oldest.stream.remoteAddress)", "pomelo.pending": "\(pending.count)"])
            oldest.cut(.crowdedOut)
        }
        statistics.pending = pending.count
        connection.start()
        watchRoom()
    }

    /// The connection's handshake is done, or will never be.
    func noLongerPending(_ connection: HybridConnection) {
        pending.remove(connection)
        statistics.pending = pending.count
    }

    private func watchRoom() {
        guard let listener, acceptsPaused != (connections.count >= maxConnections) else { return }
        acceptsPaused.toggle()
        guard acceptsPaused else { return listener.resumeAccepting() }
        statistics.acceptPauses += 1
        fullLog.write(["pomelo.open": "\(connections.count)", "pomelo.pending": "\(pending.count)"])
        listener.pauseAccepting()
    }

    func remove(_ connection: HybridConnection) {
        noLongerPending(connection)
        connections[ObjectIdentifier(connection)] = nil
        watchRoom()
        if connections.isEmpty {
            emptied?.resume()
            emptied = nil
        }
    }

    /// Tells every client goodbye and waits until they are gone; the rest is cut off at the deadline.
    func stop(within deadline: Duration) async {
        stopping = true
        listener = nil
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
