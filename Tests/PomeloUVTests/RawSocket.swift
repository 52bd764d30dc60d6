// SPDX-License-Identifier: MIT
import Glibc

/// A kernel socket without any of our code, to be the impolite peer.
final class RawSocket {
    private var descriptor: Int32

    private init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close() }

    /// Connects to a port of this machine; the kernel answers at once, whoever listens.
    static func connected(to port: Int) throws -> RawSocket {
        let socket = try make()
        try socket.connect(to: port)
        return socket
    }

    /// Has a descriptor, and no connection yet.
    static func unconnected() throws -> RawSocket { try make() }

    func connect(to port: Int) throws {
        let status = unsafe Self.withLoopback(port) { unsafe Glibc.connect(descriptor, $0, $1) }
        if status != 0 { throw Failure(number: errno) }
    }

    /// Holds a port at which every connection is refused, as long as it lives; 0 is one that the kernel chooses.
    static func refusing(at port: Int = 0) throws -> RawSocket {
        let socket = try make()
        let status = unsafe withLoopback(port) { unsafe bind(socket.descriptor, $0, $1) }
        if status != 0 { throw Failure(number: errno) }
        return socket
    }

    /// A listener that never accepts and whose queue is full.
    static func fullListener(at port: Int = 0) throws -> (socket: RawSocket, waiting: [RawSocket]) {
        let listener = try refusing(at: port)
        if listen(listener.descriptor, 0) != 0 { throw Failure(number: errno) }
        let port = listener.port
        var waiting: [RawSocket] = []
        for _ in 0..<4 {
            let filler = try make()
            _ = fcntl(filler.descriptor, F_SETFL, O_NONBLOCK)
            _ = unsafe withLoopback(port) { unsafe Glibc.connect(filler.descriptor, $0, $1) }
            waiting.append(filler)
        }
        return (listener, waiting)
    }

    /// The port it is bound to.
    var port: Int {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = unsafe withUnsafeMutablePointer(to: &address) { address in
            unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe getsockname(descriptor, address, &length)
            }
        }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    func send(_ bytes: [UInt8]) {
        let sent = unsafe bytes.withUnsafeBytes { unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, 0) }
        precondition(sent == bytes.count, "the peer could not send")
    }

    /// Sends FIN and stays open.
    func finish() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Sends RST.
    func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger_t>.size))
        close()
    }

    func close() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    struct Failure: Error { let number: Int32 }

    private typealias linger_t = linger

    private static func make() throws -> RawSocket {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        if descriptor < 0 { throw Failure(number: errno) }
        return RawSocket(descriptor)
    }

    private static func withLoopback(
        _ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return unsafe withUnsafePointer(to: &address) { address in
            unsafe address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe body(address, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
