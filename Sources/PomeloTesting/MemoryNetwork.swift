// SPDX-License-Identifier: MIT
public import PomeloLoop

/// A network in memory, for tests of one server and for simulations of a whole cluster.
///
/// Every participant has a named host; delay, partitions, resets and chunking apply to pairs of hosts. With a
/// seeded random source and a `ManualClock` a run repeats exactly. Bytes travel at the end of the turn they
/// were written in, as on the kernel's sockets; without a delay no time passes.
@Loop public final class MemoryNetwork {
    /// Times deliveries, deadlines and delays.
    public let clock: any LoopClock
    /// One way, for links without a delay of their own.
    public var delay = Duration.zero
    /// When set, bytes arrive in pieces of 1 to so many, drawn from the random source.
    public var maxChunk: Int?
    /// Bytes a receiver's kernel would hold; more waits at the sender.
    public var window = 256 * 1024
    /// What happens to datagrams, and only to them.
    public var datagramFaults = DatagramFaults()
    /// Told of every datagram that is sent, before anything happens to it.
    public var onDatagram: (@Loop (SentDatagram) -> Void)?

    let random: RandomSource
    private var listeners: [SocketAddress: MemoryListener] = [:]
    private var streams: [ObjectIdentifier: MemoryStream] = [:]
    private var delays: [Link: Duration] = [:]
    private var blocked: Set<Link> = []
    private var dials: [ObjectIdentifier: MemoryDial] = [:]
    private var datagramSockets: [SocketAddress: MemoryDatagramSocket] = [:]
    private var lastPort = 49_151

    /// A pair of hosts, in one direction.
    struct Link: Hashable {
        let from: String
        let to: String
    }

    /// Starts empty, without delay.
    public init(clock: any LoopClock, random: RandomSource = RandomSource(seed: 1)) {
        self.clock = clock
        self.random = random
    }

    /// The network as one host sees it.
    public func endpoint(_ host: String) -> any Network { MemoryEndpoint(host: host, network: self) }

    /// Connections open now.
    public var connectionCount: Int { streams.count / 2 }

    // MARK: faults

    /// Sets the delay from one host to another, one way.
    public func setDelay(_ delay: Duration, from: String, to: String) {
        delays[Link(from: from, to: to)] = delay
    }

    /// Cuts two hosts off from each other; what is sent waits, as TCP would keep repeating it.
    public func partition(_ one: String, _ other: String) {
        block(from: one, to: other)
        block(from: other, to: one)
    }

    /// Ends a partition or a block; what waited arrives in order.
    public func heal(_ one: String, _ other: String) {
        blocked.remove(Link(from: one, to: other))
        blocked.remove(Link(from: other, to: one))
        for stream in sortedStreams() { stream.schedulePump() }
        for dial in dials.values.sorted(by: { $0.order < $1.order }) { dial.attempt() }
    }

    /// Cuts one direction: a half-open link, where one side hears nothing and does not know.
    public func block(from: String, to: String) { blocked.insert(Link(from: from, to: to)) }

    /// Breaks every connection between two hosts; both ends see a reset.
    public func reset(_ one: String, _ other: String) {
        for stream in sortedStreams()
        where [one, other] == [stream.host, stream.peerHost]
            || [other, one] == [stream.host, stream.peerHost]
        {
            stream.breakOff("ECONNRESET")
        }
    }

    /// Ends a host as `kill -9` does: its objects are told nothing, its peers see a reset, its ports are
    /// free.
    public func crash(_ host: String) {
        for (address, listener) in listeners where listener.host == host { listeners[address] = nil }
        for socket in datagramSockets.values where socket.host == host { socket.close() }
        for stream in sortedStreams() where stream.host == host { stream.vanish() }
    }

    private func sortedStreams() -> [MemoryStream] { streams.values.sorted { $0.order < $1.order } }

    // MARK: for the parts

    private var lastOrder: UInt64 = 0

    /// Numbers things by age, so that nothing depends on the order of a dictionary.
    func nextOrder() -> UInt64 {
        lastOrder += 1
        return lastOrder
    }

