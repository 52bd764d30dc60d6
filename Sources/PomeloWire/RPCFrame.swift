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
///                 | length u16, method
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
    /// Asks for a method to be run and answered within the time that remained when it was sent.
    case call(id: UInt32, sent: UInt64, remainingMilliseconds: UInt32, method: String, payload: Bytes)
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
    /// - Throws: ``WireError/tooLarge(limit:)`` for a hello or noise over 1 KiB, a method over 65535 bytes, a frame
    ///   over 32 bits.
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
        case .call(_, _, _, let method, let payload): return try 19 &+ Self.length(of: method) &+ payload.count
        case .reply(_, let payload): return 5 &+ payload.count
        case .replyChunk(_, _, let payload): return 6 &+ payload.count
        case .failure(_, _, _, let message): return 10 &+ message.utf8.count
        case .cancel, .goAway: return 5
        case .ping: return 17
        case .pong(_, let instance): return 9 &+ instance.utf8.count
        }
    }

    private static func length(of method: String) throws(WireError) -> Int {
        let count = method.utf8.count
        guard count <= Int(UInt16.max) else { throw .tooLarge(limit: Int(UInt16.max)) }
        return count
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
        case .call(let id, let sent, let remaining, let method, let payload):
            output.putBigEndian(id)
            output.putBigEndian(sent)
            output.putBigEndian(remaining)
            Self.put(method, payload, into: &output)
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

    private static func put(_ method: String, _ payload: Bytes, into output: inout OutputSpan<UInt8>) {
        output.putBigEndian(UInt16(truncatingIfNeeded: method.utf8.count))
        output.put(method)
        output.put(payload.span)
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
