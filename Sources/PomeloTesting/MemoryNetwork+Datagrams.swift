// SPDX-License-Identifier: MIT
public import PomeloLoop

/// What a network in memory does to datagrams; each probability is from 0 to 1.
public struct DatagramFaults: Sendable {
    /// How likely a datagram never arrives.
    public var loss = 0.0
    /// How likely it arrives twice.
    public var duplication = 0.0
    /// How likely it is late, so that others overtake it.
    public var reordering = 0.0
    /// How late at most.
    public var lateness = Duration.milliseconds(50)

    /// Nothing is lost, doubled or late.
    public init(loss: Double = 0, duplication: Double = 0, reordering: Double = 0) {
        self.loss = loss
        self.duplication = duplication
        self.reordering = reordering
    }
}

/// One datagram on its way.
public struct SentDatagram: Sendable {
    /// As it was sent.
    public let bytes: [UInt8]
    /// The sender's address, as it says.
    public let from: SocketAddress
    /// Where it goes.
    public let to: SocketAddress
}

extension MemoryNetwork {
    /// The longest datagram, as with IPv4.
    static let longestDatagram = 65_507

    /// Sends a datagram in anybody's name, as a host with a raw socket can.
    public func sendDatagram(_ bytes: [UInt8], from sender: SocketAddress, to target: SocketAddress) {
        carry(SentDatagram(bytes: bytes, from: sender, to: target), fromHost: nil)
    }

    func carry(_ datagram: SentDatagram, fromHost host: String?) {
        onDatagram?(datagram)
        let faults = datagramFaults
        guard !happens(faults.loss) else { return }
        for _ in 0..<(happens(faults.duplication) ? 2 : 1) {
            var late: UInt64 = 0
            if happens(faults.reordering) { late = random.next() % max(1, faults.lateness.clampedNanoseconds) }
            let target = datagramSocket(at: datagram.to)
            var way: Link?
            if let host, let target { way = Link(from: host, to: target.host) }
            // Nobody repeats a datagram.
            if let way, isBlocked(way) { continue }
            after((way.map { delay($0) } ?? 0) + late) { self.datagramSocket(at: datagram.to)?.arrived(datagram) }
        }
    }

    private func happens(_ probability: Double) -> Bool {
        // Nothing is drawn where nothing can happen: runs without datagrams stay as they were.
        probability > 0 && Double(random.next() >> 11) / Double(1 << 53) < probability
    }
}

/// A socket for datagrams in memory; what is sent leaves at once.
@Loop final class MemoryDatagramSocket: DatagramSocket {
    let host: String
    private(set) var localAddress = SocketAddress(host: "", port: 0)
    let queuedBytes = 0
    private(set) var losses = DatagramLosses()
    private let network: MemoryNetwork
    private let maxBytes: Int
    private var isClosed = false
    /// What came before anybody wanted it.
    private var early: [SentDatagram] = []
    var delegate: (any DatagramSocketDelegate)? {
        didSet {
            guard delegate != nil, !early.isEmpty else { return }
            let waiting = early
            early = []
            network.after(0) { for datagram in waiting { self.arrived(datagram) } }
        }
    }

    init(
        host: String, network: MemoryNetwork, on address: SocketAddress, _ options: DatagramOptions
    ) throws(NetworkError) {
        self.host = host
        self.network = network
        maxBytes = options.maxBytes
        localAddress = try network.bind(self, on: address)
    }

    func arrived(_ datagram: SentDatagram) {
        if isClosed { return }
        guard datagram.bytes.count <= maxBytes else { return losses.truncated += 1 }
        guard let delegate else { return early.append(datagram) }
        delegate.datagramSocket(self, didReceive: datagram.bytes.span, from: datagram.from)
    }

    func send(_ bytes: [UInt8], to peer: SocketAddress) -> Bool {
        guard !isClosed else { return false }
        guard bytes.count <= MemoryNetwork.longestDatagram else {
            losses.unsendable += 1
            return false
        }
        network.carry(SentDatagram(bytes: bytes, from: localAddress, to: peer), fromHost: host)
        return true
    }

    func close() {
        isClosed = true
        delegate = nil
        network.close(self)
    }
}
