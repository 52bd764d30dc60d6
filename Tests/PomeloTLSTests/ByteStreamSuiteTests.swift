// SPDX-License-Identifier: MIT
import PomeloLoop
import PomeloTesting
import PomeloUV
import TestHelpers
import Testing

@testable import PomeloTLS

/// Every stream there is keeps the promises of one, whichever end is looked at.
@Loop @Suite struct ByteStreamSuiteTests {
    /// Both ends of a connection over a network; the first is the one that has connected.
    private func pair(_ network: any Network, from: (any Network)? = nil, path: String? = nil) async throws -> (
        any ByteStream, any ByteStream
    ) {
        let accepted = Journal<any ByteStream>()
        let listener =
            if let path {
                try await network.listen(atPath: path, permissions: 0o600) { accepted.note($0) }
            } else {
                try await network.listen(on: SocketAddress(host: "127.0.0.1", port: 0)) { accepted.note($0) }
            }
        let client =
            if let path {
                try await network.connect(toPath: path)
            } else {
                try await (from ?? network).connect(to: listener.localAddress, within: .seconds(20))
            }
        try await eventually("the connection is accepted") { !accepted.entries.isEmpty }
        listener.close()
        return (client, accepted.entries[0])
    }

    private func memory(maxChunk: Int? = nil) async throws -> (any ByteStream, any ByteStream) {
        let network = MemoryNetwork(clock: SystemClock.shared)
        network.maxChunk = maxChunk
        return try await pair(network.endpoint("127.0.0.1"), from: network.endpoint("client"))
    }

    @Test(arguments: ByteStreamSuite.Case.allCases, [false, true])
    func ofTheKernel(_ name: ByteStreamSuite.Case, _ isServer: Bool) async throws {
        try await ByteStreamSuite {
            let (client, server) = try await pair(UVNetwork())
            return isServer ? StreamPair(near: server, far: client) : StreamPair(near: client, far: server)
        }.run(name)
    }

    @Test(arguments: ByteStreamSuite.Case.allCases)
    func ofUnixDomainSockets(_ name: ByteStreamSuite.Case) async throws {
        let number = UInt32(truncatingIfNeeded: SystemClock.shared.now)
        try await ByteStreamSuite {
            let (client, server) = try await pair(UVNetwork(), path: "/tmp/pomelo-suite-\(number).sock")
            return StreamPair(near: server, far: client)
        }.run(name)
    }

    @Test(arguments: ByteStreamSuite.Case.allCases, [nil, 5000] as [Int?])
    func inMemory(_ name: ByteStreamSuite.Case, _ maxChunk: Int?) async throws {
        try await ByteStreamSuite {
            let (client, server) = try await memory(maxChunk: maxChunk)
            return StreamPair(near: client, far: server)
        }.run(name)
    }

    #if TLS
        /// What lies below an encrypted stream.
        enum Below: CaseIterable, Sendable { case kernel, memory, pieces }

        private func encrypted(_ below: Below, version: TLSVersion = .v1_2) async throws -> (TLSStream, TLSStream) {
            let authority = try await TestAuthority.make()
            let server = try TLSServer(try await authority.issue(), clock: SystemClock.shared)
            let client = try TLSClient(authority.clientOptions)
            let (near, far) =
                switch below {
                case .kernel: try await pair(UVNetwork())
                case .memory: try await memory()
                case .pieces: try await memory(maxChunk: 3000)
                }
            return (try client.connect(near, to: "localhost"), try server.accept(far))
        }

        @Test(arguments: ByteStreamSuite.Case.allCases, Below.allCases)
        func ofAnEncryptedServer(_ name: ByteStreamSuite.Case, _ below: Below) async throws {
            try await ByteStreamSuite {
                let (client, server) = try await encrypted(below)
                return StreamPair(near: server, far: client)
            }.run(name)
        }

        @Test(arguments: ByteStreamSuite.Case.allCases, Below.allCases)
        func ofAnEncryptedClient(_ name: ByteStreamSuite.Case, _ below: Below) async throws {
            try await ByteStreamSuite {
                let (client, server) = try await encrypted(below)
                return StreamPair(near: client, far: server)
            }.run(name)
        }
    #endif
}
