// SPDX-License-Identifier: MIT
import Crypto
import PomeloBytes

/// Seals the private keys of tokens with the cluster's secret: who only reads or writes Redis can sign nothing.
///
/// Without a secret, as in development, they lie there as they are.
///
/// - Source: ChaCha20-Poly1305, RFC 8439; HKDF, RFC 5869.
struct KeySeal {
    private let key: SymmetricKey?

    init(secret: Bytes) {
        key =
            secret.isEmpty
            ? nil
            : HKDF<SHA256>.deriveKey(
                inputKeyMaterial: SymmetricKey(data: secret), info: Bytes("pomelo keys of plugins' tokens".utf8),
                outputByteCount: 32)
    }

    /// What is written of a key's seed.
    func sealed(_ key: PluginKey) -> Bytes {
        guard let own = self.key else { return key.seed }
        do {
            return Bytes(
                try ChaChaPoly.seal(key.seed, using: own, authenticating: Self.name(key.id, key.madeAt)).combined)
        } catch {
            // It can only fail for more bytes than there are.
            preconditionFailure("\(error)")
        }
    }

    /// Nil for what was not sealed with this secret for this key.
    func opened(_ bytes: Bytes, id: String, madeAt: Int64) -> PluginKey? {
        var seed = bytes
        if let own = key {
            do {
                let box = try ChaChaPoly.SealedBox(combined: bytes)
                seed = Bytes(try ChaChaPoly.open(box, using: own, authenticating: Self.name(id, madeAt)))
            } catch { return nil }
        }
        return seed.count == 32 ? PluginKey(id: id, seed: seed, madeAt: madeAt) : nil
    }

    private static func name(_ id: String, _ madeAt: Int64) -> Bytes { Bytes("\(id) \(madeAt)".utf8) }
}
