// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloCore
public import PomeloLoop

/// Calls between servers of one process, without sockets: in order per pair, with delays, losses, partitions and
/// frozen servers.
///
/// A server is reached at the address of its record, whoever listens there. `TransportSuite` holds it to what a
/// transport over TCP does.
///
/// With a `ManualClock` and a seeded random source a run repeats exactly. The faults are those of connections: what
/// is sent to a frozen or cut-off server waits, and arrives in order when the fault ends, if its deadline has not
/// passed; a loss breaks the connection before the request arrives, or before its reply does.
@Loop public final class LoopbackNetwork {
    /// Times delays and deadlines.
    public let clock: any LoopClock
    /// One way; each message draws its own, and none overtakes another of its pair.
    public var delay = Duration.zero...Duration.zero
    /// Messages lost out of a thousand.
    public var lossPerMille = 0
    /// Calls made so far.
    public private(set) var calls = 0
    /// Calls whose procedure was begun.
    public private(set) var executed = 0
    /// Calls that have ended; more than `calls` would be a call completed twice.
    public private(set) var completed = 0
    /// What no transport may do, in words: tests expect it empty.
    public private(set) var violations: [String] = []

    private let random: RandomSource
    private var transports: [SocketAddress: LoopbackTransport] = [:]
    private var lastPort = 49_151
    private var lanes: [Pair: Lane] = [:]
    private var cuts: Set<Pair> = []
    private var frozen: Set<ServerID> = []

    struct Pair: Hashable {
        let from: ServerID
        let to: ServerID
    }

    /// Starts empty, without faults.
    public init(clock: any LoopClock, random: RandomSource = RandomSource(seed: 1)) {
        self.clock = clock
        self.random = random
    }

    /// A transport of one server; it takes part from its `start` on.
    public func transport(of server: ServerID) -> LoopbackTransport { LoopbackTransport(server, self) }

    /// Calls under way.
    public var callsInFlight: Int { calls - completed }

    // MARK: faults

    /// Cuts two servers off from each other.
    public func partition(_ one: ServerID, _ other: ServerID) {
        cuts.formUnion([Pair(from: one, to: other), Pair(from: other, to: one)])
    }

    /// Ends the partition of two servers.
    public func heal(_ one: ServerID, _ other: ServerID) {
        for pair in [Pair(from: one, to: other), Pair(from: other, to: one)] {
            cuts.remove(pair)
            pump(pair)
        }
    }

    /// The server takes everything and does nothing, as under SIGSTOP; its timers and clients are not affected.
    public func freeze(_ server: ServerID) { frozen.insert(server) }

    /// Ends a freeze.
    public func thaw(_ server: ServerID) {
        frozen.remove(server)
        for pair in lanes.keys.filter({ $0.to == server }).sorted(by: { $0.from < $1.from }) { pump(pair) }
    }

    /// Ends a server as a crash does: its calls and those to it get no answer.
    public func crash(_ server: ServerID) {
        for (address, transport) in transports where transport.server == server {
            transports[address] = nil
            transport.die()
        }
        for pair in lanes.keys where pair.from == server || pair.to == server { lanes[pair] = nil }
        frozen.remove(server)
    }

    /// Ends all faults.
    public func healAll() {
        cuts = []
        lossPerMille = 0
        for server in frozen.sorted() { thaw(server) }
        for pair in lanes.keys.sorted(by: { ($0.from, $0.to) < ($1.from, $1.to) }) { pump(pair) }
    }

    // MARK: for transports

    /// Binds an address; nil when another has it.
    func add(_ transport: LoopbackTransport, at wanted: SocketAddress) -> SocketAddress? {
        var address = wanted
        if address.port == 0 {
            repeat { lastPort += 1 } while transports.keys.contains { $0.port == lastPort }
            address.port = lastPort
        }
        guard transports[address] == nil else { return nil }
        transports[address] = transport
        return address
    }
    func remove(_ transport: LoopbackTransport, from address: SocketAddress) {
        if transports[address] === transport { transports[address] = nil }
    }
    func listener(_ server: ServerInfo) -> LoopbackTransport? {
        transports[SocketAddress(host: server.record.host, port: server.record.port)]
    }

    func noteCall() { calls += 1 }
    func noteExecution() { executed += 1 }
    func noteCompletion() { completed += 1 }
    func noteViolation(_ text: String) { violations.append(text) }
    func drawsLoss() -> Bool { lossPerMille > 0 && Int(random.next() % 1000) < lossPerMille }

