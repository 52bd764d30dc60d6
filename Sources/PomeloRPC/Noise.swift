// SPDX-License-Identifier: MIT
import Crypto
import PomeloBytes

/// Why a sealed message is not accepted, or none can be made.
enum NoiseError: Error, Equatable {
    /// It was changed, repeated, left out or reordered on its way, or sealed with another key.
    case notAuthentic
    /// 65535 bytes are the most, 16 of them the tag.
    case length
    /// All nonces of the key are used.
    case exhausted
    /// A handshake message out of turn.
    case order
}

/// One direction of a sealed connection: a key and a counter.
///
/// - Source: The Noise Protocol Framework, revision 34, sections 5.1 and 12.3.
struct NoiseCipher {
    /// The longest message, tag included; the framework's own bound.
    static let maxMessageBytes = 65_535
    static let tagBytes = 16

    private let key: SymmetricKey
    /// The next message's number; the last one is reserved.
    var nonce: UInt64 = 0

    init(_ key: SymmetricKey) { self.key = key }

    private mutating func nextNonce() throws(NoiseError) -> ChaChaPoly.Nonce {
        guard nonce < .max else { throw .exhausted }
        // 32 zero bits, then the number, little-endian.
        let bytes: Bytes = [0, 0, 0, 0] + (0..<8).map { UInt8(truncatingIfNeeded: nonce >> ($0 * 8)) }
        nonce += 1
        do { return try ChaChaPoly.Nonce(data: bytes) } catch { throw .length }
    }

    mutating func seal(_ plain: ArraySlice<UInt8>, with data: Bytes = []) throws(NoiseError) -> Bytes {
        guard plain.count <= Self.maxMessageBytes - Self.tagBytes else { throw .length }
        let nonce = try nextNonce()
        do {
            let box = try ChaChaPoly.seal(plain, using: key, nonce: nonce, authenticating: data)
            return Bytes(box.combined.dropFirst(12))
        } catch {
            throw .notAuthentic
        }
    }

    mutating func open(_ message: ArraySlice<UInt8>, with data: Bytes = []) throws(NoiseError) -> Bytes {
        guard message.count >= Self.tagBytes, message.count <= Self.maxMessageBytes else { throw .length }
        let nonce = try nextNonce()
        do {
            let box = try ChaChaPoly.SealedBox(
                nonce: nonce, ciphertext: message.dropLast(Self.tagBytes), tag: message.suffix(Self.tagBytes))
            return Bytes(try ChaChaPoly.open(box, using: key, authenticating: data))
        } catch {
            throw .notAuthentic
        }
    }
}

/// The keys of a connection whose handshake is done, one for each direction.
struct NoiseKeys {
    var sending: NoiseCipher
    var receiving: NoiseCipher
}

/// One side of the handshake `Noise_NNpsk0_25519_ChaChaPoly_SHA256`.
///
/// ```
/// → psk, e      ← e, ee
/// ```
///
/// Who does not know the key that both have from before can neither read nor answer a message. The first message may
/// be a repeated one, so the responder knows whom it talks to only when it has opened a message of the session.
///
/// - Source: The Noise Protocol Framework, revision 34, sections 5, 7.5 and 9.
struct NoiseHandshake {
    enum Role { case initiator, responder }

    private static let name = Bytes("Noise_NNpsk0_25519_ChaChaPoly_SHA256".utf8)

    private let role: Role
    private let psk: SymmetricKey
    private let ephemeral: Curve25519.KeyAgreement.PrivateKey
    private var peerKey: Curve25519.KeyAgreement.PublicKey?
    private var chainingKey: Bytes
    /// What both sides have said so far, in one number.
    private(set) var hash: Bytes
    private var cipher: NoiseCipher?
    private var messages = 0

    /// `ephemeral` is fresh and secret, but in tests.
    init(_ role: Role, psk: SymmetricKey, prologue: Bytes, ephemeral: Curve25519.KeyAgreement.PrivateKey) {
        self.role = role
        self.psk = psk
        self.ephemeral = ephemeral
        // The name is longer than a hash, so it is hashed.
        hash = Bytes(SHA256.hash(data: Self.name))
        chainingKey = hash
        mixHash(prologue)
        mixKeyAndHash(psk)
    }

