// SPDX-License-Identifier: MIT
public import PomeloBytes

/// One frame of the conversation between two servers.
///
/// ```
///  0        4       5
///  +--------+-------+------------------------------------------------------ - -
///  | length | type  |  fields                                (all big-endian)
///  +--------+-------+------------------------------------------------------ - -
///   u32, of  u8
///   the rest
///
///   1 hello       body                          8 replyChunk  id u32 | last u8 | payload
///   2 challenge   body                          9 failure     id u32 | kind u8 | code i32 | message
///   3 proof       body                         10 cancel      id u32
///   4 welcome                                  11 ping        token u64 | sent u64
///   5 refused     code u16 | reason            12 pong        token u64 | instance
///   6 call        id u32 | sent u64            13 goAway      last id u32
///                 | remaining ms u32           15 noise       body
///                 | procedure u16
///                 | length u16, instance
///                 | length u16, name: only of procedure 0
///                 | payload
///   7 reply       id u32 | payload
/// ```
///
/// The last field runs to the end of the frame. Texts are UTF-8. `sent` is the sender's monotonic time in nanoseconds,
/// of no known origin.
public enum RPCFrame: Equatable, Sendable {
    /// The caller introduces itself; JSON of up to 1 KiB.
    case hello(Bytes)
    /// The listener asks for proof of the cluster secret.
    case challenge(Bytes)
    /// The caller proves that it knows the secret.
    case proof(Bytes)
    /// The listener lets the caller in.
    case welcome
    /// The listener refuses the caller and will close.
    case refused(code: UInt16, reason: String)
    /// Asks for a procedure to be run and answered within the time that remained when it was sent.
    case call(id: UInt32, sent: UInt64, remainingMilliseconds: UInt32, RPCFrameTarget, payload: Bytes)
    /// The whole answer to a call.
    case reply(id: UInt32, Bytes)
    /// A part of a long answer; parts of different answers may alternate.
    case replyChunk(id: UInt32, last: Bool, Bytes)
    /// The call ended in an error.
    case failure(id: UInt32, kind: UInt8, code: Int32, message: String)
    /// The caller no longer wants the answer.
    case cancel(id: UInt32)
    /// Asks for a sign of life; the one that is called asks so whether calls are still awaited.
    case ping(token: UInt64, sent: UInt64)
    /// Answers a ping and says which instance of the server answers.
    case pong(token: UInt64, instance: String)
    /// No call with a higher id will be run: finish and connect anew.
    case goAway(lastID: UInt32)
    /// A message of the handshake of a sealed connection, of up to 1 KiB.
    case noise(Bytes)

    /// The longest body of a hello or noise frame, in bytes.
    public static let maxHelloBytes = 1024

    /// Returns the whole frame.
    ///
    /// - Complexity: one allocation; a payload is copied once.
    /// - Throws: ``WireError/tooLarge(limit:)`` for a hello or noise over 1 KiB, a name or an instance over 65535
    ///   bytes, a frame over 32 bits.
    public func encoded() throws(WireError) -> Bytes {
        let rest = try length()
        guard rest <= Int(UInt32.max) else { throw .tooLarge(limit: Int(UInt32.max)) }
        return Bytes(reserving: 4 &+ rest) { output in
            output.putBigEndian(UInt32(truncatingIfNeeded: rest))
            write(into: &output)
        }
    }

    /// The number of bytes after the length field.
    private func length() throws(WireError) -> Int {
        switch self {
        case .hello(let body), .noise(let body):
            guard body.count <= Self.maxHelloBytes else { throw .tooLarge(limit: Self.maxHelloBytes) }
            return 1 &+ body.count
        case .challenge(let body), .proof(let body): return 1 &+ body.count
        case .welcome: return 1
        case .refused(_, let reason): return 3 &+ reason.utf8.count
        case .call(_, _, _, let target, let payload): return try 17 &+ target.length() &+ payload.count
        case .reply(_, let payload): return 5 &+ payload.count
        case .replyChunk(_, _, let payload): return 6 &+ payload.count
        case .failure(_, _, _, let message): return 10 &+ message.utf8.count
        case .cancel, .goAway: return 5
        case .ping: return 17
        case .pong(_, let instance): return 9 &+ instance.utf8.count
        }
    }

    private func write(into output: inout OutputSpan<UInt8>) {
        output.append(type.rawValue)
        switch self {
        case .hello(let body), .challenge(let body), .proof(let body), .noise(let body):
            output.put(body.span)
        case .welcome:
            break
        case .refused(let code, let reason):
            output.putBigEndian(code)
            output.put(reason)
        case .call(let id, let sent, let remaining, let target, let payload):
            output.putBigEndian(id)
            output.putBigEndian(sent)
            output.putBigEndian(remaining)
            target.write(into: &output)
            output.put(payload.span)
        case .reply(let id, let payload):
            output.putBigEndian(id)
            output.put(payload.span)
        case .replyChunk(let id, let last, let payload):
            output.putBigEndian(id)
            output.append(last ? 1 : 0)
            output.put(payload.span)
        case .failure(let id, let kind, let code, let message):
            output.putBigEndian(id)
            output.append(kind)
            output.putBigEndian(code)
            output.put(message)
        case .cancel(let id), .goAway(let id):
            output.putBigEndian(id)
        case .ping(let token, let sent):
            output.putBigEndian(token)
            output.putBigEndian(sent)
        case .pong(let token, let instance):
            output.putBigEndian(token)
            output.put(instance)
        }
    }

    private var type: RPCFrameType {
        switch self {
        case .hello: .hello
        case .challenge: .challenge
        case .proof: .proof
        case .welcome: .welcome
        case .refused: .refused
        case .call: .call
        case .reply: .reply
        case .replyChunk: .replyChunk
        case .failure: .failure
        case .cancel: .cancel
        case .ping: .ping
        case .pong: .pong
        case .goAway: .goAway
        case .noise: .noise
        }
    }
}

/// The numbers of the frames.
enum RPCFrameType: UInt8 {
    case hello = 1
    case challenge, proof, welcome, refused, call, reply, replyChunk, failure, cancel, ping, pong, goAway
    case noise = 15
}

/// What a call asks for, in its frame.
public struct RPCFrameTarget: Equatable, Sendable {
    /// The number of a procedure; 0 for one that is called by name.
    public let procedure: UInt16
    /// The start of the server that is meant; empty for any.
    public let instance: String
    /// Empty unless the number is 0; another one does not travel.
    public let name: String

    /// What a call asks for.
    public init(procedure: UInt16, instance: String = "", name: String = "") {
        self.procedure = procedure
        self.instance = instance
        self.name = procedure == 0 ? name : ""
    }

    fileprivate func length() throws(WireError) -> Int {
        let longest = Int(UInt16.max)
        guard instance.utf8.count <= longest, name.utf8.count <= longest else { throw .tooLarge(limit: longest) }
        return 4 &+ instance.utf8.count &+ (procedure == 0 ? 2 &+ name.utf8.count : 0)
    }

    fileprivate func write(into output: inout OutputSpan<UInt8>) {
        output.putBigEndian(procedure)
        Self.put(instance, into: &output)
        if procedure == 0 { Self.put(name, into: &output) }
    }

    private static func put(_ text: String, into output: inout OutputSpan<UInt8>) {
        output.putBigEndian(UInt16(truncatingIfNeeded: text.utf8.count))
        output.put(text)
    }
}
