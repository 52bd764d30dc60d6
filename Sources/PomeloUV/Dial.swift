// SPDX-License-Identifier: MIT
import CLibuv
import PomeloLibc
public import PomeloLoop

/// A connected socket of the kernel, non-blocking and without Nagle's delay; whoever has it closes it.
public struct ConnectedSocket: Sendable {
    /// The file descriptor.
    public let descriptor: Int32
    /// Which of the name's addresses answered.
    public let address: SocketAddress
}

/// One connection to a name that may have several addresses, or to the absolute path of a Unix-domain socket.
///
/// The address that was good last is tried at once, while the name is resolved anew behind it. The next one is tried
/// when one has failed, or has been silent for 250 ms; the first to answer wins, and the others are closed. So an
/// address that swallows everything costs a quarter of a second, not the whole deadline.
///
/// - Guarantee: `run` ends once: by a connection, by an error, at its deadline, or by `cancel`; a socket that is not
///   returned is closed then.
/// - Source: RFC 8305, section 5: the Connection Attempt Delay, 250 ms recommended.
@Loop public final class Dial {
    private static let attemptDelay = Duration.milliseconds(250)

    private let resolver: Resolver
    private let address: SocketAddress
    private let clock = SystemClock.shared
    private var waiting: [SocketAddress] = []
    private var seen: Set<SocketAddress> = []
    private var attempts: [Attempt] = []
    private var isResolving = false
    private var failure: NetworkError?
    private var step = Dial.attemptDelay
    private var next: TimerID?
    private var limit: TimerID?
    private let outcome = FirstOutcome<Result<ConnectedSocket, NetworkError>>()

    /// Prepares a connection; `run` makes it.
    public init(_ resolver: Resolver, to address: SocketAddress) {
        self.resolver = resolver
        self.address = address
    }

    /// Connects; called once.
    ///
    /// - Throws: `NetworkError` naming the address: `ETIMEDOUT` at the deadline, `ECANCELED` after `cancel`, else the
    ///   last failure.
    public func run(within deadline: Duration) async throws(NetworkError) -> ConnectedSocket {
        if outcome.isOpen { begin(within: deadline) }
        return try await outcome.wait().get()
    }

    private func begin(within deadline: Duration) {
        limit = clock.schedule(after: deadline) { [weak self] in self?.timedOut() }
        let (known, isComplete) = address.isPath ? ([address], true) : resolver.candidates(for: address)
        if !isComplete { resolve(within: deadline) }
        // A short deadline is shared by what there is to try.
        step = min(Self.attemptDelay, deadline / (known.count + 1))
        found(known)
    }

    /// Ends it, from anywhere and at any time.
    public func cancel() {
        end(.failure(NetworkError(status: UV_ECANCELED.rawValue, "cannot connect to \(address)")))
    }

    // MARK: addresses

    private func resolve(within deadline: Duration) {
        isResolving = true
        Loop.spawn { [self] in
            var found: [SocketAddress] = []
            do throws(NetworkError) {
                found = try await resolver.addresses(of: address, within: deadline)
            } catch {
                failure = failure ?? error
            }
            isResolving = false
            self.found(found)
        }
    }

    private func found(_ addresses: [SocketAddress]) {
        guard outcome.isOpen else { return }
        waiting += addresses.filter { seen.insert($0).inserted }
        // Behind an attempt that is still young, its turn comes.
        if next == nil { advance() }
    }

    // MARK: attempts

    /// Tries the next address, if there is one, and ends when nothing is left to hope for.
    private func advance() {
        guard outcome.isOpen else { return }
        if let next { clock.cancel(next) }
        next = nil
        guard !waiting.isEmpty else {
            if attempts.isEmpty, !isResolving { end(.failure(failure ?? noAddress)) }
            return
        }
        let attempt = Attempt(waiting.removeFirst()) { [weak self] in self?.ended($0, $1) }
        attempts.append(attempt)
        next = clock.schedule(after: step) { [weak self] in self?.advance() }
        attempt.start()
    }

    private func ended(_ attempt: Attempt, _ status: Int32) {
        guard outcome.isOpen else { return }
        attempts.removeAll { $0 === attempt }
        if status == 0 { return end(.success(attempt.take())) }
        attempt.close()
        // Of several addresses of a name it matters which.
        let tried = attempt.address == address ? nil : "\(attempt.address)"
        failure = NetworkError(status: status, "cannot connect to \(attempt.address)", detail: tried)
        advance()
    }

    private var noAddress: NetworkError {
        NetworkError(status: UV_EADDRNOTAVAIL.rawValue, "cannot connect to \(address)")
    }

    private func timedOut() {
        let silent = attempts.map(\.address.description).joined(separator: ", ")
        let place = silent.isEmpty ? address.description : silent
        end(.failure(NetworkError(status: UV_ETIMEDOUT.rawValue, "cannot connect to \(place)")))
    }

    private func end(_ result: Result<ConnectedSocket, NetworkError>) {
        guard outcome.end(with: result) else { return }
        for timer in [next, limit] { if let timer { clock.cancel(timer) } }
        for attempt in attempts { attempt.close() }
        attempts = []
    }
}

/// One address being tried.
@safe @Loop private final class Attempt {
    let address: SocketAddress
    private var descriptor: Int32 = -1
    private var poll: DescriptorPoll?
    private let onEnd: @Loop (Attempt, _ status: Int32) -> Void

    init(_ address: SocketAddress, onEnd: @escaping @Loop (Attempt, _ status: Int32) -> Void) {
        self.address = address
        self.onEnd = onEnd
    }

    /// Begins; tells the end later, never from within.
    func start() {
        let status = connect()
        if status != 0 { Loop.spawn { self.onEnd(self, status) } }
    }

    /// 0 when it is under way, else libuv's status.
    private func connect() -> Int32 {
        var code: Int32 = 0
        func connect(_ kernel: UnsafePointer<sockaddr>, _ length: socklen_t) -> Int32 {
            descriptor = unsafe streamSocket(Int32(kernel.pointee.sa_family))
            guard descriptor >= 0 else { return -errno }
            code = unsafe PomeloLibc.connect(descriptor, kernel, length) == 0 ? 0 : errno
            return 0
        }
        let status =
            unsafe address.isPath ? withKernelPath(address.host, connect) : withKernelAddress(address, connect)
        guard status == 0 else { return status }
        guard [0, EINPROGRESS, EINTR].contains(code) else { return -code }
        do throws(NetworkError) {
            // Also for one that is connected already: it is writable at once, and told like all others.
            poll = try DescriptorPoll(descriptor: descriptor) { [weak self] _ in self?.isReady() }
            poll?.watch(.writable)
            return 0
        } catch {
            return UV_ENOMEM.rawValue
        }
    }

    private func isReady() {
        var code: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
        onEnd(self, -code)
    }

    /// Gives the socket away.
    func take() -> ConnectedSocket {
        poll?.close()
        var on: Int32 = 1
        if !address.isPath {
            unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        }
        defer { descriptor = -1 }
        return ConnectedSocket(descriptor: descriptor, address: address)
    }

    func close() {
        poll?.close()
        if descriptor >= 0 { PomeloLibc.close(descriptor) }
        descriptor = -1
    }
}
