// SPDX-License-Identifier: MIT
//
// SocketIO: the wire of three generations of socket.io and the state of one Engine.IO session; pure.
// Reading order: SocketIORevision, EngineIOPacket, EngineIOPayload (with EngineIOCounting), EngineIOOpen,
// SocketIOPacket (with MessageEvent), SocketIO09Packet, SocketIO09Payload, PomeloText, SocketIOMessage (with
// ASCIIText), EngineIOSession.

/// Names the revisions of the socket.io protocol that clients speak.
///
/// - Source: the protocol documents of socket.io and Engine.IO; socket.io 0.9.
public enum SocketIORevision: Int, Sendable, CaseIterable {
    /// Clients 0.9: `/socket.io/1/`, no Engine.IO.
    case one = 1
    /// Clients 1 and 2: Engine.IO 3, `EIO=3`.
    case four = 4
    /// Clients 3 and 4: Engine.IO 4, `EIO=4`.
    case five = 5

    /// The revision for the value of the query's `EIO`, or nil when that is not spoken.
    public init?(engineIO version: String?) {
        switch version {
        case "3": self = .four
        case "4": self = .five
        default: return nil
        }
    }
}
