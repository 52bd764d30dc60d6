// SPDX-License-Identifier: MIT
import Crypto
import PomeloBytes
import PomeloCore
import PomeloJSON

// How two servers get to know each other. The secret never travels; each side sees a proof that binds both
// names, both instances, the cluster and both nonces, so that nothing seen once is of use a second time.
//
//   caller                                            callee
//     hello {v, cluster, server, inst, to, expect?, nonce, sent}  ──►
//                                   ◄──  challenge {server, inst, nonce}
//     proof HMAC("caller", …)       ──►
//                                   ◄──  proof HMAC("callee", …), welcome
//
// At any step the callee may answer refused(code, reason) instead, and close.
//
// A sealed connection begins with the two messages of Noise NNpsk0 instead, whose payloads are the same hello and
// challenge; the key that both have from before is made of the secret and the cluster's name.
//
//     noise version u8 | message {hello}     ──►
//                                   ◄──  noise message {challenge}
//     proof, empty                  ──►                                from here on everything is sealed
//                                   ◄──  welcome

/// Why a server does not talk to another; the numbers travel.
enum Refusal: UInt16 {
    case malformed = 1
    case version = 2
    case cluster = 3
    /// The caller meant a server of another name.
    case server = 4
    /// The caller meant another instance of this server.
    case replaced = 5
    case secret = 6
    /// The callee accepts sealed connections only.
    case seal = 7

    /// Whether trying again cannot help: the two processes were configured differently.
    var isConfiguration: Bool { self == .version || self == .secret || self == .seal }
}

/// What the caller says first.
struct Hello: Equatable {
    static let version: Int64 = 3

    var version = Hello.version
    var cluster: String
    var server: ServerID
    var instance: InstanceID
    /// Whom the caller believes to have reached.
    var callee: ServerID
    /// Absent, any instance will do.
    var expected: InstanceID?
    var nonce: String
    /// The caller's monotonic time; the first measure of its clock.
    var sent: UInt64 = 0

    func encoded() -> Bytes {
        var object: JSONObject = [
            "v": .int(version), "cluster": .string(cluster), "server": .string(server.rawValue),
            "inst": .string(instance.rawValue), "to": .string(callee.rawValue), "nonce": .string(nonce),
            "sent": .int(Int64(clamping: sent)),
        ]
        object["expect"] = expected.map { .string($0.rawValue) }
        return JSON.object(object).encoded()
    }
}

extension Hello {
    /// Nil when it is not what a server of any version would say.
    init?(_ body: Bytes) {
        guard let json = jsonObject(body), let version = json["v"]?.int,
            let cluster = json["cluster"]?.string,
            let server = json["server"]?.string, let instance = json["inst"]?.string,
            let callee = json["to"]?.string, let nonce = json["nonce"]?.string
        else { return nil }
        self.init(
            version: version, cluster: cluster, server: ServerID(server), instance: InstanceID(instance),
            callee: ServerID(callee), expected: json["expect"]?.string.map { InstanceID($0) }, nonce: nonce,
            sent: UInt64(clamping: json["sent"]?.int ?? 0))
    }
}

/// What the callee answers before it knows whether to trust the caller.
struct Challenge: Equatable {
    var server: ServerID
    var instance: InstanceID
    var nonce: String

    func encoded() -> Bytes {
        JSON.object([
            "server": .string(server.rawValue), "inst": .string(instance.rawValue), "nonce": .string(nonce),
        ]).encoded()
    }
}

extension Challenge {
    init?(_ body: Bytes) {
        guard let json = jsonObject(body), let server = json["server"]?.string,
            let instance = json["inst"]?.string, let nonce = json["nonce"]?.string
        else { return nil }
        self.init(server: ServerID(server), instance: InstanceID(instance), nonce: nonce)
    }
}

private func jsonObject(_ body: Bytes) -> JSONObject? {
    // A body that is no JSON is answered like one that lacks its keys.
    switch Result(catching: { () throws(WireError) in try JSON.parse(body) }) {
    case .success(let json): json.object
    case .failure: nil
    }
}

/// What the two sides of a sealed connection start from.
struct SealedStart {
    /// The first byte of a caller's message, so that another version is told apart from another secret.
    static let version = UInt8(truncatingIfNeeded: Hello.version)

    let secret: Bytes
    let cluster: String

    /// A handshake with a key pair of its own.
    ///
    /// - Source: RFC 5869 (HKDF) over SHA-256.
    func handshake(_ role: NoiseHandshake.Role) -> NoiseHandshake {
        let protocolName = Bytes("pomelo server call".utf8)
        let key = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: secret), salt: protocolName, info: Bytes(cluster.utf8),
            outputByteCount: 32)
        return NoiseHandshake(
            role, psk: key, prologue: protocolName + [Self.version], ephemeral: .init())
    }
}

/// Makes and checks the proofs of one conversation.
///
/// - Source: RFC 2104 (HMAC) over SHA-256.
struct Proofs {
    enum Side: String { case caller, callee }

    private let hello: Hello
    private let challenge: Challenge
    private let key: SymmetricKey

    init(secret: Bytes, hello: Hello, challenge: Challenge) {
        self.hello = hello
        self.challenge = challenge
        key = SymmetricKey(data: secret)
    }

    func proof(of side: Side) -> Bytes {
        Bytes(HMAC<SHA256>.authenticationCode(for: transcript(side), using: key))
    }

    /// Takes the same time for every wrong proof.
    func isValid(_ proof: Bytes, of side: Side) -> Bool {
        HMAC<SHA256>.isValidAuthenticationCode(proof, authenticating: transcript(side), using: key)
    }

    /// Each field with its length before it, so that no two conversations have the same transcript.
    private func transcript(_ side: Side) -> Bytes {
        let fields = [
            "pomelo server call", side.rawValue, String(hello.version), hello.cluster,
            hello.server.rawValue, hello.instance.rawValue, hello.nonce,
            challenge.server.rawValue, challenge.instance.rawValue, challenge.nonce,
        ]
        var bytes: Bytes = []
        for field in fields {
            let count = UInt32(truncatingIfNeeded: field.utf8.count)
            bytes += [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: count >> $0) }
            bytes += field.utf8
        }
        return bytes
    }
}