    func isBlocked(_ link: Link) -> Bool { blocked.contains(link) }

    func delay(_ link: Link) -> UInt64 { (delays[link] ?? delay).clampedNanoseconds }

    /// Calls back after a delay; without one as soon as the running jobs are done, in no time.
    func after(_ nanoseconds: UInt64, _ action: @escaping @Loop @Sendable () -> Void) {
        if nanoseconds == 0 {
            Loop.spawn(action)
        } else {
            _ = clock.schedule(at: clock.now + nanoseconds, action)
        }
    }

    func add(_ stream: MemoryStream) { streams[ObjectIdentifier(stream)] = stream }
    func remove(_ stream: MemoryStream) { streams[ObjectIdentifier(stream)] = nil }
    func add(_ dial: MemoryDial) { dials[ObjectIdentifier(dial)] = dial }
    func remove(_ dial: MemoryDial) { dials[ObjectIdentifier(dial)] = nil }

    func listen(_ listener: MemoryListener, on wanted: SocketAddress) throws(NetworkError) -> SocketAddress {
        let address = try free(wanted, of: listeners.keys, "cannot listen on")
        listeners[address] = listener
        return address
    }

    /// The address, with a port that nobody has for port 0.
    private func free(
        _ wanted: SocketAddress, of taken: some Collection<SocketAddress>, _ what: String
    ) throws(NetworkError) -> SocketAddress {
        var address = Self.normalised(wanted)
        if address.port == 0, !address.host.hasPrefix("/") {
            repeat { lastPort += 1 } while taken.contains { $0.port == lastPort }
            address.port = lastPort
        }
        guard !taken.contains(address) else {
            let code = "EADDRINUSE"
            throw NetworkError(code: code, description: "\(what) \(address): \(code)", reason: code)
        }
        return address
    }

    func bind(_ socket: MemoryDatagramSocket, on wanted: SocketAddress) throws(NetworkError) -> SocketAddress {
        let address = try free(wanted, of: datagramSockets.keys, "cannot bind")
        datagramSockets[address] = socket
        return address
    }

    func close(_ socket: MemoryDatagramSocket) {
        if datagramSockets[socket.localAddress] === socket { datagramSockets[socket.localAddress] = nil }
    }

    /// Who is bound there, or to all addresses.
    func datagramSocket(at wanted: SocketAddress) -> MemoryDatagramSocket? {
        let address = Self.normalised(wanted)
        return datagramSockets[address] ?? datagramSockets[SocketAddress(host: "0.0.0.0", port: address.port)]
    }

    func close(_ listener: MemoryListener) {
        if listeners[listener.localAddress] === listener { listeners[listener.localAddress] = nil }
    }

    /// Who listens there; a listener on all addresses answers for every host that has no listener of its own.
    func listener(at wanted: SocketAddress) -> MemoryListener? {
        let address = Self.normalised(wanted)
        return listeners[address] ?? listeners[SocketAddress(host: "0.0.0.0", port: address.port)]
    }

    private static func normalised(_ address: SocketAddress) -> SocketAddress {
        switch address.host {
        case "localhost", "::1": SocketAddress(host: "127.0.0.1", port: address.port)
        case "::", "": SocketAddress(host: "0.0.0.0", port: address.port)
        default: address
        }
    }
}

/// One host's view of a network in memory.
@Loop private final class MemoryEndpoint: Network {
    private let host: String
    private let network: MemoryNetwork

    init(host: String, network: MemoryNetwork) {
        self.host = host
        self.network = network
    }

    func listen(
        on address: SocketAddress, accept: @escaping @Loop (any ByteStream) -> Void
    ) async throws(NetworkError) -> any StreamListener {
        try MemoryListener(host: host, network: network, on: address, accept)
    }

    func connect(to address: SocketAddress, within deadline: Duration) async throws(NetworkError)
        -> any ByteStream
    {
        try await MemoryDial(from: host, to: address, network).run(within: deadline).get()
    }

    func bindDatagrams(
        on address: SocketAddress, _ options: DatagramOptions
    ) async throws(NetworkError) -> any DatagramSocket {
        try MemoryDatagramSocket(host: host, network: network, on: address, options)
    }

