// SPDX-License-Identifier: MIT
import Glibc
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloUV
import TestHelpers
import Testing

@testable import PomeloConnectors

/// `setNoDelay`, as the kernel has it.
@Loop @Suite struct NoDelayTests {
    nonisolated static let makers: [(String, @Sendable (ClientLimits) -> PortConnector)] = [
        (
            "hybrid",
            { limits in
                var options = HybridOptions(heartbeat: nil)
                options.limits = limits
                return HybridConnector(options)
            }
        ),
        (
            "socket.io",
            { limits in
                var options = SocketIOOptions()
                options.limits = limits
                return SocketIOConnector(options)
            }
        ),
        (
            "mqtt",
            { limits in
                var options = MQTTOptions()
                options.limits = limits
                return MQTTConnector(options)
            }
        ),
        (
            "codec",
            { limits in
                var options = CodecConnector.Options()
                options.limits = limits
                return CodecConnector(
                    type: "lines", options, decode: .immediate { _, _ in nil }, encode: .immediate { _ in nil })
            }
        ),
    ]

    @Test(arguments: [nil, true, false] as [Bool?]) func itIsOnUnlessItIsTurnedOff(_ value: Bool?) async throws {
        for (name, make) in Self.makers {
            var keys: JSON = [:]
            if let value { keys = ["setNoDelay": .bool(value)] }
            var reader = try OptionReader(keys, file: "any.json")
            var limits = ClientLimits()
            try limits.read(&reader)
            try reader.finish()
            let connector = make(limits)
            try await connector.start(FakeHost(), suiteContext(UVNetwork()))
            let address = try #require(connector.localAddress)
            let client = try await UVNetwork().connect(to: address, within: .seconds(5))
            await until("it is accepted") { connector.statistics.accepted == 1 }
            let descriptor = try #require(Self.descriptor(from: address.port, to: client.localAddress.port))
            #expect(Self.noDelay(descriptor) == (value ?? true), "\(name)")
            client.close()
            await connector.stop()
        }
    }

    /// This process' end of a connection.
    private static func descriptor(from local: Int, to remote: Int) -> Int32? {
        (3..<4096).first { port(of: $0, isPeer: false) == local && port(of: $0, isPeer: true) == remote }
    }

    private static func port(of descriptor: Int32, isPeer: Bool) -> Int? {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { kernel in
                isPeer
                    ? unsafe getpeername(descriptor, kernel, &size) : unsafe getsockname(descriptor, kernel, &size)
            }
        }
        return status == 0 && address.sin_family == AF_INET ? Int(UInt16(bigEndian: address.sin_port)) : nil
    }

    private static func noDelay(_ descriptor: Int32) -> Bool {
        var value: Int32 = -1
        var size = socklen_t(MemoryLayout<Int32>.size)
        #expect(unsafe getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &value, &size) == 0)
        return value != 0
    }
}
