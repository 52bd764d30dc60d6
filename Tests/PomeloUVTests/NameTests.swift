// SPDX-License-Identifier: MIT
import CLibuv
import Dispatch
import PomeloLoop
import PomeloTesting
import PomeloUV
import Testing

/// One after the other: they stall libuv's worker threads.
@Suite(.serialized) struct NameTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let host: String
        let expected: String
    }

    static let cases = [
        Case(testDescription: "IPv4 address", host: "10.1.2.3", expected: "10.1.2.3"),
        Case(testDescription: "IPv6 address", host: "fe80::1", expected: "fe80::1"),
        Case(testDescription: "name in the map", host: "backend", expected: "10.9.8.7"),
        Case(testDescription: "name mapped to a name", host: "alias", expected: "127.0.0.1"),
        Case(testDescription: "name mapped to several", host: "both", expected: "127.0.0.1"),
        Case(testDescription: "the system's name", host: "localhost", expected: "127.0.0.1"),
    ]

    @Test(arguments: cases) @Loop func resolves(test: Case) async throws {
        let resolver = Resolver()
        resolver.deadline = .seconds(20)
        resolver.hosts = ["backend": "10.9.8.7", "alias": "localhost", "both": "127.0.0.1 ::1"]
        let found = try await resolver.resolve(SocketAddress(host: test.host, port: 42))
        #expect(found == SocketAddress(host: test.expected, port: 42))
    }

    /// Whether this machine has the address ::1.
    @Loop private static func hasIPv6() async -> Bool {
        do throws(NetworkError) {
            try await UVNetwork().listen(on: SocketAddress(host: "::1", port: 0)) { $0.close() }.close()
            return true
        } catch {
            return false
        }
    }

    @Test(.enabled("this machine has no ::1", { await hasIPv6() })) @Loop
    func theNextAddressIsTriedWhenOneRefuses() async throws {
        let network = UVNetwork()
        network.resolver.hosts = ["both": "127.0.0.1 ::1", "six": "::1"]
        // Held, so that nobody else listens where the connection is to be refused.
        let port = try await TestPorts.next()
        let refusing = try RawSocket.refusing(at: port)
        defer { refusing.close() }
        let listener = try await network.listen(on: SocketAddress(host: "six", port: port)) { $0.close() }
        #expect(listener.localAddress.host == "::1")
        for name in ["both", "six", "::1"] {
            let stream = try await network.connect(to: SocketAddress(host: name, port: port), within: .seconds(20))
            #expect(stream.remoteAddress == SocketAddress(host: "::1", port: port))
            stream.close()
        }
        listener.close()
        let refused = await failure { () throws(NetworkError) in
            try await network.connect(to: SocketAddress(host: "both", port: port), within: .seconds(20))
        }
        #expect(refused?.code == "ECONNREFUSED")
    }

    @Test @Loop func anUnknownNameIsAnErrorThatNamesIt() async {
        let error = await failure { () throws(NetworkError) in
            try await Resolver().resolve(SocketAddress(host: "unknown.invalid", port: 1))
        }
        #expect(error?.description.contains("unknown.invalid") == true, "\(String(describing: error))")
        #expect(error.map { $0.code.hasPrefix("EAI_") || $0.code == "ETIMEDOUT" } == true)
    }

    @Test @Loop func aResolverThatHangsTimesOut() async throws {
        try await withStalledResolver {
            let resolver = Resolver()
            resolver.deadline = .milliseconds(10)
            let error = await failure { () throws(NetworkError) in
                try await resolver.resolve(SocketAddress(host: "localhost", port: 1))
            }
            #expect(error?.code == "ETIMEDOUT")
            #expect(error?.description.contains("localhost") == true)
        }
    }

    @Test @Loop func theLastGoodAnswerOutlivesTheResolver() async throws {
        let resolver = Resolver()
        resolver.deadline = .seconds(20)
        let known = try await resolver.resolve(SocketAddress(host: "localhost", port: 1))
        try await withStalledResolver {
            resolver.deadline = .milliseconds(10)
            let again = try await resolver.resolve(SocketAddress(host: "localhost", port: 2))
            #expect(again == SocketAddress(host: known.host, port: 2))
        }
    }

    /// A connection to a name that is known need not wait for the resolver.
    @Test @Loop func aKnownNameIsReachedWhileTheResolverHangs() async throws {
        let network = UVNetwork()
        network.resolver.deadline = .seconds(20)
        let listener = try await network.listen(on: SocketAddress(host: "localhost", port: 0)) { $0.close() }
        let address = SocketAddress(host: "localhost", port: listener.localAddress.port)
        try await network.connect(to: address, within: .seconds(20)).close()
        try await withStalledResolver {
            let start = SystemClock.shared.now
            try await network.connect(to: address, within: .seconds(20)).close()
            #expect(SystemClock.shared.now - start < 10_000_000_000)
        }
        listener.close()
    }

    /// The shorter of the caller's deadline and the resolver's own must win.
    @Test @Loop func theDeadlineOfAConnectIncludesTheName() async throws {
        try await withStalledResolver {
            let network = UVNetwork()
            network.resolver.deadline = .seconds(30)
            let start = SystemClock.shared.now
            let error = await failure { () throws(NetworkError) in
                try await network.connect(
                    to: SocketAddress(host: "localhost", port: 1), within: .milliseconds(10))
            }
            #expect(error?.code == "ETIMEDOUT")
            #expect(SystemClock.shared.now - start < 20_000_000_000)
        }
    }
}

/// On a worker thread.
private func waitAtGate(_ request: UnsafeMutablePointer<uv_work_t>?) {
    guard let data = unsafe request?.pointee.data else { return }
    unsafe Unmanaged<DispatchSemaphore>.fromOpaque(data).takeUnretainedValue().wait()
}

/// Runs `body` while all of libuv's worker threads wait, so that no name resolves.
@Loop private func withStalledResolver(_ body: @Loop () async throws -> Void) async throws {
    let driver = try #require(EventLoop.shared.uv)
    let workers = 4
    let gate = DispatchSemaphore(value: 0)
    for _ in 0..<workers {
        let request = UnsafeMutablePointer<uv_work_t>.allocate(capacity: 1)
        unsafe request.pointee.data = Unmanaged.passRetained(gate).toOpaque()
        unsafe uv_queue_work(
            driver.loop, request, waitAtGate,
            { request, _ in
                guard let request = unsafe request, let data = unsafe request.pointee.data else { return }
                unsafe Unmanaged<DispatchSemaphore>.fromOpaque(data).release()
                unsafe request.deallocate()
            })
    }
    defer { for _ in 0..<workers { gate.signal() } }
    try await body()
}
