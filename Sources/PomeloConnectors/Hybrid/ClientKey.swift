// SPDX-License-Identifier: MIT
import Crypto
import Logging
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloWire

/// The key that a client has shown in its handshake, by which it signs its messages.
///
/// It stays with the connection: pomelo 2.2.7 keeps it in the session's settings, and so sends it to every server.
final class ClientKey: Sendable {
    /// What one look at a signature costs of a client's share of a turn, in packages.
    static let cost = 8

    private let key: RSAPublicKey

    /// Takes `{"rsa_n": hexadecimal, "rsa_e": number}`; nil for anything else.
    ///
    /// - Source: pomelo 2.2.7, lib/connectors/hybridconnector.js (`useCrypto`).
    init?(_ rsa: JSON?) {
        guard let digits = rsa?["rsa_n"]?.string, let exponent = rsa?["rsa_e"]?.int.flatMap(UInt32.init(exactly:)),
            let modulus = Bytes(hexadecimal: digits, most: RSAPublicKey.bits.upperBound / 4 + 2),
            let key = RSAPublicKey(modulus: modulus, exponent: exponent)
        else { return nil }
        self.key = key
    }

    /// Whether the text is what its client has signed.
    ///
    /// Of texts beyond ASCII JavaScript clients hash the low bytes of the UTF-16 units, unless there is something from
    /// U+4E00 to U+9FA5 in them: then UTF-8, as all others do.
    func verifies(_ body: SignedBody, _ charge: () -> Void) -> Bool {
        charge()
        if key.verify(body.signature, sha256: Bytes(SHA256.hash(data: body.text))) { return true }
        guard body.text.contains(where: { $0 >= 0x80 }) else { return false }
        charge()
        let units = String(decoding: body.text, as: UTF8.self).utf16.map { UInt8(truncatingIfNeeded: $0) }
        return key.verify(body.signature, sha256: Bytes(SHA256.hash(data: units)))
    }
}

extension HybridClient {
    /// The body that the client has signed, without its signature; nil, counted and logged, when it has not.
    func verified(_ body: Bytes) -> Bytes? {
        if let key, let signed = SignedBody(body), key.verifies(signed, { connection.charge(ClientKey.cost) }) {
            return signed.text
        }
        port.statistics.badSignatures += 1
        shared.badSignatures.write(["pomelo.remote": "\(connection.remoteAddress)"])
        return nil
    }
}