    /// Delivers after the pair's delay, behind everything sent before.
    func send(from: ServerID, to: ServerID, _ deliver: @escaping @Loop () -> Void) {
        let pair = Pair(from: from, to: to)
        let lane = lanes[pair] ?? Lane()
        lanes[pair] = lane
        let low = delay.lowerBound.clampedNanoseconds
        let spread = delay.upperBound.clampedNanoseconds - low
        let due = clock.now + low + (spread == 0 ? 0 : random.next() % (spread + 1))
        lane.lastDue = max(lane.lastDue, due)
        lane.queue.append((lane.lastDue, deliver))
        pump(pair)
    }

    private func pump(_ pair: Pair) {
        guard let lane = lanes[pair], let first = lane.queue.first, !lane.isPumping else { return }
        guard !cuts.contains(pair), !frozen.contains(pair.to) else { return }
        lane.isPumping = true
        if first.due > clock.now {
            _ = clock.schedule(at: first.due) { [weak self] in self?.deliver(pair, lane) }
        } else {
            Loop.spawn { self.deliver(pair, lane) }
        }
    }

    private func deliver(_ pair: Pair, _ lane: Lane) {
        lane.isPumping = false
        guard lanes[pair] === lane, !cuts.contains(pair), !frozen.contains(pair.to) else { return }
        while let first = lane.queue.first, first.due <= clock.now {
            lane.queue.removeFirst()
            first.deliver()
        }
        pump(pair)
    }
}

/// What travels from one server to another, in order.
@Loop private final class Lane {
    var queue: [(due: UInt64, deliver: @Loop () -> Void)] = []
    var lastDue: UInt64 = 0
    var isPumping = false
}

/// One server's transport in a `LoopbackNetwork`.
@Loop public final class LoopbackTransport: RPCTransport {
    let server: ServerID
    /// As long as a TCP transport's handshake may take.
    private static let handshakeTimeout = Duration.seconds(2)

    private let network: LoopbackNetwork
    private var context: RPCContext?
    /// The port that was found for port 0 included.
    public private(set) var localAddress: SocketAddress?
    /// Own calls, and calls of others, that have not ended.
    private var calls: [ObjectIdentifier: LoopbackCall] = [:]

    init(_ server: ServerID, _ network: LoopbackNetwork) {
        self.server = server
        self.network = network
    }

    /// Joins the network at the own address.
    public func start(_ context: RPCContext) async throws {
        let wanted = SocketAddress(host: context.own.record.host, port: context.own.record.port)
        guard let address = network.add(self, at: wanted) else {
            throw PomeloError(.network, "\(server) cannot listen: \(wanted) is in use")
        }
        localAddress = address
        self.context = context
    }

    /// Delivers the call after the link's delay, unless a fault says otherwise.
    public func call(
        _ server: ServerID, _ procedure: Procedure, _ payload: Bytes, within deadline: Duration
    ) async throws(RPCError) -> Bytes {
        guard let context else { throw .notSent("the transport of \(self.server) is not running") }
        let target = try server == self.server ? self : target(server, context)
        let limit = network.clock.deadline(after: deadline)
        let call = LoopbackCall(network, self.server, context.own.instance, procedure, payload, deadline: limit)
        hold(call)
        call.timer = network.clock.schedule(at: limit) {
            call.finish(.failure(.maybeExecuted("no answer within the deadline")))
        }
        network.send(from: self.server, to: server) { target.serve(call) }
        return try await call.outcome().get()
    }

    private func target(_ server: ServerID, _ context: RPCContext) throws(RPCError) -> LoopbackTransport {
        guard let info = context.servers[server] else { throw .notSent("no server \(server) is known") }
        guard let target = network.listener(info) else { throw .notSent("\(server) does not listen") }
        guard let other = target.context, other.own.id == server, other.own.instance == info.instance,
            other.secret == context.secret, other.cluster == context.cluster
        else { throw .notSent("another instance, or another server, answers at the address of \(server)") }
        return target
    }

    /// Whether that instance is there and not frozen.
    public func ping(_ server: ServerInfo, within deadline: Duration) async -> Bool {
        guard let context else { return false }
        if server.id == context.own.id, server.instance == context.own.instance { return true }
        guard let other = await shakeHands(with: server, within: deadline) else { return false }
        return other.own.id == server.id && other.own.instance == server.instance
            && other.secret == context.secret && other.cluster == context.cluster
    }

