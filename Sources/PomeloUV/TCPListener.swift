// SPDX-License-Identifier: MIT
import CLibuv
import PomeloLibc
import PomeloLoop

/// A listening socket, of TCP or of a Unix-domain path.
///
/// It accepts by itself: libuv's own loop takes connections until none waits, hides a want of descriptors by throwing
/// away whoever waits, and turns for ever when it cannot even do that.
@safe @Loop final class TCPListener: StreamListener {
    /// Connections the kernel holds for us between two turns.
    static let backlog: Int32 = 1024
    /// Connections accepted in one turn; those that are left wait for the next one like everybody else.
    static let acceptsPerTurn = 64
    /// How long nothing is accepted after an error, which would only come again at once.
    private static let patience = Duration.milliseconds(100)

    let localAddress: SocketAddress
    private(set) var acceptErrors = 0
    var onAcceptError: (@Loop (NetworkError) -> Void)?
    private let driver: UVDriver
    private let descriptor: Int32
    private let accept: @Loop (any ByteStream) -> Void
    /// Nil once closed.
    private var poll: DescriptorPoll?
    private var paused = false
    /// What may still be accepted in this turn, in which libuv may look at the socket more than once.
    private var share = 0
    private var shareTurn = 0
    private var retry: TimerID?
    /// What else is to be done when nobody listens any more.
    private let onClose: @Loop () -> Void

    convenience init(
        driver: UVDriver, _ address: SocketAddress, accept: @escaping @Loop (any ByteStream) -> Void
    ) throws(NetworkError) {
        let descriptor = try Self.listeningSocket(on: address)
        try self.init(driver: driver, listening: descriptor, accept: accept)
    }

    /// Takes over a socket that listens, and closes it, also after a throw.
    init(
        driver: UVDriver, listening descriptor: Int32, accept: @escaping @Loop (any ByteStream) -> Void,
        onClose: @escaping @Loop () -> Void = {}
    ) throws(NetworkError) {
        self.driver = driver
        self.accept = accept
        self.descriptor = descriptor
        self.onClose = onClose
        localAddress = Self.boundAddress(of: descriptor)
        do throws(NetworkError) {
            poll = try DescriptorPoll(descriptor: descriptor) { _ in self.acceptSome() }
        } catch {
            PomeloLibc.close(descriptor)
            throw error
        }
        watch()
    }

    func pauseAccepting() {
        paused = true
        watch()
    }

    func resumeAccepting() {
        paused = false
        watch()
    }

    func close() {
        guard let poll else { return }
        if let retry { SystemClock.shared.cancel(retry) }
        self.poll = nil
        poll.close()
        PomeloLibc.close(descriptor)
        onClose()
    }

    private func watch() { poll?.watch(paused || retry != nil ? [] : .readable) }

    // MARK: accepting

    private func acceptSome() {
        if shareTurn != EventLoop.shared.turns {
            shareTurn = EventLoop.shared.turns
            share = Self.acceptsPerTurn
        }
        while share > 0, poll != nil, !paused {
            share -= 1
            let client = PomeloLibc.accept(descriptor, nil, nil)
            if client >= 0 {
                _ = fcntl(client, F_SETFD, FD_CLOEXEC)
                adopt(client)
            } else if errno == EAGAIN {
                return
            } else if errno != ECONNABORTED, errno != EINTR {
                return failed(-errno)
            }
        }
    }

    private func adopt(_ client: Int32) {
        do throws(NetworkError) {
            let stream = try TCPStream(driver: driver, descriptor: client)
            accept(stream)
        } catch {
            PomeloLibc.close(client)
        }
    }

    /// Waits a moment: most errors are a want of descriptors or memory, and the connection is still there.
    private func failed(_ status: Int32) {
        acceptErrors += 1
        retry = SystemClock.shared.schedule(after: Self.patience) {
            self.retry = nil
            self.watch()
        }
        watch()
        onAcceptError?(NetworkError(status: status, "cannot accept a connection on \(localAddress)"))
    }

    // MARK: the socket

    private static func listeningSocket(on address: SocketAddress) throws(NetworkError) -> Int32 {
        var descriptor: Int32 = -1
        var status = unsafe withKernelAddress(address) { kernel, size in
            let family = unsafe Int32(kernel.pointee.sa_family)
            descriptor = streamSocket(family)
            guard descriptor >= 0 else { return -errno }
            set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
            // One socket for both families, whatever the system's default is.
            if family == AF_INET6 { set(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0) }
            return unsafe bind(descriptor, kernel, size) == 0 ? 0 : -errno
        }
        if status == 0, PomeloLibc.listen(descriptor, backlog) != 0 { status = -errno }
        guard status == 0 else {
            if descriptor >= 0 { PomeloLibc.close(descriptor) }
            let holder = status == -EADDRINUSE ? PortHolder.name(of: address.port) : nil
            throw NetworkError(status: status, "cannot listen on \(address)", holder.map { "held by \($0)" })
        }
        return descriptor
    }

    private static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        unsafe setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func boundAddress(of descriptor: Int32) -> SocketAddress {
        unsafe kernelAddress { address, length in
            var size = unsafe socklen_t(length.pointee)
            return unsafe getsockname(descriptor, address, &size)
        }
    }
}
