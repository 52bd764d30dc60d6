// SPDX-License-Identifier: MIT
public import Logging
public import PomeloBytes
public import PomeloCore
public import PomeloLoop

/// Calls between servers over TCP: one connection per direction, which the caller dials.
///
/// - Guarantee: exactly one outcome per call, at the latest at its deadline. `notSent`: it was certainly not
///   executed. `maybeExecuted`: it left and no answer came. Replies may overtake each other.
/// - Guarantee: a server once called, and frozen or cut off since, is suspect (`ServerDirectory.isSuspect`)
///   within interval + misses × timeout (2 s by default); calls to a suspect fail at once until it answers.
@Loop public final class TCPTransport: RPCTransport {
    private enum Phase { case idle, starting, running, draining, stopped }

    private let options: RPCOptions
    private let logger: Logger
    private var phase = Phase.idle
    private var table: ConnectionTable?
    private var listener: (any StreamListener)?
    private var callerWatch: TimerID?
    private var local: LocalCalls?
    private var peers: [ServerID: Peer] = [:]
    private var seenVersion = -1

    /// Creates a transport; nothing happens before `start`.
    public nonisolated init(options: RPCOptions = RPCOptions(), logger: Logger = Logger(label: "pomelo.rpc")) {
        self.options = options
        self.logger = logger.lineSafe
    }

    /// What was done since the start.
    public var counters: RPCCounters { table?.counters ?? RPCCounters() }

    /// Where other servers reach this one, once started; has the port that was found free for port 0.
    public var localAddress: SocketAddress? { listener?.localAddress }

    // MARK: life

    /// Listens on the host and port of the own record, and nowhere else.
    ///
    /// - Throws: `PomeloError` `.network` naming the address; `.configuration` when started before.
    public func start(_ context: RPCContext) async throws {
        guard phase == .idle else {
            throw PomeloError(.configuration, "the RPC transport was started before")
        }
        phase = .starting
        let table = ConnectionTable(context, options, logger)
        let address = SocketAddress(host: context.own.record.host, port: context.own.record.port)
        do throws(NetworkError) {
            listener = try await context.network.listen(on: address) { [weak self] in self?.accept($0) }
        } catch {
            phase = .idle
            throw PomeloError(
                .network, "cannot listen for other servers on \(address): \(error.reason)", cause: error)
        }
        table.connection = { [weak self] id in self?.peers[id]?.connection }
        self.table = table
        local = LocalCalls(table)
        phase = .running
        context.servers.observe { [weak self] _ in self?.followView() }
        watchCallers()
    }

    /// Tells callers to send nothing more, waits for what is under way in both directions, closes.
    ///
    /// Calls made meanwhile by procedures that finish are still sent. What is not done in time fails.
    public func stop(within deadline: Duration) async {
        guard phase == .running, let table else { return }
        phase = .draining
        listener?.close()
        listener = nil
        if let callerWatch { table.clock.cancel(callerWatch) }
        for key in table.inbound.keys.sorted() { table.inbound[key]?.goAway() }
        let limit = table.clock.deadline(after: min(deadline, options.drainAtMost))
        await wait(table, until: limit) { [weak self] in self?.isIdle ?? true }
        // REENTRANCY: only this function leaves `.draining`.
        phase = .stopped
        table.isStopped = true
        let reason = "this server is stopping"
        for id in peers.keys.sorted() { peers[id]?.leave(reason) }
        local?.stop(reason)
        for key in table.outbound.keys.sorted() { table.outbound[key]?.close() }
        for key in table.inbound.keys.sorted() { table.inbound[key]?.close() }
        let last = table.clock.deadline(after: ConnectionTable.closeTimeout)
        await wait(table, until: last) { table.outbound.isEmpty && table.inbound.isEmpty }
    }

    private var isIdle: Bool {
        guard let table else { return true }
        return table.inbound.values.allSatisfy(\.isIdle) && table.outbound.values.allSatisfy { $0.inFlight == 0 }
            && peers.values.allSatisfy(\.isIdle) && local?.inFlight == 0
    }

    /// Returns when `isDone`, asked after every end of a call or connection, or at the deadline.
    private func wait(_ table: ConnectionTable, until limit: UInt64, _ isDone: @escaping @Loop () -> Bool) async {
        if isDone() || limit <= table.clock.now { return }
        let end = FirstOutcome<Void>()
        table.whenSettled = { if isDone() { end.end() } }
        let timer = table.clock.schedule(at: limit) { end.end() }
        await end.wait()
        table.whenSettled = nil
        table.clock.cancel(timer)
    }

    // MARK: as caller

    /// Calls a procedure of a server of the view, or of this server, where the call needs no connection.
    ///
    /// - Throws: `RPCError`; `.notSent` at once for an unknown server, a suspect, an overload, or a call over
    ///   `maxFrameBytes`. A cancelled task gets its outcome at once, and the callee's answer is dropped.
    public func call(
        _ server: ServerID, _ procedure: Procedure, _ payload: Bytes, within deadline: Duration
    ) async throws(RPCError) -> Bytes {
        if Task.isCancelled { throw .notSent("the caller was cancelled") }
        return try await submit(server, procedure, payload, deadline, reply: nil).result()
    }

    /// Calls a procedure as above; the outcome comes by `reply`.
    public func call(
        _ server: ServerID, _ procedure: Procedure, _ payload: Bytes, within deadline: Duration,
        reply: @escaping ProcedureTable.Reply
    ) {
        do throws(RPCError) {
            _ = try submit(server, procedure, payload, deadline, reply: reply)
        } catch {
            reply(.failure(error))
        }
    }

