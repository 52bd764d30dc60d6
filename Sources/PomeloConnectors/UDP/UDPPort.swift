// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// A port of UDP that clients send to: who is a client, and who may become one.
@Loop final class UDPPort: PackagePort, DatagramSocketDelegate {
    let options: UDPOptions
    let host: any ConnectorHost
    let clock: any LoopClock
    let random: RandomSource
    let shared: HybridProtocol
    let shares = TurnShares()
    let compression = PortCompression()
    let room: ConnectionRoom
    private let blacklist: Blacklist
    var statistics = ConnectorStatistics()
    var counts = UDPStatistics()
    let unsendable: LimitedLog
    let tooLongLog: LimitedLog
    let fullLog: LimitedLog
    private let faultLog: LimitedLog
    let crowdLog: LimitedLog

    private var socket: (any DatagramSocket)?
    private(set) var clients: [SocketAddress: UDPConnection] = [:]
    private(set) var stopping = false
    private var drained: FirstOutcome<Void>?

    // +Handshake
    let pending: PendingConnections<PendingPeer>
    var peers: [SocketAddress: PendingPeer] = [:]
    /// Hooks that have not returned.
    var judging = 0
    private(set) lazy var sweep = DeadlineSweep(clock) { [weak self] now in self?.forget(until: now) }

    /// - Throws: `PomeloError` `.configuration` for a dictionary that does not fit a datagram.
    init(
        _ options: UDPOptions, _ host: any ConnectorHost, _ context: ConnectorContext, _ logger: Logger
    ) throws(PomeloError) {
        self.options = options
        self.host = host
        clock = context.clock
        random = context.random
        room = context.room
        blacklist = context.blacklist
        pending = PendingConnections(limit: options.maxPending, perAddress: options.maxPendingPerAddress)
        let burst = Duration.seconds(10)
        crowdLog = LimitedLog(logger, clock, "peers without a handshake make room", lines: 1, per: burst)
        fullLog = LimitedLog(logger, clock, "no room for more clients of datagrams", lines: 1, per: burst)
        tooLongLog = LimitedLog(logger, clock, "a package is too long for a datagram", level: .error)
        faultLog = LimitedLog(logger, clock, "fault of a client of datagrams", level: .debug, lines: 100)
        unsendable = LimitedLog(logger, clock, "a message cannot be sent", level: .error)
        do {
            shared = try HybridProtocol(options.hybrid, clock: context.clock, logger: logger)
        } catch {
            throw PomeloError(.configuration, "the route dictionary is too large: \(error)", cause: error)
        }
        let longest = shared.longestWelcome + (options.requiresProof ? PendingPeer.proofBytes : 0)
        guard longest <= options.maxDatagramBytes else {
            throw PomeloError(
                .configuration,
                "the answer to a handshake, with the route dictionary, is \(longest) bytes long: more than the "
                    + "\(options.maxDatagramBytes) of maxDatagramBytes")
        }
    }

    /// Begins to receive; returns when the port is bound.
    ///
    /// - Throws: `PomeloError` `.network` naming the port.
    func start(on network: any Network, _ address: SocketAddress) async throws(PomeloError) {
        var choices = DatagramOptions()
        choices.maxQueuedBytes = options.maxOutboundBytes
        choices.overflow = options.overflow
        do throws(NetworkError) {
            let socket = try await network.bindDatagrams(on: address, choices)
            self.socket = socket
            socket.delegate = self
        } catch {
            throw PomeloError(.network, "cannot listen for datagrams on \(address): \(error.reason)", cause: error)
        }
    }

    var localAddress: SocketAddress? { socket?.localAddress }

    var datagramStatistics: UDPStatistics {
        var counts = counts
        counts.losses = socket?.losses ?? counts.losses
        return counts
    }

    /// Whether another client may come.
    var hasRoom: Bool { clients.count < options.maxClients && !room.isFull }

    // MARK: datagrams

    func datagramSocket(
        _ socket: any DatagramSocket, didReceive bytes: borrowing Span<UInt8>, from peer: SocketAddress
    ) {
        guard !stopping else { return }
        counts.received += 1
        if blacklist.contains(peer) { return noteFault(.blocked, peer) }
        guard let head = DatagramHead(bytes.extracting(...), maxBodyBytes: shared.limits.maxMessageBytes) else {
            counts.malformed += 1
            return noteFault(.badPackage, peer)
        }
        let client = clients[peer]
        switch head.first {
        case .handshake:
            // One that the network brings late must not end who it began.
            if let client, !client.isQuiet { return statistics.ignoredPackages += 1 }
            greet(bytes, head, peer)
        case .handshakeAck where peers[peer] != nil: greet(bytes, head, peer)
        default:
            guard let client else { return stray(bytes, head, peer) }
            client.receive(bytes)
        }
    }

    func datagramSocketDidDrain(_ socket: any DatagramSocket) { drained?.end() }

    func send(_ bytes: Bytes, to peer: SocketAddress) -> Bool { socket?.send(bytes, to: peer) ?? false }

    func noteFault(_ fault: ConnectionFault, _ peer: SocketAddress) {
        statistics.faults[fault, default: 0] += 1
        faultLog.write(["pomelo.fault": "\(fault.rawValue)", "pomelo.remote": "\(peer)"])
    }

    // MARK: clients

    /// Makes a client of a peer; the first that it has to say is its acknowledgement.
    func open(_ peer: SocketAddress, with bytes: borrowing Span<UInt8>) {
        guard hasRoom || clients[peer] != nil else { return refuse(peer) }
        if let former = clients[peer] {
            counts.renewed += 1
            former.end(.disconnected("the client began anew"))
        }
        let connection = UDPConnection(self, peer)
        clients[peer] = connection
        room.enter()
        statistics.accepted += 1
        statistics.openUDP += 1
        guard connection.serve() else { return connection.end(.disconnected("refused")) }
        connection.receive(bytes)
    }

    func refuse(_ peer: SocketAddress) {
        statistics.refused += 1
        fullLog.write(["pomelo.open": "\(clients.count)", "pomelo.remote": "\(peer)"])
    }

    func remove(_ connection: UDPConnection) {
        guard clients[connection.remoteAddress] === connection else { return }
        clients[connection.remoteAddress] = nil
        statistics.openUDP -= 1
        room.leave()
    }

    /// Tells every client goodbye, waits until that has left, or until the deadline, and frees the port.
    func stop(within deadline: Duration) async {
        stopping = true
        sweep.stop()
        for peer in peers.values { pending.remove(peer) }
        peers = [:]
        statistics.pending = 0
        for connection in Array(clients.values) { connection.finish(.stopped) }
        if let socket, socket.queuedBytes > 0 {
            let end = FirstOutcome<Void>()
            drained = end
            let timer = clock.schedule(after: deadline) { end.end() }
            await end.wait()
            clock.cancel(timer)
        }
        counts.losses = socket?.losses ?? counts.losses
        socket?.close()
        socket = nil
    }
}
