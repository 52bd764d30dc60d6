// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire

/// A peer that has not acknowledged a handshake: a datagram in, what to do about it out.
///
/// ```
///          HANDSHAKE         judged              HANDSHAKE: the answer again
///  (new) ────────────► judging ────► answered? ──────────────────────────────┐
///                                       │ ACK, once it was answered          │
///                                       └──► open              ◄─────────────┘
/// ```
///
/// Anybody can send in anybody's name, so a peer that may have asked for nothing is never sent more bytes than came in
/// its name: each datagram adds to what may be sent, each answer takes from it. An answer that is longer waits for
/// handshakes that come again, or comes at once to a peer that has made its handshake long enough.
///
/// - Guarantee: the bytes to send never exceed the bytes received; nothing is sent but in answer to a datagram.
struct UnprovedPeer {
    enum Action: Equatable {
        /// Read the handshake, then call `judged`.
        case judge
        /// Send the answer.
        case answer(Bytes)
        /// It is being judged.
        case wait
        /// Not yet: the answer is longer than what the peer has sent.
        case withhold
        /// It is a client now.
        case open
        /// The acknowledgement is none.
        case unproved
        /// Out of place.
        case ignore
    }

    /// What may be sent, in bytes.
    private(set) var credit = 0
    private(set) var isJudging = false
    /// Whether it was ever sent the answer.
    private(set) var isAnswered = false
    private var answer: Bytes?
    /// What the body of an acknowledgement must be; empty where it may be anything.
    private let proof: Bytes

    init(proof: Bytes = []) { self.proof = proof }

    /// Judges a datagram by its first package.
    mutating func receive(_ type: PacketType, _ body: Span<UInt8>, datagram size: Int) -> Action {
        credit &+= size
        switch type {
        case .handshake:
            if isJudging { return .wait }
            if answer != nil { return offer() }
            isJudging = true
            return .judge
        case .handshakeAck:
            guard isAnswered else { return .ignore }
            return proof.isEmpty || proof.count == body.count && body.indices.allSatisfy { body[$0] == proof[$0] }
                ? .open : .unproved
        case .heartbeat, .data, .kick: return .ignore
        }
    }

    /// The handshake is accepted, and this is the answer.
    mutating func judged(_ answer: Bytes) -> Action {
        isJudging = false
        self.answer = answer
        return offer()
    }

    /// The handshake is refused: the answer is given once, if at all.
    mutating func refused(_ answer: Bytes) -> Action {
        isJudging = false
        guard answer.count <= credit else { return .withhold }
        credit -= answer.count
        return .answer(answer)
    }

    private mutating func offer() -> Action {
        guard let answer, answer.count <= credit else { return .withhold }
        credit -= answer.count
        isAnswered = true
        return .answer(answer)
    }
}

/// What a client is told to repeat, in the answer to its handshake.
enum HandshakeProof {
    private static let head = Bytes("{\"code\":200,\"sys\":{".utf8)

    /// The answer with `sys.proof` in it, which comes first.
    ///
    /// - Throws: ``WireError/tooLarge(limit:)`` for an answer that has no room for it.
    static func add(_ proof: Bytes, to answer: Bytes) throws(WireError) -> Bytes {
        let start = Packet.headerLength + head.count
        guard answer.count > start, answer[Packet.headerLength..<start].elementsEqual(head) else { return answer }
        let rest = answer[start...]
        let comma = rest.first == UInt8(ascii: "}") ? "" : ","
        let body = head + Bytes("\"proof\":\"".utf8) + proof + Bytes("\"\(comma)".utf8) + rest
        return try Packet.encode(.handshake, body)
    }
}
