// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire
import TestHelpers
import Testing

/// Signatures of clients, and the texts that they are of.
@Suite struct SignatureTests {
    private static let hash = Bytes(
        hex: "91a73e713f3ccae0a3f290f976316ffdc5b7182fb96ebac574c92c424473b5c6")

    private static func key(_ vector: RSAVector) throws -> RSAPublicKey {
        let digits = vector.modulus.count % 2 == 0 ? vector.modulus : "0" + vector.modulus
        return try #require(RSAPublicKey(modulus: Bytes(hex: digits), exponent: vector.exponent))
    }

    @Test(arguments: RSAVector.all) func whatOtherProgramsSignIsVerified(_ vector: RSAVector) throws {
        let (key, signature) = (try Self.key(vector), Bytes(hex: vector.signature))
        #expect(key.byteCount == (vector.bits + 7) / 8)
        #expect(key.verify(signature, sha256: Self.hash))
        #expect(key.verify([0, 0] + signature, sha256: Self.hash), "zeros in front are no other number")
    }

    @Test(arguments: RSAVector.all) func nothingElseIs(_ vector: RSAVector) throws {
        let (key, signature) = (try Self.key(vector), Bytes(hex: vector.signature))
        for bit in stride(from: 0, to: signature.count * 8, by: 37) {
            var wrong = signature
            wrong[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(!key.verify(wrong, sha256: Self.hash), "bit \(bit)")
        }
        var hash = Self.hash
        hash[31] ^= 1
        #expect(!key.verify(signature, sha256: hash))
        #expect(!key.verify(signature, sha256: Bytes(Self.hash.dropLast())))
        for wrong in [[], [0], [1], Bytes(signature.dropLast()), signature + [0], Bytes(repeating: 0xFF, count: 1024)] {
            #expect(!key.verify(wrong, sha256: Self.hash))
        }
        // A number that is the same but for a multiple of the modulus is not taken.
        let modulus = Bytes(hex: vector.modulus.count % 2 == 0 ? vector.modulus : "0" + vector.modulus)
        #expect(!key.verify(Self.sum(signature, modulus), sha256: Self.hash))
        for other in RSAVector.all where other.modulus != vector.modulus {
            #expect(!key.verify(Bytes(hex: other.signature), sha256: Self.hash))
        }
    }

    private static func sum(_ one: Bytes, _ other: Bytes) -> Bytes {
        let width = max(one.count, other.count) + 1
        let padded = [one, other].map { Bytes(repeating: 0, count: width - $0.count) + $0 }
        var (sum, carry) = (Bytes(repeating: 0, count: width), 0)
        for index in (0..<width).reversed() {
            let digit = Int(padded[0][index]) + Int(padded[1][index]) + carry
            (sum[index], carry) = (UInt8(digit & 255), digit >> 8)
        }
        return sum
    }

    @Test func whatIsNoKeyIsNone() throws {
        let good = Bytes(hex: RSAVector.all[0].modulus)
        #expect(RSAPublicKey(modulus: [0, 0] + good, exponent: 3) != nil)
        for exponent in [0, 1, 2, 65_536, 65_539, UInt32.max] {
            #expect(RSAPublicKey(modulus: good, exponent: exponent) == nil)
        }
        let even = Bytes(good.dropLast()) + [good[127] & 0xFE]
        let long = Bytes(repeating: 0xFF, count: 513)
        for modulus in [[], [0], [1], [3], Bytes(good.dropFirst()), even, long] {
            #expect(RSAPublicKey(modulus: modulus, exponent: 65_537) == nil)
        }
    }

    // MARK: bodies

    @Test(arguments: [
        (#"{"name":"bob","__crypto__":"5e"}"#, #"{"name":"bob"}"#),
        (#"{"__crypto__":"5e","name":"bob"}"#, #"{"name":"bob"}"#),
        (#"{"a":1,"__crypto__":"5e","b":2}"#, #"{"a":1,"b":2}"#), (#"{"__crypto__":"5e"}"#, "{}"),
        (
            #"{"a":{"__crypto__":"x"},"b":["__crypto__",{"c":"}"}],"__crypto__":"5e"}"#,
            #"{"a":{"__crypto__":"x"},"b":["__crypto__",{"c":"}"}]}"#
        ),
        (#"{"a":"\"__crypto__\":\\","__crypto__":"5e"}"#, #"{"a":"\"__crypto__\":\\"}"#),
        (#"{"a":1.50,"b":"é\u00e9","__crypto__":"5e"}"#, #"{"a":1.50,"b":"é\u00e9"}"#),
        (#"{"a":"__crypto__","__crypto__":"5e"}"#, #"{"a":"__crypto__"}"#),
    ])
    func theSignatureIsCutOutAndNothingElse(_ body: String, _ text: String) throws {
        let signed = try #require(SignedBody(Bytes(body.utf8)))
        #expect(String(decoding: signed.text, as: UTF8.self) == text)
        #expect(signed.signature == [0x5E])
    }

    @Test(arguments: [
        "", "null", "[]", "1", #""__crypto__""#, "{}", #"{"a":1}"#, #"{"__crypto__":1}"#, #"{"__crypto__":""}"#,
        #"{"__crypto__":"5g"}"#, #"{"a":{"__crypto__":"5e"}}"#, #"{"__crypto__":"5e""#, #"["__crypto__","5e"]"#,
        #"{"__crypto__":"5e","__crypto__":"5e"}"#, #"{"__crypt\u006f__":"5e"}"#, #"{"__crypto__":{"a":"5e"}}"#,
        "{\"__crypto__\":\"\(String(repeating: "5", count: 1025))\"}",
    ])
    func whatHasNoSignatureIsNoSignedBody(_ body: String) { #expect(SignedBody(Bytes(body.utf8)) == nil) }
}
