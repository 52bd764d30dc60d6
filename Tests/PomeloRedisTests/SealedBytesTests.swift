// SPDX-License-Identifier: MIT
#if TLS
    import Glibc
    import PomeloLoop
    import PomeloTLS
    import TestHelpers
    import Testing

    @testable import PomeloRedis

    /// What waits for a socket that takes less than there is, for as long as it lives.
    @Loop @Suite struct SealedBytesTests {
        @Test func whatIsWrittenIsNotKept() async throws {
            let client = try await Self.open()
            let sealed = SealedBytes(client)
            var ends: [Int32] = [0, 0]
            #expect(unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0, &ends) == 0)
            let command = [UInt8](repeating: 7, count: 100_000)
            var buffer = [UInt8](repeating: 0, count: 100_000)
            for _ in 0..<20 { _ = unsafe command.withUnsafeBufferPointer { unsafe sealed.add($0) } }
            for _ in 0..<200 {
                _ = unsafe command.withUnsafeBufferPointer { unsafe sealed.add($0) }
                #expect(sealed.write(to: ends[0]) == nil && !sealed.isEmpty)
                // Somewhat less than a record has around its text.
                var room = 101_000
                while room > 0 {
                    let count = unsafe recv(ends[1], &buffer, min(room, buffer.count), 0)
                    if count <= 0 { break }
                    room -= count
                    _ = sealed.write(to: ends[0])
                }
            }
            #expect(sealed.kept < 8_000_000, "\(sealed.kept)")
            for end in ends { close(end) }
        }

        /// A client's end, behind the handshake.
        private static func open() async throws -> TLSEngine {
            let authority = try await TestAuthority.make()
            let server = try TLSEngine(try TLSContext(server: try await authority.issue()), .server)
            let client = try TLSClient(authority.clientOptions).engine(to: "localhost")
            for _ in 0..<4 {
                _ = try server.take(client.takeOutput().span) { _ in true }
                _ = try client.take(server.takeOutput().span) { _ in true }
            }
            #expect(client.isOpen)
            return client
        }
    }
#endif