    private func submit(
        _ server: ServerID, _ procedure: Procedure, _ payload: Bytes, _ deadline: Duration, reply: ProcedureTable.Reply?
    ) throws(RPCError) -> PendingCall {
        guard let table, phase == .running || phase == .draining else {
            throw .notSent("the RPC transport is not running")
        }
        guard payload.count + procedure.frameBytes <= options.maxFrameBytes else {
            throw .notSent("the call has \(payload.count) bytes, the limit is \(options.maxFrameBytes)")
        }
        let isOwn = server == table.context.own.id
        let peer = isOwn ? nil : try peer(server, table)
        let call = PendingCall(procedure, payload, deadline: table.clock.deadline(after: deadline), reply: reply)
        if let peer { peer.submit(call) } else { local?.submit(call) }
        return call
    }

    private func peer(_ id: ServerID, _ table: ConnectionTable) throws(RPCError) -> Peer {
        // The view announces servers that are up; those that are joining or draining are looked up here.
        if seenVersion != table.context.servers.version { followView() }
        if let known = peers[id] { return known }
        guard let info = table.context.servers[id] else { throw .notSent("no server \(id) is known") }
        let peer = Peer(table, info)
        peers[id] = peer
        return peer
    }

    private func followView() {
        guard let table, phase == .running || phase == .draining else { return }
        let servers = table.context.servers
        for id in peers.keys.sorted() {
            if let info = servers[id] {
                peers[id]?.follow(info)
            } else {
                peers.removeValue(forKey: id)?.leave("\(id) has left the cluster")
            }
        }
        for info in servers.all where info.state == .up && info.id != table.context.own.id {
            let peer = peers[info.id] ?? Peer(table, info)
            peers[info.id] = peer
            peer.watch()
        }
        seenVersion = servers.version
    }

    /// Whether the process at the server's address answers as this instance, within `deadline`.
    ///
    /// Another instance of the own id is dialled like any other server: it may be the one that lives.
    public func ping(_ server: ServerInfo, within deadline: Duration) async -> Bool {
        guard let table, phase == .running || phase == .draining else { return false }
        if server.id == table.context.own.id, server.instance == table.context.own.instance { return true }
        let limit = table.clock.deadline(after: deadline)
        if let peer = peers[server.id], peer.target.record.host == server.record.host,
            peer.target.record.port == server.record.port, let connection = peer.connection,
            connection.instance == server.instance
        {
            switch await connection.ping(until: limit) {
            case .answered(let instance): return instance == server.instance
            case .silent: return false
            case .ended: break
            }
        }
        guard case .success(let probe) = await table.open(server, expecting: server.instance, until: limit)
        else { return false }
        probe.close()
        return true
    }

    /// Shakes hands with one server, over a connection of its own.
    ///
    /// - Throws: `PomeloError` `.configuration` when that server refuses this one or does not know the secret
    ///   itself; `.unreachable` when the connection is refused, or another server or program has the port by now;
    ///   `.noAnswer` when it did not answer within the handshake timeout.
    public func proveSecret(to server: ServerInfo) async throws {
        guard let table, phase == .running else {
            throw PomeloError(.notRunning, "the RPC transport is not running")
        }
        let limit = table.clock.deadline(after: options.handshakeTimeout)
        switch await table.open(server, expecting: nil, until: limit) {
        case .success(let probe):
            probe.close()
        case .failure(let failure) where failure.isOfAnother:
            throw PomeloError(.unreachable, "server \(server.id) is not there: \(failure)", cause: failure)
        case .failure(.refused(let refusal?, let reason)) where refusal.isConfiguration:
            let what = refusal == .secret ? "does not accept the cluster secret" : "refuses this server"
            throw PomeloError(
                .configuration, "server \(server.id) \(what): \(reason)",
                cause: HandshakeFailure.refused(refusal, reason))
        case .failure(let failure):
            throw PomeloError(.noAnswer, "server \(server.id) did not answer: \(failure)", cause: failure)
        }
    }

    // MARK: as callee

    /// Connections to this server that have not proved the secret yet.
    var handshakes: Int { table?.inbound.values.count(where: \.isShaking) ?? 0 }

    private func accept(_ stream: any ByteStream) {
        guard let table, phase == .running else { return stream.close() }
        if table.lacksSecret(for: stream) {
            table.noteRefusal(of: stream.remoteAddress, ConnectionTable.secretIsNeeded)
            return stream.close()
        }
        makeRoom(for: stream.remoteAddress.host, table)
        _ = InboundConnection(table, stream)
    }

    /// Of connections that have not proved the secret the oldest gives way: a server's handshake takes two round trips,
    /// and silent connections must not keep it out.
    private func makeRoom(for host: String, _ table: ConnectionTable) {
        let shaking = table.inbound.filter { $0.value.isShaking }
        let same = shaking.filter { $0.value.remoteHost == host }
        if same.count >= options.maxPendingHandshakesPerAddress, let oldest = same.keys.min() {
            same[oldest]?.giveWay()
        } else if shaking.count >= options.maxPendingHandshakes, let oldest = shaking.keys.min() {
            shaking[oldest]?.giveWay()
        }
    }

    /// Closes connections of callers that are gone without a word: a live one pings when it hears nothing.
    private func watchCallers() {
        guard let table else { return }
        let silence = options.callerSilence
        let limit = silence.clampedNanoseconds
        for key in table.inbound.keys.sorted() {
            if let callee = table.inbound[key], table.clock.now > callee.lastHeard &+ limit { callee.close() }
        }
        callerWatch = table.clock.schedule(after: silence / 2) { [weak self] in self?.watchCallers() }
    }
}
