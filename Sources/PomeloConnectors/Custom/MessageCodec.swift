// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloCore
import PomeloLoop

/// What a client says, or is told, between codec and core.
///
/// - Source: pomelo's "custom connector": `{id, route, body}`.
public struct DecodedMessage: Sendable, Equatable {
    /// Tells requests apart; nil for a notify or a push.
    ///
    /// From a client it is chosen by that, unique within its session; to one it is that of the answered request.
    public var id: UInt32?
    /// What is asked for, or what the client listens for; empty in an answer.
    public var route: String
    /// JSON, as handlers get and return it.
    public var body: Bytes

    /// Puts the parts together; an id of 0 is none.
    public init(id: UInt32? = nil, route: String, body: Bytes) {
        self.id = id == 0 ? nil : id
        self.route = route
        self.body = body
    }
}

/// How a connector's buffers become messages and messages buffers; a connector has one, and its options another above.
///
/// - Isolation: the loop; what waits keeps its place, so the order of each client's messages does not depend on it.
public struct MessageCodec<Buffer: Sendable>: Sendable {
    /// A buffer to a message: nil drops it, counted; so does a throw, which is also logged.
    public enum Decode: Sendable {
        /// Answers at once.
        case immediate(@Loop @Sendable (Buffer, ClientSession) throws -> DecodedMessage?)
        /// May wait, one buffer of a client after the other, each to `CustomOptions.codecDeadline`.
        case waiting(@Loop @Sendable (Buffer, ClientSession) async throws -> DecodedMessage?)
    }

    /// A message to a buffer: nil and a throw are errors, logged and counted, and nothing is sent.
    public enum Encode: Sendable {
        /// Answers at once.
        case immediate(@Loop @Sendable (DecodedMessage) throws -> Buffer?)
        /// May wait, one message of a client after the other, each to `CustomOptions.codecDeadline`.
        case waiting(@Loop @Sendable (DecodedMessage) async throws -> Buffer?)
    }

    /// Nil when somebody else decodes.
    public var decode: Decode?
    /// Nil when somebody else encodes; a push is encoded once for all clients of a connector.
    public var encode: Encode?

    /// Either may be missing.
    public init(decode: Decode? = nil, encode: Encode? = nil) {
        self.decode = decode
        self.encode = encode
    }
}

extension MessageCodec where Buffer == DecodedMessage {
    /// Declares that the buffers are messages already.
    public static var passThrough: MessageCodec {
        MessageCodec(decode: .immediate { message, _ in message }, encode: .immediate { $0 })
    }
}
