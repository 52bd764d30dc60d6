// SPDX-License-Identifier: MIT
import Logging
import PomeloCore
import PomeloLoop
import PomeloWire

/// The connections of one started connector, and what they share.
@Loop final class HybridClients {
    /// Stands for one way to frame a push, as its key in `PushMessage`.
    final class Framing: Sendable {}

    let options: HybridOptions
    let host: any ConnectorHost
    let clock: any LoopClock
    let logger: Logger
    let codes: RouteCodes?
    let packets = Framing()
    let frames = Framing()
    /// In nanoseconds; nil without heartbeats.
    let heartbeatTimeout: UInt64?
    let idleTimeout: UInt64
    /// Whether connections must note when something was read.
    let tracksActivity: Bool
    var statistics = ConnectorStatistics()

    private let welcome: (withDictionary: Bytes, without: Bytes)
    private var connections: [ObjectIdentifier: HybridConnection] = [:]
    private var stopping = false
    private var emptied: CheckedContinuation<Void, Never>?

    /// - Throws: `WireError` when the dictionary has more than 65535 routes or does not fit a package.
    init(
        _ options: HybridOptions, host: any ConnectorHost, clock: any LoopClock, logger: Logger
    ) throws(WireError) {
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

    // MARK: connections

    func accept(_ stream: any ByteStream) {
        if stopping { return stream.close() }
        let connection = HybridConnection(self, stream)
        connections[ObjectIdentifier(connection)] = connection
        statistics.accepted += 1
        statistics.undetected += 1
        connection.start()
    }

    func remove(_ connection: HybridConnection) {
        connections[ObjectIdentifier(connection)] = nil
        if connections.isEmpty {
            emptied?.resume()
            emptied = nil
        }
    }

    /// Tells every client goodbye and waits until they are gone; the rest is cut off at the deadline.
    func stop(within deadline: Duration) async {
        stopping = true
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
