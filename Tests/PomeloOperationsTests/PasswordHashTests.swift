// SPDX-License-Identifier: MIT
import PomeloBytes
import Testing

@testable import PomeloOperations

@Suite struct PasswordHashTests {
    /// Made by Python 3.11, hashlib.scrypt and hmac.
    private static let text =
        "scrypt$10$8$1$AAECAwQFBgcICQoLDA0ODw==$vUwCg/kON/Flg0Kzz4X/QrI8uYPIrgvgRxjflHpYrXs="

    private static func cheap() -> PasswordHash.Cost {
        var cost = PasswordHash.Cost()
        cost.logN = 10
        return cost
    }

    @Test func aHashIsWhatOthersMake() throws {
        let hash = try PasswordHash(of: "correct horse battery", salt: Bytes(0..<16), cost: Self.cheap())
        #expect(hash.text == Self.text)
        #expect(PasswordHash(Self.text) == hash)
    }

    @Test(arguments: [
        "", "secret", "21232f297a57a5a743894a0e4a801fc3", "scrypt$10$8$1$AAECAwQFBgcICQoLDA0ODw==",
        "scrypt$30$8$1$AAECAwQFBgcICQoLDA0ODw==$vUwCg/kON/Flg0Kzz4X/QrI8uYPIrgvgRxjflHpYrXs=",
        "scrypt$20$32$1$AAECAwQFBgcICQoLDA0ODw==$vUwCg/kON/Flg0Kzz4X/QrI8uYPIrgvgRxjflHpYrXs=",
        "scrypt$-1$8$1$AAECAwQFBgcICQoLDA0ODw==$vUwCg/kON/Flg0Kzz4X/QrI8uYPIrgvgRxjflHpYrXs=",
        "scrypt$99999999999999999999$8$1$AAECAwQFBgcICQoLDA0ODw==$vUwCg/kON/Flg0Kzz4X/QrI8uYPIrgvgRxjflHpYrXs=",
        "scrypt$10$8$1$AAE=$vUwCg/kON/Flg0Kzz4X/QrI8uYPIrgvgRxjflHpYrXs=",
        "scrypt$10$8$1$AAECAwQFBgcICQoLDA0ODw==$AAAA", "scrypt$10$8$1$!$!",
    ])
    func whatIsNone(_ text: String) { #expect(PasswordHash(text) == nil) }

    private static func proof(
        user: String = "ann", client: String = "c", master: String = "m", instance: String = "i"
    ) -> LoginProof {
        LoginProof(user: user, clientNonce: client, masterNonce: master, cluster: "chat", instance: instance)
    }

    @Test func aProofIsOfOneCommandOfOneLogin() throws {
        let hash = try #require(PasswordHash(Self.text))
        let command = Bytes("stop".utf8)
        let proof = try Self.proof().make("correct horse battery", salt: hash.salt, cost: hash.cost, of: command)
        #expect(Self.proof().isValid(proof, hash, of: command))
        #expect(!Self.proof().isValid(proof, hash, of: Bytes("kill".utf8)))
        for other in [
            Self.proof(user: "bob"), Self.proof(client: "d"), Self.proof(master: "n"), Self.proof(instance: "j"),
            Self.proof(client: "cm", master: ""),
        ] {
            #expect(!other.isValid(proof, hash, of: command))
        }
        #expect(!Self.proof().isValid(Bytes(proof.dropLast()), hash, of: command))
        #expect(!Self.proof().isValid([], hash, of: command))
        // What the file has is no proof.
        #expect(!Self.proof().isValid(hash.storedKey, hash, of: command))
        let wrong = try Self.proof().make("correct horse", salt: hash.salt, cost: hash.cost, of: command)
        #expect(!Self.proof().isValid(wrong, hash, of: command))
    }
}
