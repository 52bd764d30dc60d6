// SPDX-License-Identifier: MIT
import CLibuv
public import PomeloLoop

/// The kernel's TCP.
@Loop public final class UVNetwork: Network {
    /// Answers for the names given to `listen` and `connect`.
    public let resolver = Resolver()

    /// A network with a resolver of its own.
    public init() {}

    /// Resolves the name, binds and listens.
    ///
    /// - Throws: `NetworkError` naming the host or address; `ENOSYS` under the manual driver.
    public func listen(
        on address: SocketAddress, accept: @escaping @Loop (any ByteStream) -> Void
    ) async throws(NetworkError) -> any StreamListener {
        let numeric = try await resolver.resolve(address)
        return try TCPListener(driver: requireDriver(), numeric, accept: accept)
    }

    /// Resolves the name and connects, all within the deadline; several addresses are tried in their order, each for
    /// its share of the time that is left.
    ///
    /// - Throws: `NetworkError` naming the host or address: `ETIMEDOUT` at the deadline,
    ///   `ENOSYS` under the manual driver.
    public func connect(
        to address: SocketAddress, within deadline: Duration
    ) async throws(NetworkError) -> any ByteStream {
        let clock = SystemClock.shared
        let limit = clock.deadline(after: deadline)
        let addresses = try await resolver.addresses(of: address, within: deadline)
        var failure = NetworkError(status: UV_EADDRNOTAVAIL.rawValue, "cannot connect to \(address)")
        for (index, numeric) in addresses.enumerated() {
            let left = Int64(clamping: limit - min(limit, clock.now))
            let stream = try TCPStream(driver: requireDriver())
            let share = Duration.nanoseconds(left / Int64(addresses.count - index))
            switch await Dial(stream, to: numeric).run(within: share) {
            case .success: return stream
            case .failure(let error): failure = error
            }
        }
        throw failure
    }
}

/// One connection attempt; ends once, by success, error or deadline.
@safe @Loop private final class Dial {
    private let stream: TCPStream
    private let address: SocketAddress
    private var continuation: CheckedContinuation<Result<Void, NetworkError>, Never>?
    private var timer: TimerID?

    init(_ stream: TCPStream, to address: SocketAddress) {
        self.stream = stream
        self.address = address
    }

    func run(within deadline: Duration) async -> Result<Void, NetworkError> {
        await withCheckedContinuation { continuation in
            self.continuation = continuation
            timer = SystemClock.shared.schedule(after: deadline) { self.ended(UV_ETIMEDOUT.rawValue) }
            start()
        }
    }

    private func start() {
        let request = UnsafeMutablePointer<uv_connect_t>.allocate(capacity: 1)
        unsafe request.pointee.data = Unmanaged.passRetained(self).toOpaque()
        let status = unsafe withKernelAddress(address) { kernel in
            unsafe uv_tcp_connect(request, stream.handle, kernel) { request, status in
                guard let request = unsafe request, let data = unsafe request.pointee.data else { return }
                let dial = unsafe Unmanaged<Dial>.fromOpaque(data).takeRetainedValue()
                unsafe request.deallocate()
                Loop.fromCallback { dial.ended(status) }
            }
        }
        if status < 0 {
            unsafe Unmanaged.passUnretained(self).release()
            unsafe request.deallocate()
            ended(status)
        }
    }

    private func ended(_ status: Int32) {
        if let timer { SystemClock.shared.cancel(timer) }
        guard let waiting = continuation else { return }
        continuation = nil
        if status == 0 {
            stream.opened()
            waiting.resume(returning: .success(()))
        } else {
            stream.close()
            waiting.resume(returning: .failure(NetworkError(status: status, "cannot connect to \(address)")))
        }
    }
}

/// Calls `body` with the kernel's form of a numeric address; `UV_EINVAL` when it is not one.
func withKernelAddress(
    _ address: SocketAddress, _ body: (UnsafePointer<sockaddr>) -> Int32
) -> Int32 {
    var v4 = sockaddr_in()
    if unsafe uv_ip4_addr(address.host, Int32(address.port), &v4) == 0 {
        return unsafe withUnsafePointer(to: &v4) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0) }
        }
    }
    var v6 = sockaddr_in6()
    let status = unsafe uv_ip6_addr(address.host, Int32(address.port), &v6)
    if status < 0 { return status }
    return unsafe withUnsafePointer(to: &v6) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0) }
    }
}
