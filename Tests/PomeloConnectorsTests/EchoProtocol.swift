// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloUV
import PomeloWire
import TestHelpers

@testable import PomeloConnectors

/// Sends every WebSocket message back as it came, on a real port: what is tried so is the port, its frames and their
/// compression, and nothing of pomelo.
@Loop final class EchoProtocol: PortProtocol {
    let limits: SharedLimits
    let servesBytes = false
    let path = ""

    init(_ limits: ClientLimits) { self.limits = SharedLimits(limits) }

    /// A port of the kernel on which somebody echoes.
    static func listen(_ limits: ClientLimits) async throws -> ClientPort {
        let port = ClientPort(
            limits, [EchoProtocol(limits)], host: FakeHost(), clock: SystemClock.shared, logger: Logger(label: "echo"))
        try await port.start(on: UVNetwork(), SocketAddress(host: "127.0.0.1", port: 0))
        return port
    }

    /// A connection over which a test spells out what the client says.
    static func wired(_ limits: ClientLimits, _ clock: ManualClock) -> (port: ClientPort, stream: ScriptedStream) {
        let (host, stream) = (FakeHost(), ScriptedStream())
        let port = ClientPort(
            limits, [EchoProtocol(limits)], host: host, clock: clock, logger: Logger(label: "echo"))
        port.accept(stream)
        return (port, stream)
    }

    func stop() {}
    func serveBytes(of connection: StreamConnection) -> (any StreamUser)? { nil }
    func serveWebSocket(of connection: StreamConnection, _ request: UpgradeRequest) -> (any StreamUser)? {
        connection.port.noLongerPending(connection)
        connection.expectTraffic()
        return EchoUser(connection)
    }
}

@Loop private final class EchoUser: StreamUser {
    private let connection: StreamConnection
    let heldBytes = 0
    let takesEmptyTexts = true
    var maxMessageBytes: Int { connection.limits.maxMessageBytes }

    init(_ connection: StreamConnection) { self.connection = connection }

    func read(_ bytes: borrowing Span<UInt8>) -> Int { bytes.count }

    func read(_ message: Bytes, isText: Bool, from start: Int) -> Int {
        connection.charge(1)
        _ = connection.send(message: message, isText ? .text : .binary)
        return message.count
    }

    func drained() {}
    func overdue() { connection.idle() }
    func ending() {}
    func ended(_ end: SessionEnd) {}
}
