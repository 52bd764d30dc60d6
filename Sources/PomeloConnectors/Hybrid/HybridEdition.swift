// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON
import PomeloLoop
import PomeloWire

/// What clients that come at one time are welcomed with, and spoken to by until they leave.
///
/// Schemas may be read again while clients are there; these go on with theirs.
@Loop final class HybridEdition {
    /// Nil when all messages are JSON.
    let schemas: MessageSchemas?
    let packets = PushFraming()
    private let frames = PushFramings()
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

    /// Frames are the same for all who have agreed on the same.
    func frames(_ compression: AgreedCompression?) -> PushFraming { frames[compression] }

    /// Of an answer without a user part, in bytes.
    var longestWelcome: Int { replies[0].count }

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
