// SPDX-License-Identifier: MIT
import CLibuv
import Glibc
public import PomeloLoop

/// Names to addresses: a map of fixed answers, then the system's resolver, with a deadline and the last good answer.
///
/// A name that resolved once keeps working while the resolver is away.
@Loop public final class Resolver {
    /// Answers given without asking the system, as a hosts file would; several for one name are separated by spaces.
    public var hosts: [String: String] = [:]
    /// How long the system may take.
    public var deadline = Duration.seconds(2)
    private var lastGood: [String: [String]] = [:]

    /// A resolver that knows nothing yet.
    public init() {}

    /// The first numeric address of `address.host`, with its port.
    ///
    /// - Throws: as `addresses`.
    public func resolve(
        _ address: SocketAddress, within limit: Duration? = nil
    ) async throws(NetworkError) -> SocketAddress {
        try await addresses(of: address, within: limit).first ?? address
    }

    /// All numeric addresses of `address.host`, at least one, in the order in which they should be tried: those of
    /// IPv4 first, so that a name that has both kinds is listened on and found at the same one.
    ///
    /// - Throws: `NetworkError` naming the host; `ETIMEDOUT` after `limit` or the resolver's own deadline.
    public func addresses(
        of address: SocketAddress, within limit: Duration? = nil
    ) async throws(NetworkError) -> [SocketAddress] {
        var found: [String] = []
        for name in hosts[address.host]?.split(separator: " ").map(String.init) ?? [address.host] {
            found += isNumeric(name) ? [name] : try await known(name, within: min(deadline, limit ?? deadline))
        }
        return found.map { SocketAddress(host: $0, port: address.port) }
    }

    private func known(_ name: String, within limit: Duration) async throws(NetworkError) -> [String] {
        do {
            let found = try await lookUp(name, within: limit)
            lastGood[name] = found
            return found
        } catch {
            if let known = lastGood[name] { return known }
            throw error
        }
    }

    private func isNumeric(_ host: String) -> Bool {
        var v4 = sockaddr_in()
        var v6 = sockaddr_in6()
        return unsafe uv_ip4_addr(host, 0, &v4) == 0 || uv_ip6_addr(host, 0, &v6) == 0
    }

    private func lookUp(_ name: String, within limit: Duration) async throws(NetworkError) -> [String] {
        let query = Query(name: name)
        let driver = try requireDriver()
        return try await query.run(driver, within: limit).get()
    }
}

/// One `uv_getaddrinfo` request; ends once, by its answer or by its deadline.
@safe @Loop private final class Query {
    private let name: String
    private var continuation: CheckedContinuation<Result<[String], NetworkError>, Never>?
    private var timer: TimerID?

    init(name: String) { self.name = name }

    func run(_ driver: UVDriver, within deadline: Duration) async -> Result<[String], NetworkError> {
        await withCheckedContinuation { continuation in
            self.continuation = continuation
            let request = UnsafeMutablePointer<uv_getaddrinfo_t>.allocate(capacity: 1)
            unsafe request.pointee.data = Unmanaged.passRetained(self).toOpaque()
            var hints = unsafe addrinfo()
            unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
            unsafe hints.ai_family = AF_UNSPEC
            let status = unsafe uv_getaddrinfo(
                driver.loop, request,
                { request, status, answer in
                    guard let request = unsafe request, let data = unsafe request.pointee.data else { return }
                    let query = unsafe Unmanaged<Query>.fromOpaque(data).takeRetainedValue()
                    let found = unsafe Query.hosts(in: answer)
                    unsafe uv_freeaddrinfo(answer)
                    unsafe request.deallocate()
                    Loop.fromCallback { query.answered(status, found) }
                }, name, nil, &hints)
            if status < 0 {
                unsafe Unmanaged.passUnretained(self).release()
                unsafe request.deallocate()
                return answered(status, [])
            }
            timer = SystemClock.shared.schedule(after: deadline) { [weak self] in
                self?.answered(UV_ETIMEDOUT.rawValue, [])
            }
        }
    }

    /// The addresses of an answer, those of IPv4 first.
    private nonisolated static func hosts(in answer: UnsafeMutablePointer<addrinfo>?) -> [String] {
        var (first, then): ([String], [String]) = ([], [])
        var next = unsafe answer
        while let entry = unsafe next {
            if let address = unsafe entry.pointee.ai_addr {
                let host = unsafe SocketAddress(address).host
                if unsafe entry.pointee.ai_family == AF_INET { first.append(host) } else { then.append(host) }
            }
            unsafe next = entry.pointee.ai_next
        }
        return first + then
    }

    private func answered(_ status: Int32, _ hosts: [String]) {
        if let timer { SystemClock.shared.cancel(timer) }
        let waiting = continuation
        continuation = nil
        if status == 0, !hosts.isEmpty {
            waiting?.resume(returning: .success(hosts))
        } else {
            waiting?.resume(returning: .failure(NetworkError(status: status, "cannot resolve \(name)")))
        }
    }
}
