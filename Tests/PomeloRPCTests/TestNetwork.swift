// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloLoop
import PomeloWire

/// A network in memory whose faults are counted in frames.
@Loop final class TestNetwork: Network {
    /// What happens to a frame on its way.
    enum Fate { case pass, cutBefore, cutAfter }

    /// Asked for every frame, numbered from 0 over the whole network, in the order of sending.
    var fate: (Int, RPCFrame) -> Fate = { _, _ in .pass }
    /// Ports whose process is frozen: the kernel accepts and takes bytes, nobody reads.
    var frozen: Set<Int> = [] {
        didSet { for stream in streams { stream.pump() } }
    }
    /// Connections come to stand only when this is over.
    var holdsDials = false
    private(set) var frames = 0
    private(set) var dials = 0
    private var listeners: [Int: @Loop (any ByteStream) -> Void] = [:]
    fileprivate var streams: [TestStream] = []
    private var nextPort = 40_000

    /// Connections that are open now, each counted once.
    var connections: Int { streams.count(where: { $0.isOpen && $0.side == .dialled }) }

    func listen(
        on address: SocketAddress, accept: @escaping @Loop (any ByteStream) -> Void
    ) async throws(NetworkError) -> any StreamListener {
        nextPort += 1
        let port = address.port == 0 ? nextPort : address.port
        if listeners[port] != nil {
            throw NetworkError(code: "EADDRINUSE", description: "port \(port) is in use")
        }
        let place = SocketAddress(host: address.host, port: port)
        let listener = TestListener(localAddress: place, accept) { [weak self] in self?.listeners[port] = nil }
        listeners[port] = { listener.arrived($0) }
        return listener
    }

    func connect(
        to address: SocketAddress, within deadline: Duration
    ) async throws(NetworkError) -> any ByteStream {
        dials += 1
        await nextTurn()
        while holdsDials { await nextTurn() }
        guard let accept = listeners[address.port] else {
            throw NetworkError(code: "ECONNREFUSED", description: "cannot connect to \(address)")
        }
        let near = TestStream(self, .dialled, port: address.port)
        let far = TestStream(self, .accepted, port: address.port)
        near.other = far
        far.other = near
        streams += [near, far]
        accept(far)
        return near
    }

    /// Resets every connection.
    func cutAll() { for stream in streams { stream.reset() } }

    fileprivate func admit(_ frame: RPCFrame) -> Fate {
        defer { frames += 1 }
        return fate(frames, frame)
    }
}

@Loop private final class TestListener: StreamListener {
    let localAddress: SocketAddress
    let acceptErrors = 0
    var onAcceptError: (@Loop (NetworkError) -> Void)?
    private let accept: @Loop (any ByteStream) -> Void
    private let onClose: @Loop () -> Void
    private var backlog: [any ByteStream] = []
    private var paused = false

    init(
        localAddress: SocketAddress, _ accept: @escaping @Loop (any ByteStream) -> Void,
        onClose: @escaping @Loop () -> Void
    ) {
        self.localAddress = localAddress
        self.accept = accept
        self.onClose = onClose
    }

    func arrived(_ stream: any ByteStream) {
        if paused { backlog.append(stream) } else { accept(stream) }
    }

    func pauseAccepting() { paused = true }

    func resumeAccepting() {
        paused = false
        while !paused, !backlog.isEmpty { accept(backlog.removeFirst()) }
    }

    func close() {
        for stream in backlog { stream.close() }
        onClose()
    }
}

/// One end of a connection in memory.
@Loop final class TestStream: ByteStream, Flushable {
    enum Side { case dialled, accepted }

    let side: Side
    let remoteAddress: SocketAddress
    let localAddress = SocketAddress(host: "127.0.0.1", port: 1)
    fileprivate var other: TestStream?
    private let port: Int
    private unowned let network: TestNetwork
    private var outbox: Bytes = []
    private var inbox: Bytes = []
    private var decoder = RPCDecoder(maxFrameBytes: 1 << 30)
    private var isDirty = false
    private var isPaused = false
    private var sentEnd = false
    private var receivedEnd = false
    private(set) var isOpen = true

