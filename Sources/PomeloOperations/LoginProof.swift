// SPDX-License-Identifier: MIT
import Crypto
package import PomeloBytes

// How a person gives a command. The password never travels; the proof is of this command, at this start of this
// server, once.
//
//   client                                        master
//     hello {user, nonce}              ──►
//                                      ◄──  challenge {nonce, salt, cost}
//     command {nonce, proof, command}  ──►
//                                      ◄──  its answer, or why not

/// What a proof is about.
///
/// - Source: RFC 5802 §3: ClientProof is ClientKey XOR HMAC(StoredKey, AuthMessage).
package struct LoginProof: Sendable, Equatable {
    package let user: String
    package let clientNonce: String
    package let masterNonce: String
    package let cluster: String
    package let instance: String

    package init(user: String, clientNonce: String, masterNonce: String, cluster: String, instance: String) {
        self.user = user
        self.clientNonce = clientNonce
        self.masterNonce = masterNonce
        self.cluster = cluster
        self.instance = instance
    }

    /// Proves that its maker knows the password; takes a tenth of a second, and belongs off the loop.
    ///
    /// - Throws: what keeps scrypt from its memory.
    package func make(
        _ password: String, salt: Bytes, cost: PasswordHash.Cost, of command: Bytes
    ) throws -> Bytes {
        let clientKey = try PasswordHash.clientKey(password, salt, cost)
        let storedKey = Bytes(SHA256.hash(data: clientKey))
        return zip(clientKey, signature(storedKey, command)).map { $0 ^ $1 }
    }

    /// Whether a proof is of this person and this command.
    func isValid(_ proof: Bytes, _ password: PasswordHash, of command: Bytes) -> Bool {
        let signature = signature(password.storedKey, command)
        guard proof.count == signature.count else { return false }
        let clientKey = zip(proof, signature).map { $0 ^ $1 }
        // Nothing of a wrong guess shows by how long this takes: what is compared are hashes.
        return Bytes(SHA256.hash(data: clientKey)) == password.storedKey
    }

    /// Each field with its length before it, so that no two conversations have the same message.
    private func signature(_ key: Bytes, _ command: Bytes) -> Bytes {
        var message: Bytes = []
        for field in ["pomelo operator", user, clientNonce, masterNonce, cluster, instance] {
            message += "\(field.utf8.count):\(field)".utf8
        }
        message += command
        return Bytes(HMAC<SHA256>.authenticationCode(for: message, using: SymmetricKey(data: key)))
    }
}
