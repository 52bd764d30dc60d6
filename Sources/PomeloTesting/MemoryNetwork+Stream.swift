// SPDX-License-Identifier: MIT
import PomeloLoop

/// One end of a connection in memory; behaves as a socket of the kernel, coalescing and back-pressure
/// included.
@Loop final class MemoryStream: ByteStream, Flushable {
    private enum Phase { case open, flushing, lingering, ended }

    private enum Item {
        case bytes([UInt8])
        case end
        case reset(String)
    }

    let order: UInt64
    let host: String
    let peerHost: String
    let remoteAddress: SocketAddress
    let localAddress: SocketAddress
    private let network: MemoryNetwork
    private var peer: MemoryStream?
    private var phase = Phase.open

    // Outbound.
    private var queue: [UInt8] = []
    private var dirty = false
    private var lingerTimer: TimerID?

    // Inbound, with the instant each item arrives.
    private var inbound: [(due: UInt64, item: Item)] = []
    private var inboundBytes = 0
    private var reading = false
    private var pumping = false

    private var hasTold = false

    var delegate: (any ByteStreamDelegate)? {
        didSet {
            if hasTold { delegate = nil }
            if delegate != nil { resumeReading() }
        }
    }

    private init(
        _ network: MemoryNetwork, host: String, peerHost: String, local: SocketAddress, remote: SocketAddress
    ) {
        self.network = network
        self.host = host
        self.peerHost = peerHost
        localAddress = local
        remoteAddress = remote
        order = network.nextOrder()
    }

    /// Both ends of a new connection.
    static func pair(
        _ network: MemoryNetwork, from host: String, to listener: MemoryListener
    ) -> (MemoryStream, MemoryStream) {
        let server = listener.localAddress
        let client = SocketAddress(host: "127.0.0.1", port: 20_000 + Int(network.nextOrder() % 20_000))
        let near = MemoryStream(network, host: host, peerHost: listener.host, local: client, remote: server)
        let far = MemoryStream(network, host: listener.host, peerHost: host, local: server, remote: client)
        near.peer = far
        far.peer = near
        network.add(near)
        network.add(far)
        return (near, far)
    }

    // MARK: sending

    var queuedBytes: Int { queue.count }

    func write(_ bytes: [UInt8]) {
        guard phase == .open, !bytes.isEmpty else { return }
        queue += bytes
        markDirty()
    }

    private func markDirty() {
        guard !dirty else { return }
        dirty = true
        EventLoop.shared.flushList.append(self)
    }

    func flushTurn() {
        dirty = false
        guard phase == .open || phase == .flushing else { return }
        let room = max(0, network.window - (peer?.inboundBytes ?? 0))
        let count = min(room, queue.count)
        if count > 0 {
            peer?.arrive(.bytes(Array(queue[..<count])))
            queue.removeFirst(count)
        }
        guard queue.isEmpty else { return }
        delegate?.streamDidDrain(self)
        guard phase == .flushing else { return }
        phase = .lingering
        peer?.arrive(.end)
    }

    // MARK: receiving

    private func arrive(_ item: Item) {
        guard phase != .ended else { return }
        let link = MemoryNetwork.Link(from: peerHost, to: host)
        inbound.append((network.clock.now + network.delay(link), item))
        if case .bytes(let bytes) = item { inboundBytes += bytes.count }
        schedulePump()
    }

    func pauseReading() { reading = false }

    func resumeReading() {
        reading = true
        schedulePump()
    }

    func schedulePump() {
        guard !pumping, let next = inbound.first else { return }
        pumping = true
        let now = network.clock.now
        network.after(next.due - min(now, next.due)) { self.pump() }
    }

    private func pump() {
        pumping = false
        let link = MemoryNetwork.Link(from: peerHost, to: host)
        while phase != .ended, canRead, !network.isBlocked(link), let next = inbound.first {
            guard next.due <= network.clock.now else { return schedulePump() }
            take(next.item)
        }
    }

    /// A closing end reads on, and throws away what it reads.
    private var canRead: Bool { phase == .lingering || phase == .flushing || (reading && delegate != nil) }

    private func take(_ item: Item) {
        switch item {
        case .bytes(let bytes):
            let count = pieceLength(bytes.count)
            if count == bytes.count {
                inbound.removeFirst()
            } else {
                inbound[0].item = .bytes(Array(bytes[count...]))
            }
            inboundBytes -= count
            if phase == .open { delegate?.stream(self, didRead: bytes.span.extracting(0..<count)) }
            peer?.markDirty()
        case .end:
            inbound.removeFirst()
            finish(phase == .open ? .peerClosed : .closed)
        case .reset(let error):
            inbound.removeFirst()
            finish(phase == .open ? .failed(error) : .closed)
        }
    }

    private func pieceLength(_ count: Int) -> Int {
        guard let limit = network.maxChunk else { return count }
        return min(count, 1 + Int(network.random.next() % UInt64(max(1, limit))))
    }

    // MARK: ending

    func close() { finish(.closed) }

    func closeAfterFlush(within deadline: Duration) {
        guard phase == .open else { return }
        phase = .flushing
        lingerTimer = network.clock.schedule(after: deadline) { self.finish(.closed) }
        markDirty()
        schedulePump()
    }

    /// Ends with an error; the peer sees one too.
    func breakOff(_ error: String) {
        peer?.arrive(.reset(error))
        finish(.failed(error))
    }

    /// Ends without a word to its owner, as a killed process does.
    func vanish() {
        delegate = nil
        breakOff("ECONNRESET")
    }

    private func finish(_ reason: StreamEnd) {
        guard phase != .ended else { return }
        phase = .ended
        if let lingerTimer { network.clock.cancel(lingerTimer) }
        queue = []
        inbound = []
        inboundBytes = 0
        peer?.arrive(.end)
        peer = nil
        network.remove(self)
        Loop.spawn { self.tellEnd(reason) }
    }

    private func tellEnd(_ reason: StreamEnd) {
        hasTold = true
        let last = delegate
        delegate = nil
        last?.stream(self, didEnd: reason)
    }
}
