// SPDX-License-Identifier: MIT
//
// PomeloUV: the kernel's sockets, names, signals and child processes on the loop.
// Reading order: TCPStream, WriteQueue, TCPListener, UnixSocket, UDPSocket, DatagramQueue, KernelAddress, UVNetwork,
// Dial, Descriptors, Resolver, SignalWatcher, ChildProcess, UVError.
import CLibuv
import PomeloLibc
public import PomeloLoop

/// A connection on the loop: of TCP, or of a Unix-domain socket, which libuv treats alike once it stands.
///
/// Writes of one turn are gathered and leave in one system call; what the kernel does not take is copied once and
/// handed to libuv, and nothing further is tried until that is gone.
@safe @Loop public final class TCPStream: ByteStream, Flushable {
    private enum Phase { case open, flushing, lingering, closing, closed }

    // SAFETY: written in init only; libuv has let go of it before deinit runs.
    nonisolated(unsafe) let handle: UnsafeMutablePointer<uv_tcp_t>
    /// The peer's address when the connection was made.
    public private(set) var remoteAddress = SocketAddress(host: "", port: 0)
    /// Bytes that the kernel has not taken; those handed to libuv count until they are gone.
    public var queuedBytes: Int { queued }
    /// Held strongly until the end; setting it begins to read, and what comes while there is none waits.
    public var delegate: (any ByteStreamDelegate)? {
        get { receiver }
        set {
            receiver = phase == .closed ? nil : newValue
            if receiver != nil { resumeReading() } else { pauseReading() }
        }
    }

    // What is read for every message is private and set as a whole, so that overlap need not be looked for. The order
    // keeps a stream within 120 bytes: the small ones lie in what the timer leaves of its words.
    private var receiver: (any ByteStreamDelegate)?
    private var pending = WriteQueue()
    private var queued = 0
    private var lingerTimer: TimerID?
    private var phase = Phase.open
    private var (reading, dirty, peerHasFinished) = (false, false, false)
    /// Bytes that libuv has been given and not written yet.
    private var inFlight: Int32 = 0
    /// Why it ended, as libuv says it: zero when this side closed it.
    private var end: Int32 = 0
    /// The time a peer that has finished is given to read what was queued for it.
    private static let lastBytes = Duration.seconds(1)

    init(driver: UVDriver) throws(NetworkError) {
        unsafe handle = try newTCPHandle(driver)
        unsafe handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
    }

    /// Takes over a connected socket; the descriptor is the caller's to close after a throw.
    convenience init(driver: UVDriver, descriptor: Int32) throws(NetworkError) {
        try self.init(driver: driver)
        let status = unsafe uv_tcp_open(handle, descriptor)
        if status < 0 {
            close()
            throw NetworkError(status: status, "cannot take over a socket")
        }
        opened()
    }

    /// Takes over a connection that was dialled.
    convenience init(driver: UVDriver, _ socket: ConnectedSocket) throws(NetworkError) {
        do throws(NetworkError) {
            try self.init(driver: driver, descriptor: socket.descriptor)
        } catch {
            PomeloLibc.close(socket.descriptor)
            throw error
        }
    }

    deinit { unsafe handle.deallocate() }

    /// Called once the connection stands.
    func opened() {
        setNoDelay(true)
        remoteAddress = unsafe addressOf(handle, uv_tcp_getpeername)
        // A client of a Unix-domain socket has no name of its own.
        if remoteAddress.host.isEmpty { remoteAddress = localAddress }
    }

    /// Sets `TCP_NODELAY`; nothing on a Unix-domain socket, which waits for nobody.
    public func setNoDelay(_ isOn: Bool) {
        guard phase == .open else { return }
        unsafe uv_tcp_nodelay(handle, isOn ? 1 : 0)
    }

    /// This side's address, asked of the kernel each time.
    public var localAddress: SocketAddress { unsafe addressOf(handle, uv_tcp_getsockname) }

    // MARK: reading