    // MARK: messages

    mutating func write(_ payload: Bytes) throws(NoiseError) -> Bytes {
        guard messages == (role == .initiator ? 0 : 1) else { throw .order }
        messages += 1
        let own = Bytes(ephemeral.publicKey.rawRepresentation)
        mixEphemeral(own)
        if role == .responder { try mixShared() }
        return own + (try seal(payload))
    }

    mutating func read(_ message: Bytes) throws(NoiseError) -> Bytes {
        guard messages == (role == .initiator ? 1 : 0) else { throw .order }
        messages += 1
        guard message.count >= 32 else { throw .length }
        let theirs = Bytes(message.prefix(32))
        do {
            peerKey = try Curve25519.KeyAgreement.PublicKey(rawRepresentation: theirs)
        } catch {
            throw .notAuthentic
        }
        mixEphemeral(theirs)
        if role == .initiator { try mixShared() }
        return try open(message.dropFirst(32))
    }

    /// The keys of the session, once both messages have passed; the handshake is of no use afterwards.
    func split() throws(NoiseError) -> NoiseKeys {
        guard messages == 2 else { throw .order }
        let keys = derive(SymmetricKey(data: Bytes()), 2)
        let (first, second) = (NoiseCipher(SymmetricKey(data: keys[0])), NoiseCipher(SymmetricKey(data: keys[1])))
        return role == .initiator
            ? NoiseKeys(sending: first, receiving: second) : NoiseKeys(sending: second, receiving: first)
    }

    // MARK: the symmetric state

    private mutating func mixHash(_ data: Bytes) { hash = Bytes(SHA256.hash(data: hash + data)) }

    /// HKDF by its steps (RFC 5869, without info), for a derived key does not show its bytes.
    private func derive(_ input: SymmetricKey, _ count: Int) -> [Bytes] {
        let extracted = Bytes(HKDF<SHA256>.extract(inputKeyMaterial: input, salt: chainingKey))
        let key = SymmetricKey(data: extracted)
        var outputs: [Bytes] = []
        for number in 1...count {
            let step = (outputs.last ?? []) + [UInt8(truncatingIfNeeded: number)]
            outputs.append(Bytes(HMAC<SHA256>.authenticationCode(for: step, using: key)))
        }
        return outputs
    }

    private mutating func mixKey(_ input: SymmetricKey) {
        let keys = derive(input, 2)
        chainingKey = keys[0]
        cipher = NoiseCipher(SymmetricKey(data: keys[1]))
    }

    private mutating func mixKeyAndHash(_ input: SymmetricKey) {
        let keys = derive(input, 3)
        chainingKey = keys[0]
        mixHash(keys[1])
        cipher = NoiseCipher(SymmetricKey(data: keys[2]))
    }

    /// With a pre-shared key the ephemeral keys are mixed into the key too.
    private mutating func mixEphemeral(_ key: Bytes) {
        mixHash(key)
        mixKey(SymmetricKey(data: key))
    }

    private mutating func mixShared() throws(NoiseError) {
        guard let peerKey else { throw .order }
        do {
            let shared = try ephemeral.sharedSecretFromKeyAgreement(with: peerKey)
            mixKey(SymmetricKey(data: shared))
        } catch {
            throw .notAuthentic
        }
    }

    private mutating func seal(_ payload: Bytes) throws(NoiseError) -> Bytes {
        guard var cipher else { throw .order }
        let message = try cipher.seal(payload[...], with: hash)
        self.cipher = cipher
        mixHash(message)
        return message
    }

    private mutating func open(_ message: ArraySlice<UInt8>) throws(NoiseError) -> Bytes {
        guard var cipher else { throw .order }
        let payload = try cipher.open(message, with: hash)
        self.cipher = cipher
        mixHash(Bytes(message))
        return payload
    }
}