    /// A path is a place on this host alone; it is no file, and has no rights.
    func listen(
        atPath path: String, permissions: UInt16, accept: @escaping @Loop (any ByteStream) -> Void
    ) async throws(NetworkError) -> any StreamListener {
        try MemoryListener(host: host, network: network, on: SocketAddress(host: path, port: 0), accept)
    }

    func connect(toPath path: String) async throws(NetworkError) -> any ByteStream {
        let address = SocketAddress(host: path, port: 0)
        guard network.listener(at: address)?.host ?? host == host else {
            throw NetworkError(code: "ENOENT", description: "cannot connect to \(path): ENOENT")
        }
        return try await MemoryDial(from: host, to: address, network).run(within: .seconds(1)).get()
    }
}

/// A listening port in memory.
@Loop final class MemoryListener: StreamListener {
    let host: String
    private(set) var localAddress = SocketAddress(host: "", port: 0)
    let acceptErrors = 0
    var onAcceptError: (@Loop (NetworkError) -> Void)?
    private let accept: @Loop (any ByteStream) -> Void
    private let network: MemoryNetwork
    /// Connected, but not accepted: what a kernel would hold.
    private var backlog: [MemoryStream] = []
    private var paused = false

    init(
        host: String, network: MemoryNetwork, on address: SocketAddress,
        _ accept: @escaping @Loop (any ByteStream) -> Void
    ) throws(NetworkError) {
        self.host = host
        self.network = network
        self.accept = accept
        localAddress = try network.listen(self, on: address)
    }

    func arrived(_ stream: MemoryStream) {
        if paused { backlog.append(stream) } else { accept(stream) }
    }

    func pauseAccepting() { paused = true }

    func resumeAccepting() {
        paused = false
        while !paused, !backlog.isEmpty { accept(backlog.removeFirst()) }
    }

    func close() {
        network.close(self)
        for stream in backlog { stream.breakOff("ECONNRESET") }
        backlog = []
    }
}

/// One connection attempt in memory; takes one round trip.
@Loop final class MemoryDial {
    let order: UInt64
    private let host: String
    private let address: SocketAddress
    private let network: MemoryNetwork
    private let outcome = FirstOutcome<Result<MemoryStream, NetworkError>>()
    private var timer: TimerID?
    private var travelling = false

    init(from host: String, to address: SocketAddress, _ network: MemoryNetwork) {
        order = network.nextOrder()
        self.host = host
        self.address = address
        self.network = network
    }

    func run(within deadline: Duration) async -> Result<MemoryStream, NetworkError> {
        network.add(self)
        timer = network.clock.schedule(after: deadline) { self.end(.failure(self.error("ETIMEDOUT"))) }
        attempt()
        return await outcome.wait()
    }

    /// Sets out, unless the way is cut; then the end of the cut tries again.
    func attempt() {
        guard outcome.isOpen, !travelling else { return }
        guard let (there, back) = links() else { return }
        travelling = true
        network.after(network.delay(there) + network.delay(back)) { self.arrive() }
    }

    private func links() -> (MemoryNetwork.Link, MemoryNetwork.Link)? {
        let target = network.listener(at: address)?.host ?? address.host
        let there = MemoryNetwork.Link(from: host, to: target)
        let back = MemoryNetwork.Link(from: target, to: host)
        return network.isBlocked(there) || network.isBlocked(back) ? nil : (there, back)
    }

    private func arrive() {
        travelling = false
        guard outcome.isOpen, links() != nil else { return }
        guard let listener = network.listener(at: address) else {
            return end(.failure(error("ECONNREFUSED")))
        }
        let (near, far) = MemoryStream.pair(network, from: host, to: listener)
        listener.arrived(far)
        end(.success(near))
    }

    private func error(_ code: String) -> NetworkError {
        NetworkError(code: code, description: "cannot connect to \(address): \(code)", reason: code)
    }

    private func end(_ result: Result<MemoryStream, NetworkError>) {
        if let timer { network.clock.cancel(timer) }
        network.remove(self)
        outcome.end(with: result)
    }
}