    /// Asks the kernel for the connection's state, in which a FIN shows before it is read; Linux only.
    public var peerHasHungUp: Bool {
        #if os(Linux)
            var descriptor: Int32 = -1
            let raw = unsafe UnsafeRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self)
            guard phase == .open, unsafe uv_fileno(raw, &descriptor) == 0 else { return phase != .open }
            // The first byte of `tcp_info` is the state.
            var state: UInt8 = 0
            var size: socklen_t = 1
            let status = unsafe getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_INFO, &state, &size)
            return status == 0 && state != UInt8(TCP_ESTABLISHED)
        #else
            return false
        #endif
    }

    /// Stops reading: the receive window fills and the peer waits.
    public func pauseReading() {
        guard reading, phase == .open else { return }
        reading = false
        _ = unsafe uv_read_stop(stream)
    }

    /// Reads on; what arrives goes through one buffer that all streams share.
    public func resumeReading() {
        guard !reading, phase == .open || phase == .lingering else { return }
        reading = true
        let status = unsafe uv_read_start(stream, giveReadBuffer, takeRead)
        if status < 0 { finish(status) }
    }

    fileprivate func didRead(_ count: Int, _ bytes: UnsafeRawBufferPointer) {
        if count > 0 {
            guard phase == .open, let receiver else { return }
            let typed = unsafe bytes.bindMemory(to: UInt8.self)
            receiver.stream(self, didRead: unsafe Span(_unsafeElements: typed))
        } else if count == Int(UV_EOF.rawValue) {
            peerFinished()
        } else if count < 0 {
            finish(phase == .open ? Int32(count) : 0)
        }
    }

    /// The peer sends nothing more, and may yet read: what is queued leaves first.
    private func peerFinished() {
        guard phase == .open, queued > 0 else { return finish(phase == .open ? UV_EOF.rawValue : 0) }
        peerHasFinished = true
        closeAfterFlush(within: Self.lastBytes)
    }

    // MARK: writing

    /// Queues bytes until the end of the turn; a stream that is not open drops them.
    public func write(_ bytes: [UInt8]) {
        guard phase == .open, !bytes.isEmpty else { return }
        pending.append(bytes)
        queued += bytes.count
        markDirty()
    }

    private func markDirty() {
        guard !dirty, inFlight == 0 else { return }
        dirty = true
        EventLoop.shared.flushList.append(self)
    }

    /// Offers the queue to the kernel; what it does not take goes to libuv.
    public func flushTurn() {
        dirty = false
        guard inFlight == 0, phase == .open || phase == .flushing else { return }
        switch offer() {
        case 0: drained()
        case UV_EAGAIN.rawValue: writeRest()
        case let error: finish(error)
        }
    }

    /// Offers the queue and changes nothing else: the end of the turn finds what is left, or the error once more.
    public func flushEarly() { if inFlight == 0, phase == .open { _ = offer() } }

    private func offer() -> Int32 {
        let (written, status) = unsafe pending.offer(to: stream)
        queued -= written
        return status
    }

    /// The socket is full: libuv keeps a copy of the next bytes and tells when they are gone.
    private func writeRest() {
        let next = unsafe pending.gather()
        let request = UnsafeMutablePointer<uv_write_t>.allocate(capacity: 1)
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: next.count, alignment: 1)
        unsafe copy.copyMemory(from: next)
        unsafe request.pointee.data = copy.baseAddress
        var buffer = unsafe UnsafeRawBufferPointer(copy).asBuffer()
        inFlight = Int32(next.count)
        let status = unsafe uv_write(request, stream, &buffer, 1) { request, status in
            guard let request = unsafe request, let stream = unsafe request.pointee.handle else { return }
            let target = unsafe TCPStream.from(stream.pointee.data)
            unsafe request.pointee.data.deallocate()
            unsafe request.deallocate()
            Loop.fromCallback { target?.didWrite(status) }
        }
        if status < 0 {
            unsafe copy.deallocate()
            unsafe request.deallocate()
            finish(status)
        }
    }

    private func didWrite(_ status: Int32) {
        let written = Int(inFlight)
        inFlight = 0
        guard phase == .open || phase == .flushing else { return }
        if status < 0 { return finish(status) }
        pending.consume(written)
        queued -= written
        flushTurn()
    }

    private func drained() {
        receiver?.streamDidDrain(self)
        guard phase == .flushing else { return }
        if peerHasFinished { finish(UV_EOF.rawValue) } else { linger() }
    }

    // MARK: closing

    /// Closes at once and drops what is queued; the delegate hears of it in a later turn.
    public func close() { finish(0) }

    /// Writes what is queued, sends FIN and waits for the peer's; closes at the deadline in any case.
    public func closeAfterFlush(within deadline: Duration) {
        guard phase == .open else { return }
        pauseReading()
        phase = .flushing
        lingerTimer = SystemClock.shared.schedule(after: deadline) { [weak self] in self?.finish(0) }
        if queued == 0 { linger() } else { markDirty() }
    }

    /// Sends FIN and discards input until the peer's FIN: closing with unread input would reset the connection and
    /// could destroy bytes still on their way to the peer.
    private func linger() {
        phase = .lingering
        let request = UnsafeMutablePointer<uv_shutdown_t>.allocate(capacity: 1)
        let status = unsafe uv_shutdown(request, stream) { request, _ in unsafe request?.deallocate() }
        if status < 0 {
            unsafe request.deallocate()
            return finish(0)
        }
        resumeReading()
    }

    private func finish(_ status: Int32) {
        guard phase != .closing, phase != .closed else { return }
        phase = .closing
        end = status
        if let lingerTimer { SystemClock.shared.cancel(lingerTimer) }
        pending = WriteQueue()
        queued = 0
        unsafe closeHandle(handle) { handle in
            guard let data = unsafe handle?.pointee.data else { return }
            let target = unsafe Unmanaged<TCPStream>.fromOpaque(data).takeRetainedValue()
            Loop.fromCallback { target.closed() }
        }
    }

    private func closed() {
        phase = .closed
        let last = receiver
        receiver = nil
        switch end {
        case 0: last?.stream(self, didEnd: .closed)
        case UV_EOF.rawValue: last?.stream(self, didEnd: .peerClosed)
        default: last?.stream(self, didEnd: .failed(NetworkError.name(end)))
        }
    }

    // MARK: C

    private var stream: UnsafeMutablePointer<uv_stream_t> {
        unsafe UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_stream_t.self)
    }

    nonisolated fileprivate static func from(_ data: UnsafeMutableRawPointer?) -> TCPStream? {
        guard let data = unsafe data else { return nil }
        return unsafe Unmanaged<TCPStream>.fromOpaque(data).takeUnretainedValue()
    }
}

/// A handle that libuv owns until its close callback.
@Loop func newTCPHandle(_ driver: UVDriver) throws(NetworkError) -> UnsafeMutablePointer<uv_tcp_t> {
    let handle = UnsafeMutablePointer<uv_tcp_t>.allocate(capacity: 1)
    let status = unsafe uv_tcp_init(driver.loop, handle)
    if status < 0 {
        unsafe handle.deallocate()
        throw NetworkError(status: status, "cannot make a socket")
    }
    return unsafe handle
}

/// What libuv has read for a stream.
private func takeRead(_ stream: UnsafeMutablePointer<uv_stream_t>?, _ count: Int, _ buffer: UnsafePointer<uv_buf_t>?) {
    guard let stream = unsafe stream, let buffer = unsafe buffer else { return }
    let target = unsafe TCPStream.from(stream.pointee.data)
    // SAFETY: the callback comes on the loop's thread, and the buffer is the stream's until it returns.
    nonisolated(unsafe) let bytes = unsafe UnsafeRawBufferPointer(start: buffer.pointee.base, count: max(0, count))
    Loop.fromCallback { unsafe target?.didRead(count, bytes) }
}
