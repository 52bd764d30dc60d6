// SPDX-License-Identifier: MIT
import CLibuv
import PomeloLibc
import PomeloLoop

/// A socket of UDP on the loop.
///
/// A datagram is offered to the kernel at once; while one waits for room, the others wait behind it. Errors that come
/// back over the network, as when nobody listens where a datagram went, are counted and change nothing.
@safe @Loop final class UDPSocket: DatagramSocket {
    // SAFETY: written in init only; libuv has let go of it before deinit runs.
    private nonisolated(unsafe) let handle: UnsafeMutablePointer<uv_udp_t>
    let localAddress: SocketAddress
    /// Longer ones are cut by the kernel, which tells.
    fileprivate let maxBytes: Int
    private var queue: DatagramQueue
    private var counted = DatagramLosses()
    /// The size of the datagram that libuv sends when the kernel has room; nil when there is none.
    private var inFlight: Int?
    private var isClosed = false
    var delegate: (any DatagramSocketDelegate)? {
        didSet { if delegate != nil, oldValue == nil { receive() } }
    }

    init(driver: UVDriver, _ address: SocketAddress, _ options: DatagramOptions) throws(NetworkError) {
        unsafe handle = .allocate(capacity: 1)
        maxBytes = max(1, options.maxBytes)
        queue = DatagramQueue(options)
        let (wasMade, status) = unsafe Self.bind(handle, driver, address)
        localAddress = unsafe kernelAddress { [handle] in wasMade ? unsafe uv_udp_getsockname(handle, $0, $1) : -1 }
        if wasMade { unsafe handle.pointee.data = Unmanaged.passRetained(self).toOpaque() }
        guard status == 0 else {
            if wasMade { close() }
            throw NetworkError(status: status, "cannot bind \(address)")
        }
    }

    deinit { unsafe handle.deallocate() }

    private static func bind(
        _ handle: UnsafeMutablePointer<uv_udp_t>, _ driver: UVDriver, _ address: SocketAddress
    ) -> (wasMade: Bool, error: Int32) {
        var wasMade = false
        let error = unsafe withKernelAddress(address) { kernel, _ in
            let family = unsafe UInt32(kernel.pointee.sa_family)
            let status = unsafe uv_udp_init_ex(driver.loop, handle, family)
            guard status == 0 else { return status }
            wasMade = true
            // One socket for both families, whatever the system's default is.
            if family == UInt32(AF_INET6) { unsafe openForBoth(handle) }
            return unsafe uv_udp_bind(handle, kernel, 0)
        }
        return (wasMade, error)
    }

