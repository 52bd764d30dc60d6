// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// The sessions of one socket.io connector: who begins, and whose a request is.
@Loop final class SocketIOProtocol: PortProtocol {
    nonisolated static let type = "socketio"

    let options: SocketIOOptions
    let rules: SocketIORules
    let origins: OriginRules
    let host: any ConnectorHost
    let clock: any LoopClock
    let foreignLog: LimitedLog
    /// Stand for the ways to encode a push, as its keys in `PushMessage`.
    let encodings = SocketIOEncodings()
    var statistics = SocketIOStatistics()
    private let random: RandomSource
    private let crowdLog: LimitedLog
    private let originLog: LimitedLog
    private var sessions: [Text: SocketIOClient] = [:]
    private(set) var polling: PollingSessions
    private var lastNumber: EngineIOSession.Number = 0
    private var isStopping = false

    let limits: SharedLimits
    let servesBytes = false
    let answersRequests = true
    let path = "/socket.io/"

    /// - Throws: `PomeloError` `.configuration` when no transport would be offered.
    init(
        _ options: SocketIOOptions, host: any ConnectorHost, _ context: ConnectorContext, _ logger: Logger
    ) throws(PomeloError) {
        self.options = options
        limits = SharedLimits(options.limits)
        self.host = host
        clock = context.clock
        random = context.random
        rules = try SocketIORules(options)
        origins = try OriginRules(options.origins, place: SocketIOOptions.place(of: "origins"))
        polling = PollingSessions(
            limit: options.maxPollingSessions, perAddress: options.maxPollingSessionsPerAddress)
        let burst = Duration.seconds(10)
        originLog = LimitedLog(
            logger, clock, "a web page may not connect: it is not in origins of socketio.json", lines: 1, per: burst)
        crowdLog = LimitedLog(logger, clock, "polling clients make room", lines: 1, per: burst)
        foreignLog = LimitedLog(logger, clock, "a packet of socket.io is not for pomelo", level: .debug, lines: 100)
        if !rules.leftOut.isEmpty {
            logger.warning(
                "transports are not offered", metadata: ["pomelo.transports": .array(rules.leftOut.map { .string($0) })]
            )
        }
        logger.info(
            "socket.io times",
            metadata: [
                "pomelo.heartbeats": "\(options.heartbeats)",
                "pomelo.heartbeatInterval": "\(options.heartbeatInterval)",
                "pomelo.heartbeatTimeout": "\(options.heartbeatTimeout)",
                "pomelo.closeTimeout": "\(options.closeTimeout)",
            ])
    }

    /// A number for a request or a WebSocket.
    func nextNumber() -> EngineIOSession.Number {
        lastNumber += 1
        return lastNumber
    }

    func session(_ sid: String?) -> SocketIOClient? { sid.flatMap { sessions[Text($0)] } }

    /// Begins a session; nil when there is no room for it.
    func begin(_ revision: SocketIORevision, over connection: StreamConnection, isWebSocket: Bool = false)
        -> SocketIOClient?
    {
        guard !isStopping else { return nil }
        // 126 bits that nobody guesses: who knows the name of a session may speak for it.
        let sid = [random.next(), random.next()].map { String(1 << 63 | $0, radix: 16) }.joined()
        let client = SocketIOClient(self, revision, sid: sid, over: connection, isWebSocket: isWebSocket)
        if !isWebSocket {
            guard let leaving = polling.add(client) else {
                refused(.forbidden)
                return nil
            }
            for one in leaving {
                crowdLog.write(["pomelo.remote": "\(one.remoteAddress)", "pomelo.polling": "\(polling.count)"])
                one.port.statistics.faults[.crowdedOut, default: 0] += 1
                one.drop(.disconnected(ConnectionFault.crowdedOut.rawValue))
            }
        }
        sessions[Text(sid)] = client
        client.watchTime()
        statistics.begun += 1
        count()
        return client
    }

    func remove(_ client: SocketIOClient, _ reason: EngineIOSession.EndReason) {
        guard sessions.removeValue(forKey: Text(client.sid)) != nil else { return }
        polling.remove(client)
        statistics.ended[reason, default: 0] += 1
        count()
    }

    /// The core is about to know the client.
    func enters(_ client: SocketIOClient) { polling.enters(client) }

    /// The client has a WebSocket now.
    func noLongerPolling(_ client: SocketIOClient) {
        polling.remove(client)
        count()
    }

    private func count() {
        statistics.open = sessions.count
        statistics.polling = polling.count
    }

    /// Whether a web page may have an answer.
    func allows(_ request: UpgradeRequest) -> Bool {
        if origins.allow(request) { return true }
        originLog.write(["pomelo.origin": "\(request.values("origin").first.map(\.forLog) ?? "-")"])
        return false
    }

    func refused(_ error: EngineIOError) { statistics.refused[error, default: 0] += 1 }

    /// Notes that so many bytes more wait for polls, or to be heard; beyond the bound those end for whom most waits.
    func waits(_ change: Int) {
        statistics.pollingBytes += change
        let bound = options.maxPollingBytes
        guard change > 0, statistics.pollingBytes > bound else { return }
        let holders = sessions.values.filter { $0.waitingBytes > 0 }
        for largest in holders.sorted(by: { $0.waitingBytes > $1.waitingBytes }) {
            if statistics.pollingBytes <= bound - bound / 8 { break }
            // Its end is a packet more, and leads back here.
            if !largest.state.isClosing { largest.port.statistics.faults[.heldTooMuch, default: 0] += 1 }
            largest.drop(.disconnected(ConnectionFault.heldTooMuch.rawValue))
        }
    }

    /// No: what is no HTTP is nothing of socket.io.
    func serveBytes(of connection: StreamConnection) -> (any StreamUser)? { nil }

    func stop() {
        isStopping = true
        for client in Array(sessions.values) { client.stop() }
    }
}

/// One object for each way to encode a push.
final class SocketIOEncodings: Sendable {
    private final class Key: Sendable {}
    private let packets = [Key(), Key()]
    private let frames = [PushFramings(), PushFramings()]

    /// Revisions 4 and 5 have one form.
    func packet(_ revision: SocketIORevision) -> ObjectIdentifier {
        ObjectIdentifier(packets[revision == .one ? 0 : 1])
    }

    /// The same in a frame of who has agreed on so much.
    @Loop func frame(_ revision: SocketIORevision, _ compression: AgreedCompression?) -> ObjectIdentifier {
        ObjectIdentifier(frames[revision == .one ? 0 : 1][compression])
    }
}
