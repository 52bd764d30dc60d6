// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON
import PomeloWire

/// What clients that come at one time are welcomed with, and spoken to by until they leave.
///
/// Schemas may be read again while clients are there; these go on with theirs.
final class HybridEdition: Sendable {
    /// Stands for one way to frame a push, as its key in `PushMessage`.
    final class Framing: Sendable {}

    /// Nil when all messages are JSON.
    let schemas: MessageSchemas?
    let packets = Framing()
    let frames = Framing()
    private let codes: RouteCodes?
    private let heartbeatSeconds: Int?
    /// The answers without a user part: who knows neither dictionary nor schemas, the dictionary, the schemas, both.
    private let replies: [Bytes]

    /// - Throws: `WireError` when dictionary and schemas do not fit a package.
    init(_ codes: RouteCodes?, _ schemas: MessageSchemas?, heartbeatSeconds: Int?) throws(WireError) {
        self.codes = codes
        self.schemas = schemas
        self.heartbeatSeconds = heartbeatSeconds
        var replies: [Bytes] = []
        for (dictionary, schema) in [(false, false), (true, false), (false, true), (true, true)] {
            replies.append(
                try HandshakeReply.success(
                    heartbeatSeconds: heartbeatSeconds,
                    dictionary: codes.map { ($0.dictionary, $0.version, !dictionary) },
                    schemas: schemas.map { ($0.serverSchema, $0.clientSchema, $0.version, !schema) }))
        }
        self.replies = replies
    }

    /// The answer to a handshake that is accepted; without a user part it is the same bytes for all.
    ///
    /// - Throws: `WireError` for a user part that does not fit a package.
    func welcome(_ request: HandshakeRequest, user: JSON?) throws(WireError) -> Bytes {
        let knowsCodes = codes != nil && request.dictVersion.map { Text($0) } == codes.map { Text($0.version) }
        let knowsSchemas = schemas != nil && request.protoVersion.map { Text($0) } == schemas.map { Text($0.version) }
        guard let user, user.isTruthy else { return replies[(knowsCodes ? 1 : 0) + (knowsSchemas ? 2 : 0)] }
        return try HandshakeReply.success(
            heartbeatSeconds: heartbeatSeconds,
            dictionary: codes.map { ($0.dictionary, $0.version, !knowsCodes) },
            schemas: schemas.map { ($0.serverSchema, $0.clientSchema, $0.version, !knowsSchemas) }, user: user)
    }
}
