// SPDX-License-Identifier: MIT
public import PomeloBytes
import PomeloJSON

/// What a session begins with.
public enum EngineIOOpen {
    /// Writes the packet.
    ///
    /// - Parameters:
    ///   - sid: the name of the session.
    ///   - upgrades: the transports that the client may change to.
    ///   - pingIntervalMilliseconds: how often to ask for a sign of life.
    ///   - pingTimeoutMilliseconds: how long to wait for it.
    ///   - maxPayload: the longest body of a POST, in bytes; version 4 alone says it.
    /// - Returns: the whole packet.
    /// - Source: the Engine.IO protocol, versions 3 and 4, "handshake".
    public static func packet(
        sid: String, upgrades: [String], pingIntervalMilliseconds: Int, pingTimeoutMilliseconds: Int,
        maxPayload: Int?
    ) -> Bytes {
        var open: JSONObject = [
            "sid": .string(sid), "upgrades": .array(upgrades.map { .string($0) }),
            "pingInterval": .int(Int64(pingIntervalMilliseconds)),
            "pingTimeout": .int(Int64(pingTimeoutMilliseconds)),
        ]
        if let maxPayload { open["maxPayload"] = .int(Int64(maxPayload)) }
        return EngineIOPacket.encode(.open, JSON.object(open).encoded())
    }
}

/// Why a request is refused, with the body that Engine.IO's own server gives: status 400, `application/json`.
///
/// - Source: engine.io 6.6, lib/server.ts `errorMessages`.
public enum EngineIOError: Int, Error, Sendable, CaseIterable {
    /// A transport that is not offered.
    case unknownTransport = 0
    /// No such session.
    case unknownSession = 1
    /// A session begun with something else than GET.
    case badHandshakeMethod = 2
    /// A request out of order, or broken.
    case badRequest = 3
    /// Refused by this server's rules: status 403.
    case forbidden = 4
    /// A version that is not spoken.
    case unsupportedVersion = 5

    /// The text for people.
    public var message: String {
        switch self {
        case .unknownTransport: "Transport unknown"
        case .unknownSession: "Session ID unknown"
        case .badHandshakeMethod: "Bad handshake method"
        case .badRequest: "Bad request"
        case .forbidden: "Forbidden"
        case .unsupportedVersion: "Unsupported protocol version"
        }
    }

    /// The answer, without headers of origin.
    public var response: HTTPResponse {
        HTTPResponse(
            status: self == .forbidden ? 403 : 400, contentType: "application/json",
            body: JSON.object(["code": .int(Int64(rawValue)), "message": .string(message)]).encoded())
    }
}
