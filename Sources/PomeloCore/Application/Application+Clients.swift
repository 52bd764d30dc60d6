// SPDX-License-Identifier: MIT
import Logging
import PomeloLoop
import PomeloWire

extension Application: ConnectorHost {
    public func opened(_ socket: any ClientSocket) -> ClientSession? {
        guard state == .running || state == .starting else { return nil }
        if let limit = record.maxConnections, sessionService.count >= limit {
            log.warning("connection refused: \(limit) are open", metadata: ["pomelo.peer": "\(socket.remoteAddress)"])
            return nil
        }
        return sessionService.open(socket)
    }

    public func received(_ message: ClientMessage, from session: ClientSession) {
        dispatcher.receive(message, from: session)
    }

    public func route(utf8 bytes: borrowing Span<UInt8>) -> Route? { dispatcher.route(utf8: bytes) }

    public func closed(_ session: ClientSession, _ reason: SessionEnd) { sessionService.close(session, reason) }
}
