// SPDX-License-Identifier: MIT
import PomeloBytes
package import PomeloContract
package import PomeloCore
package import PomeloLoop

/// A core of three lines, for connectors: remembers what the connector reports and echoes requests.
@Loop package final class FakeHost: ConnectorHost {
    package var messages: [ClientMessage] = []
    package var sessions: [SessionID: ClientSession] = [:]
    package var ends: [SessionEnd] = []
    package var refusing = false
    package var echoing = true
    /// Called for every message, before the echo.
    package var onMessage: (@Loop (ClientMessage, ClientSession) -> Void)?
    private var lastID: UInt64 = 0
    /// A route that is only echoed.
    package static let unrecorded = "round.trip.only"

    package nonisolated init() {}

    package func opened(_ socket: any ClientSocket) -> ClientSession? {
        if refusing { return nil }
        lastID += 1
        let session = ClientSession(id: SessionID(lastID), socket: socket)
        sessions[session.id] = session
        return session
    }

    package func received(_ message: ClientMessage, from session: ClientSession) {
        if message.route.text != Self.unrecorded {
            messages.append(message)
            onMessage?(message, session)
        }
        if echoing, message.id > 0 { session.socket.respond(id: message.id, route: message.route, body: message.body) }
    }

    package func route(utf8 bytes: borrowing Span<UInt8>) -> Route? { bytes.text().map { Route($0) } }

    package func closed(_ session: ClientSession, _ reason: SessionEnd) {
        precondition(sessions.removeValue(forKey: session.id) != nil, "a session was closed twice")
        ends.append(reason)
    }

    /// The only session there is.
    package var session: ClientSession? { sessions.values.first }
}
