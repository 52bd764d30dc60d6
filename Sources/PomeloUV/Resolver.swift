// SPDX-License-Identifier: MIT
import CLibuv
import Glibc
public import PomeloLoop

/// Names to addresses: a map of fixed answers, then the system's resolver, with a deadline and the last good answer.
///
/// A name that resolved once keeps working while the resolver is away.
@Loop public final class Resolver {
    /// Answers given without asking the system, as a hosts file would.
    public var hosts: [String: String] = [:]
    /// How long the system may take.
    public var deadline = Duration.seconds(2)
    private var lastGood: [String: SocketAddress] = [:]

    /// A resolver that knows nothing yet.
    public init() {}

    /// The numeric address of `address.host`, with its port.
    ///
    /// - Throws: `NetworkError` naming the host; `ETIMEDOUT` after `limit` or the resolver's own deadline.
    public func resolve(
        _ address: SocketAddress, within limit: Duration? = nil
    ) async throws(NetworkError) -> SocketAddress {
        let name = hosts[address.host] ?? address.host
        if isNumeric(name) { return SocketAddress(host: name, port: address.port) }
        do {
            let found = try await lookUp(name, within: min(deadline, limit ?? deadline))
            lastGood[name] = found
            return SocketAddress(host: found.host, port: address.port)
        } catch {
            if let known = lastGood[name] { return SocketAddress(host: known.host, port: address.port) }
            throw error
        }
    }

    private func isNumeric(_ host: String) -> Bool {
        var v4 = sockaddr_in()
        var v6 = sockaddr_in6()
        return unsafe uv_ip4_addr(host, 0, &v4) == 0 || uv_ip6_addr(host, 0, &v6) == 0
    }

    private func lookUp(_ name: String, within limit: Duration) async throws(NetworkError) -> SocketAddress {
        let query = Query(name: name)
        let driver = try requireDriver()
        return try await query.run(driver, within: limit).get()
    }
}

/// One `uv_getaddrinfo` request; ends once, by its answer or by its deadline.
@safe @Loop private final class Query {
    private let name: String
    private var continuation: CheckedContinuation<Result<SocketAddress, NetworkError>, Never>?
    private var timer: TimerID?

    init(name: String) { self.name = name }

    func run(_ driver: UVDriver, within deadline: Duration) async -> Result<SocketAddress, NetworkError> {
        await withCheckedContinuation { continuation in
            self.continuation = continuation
            let request = UnsafeMutablePointer<uv_getaddrinfo_t>.allocate(capacity: 1)
            unsafe request.pointee.data = Unmanaged.passRetained(self).toOpaque()
            var hints = unsafe addrinfo()
            unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
            unsafe hints.ai_family = AF_INET
            let status = unsafe uv_getaddrinfo(
                driver.loop, request,
                { request, status, answer in
                    guard let request = unsafe request, let data = unsafe request.pointee.data else { return }
                    let query = unsafe Unmanaged<Query>.fromOpaque(data).takeRetainedValue()
                    var found: SocketAddress?
                    if let answer = unsafe answer, let address = unsafe answer.pointee.ai_addr {
                        found = unsafe SocketAddress(address)
                    }
                    unsafe uv_freeaddrinfo(answer)
                    unsafe request.deallocate()
                    Loop.fromCallback { query.answered(status, found) }
                }, name, nil, &hints)
            if status < 0 {
                unsafe Unmanaged.passUnretained(self).release()
                unsafe request.deallocate()
                return answered(status, nil)
            }
            timer = SystemClock.shared.schedule(after: deadline) { [weak self] in
                self?.answered(UV_ETIMEDOUT.rawValue, nil)
            }
        }
    }

    private func answered(_ status: Int32, _ address: SocketAddress?) {
        if let timer { SystemClock.shared.cancel(timer) }
        let waiting = continuation
        continuation = nil
        if let address, status == 0 {
            waiting?.resume(returning: .success(address))
        } else {
            waiting?.resume(returning: .failure(NetworkError(status: status, "cannot resolve \(name)")))
        }
    }
}
