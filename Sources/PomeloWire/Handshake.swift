// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloJSON

/// What a client says in its first package.
///
/// ```
/// {"sys":{"type":T,"version":V,"protoVersion":P?,"dictVersion":D?,…},"user":{…}?}
/// ```
///
/// - Source: pomelo 2.2.7, lib/connectors/commands/handshake.js.
public struct HandshakeRequest: Equatable, Sendable {
    /// The kind of client, as it names itself.
    public let type: String?
    /// The version of the client.
    public let version: String?
    /// The version of the route dictionary that the client keeps; a value that is no text counts as none.
    public let dictVersion: String?
    /// The version of the message schemas that the client keeps; a value that is no text counts as none.
    public let protoVersion: String?
    /// The application's part.
    public let user: JSON?
    /// The whole message, for a hook that wants more.
    public let message: JSON

    /// Reads the body of a handshake package.
    ///
    /// - Returns: nil when it is no JSON or has no `sys`: the answer is ``HandshakeReply/badRequest``.
    public static func decode(_ body: Span<UInt8>) -> HandshakeRequest? {
        let message: JSON
        do {
            message = try JSON.parse(body)
        } catch {
            return nil
        }
        guard let sys = message["sys"], sys.isTruthy else { return nil }
        return HandshakeRequest(
            type: sys["type"]?.string, version: sys["version"]?.string,
            dictVersion: sys["dictVersion"]?.string,
            protoVersion: sys["protoVersion"]?.string, user: message["user"], message: message)
    }
}

/// The server's answers to a handshake, as whole packages.
///
/// - Source: pomelo 2.2.7, lib/connectors/commands/handshake.js; the order of the keys is the original's.
public enum HandshakeReply {
    /// The request was no handshake, or the application refused it: code 500.
    public static let badRequest = failure(code: 500)
    /// The kind or version of the client is not served: code 501.
    public static let rejected = failure(code: 501)

    /// Returns the answer that lets a client in.
    ///
    /// - Parameters:
    ///   - heartbeatSeconds: the interval of heartbeats; nil leaves the field out, and clients send none.
    ///   - dictionary: the route dictionary, its version, and whether to send it: false when the client has
    ///     that version already.
    ///   - schemas: the message schemas of both directions, their version, and whether to send them.
    ///   - user: the application's part; left out when JavaScript would take it for false.
    /// - Returns: the whole package.
    /// - Throws: ``WireError/tooLarge(limit:)`` for a dictionary, schemas or part over 0xFFFFFF bytes.
    public static func success(
        heartbeatSeconds: Int?, dictionary: (RouteDictionary, version: String, send: Bool)? = nil,
        schemas: Schemas? = nil, user: JSON? = nil
    ) throws(WireError) -> Bytes {
        try success(
            heartbeat: heartbeatSeconds.map { .int(Int64($0)) }, dictionary: dictionary, schemas: schemas, user: user)
    }

    /// The message schemas of both directions, their version, and whether to send them: false when the client has that
    /// version already.
    public typealias Schemas = (server: ProtobufSchema, client: ProtobufSchema, version: String, send: Bool)

    /// Returns the answer that lets a client in, with the heartbeat as configured, in seconds.
    ///
    /// - Throws: ``WireError/tooLarge(limit:)`` for a dictionary, schemas or part over 0xFFFFFF bytes.
    public static func success(
        heartbeat: JSON?, dictionary: (RouteDictionary, version: String, send: Bool)? = nil,
        schemas: Schemas? = nil, user: JSON? = nil
    ) throws(WireError) -> Bytes {
        var body = Bytes("{\"code\":200,\"sys\":{".utf8)
        if let heartbeat, heartbeat.isTruthy {
            body.append(contentsOf: "\"heartbeat\":".utf8)
            heartbeat.write(into: &body)
            if dictionary != nil || schemas != nil { body.append(UInt8(ascii: ",")) }
        }
        if let (routes, version, send) = dictionary {
            if send {
                let codes = routes.encodedRoutes()
                append("\"dict\":", codes, to: &body)
                append(",\"routeToCode\":", codes, to: &body)
                append(",\"codeToRoute\":", routes.encodedCodes(), to: &body)
                body.append(contentsOf: ",\"dictVersion\":".utf8)
                JSONWriter.write(version, into: &body)
                body.append(UInt8(ascii: ","))
            }
            body.append(contentsOf: "\"useDict\":true".utf8)
            if schemas != nil { body.append(UInt8(ascii: ",")) }
        }
        if let schemas { append(schemas, to: &body) }
        body.append(UInt8(ascii: "}"))
        if let user, user.isTruthy {
            append(",\"user\":", user.encoded(), to: &body)
        }
        body.append(UInt8(ascii: "}"))
        return try Packet.encode(.handshake, body)
    }

    private static func append(_ schemas: Schemas, to body: inout Bytes) {
        if schemas.send {
            append("\"protos\":{\"server\":", schemas.server.parsedForm, to: &body)
            append(",\"client\":", schemas.client.parsedForm, to: &body)
            body.append(contentsOf: ",\"version\":".utf8)
            JSONWriter.write(schemas.version, into: &body)
            body.append(contentsOf: "},".utf8)
        }
        body.append(contentsOf: "\"useProto\":true".utf8)
    }

    private static func append(_ name: StaticString, _ value: Bytes, to body: inout Bytes) {
        body.append(contentsOf: name.description.utf8)
        body.append(contentsOf: value)
    }

    private static func failure(code: Int) -> Bytes {
        let body = Bytes("{\"code\":\(code)}".utf8)
        return [PacketType.handshake.rawValue, 0, 0, UInt8(truncatingIfNeeded: body.count)] + body
    }
}
