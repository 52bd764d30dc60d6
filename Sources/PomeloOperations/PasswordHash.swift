// SPDX-License-Identifier: MIT
//
// PomeloOperations: who may do what to a running cluster, and the record of who did.
// Reading order: PasswordHash, Operators, LoginProof, OpenLogins, OperatorCommand, OperationsModule, AuditLog.
import Crypto
import CryptoExtras
package import PomeloBytes
import PomeloContract
import PomeloLoop

/// What a file knows of a password: enough to check who proves that he has it, and not enough to prove it.
///
/// ```
/// scrypt$15$8$1$<salt>$<stored key>       the logarithm of N, r, p; Base64
/// ```
///
/// - Source: RFC 7914 (scrypt); RFC 5802 §3 (SCRAM) for the keys that are made of what it derives.
package struct PasswordHash: Sendable, Equatable {
    /// The cost of a guess, and of a login at the client: about 32 MiB and a tenth of a second.
    package struct Cost: Sendable, Equatable {
        package var logN = 15
        package var r = 8
        package var p = 1

        package init() {}

        /// Logarithm of N, r and p; nil for what would cost more than 256 MiB, or hardly anything.
        package init?(_ numbers: [Int64]) {
            guard numbers.count == 3 else { return nil }
            (logN, r, p) = (Int(clamping: numbers[0]), Int(clamping: numbers[1]), Int(clamping: numbers[2]))
            guard isReasonable else { return nil }
        }

        /// A file from elsewhere could ask for all memory there is.
        private var isReasonable: Bool {
            (10...20).contains(logN) && (1...32).contains(r) && (1...16).contains(p) && (128 * r) << logN <= 256 << 20
        }
    }

    package static let saltBytes = 16
    package let cost: Cost
    package let salt: Bytes
    /// SHA-256 of the key that only who knows the password can make.
    let storedKey: Bytes

    /// Reads the text form; nil when it is none, or would cost more than 256 MiB.
    package init?(_ text: String) {
        let parts = text.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0] == "scrypt", let cost = Cost(parts[1...3].compactMap { Int64($0) }),
            let salt = Base64.decode(Bytes(parts[4].utf8).span),
            let key = Base64.decode(Bytes(parts[5].utf8).span), salt.count >= 8, key.count == SHA256.byteCount
        else { return nil }
        self.cost = cost
        self.salt = salt
        storedKey = key
    }

    /// Makes one of a password; takes a tenth of a second, and belongs off the loop.
    ///
    /// - Throws: what keeps scrypt from its memory.
    package init(of password: String, salt: Bytes, cost: Cost = Cost()) throws {
        self.cost = cost
        self.salt = salt
        storedKey = Bytes(SHA256.hash(data: try Self.clientKey(password, salt, cost)))
    }

    package var text: String {
        "scrypt$\(cost.logN)$\(cost.r)$\(cost.p)$\(Base64.encode(salt))$\(Base64.encode(storedKey))"
    }

    /// What only who knows the password can make.
    static func clientKey(_ password: String, _ salt: Bytes, _ cost: Cost) throws -> Bytes {
        let key = try KDF.Scrypt.deriveKey(
            from: Bytes(password.utf8), salt: salt, outputByteCount: 32, rounds: 1 << cost.logN, blockSize: cost.r,
            parallelism: cost.p)
        return Bytes(HMAC<SHA256>.authenticationCode(for: Bytes("Client Key".utf8), using: key))
    }
}
