// SPDX-License-Identifier: MIT
import Logging
import PomeloLoop

extension Application: ConnectorHost {
    /// Makes a session for a new connection.
    ///
    /// - Returns: nil while the application does not serve, or when the record's `maxConnections` are open.
    public func opened(_ socket: any ClientSocket) -> ClientSession? {
        guard state == .running || state == .starting else { return nil }
        if let limit = record.maxConnections, sessionService.count >= limit {
            sessionService.refused += 1
            refusals.write(["pomelo.open": "\(limit)", "pomelo.peer": "\(socket.remoteAddress)"])
            return nil
        }
        return sessionService.open(socket)
    }

    /// Hands a client's message to the dispatcher, which answers a request exactly once.
    public func received(_ message: ClientMessage, from session: ClientSession) {
        dispatcher.receive(message, from: session)
    }

    /// A client's route bytes as a route; nil when they are no UTF-8, and without allocation when it is known.
    public func route(utf8 bytes: borrowing Span<UInt8>) -> Route? { dispatcher.route(utf8: bytes) }

    /// Ends a session whose connection is gone; one that has ended already is ignored.
    public func closed(_ session: ClientSession, _ reason: SessionEnd) { sessionService.close(session, reason) }
}