    /// Compares names and secrets, there.
    public func proveSecret(to server: ServerInfo) async throws {
        guard let context else { throw PomeloError(.notRunning, "the transport of \(self.server) is not running") }
        guard network.listener(server) != nil else {
            throw PomeloError(.unreachable, "server \(server.id) is not there: the connection is refused")
        }
        guard let other = await shakeHands(with: server, within: Self.handshakeTimeout) else {
            throw PomeloError(.noAnswer, "server \(server.id) did not answer")
        }
        guard other.own.id == server.id, other.cluster == context.cluster else {
            throw PomeloError(.unreachable, "server \(server.id) is not there: another one answers")
        }
        guard other.secret == context.secret else {
            throw PomeloError(.configuration, "server \(server.id) does not accept the cluster secret")
        }
    }

    /// What the process at an address says of itself; nil when nobody answers in time.
    private func shakeHands(with server: ServerInfo, within deadline: Duration) async -> RPCContext? {
        guard let target = network.listener(server) else { return nil }
        let probe = LoopbackCall(
            network, self.server, "", Procedure(remote: ""), [], deadline: network.clock.deadline(after: deadline))
        probe.timer = network.clock.schedule(at: probe.deadline) { probe.finish(.failure(.maybeExecuted("silent"))) }
        var answer: RPCContext?
        network.send(from: self.server, to: target.server) { [network] in
            answer = target.context
            network.send(from: target.server, to: self.server) { probe.finish(.success([])) }
        }
        guard case .success = await probe.outcome() else { return nil }
        return answer
    }

    /// Leaves the network.
    public func stop(within deadline: Duration) async {
        if let localAddress { network.remove(self, from: localAddress) }
        die()
    }

    func die() {
        context = nil
        for call in calls.values.sorted(by: { $0.number < $1.number }) {
            call.finish(.failure(.maybeExecuted("the connection broke")))
        }
        calls = [:]
    }

    private func hold(_ call: LoopbackCall) {
        calls[ObjectIdentifier(call)] = call
        call.onEnd { [weak self] in self?.calls[ObjectIdentifier(call)] = nil }
    }

    private func serve(_ call: LoopbackCall) {
        guard !call.isOver, network.clock.now < call.deadline else { return }
        guard let context, !network.drawsLoss() else {
            return call.finish(.failure(.maybeExecuted("the connection broke")))
        }
        network.noteExecution()
        hold(call)
        let caller = RPCCaller(server: call.caller, instance: call.instance, deadline: call.deadline)
        context.procedures.run(call.procedure, caller, call.payload) { result in
            if call.isAnswered { self.network.noteViolation("\(call.procedure) was answered twice") }
            call.isAnswered = true
            let lost = self.network.drawsLoss()
            self.network.send(from: self.server, to: call.caller) {
                call.finish(lost ? .failure(.maybeExecuted("the connection broke")) : result)
            }
        }
    }
}

/// One call: whoever comes first, reply, deadline or fault, ends it.
@Loop private final class LoopbackCall {
    let caller: ServerID
    let instance: InstanceID
    let procedure: Procedure
    let payload: Bytes
    let deadline: UInt64
    let number: Int
    var timer: TimerID?
    var isAnswered = false
    private let network: LoopbackNetwork
    private let end = FirstOutcome<Result<Bytes, RPCError>>()
    private var ending: [@Loop () -> Void] = []

    init(
        _ network: LoopbackNetwork, _ caller: ServerID, _ instance: InstanceID, _ procedure: Procedure,
        _ payload: Bytes, deadline: UInt64
    ) {
        self.network = network
        self.caller = caller
        self.instance = instance
        self.procedure = procedure
        self.payload = payload
        self.deadline = deadline
        network.noteCall()
        number = network.calls
    }

    var isOver: Bool { !end.isOpen }

    func onEnd(_ action: @escaping @Loop () -> Void) { ending.append(action) }

    func finish(_ result: Result<Bytes, RPCError>) {
        guard end.end(with: result) else { return }
        network.noteCompletion()
        if let timer { network.clock.cancel(timer) }
        for action in ending { action() }
        ending = []
    }

    func outcome() async -> Result<Bytes, RPCError> { await end.wait() }
}
