// SPDX-License-Identifier: MIT
import Glibc
import PomeloLoop
import PomeloRedis
import PomeloUV

/// A listener that greets like Redis and then answers what the test says, whatever it is asked.
@Loop final class ScriptedServer {
    /// What a connection is answered to its handshake.
    var greeting = ScriptedServer.greeting(version: "7.0.15")
    /// What is answered to everything after it.
    var answer = "+OK\r\n"
    /// Whether nothing after the handshake is answered but by `say`.
    var isSilent = false
    /// Bytes after the handshake.
    private(set) var received = 0
    private(set) var accepted = 0
    private(set) var streams: [any ByteStream] = []
    private var listener: (any StreamListener)?

    static func greeting(version: String) -> String {
        let info = "# Server\r\nredis_version:\(version)\r\nrun_id:abc\r\n"
        return "+OK\r\n+PONG\r\n*1\r\n$6\r\nmaster\r\n$\(info.utf8.count)\r\n\(info)\r\n"
    }

    static func start(at port: Int = 0) async throws -> ScriptedServer {
        let server = ScriptedServer()
        server.listener = try await UVNetwork().listen(on: SocketAddress(host: "127.0.0.1", port: port)) {
            [weak server] stream in server?.accept(stream)
        }
        return server
    }

    var configuration: RedisConfiguration {
        var configuration = RedisConfiguration(host: "127.0.0.1", port: listener?.localAddress.port ?? 0)
        configuration.commandTimeoutSeconds = 20
        return configuration
    }

    private func accept(_ stream: any ByteStream) {
        accepted += 1
        streams.append(stream)
        stream.delegate = Reader(self)
    }

    /// Says to all connections what they were not asked for, or were asked long ago.
    func say(_ text: String) {
        for stream in streams { stream.write(Array(text.utf8)) }
    }

    func close() {
        listener?.close()
        for stream in streams { stream.close() }
    }

    /// One connection: the first bytes are the handshake, which fits into one packet.
    @Loop private final class Reader: ByteStreamDelegate {
        private let server: ScriptedServer
        private var isGreeted = false

        init(_ server: ScriptedServer) { self.server = server }

        func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
            let text = isGreeted ? server.answer : server.greeting
            if isGreeted { server.received += bytes.count }
            if isGreeted, server.isSilent { return }
            isGreeted = true
            if !text.isEmpty { stream.write(Array(text.utf8)) } else { stream.close() }
        }
        func streamDidDrain(_ stream: any ByteStream) {}
        func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {}
    }
}

/// A port at which connections are neither accepted nor refused.
final class BlackHole {
    private var sockets: [Int32] = []
    private(set) var port = 0

    /// At 127.0.0.1; the queue of a listener that never accepts is filled. Port 0 is one that the kernel chooses.
    init(at port: Int = 0) throws {
        for _ in 0..<5 {
            let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
            sockets.append(socket(AF_INET, kind, 0))
        }
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(truncatingIfNeeded: port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { kernel in
                _ = unsafe bind(sockets[0], kernel, length)
                listen(sockets[0], 0)
                _ = unsafe getsockname(sockets[0], kernel, &length)
                for filler in sockets.dropFirst() { _ = unsafe connect(filler, kernel, length) }
            }
        }
        self.port = Int(UInt16(bigEndian: address.sin_port))
    }

    deinit { close() }

    func close() {
        for descriptor in sockets { Glibc.close(descriptor) }
        sockets = []
    }
}