    private static func openForBoth(_ handle: UnsafeMutablePointer<uv_udp_t>) {
        var descriptor: Int32 = -1
        let raw = unsafe UnsafeRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self)
        guard unsafe uv_fileno(raw, &descriptor) == 0 else { return }
        var off: Int32 = 0
        let size = socklen_t(MemoryLayout<Int32>.size)
        _ = unsafe setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &off, size)
    }

    var queuedBytes: Int { queue.size + (inFlight ?? 0) }

    var losses: DatagramLosses {
        var losses = counted
        losses.overflowed = queue.dropped
        return losses
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        delegate = nil
        while queue.take() != nil {}
        unsafe closeHandle(handle)
    }

    // MARK: receiving

    private func receive() {
        guard !isClosed else { return }
        // A want of memory is the only way in which it fails.
        let status = unsafe uv_udp_recv_start(handle, giveDatagramBuffer, takeDatagram)
        if status < 0 { counted.receiveErrors += 1 }
    }

    fileprivate func failed() { counted.receiveErrors += 1 }

    fileprivate func didReceive(_ bytes: UnsafeRawBufferPointer, from peer: SocketAddress, isCut: Bool) {
        guard !isClosed else { return }
        if isCut { return counted.truncated += 1 }
        let typed = unsafe bytes.bindMemory(to: UInt8.self)
        delegate?.datagramSocket(self, didReceive: unsafe Span(_unsafeElements: typed), from: peer)
    }

    // MARK: sending

    func send(_ bytes: [UInt8], to peer: SocketAddress) -> Bool {
        guard !isClosed else { return false }
        if inFlight == nil, queue.isEmpty {
            let status = unsafe Self.trySend(bytes, to: peer, by: handle)
            if status >= 0 { return true }
            guard status == UV_EAGAIN.rawValue else {
                counted.unsendable += 1
                return false
            }
        }
        guard queue.put((bytes, peer)) else { return false }
        if inFlight == nil { sendNext() }
        return true
    }

    /// A closure that belongs to the loop is checked each time somebody else calls it; these belong to nobody.
    private nonisolated static func trySend(
        _ bytes: [UInt8], to peer: SocketAddress, by handle: UnsafeMutablePointer<uv_udp_t>
    ) -> Int32 {
        unsafe withKernelAddress(peer) { kernel, _ in
            unsafe bytes.withUnsafeBytes { bytes in
                var buffer = unsafe bytes.asBuffer()
                return unsafe uv_udp_try_send(handle, &buffer, 1, kernel)
            }
        }
    }

    /// Hands libuv a copy of the next datagram, to be sent when the kernel has room.
    private func sendNext() {
        while inFlight == nil, let (bytes, peer) = queue.take() {
            let request = UnsafeMutablePointer<uv_udp_send_t>.allocate(capacity: 1)
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 1)
            unsafe copy.copyBytes(from: bytes)
            unsafe request.pointee.data = copy.baseAddress
            var buffer = unsafe UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(copy)[..<bytes.count])
                .asBuffer()
            inFlight = bytes.count
            let status = unsafe withKernelAddress(peer) { kernel, _ in
                unsafe uv_udp_send(request, handle, &buffer, 1, kernel, datagramSent)
            }
            if status < 0 {
                unsafe copy.deallocate()
                unsafe request.deallocate()
                inFlight = nil
                counted.unsendable += 1
            }
        }
    }

    fileprivate func didSend(_ status: Int32) {
        inFlight = nil
        guard !isClosed else { return }
        if status < 0 { counted.unsendable += 1 }
        while let (bytes, peer) = queue.take() {
            let status = unsafe Self.trySend(bytes, to: peer, by: handle)
            if status == UV_EAGAIN.rawValue {
                queue.putBack((bytes, peer))
                return sendNext()
            }
            if status < 0 { counted.unsendable += 1 }
        }
        delegate?.datagramSocketDidDrain(self)
    }

    nonisolated fileprivate static func from(_ handle: UnsafeMutableRawPointer?) -> UDPSocket? {
        guard let data = unsafe handle else { return nil }
        return unsafe Unmanaged<UDPSocket>.fromOpaque(data).takeUnretainedValue()
    }
}

/// Gives libuv the loop's one read buffer, or so much of it as a datagram may take.
private func giveDatagramBuffer(
    _ handle: UnsafeMutablePointer<uv_handle_t>?, _ size: Int, _ buffer: UnsafeMutablePointer<uv_buf_t>?
) {
    unsafe giveReadBuffer(handle, size, buffer)
    guard let buffer = unsafe buffer, let socket = unsafe UDPSocket.from(handle?.pointee.data) else { return }
    unsafe buffer.pointee.len = min(buffer.pointee.len, socket.maxBytes)
}

/// What libuv has received for a socket.
private func takeDatagram(
    _ handle: UnsafeMutablePointer<uv_udp_t>?, _ count: Int, _ buffer: UnsafePointer<uv_buf_t>?,
    _ address: UnsafePointer<sockaddr>?, _ flags: UInt32
) {
    guard let socket = unsafe UDPSocket.from(handle?.pointee.data), let buffer = unsafe buffer else { return }
    if count < 0 { return Loop.fromCallback { socket.failed() } }
    // Without an address there is nothing more to read now.
    guard let address = unsafe address else { return }
    let peer = unsafe SocketAddress(address)
    let isCut = flags & UV_UDP_PARTIAL.rawValue != 0
    // SAFETY: the callback comes on the loop's thread, and the buffer is the socket's until it returns.
    nonisolated(unsafe) let bytes = unsafe UnsafeRawBufferPointer(start: buffer.pointee.base, count: count)
    Loop.fromCallback { unsafe socket.didReceive(bytes, from: peer, isCut: isCut) }
}

/// A datagram has left, or never will.
private func datagramSent(_ request: UnsafeMutablePointer<uv_udp_send_t>?, _ status: Int32) {
    guard let request = unsafe request else { return }
    let socket = unsafe UDPSocket.from(request.pointee.handle?.pointee.data)
    unsafe request.pointee.data.deallocate()
    unsafe request.deallocate()
    Loop.fromCallback { socket?.didSend(status) }
}