    var delegate: (any ByteStreamDelegate)? {
        didSet { pump() }
    }

    fileprivate init(_ network: TestNetwork, _ side: Side, port: Int) {
        self.network = network
        self.side = side
        self.port = port
        remoteAddress = SocketAddress(host: "127.0.0.1", port: port)
    }

    var queuedBytes: Int { outbox.count }

    func write(_ bytes: [UInt8]) {
        guard isOpen, !sentEnd else { return }
        outbox += bytes
        markDirty()
    }

    private func markDirty() {
        guard !isDirty else { return }
        isDirty = true
        EventLoop.shared.flushList.append(self)
    }

    func flushTurn() {
        isDirty = false
        guard isOpen else { return }
        let bytes = outbox
        outbox = []
        let (passed, isCut) = judge(bytes)
        other?.arrive(passed, end: sentEnd && !isCut)
        if isCut { return reset() }
        if sentEnd { return finish(.closed) }
        Loop.spawn { self.delegate?.streamDidDrain(self) }
    }

    /// Everything passes, or everything up to a cut; bytes that are no frames always pass.
    private func judge(_ bytes: Bytes) -> (Bytes, isCut: Bool) {
        var passed: Bytes = []
        var isCut = false
        do throws(WireError) {
            try decoder.decode(bytes.span) { frame, _ in
                let fate = network.admit(frame)
                if fate != .cutBefore, let whole = encoded(frame) { passed += whole }
                isCut = fate != .pass
                return !isCut
            }
        } catch { return (bytes, false) }
        return isCut ? (passed, true) : (bytes, false)
    }

    private func encoded(_ frame: RPCFrame) -> Bytes? {
        do { return try frame.encoded() } catch { return nil }
    }

    private func arrive(_ bytes: Bytes, end: Bool) {
        inbox += bytes
        if end { receivedEnd = true }
        pump()
    }

    fileprivate func pump() { Loop.spawn { self.deliver() } }

    private func deliver() {
        guard isOpen, !isPaused, let delegate, !(side == .accepted && network.frozen.contains(port)) else {
            return
        }
        let bytes = inbox
        inbox = []
        if !bytes.isEmpty, !sentEnd { delegate.stream(self, didRead: bytes.span) }
        if receivedEnd { finish(.peerClosed) }
    }

    func pauseReading() { isPaused = true }

    func resumeReading() {
        isPaused = false
        pump()
    }

    func closeAfterFlush(within deadline: Duration) {
        guard isOpen, !sentEnd else { return }
        sentEnd = true
        markDirty()
    }

    func close() {
        guard isOpen else { return }
        other?.arrive([], end: true)
        finish(.closed)
    }

    fileprivate func reset() {
        other?.finish(.failed("ECONNRESET"))
        finish(.failed("ECONNRESET"))
    }

    private func finish(_ reason: StreamEnd) {
        guard isOpen else { return }
        isOpen = false
        network.streams.removeAll { $0 === self }
        Loop.spawn {
            let last = self.delegate
            self.delegate = nil
            self.other = nil
            last?.stream(self, didEnd: reason)
        }
    }
}

/// Resumes its waiter when the turn is flushed.
@Loop private final class TurnEnd: Flushable {
    private var waiter: CheckedContinuation<Void, Never>?

    init(_ waiter: CheckedContinuation<Void, Never>) { self.waiter = waiter }

    func flushTurn() {
        waiter?.resume()
        waiter = nil
    }
}

/// Suspends until what was written in this turn has left.
@Loop func nextTurn() async {
    await withCheckedContinuation { EventLoop.shared.flushList.append(TurnEnd($0)) }
}

/// Lets everything in memory run to rest.
@Loop func settle() async {
    for _ in 0..<24 { await nextTurn() }
}

/// Waits in turns until a condition holds; false after a minute.
@Loop func eventually(_ condition: @Loop () -> Bool) async -> Bool {
    let limit = SystemClock.shared.deadline(after: .seconds(60))
    while !condition() {
        if SystemClock.shared.now > limit { return false }
        await nextTurn()
    }
    return true
}
