// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop

/// The clients of one started adapter, and what they share.
@Loop final class CustomClients<Socket: CustomSocket> {
    typealias Codec = MessageCodec<Socket.Buffer>

    let options: CustomOptions<Socket.Buffer>
    let decode: Codec.Decode
    let encode: Codec.Encode
    let host: any ConnectorHost
    /// The connector's.
    let type: String
    let clock: any LoopClock
    let rates: SharedRates?
    private let blacklist: Blacklist
    var statistics = CustomStatistics()
    let faultLog: LimitedLog
    let decodeLog: LimitedLog
    let encodeLog: LimitedLog
    /// Told when there is room for more clients, and when there is none.
    var onRoom: (@Loop (Bool) -> Void)?

    private let room: ConnectionRoom
    private let fullLog: LimitedLog
    private var clients: [ObjectIdentifier: CustomClient<Socket>] = [:]
    private var acceptsPaused = false
    private var stopping = false
    /// Those whose last messages a codec still has.
    private var leaving: [ObjectIdentifier: CustomClient<Socket>] = [:]
    private var left: CheckedContinuation<Void, Never>?

    init(
        _ options: CustomOptions<Socket.Buffer>, _ decode: Codec.Decode, _ encode: Codec.Encode,
        _ host: any ConnectorHost, _ context: ConnectorContext, _ type: String, _ logger: Logger
    ) {
        self.type = type
        self.options = options
        self.decode = decode
        self.encode = encode
        self.host = host
        clock = context.clock
        rates = SharedRates(options.rate)
        blacklist = context.blacklist
        room = context.room
        fullLog = LimitedLog(
            logger, clock, "no room for more clients: accepting pauses", lines: 1, per: .seconds(10))
        faultLog = LimitedLog(logger, clock, "client closed for a fault", level: .debug, lines: 100)
        decodeLog = LimitedLog(logger, clock, "a client's message cannot be decoded")
        encodeLog = LimitedLog(logger, clock, "a message cannot be encoded", level: .error)
    }

    /// Watches the room there is; called once, when the connector has started.
    func begin() {
        room.onChange { [weak self] in self?.watchRoom() }
        watchRoom()
    }

    func accept(_ socket: Socket) {
        statistics.accepted += 1
        if blacklist.contains(socket.remoteAddress) {
            statistics.blocked += 1
            return socket.disconnect()
        }
        // A connector that cannot pause shows who is too many all the same.
        guard !stopping, !room.isFull else {
            statistics.refused += 1
            return socket.disconnect()
        }
        let client = CustomClient(self, socket)
        clients[ObjectIdentifier(client)] = client
        statistics.open = clients.count
        room.enter()
        client.start()
    }

    func remove(_ client: CustomClient<Socket>) {
        guard clients.removeValue(forKey: ObjectIdentifier(client)) != nil else { return }
        statistics.open = clients.count
        room.leave()
    }

    /// Notes that so much more waits of what clients said.
    ///
    /// Beyond the bound those of whom most waits are disconnected, until an eighth of it is free again.
    func held(_ change: Int) {
        statistics.heldBytes += change
        let bound = options.maxTotalHeldBytes
        guard change > 0, statistics.heldBytes > bound else { return }
        for largest in clients.values.filter({ $0.heldBytes > 0 }).sorted(by: { $0.heldBytes > $1.heldBytes }) {
            if statistics.heldBytes <= bound - bound / 8 { break }
            largest.cutForHolding()
        }
    }

    private func watchRoom() {
        guard !stopping, acceptsPaused != room.isFull else { return }
        acceptsPaused.toggle()
        if acceptsPaused {
            statistics.acceptPauses += 1
            fullLog.write(["pomelo.open": "\(clients.count)"])
        }
        onRoom?(!acceptsPaused)
    }

    // MARK: the end

    func leaves(_ client: CustomClient<Socket>) { leaving[ObjectIdentifier(client)] = client }

    func hasLeft(_ client: CustomClient<Socket>) {
        leaving[ObjectIdentifier(client)] = nil
        guard leaving.isEmpty else { return }
        left?.resume()
        left = nil
    }

    /// Ends every session, and returns when every socket was told to disconnect.
    func stop() async {
        stopping = true
        onRoom = nil
        for client in clients.values { client.finish(.stopped) }
        await withCheckedContinuation { waiter in
            if leaving.isEmpty { waiter.resume() } else { left = waiter }
        }
    }

    /// Waits for no codec any more.
    func cutOff() {
        for client in leaving.values { client.endNow() }
    }

    // MARK: a codec that waits

    /// Awaits a codec, to its deadline; calls back once, in a later job.
    func wait<Result: Sendable>(
        for body: @escaping @Loop @Sendable () async throws -> Result?,
        _ done: @escaping @Loop @Sendable (CodecOutcome<Result>) -> Void
    ) {
        let deadline = options.codecDeadline
        Loop.spawn { [clock] in
            do {
                let outcome = try await clock.within(deadline) { CodecOutcome.done(try await body()) }
                done(outcome ?? .late)
            } catch {
                done(.failed(error))
            }
        }
    }

    /// Counts and tells why a message to clients is not sent.
    func noteUnsent(_ message: DecodedMessage, _ error: (any Error)?, late: Bool = false) {
        if late { statistics.lateEncodes += 1 } else { statistics.failedEncodes += 1 }
        let reason = late ? "no answer of the codec in time" : error.map { "\($0)" } ?? "the codec has no form for it"
        encodeLog.write([
            "pomelo.message": message.id == nil ? "push" : "response", "pomelo.route": "\(message.route.forLog)",
            "error": "\(reason)",
        ])
    }
}

/// What became of a message at a codec that may wait.
enum CodecOutcome<Result: Sendable>: Sendable {
    case done(Result?)
    case failed(any Error)
    case late
}
