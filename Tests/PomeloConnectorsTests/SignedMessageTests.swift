// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloTesting
import PomeloWire
import TestHelpers
import Testing

@testable import PomeloConnectors

/// With `useCrypto` nothing is heard but what its client has signed.
@Suite struct SignedMessageTests {
    private static let vector = RSAVector.all[0]
    private static var options: HybridOptions {
        var options = HybridOptions()
        options.useCrypto = true
        return options
    }

    private static func handshake(_ rsa: String?) throws -> Bytes {
        let rsa = rsa.map { ",\"rsa\":\($0)" } ?? ""
        return try Packet.encode(
            .handshake, Bytes("{\"sys\":{\"type\":\"js-websocket\",\"version\":\"0.0.1\"\(rsa)}}".utf8))
    }

    private static func rsa(_ vector: RSAVector) -> String {
        "{\"rsa_n\":\"\(vector.modulus)\",\"rsa_e\":\(vector.exponent)}"
    }

    private static func request(_ body: String, id: UInt32 = 1) throws -> Bytes {
        try Message.requestPacket(id: id, route: "a.b.c", code: nil, body: Bytes(body.utf8))
    }

    @Loop private func wired(_ vector: RSAVector) throws -> Wired {
        let wired = try Wired(Self.options)
        wired.stream.feed(try Self.handshake(Self.rsa(vector)) + Sample.ack)
        #expect(wired.stream.taken() == Sample.welcome)
        return wired
    }

    @Test(arguments: RSAVector.all) @Loop func whatIsSignedIsHeardWithoutItsSignature(_ vector: RSAVector) throws {
        let wired = try wired(vector)
        wired.stream.feed(try Self.request("{\"name\":\"bob\",\"__crypto__\":\"\(vector.signature)\"}"))
        #expect(wired.host.messages.map(\.body) == [Bytes("{\"name\":\"bob\"}".utf8)])
        #expect(wired.port.statistics.badSignatures == 0)
        #expect(wired.host.session?.settings.isEmpty == true, "the key stays with the connection")
    }

    @Test(arguments: [
        (0, "{\"text\":\"你好\""), (1, "{\"text\":\"café\""), (2, "{\"text\":\"café\""),
        (3, "{\"a\":{\"b\":[1,{\"__crypto__\":\"x\"}]},\"c\":1.50"),
    ])
    @Loop func textsBeyondASCIIAndNumbersAsTheyAreWritten(_ index: Int, _ body: String) throws {
        let wired = try wired(RSAVector.all[1])
        wired.stream.feed(try Self.request("\(body),\"__crypto__\":\"\(RSAVector.texts[index])\"}"))
        #expect(wired.host.messages.map(\.body) == [Bytes("\(body)}".utf8)])
    }

    @Test @Loop func whatIsNotIsNotHeardAndARequestIsTold() throws {
        let wired = try wired(Self.vector)
        let wrong = [
            "{\"name\":\"eve\",\"__crypto__\":\"\(Self.vector.signature)\"}", "{\"name\":\"bob\"}", "null", "[]", "",
            "{\"name\":\"bob\",\"__crypto__\":\"\(RSAVector.all[1].signature)\"}",
            "{\"name\":\"bob\",\"__crypto__\":7}",
            "{\"name\": \"bob\",\"__crypto__\":\"\(Self.vector.signature)\"}",
        ]
        for body in wrong {
            wired.stream.feed(try Self.request(body))
            #expect(wired.stream.taken() == Sample.data([4, 1] + Bytes("{\"code\":500}".utf8)), "\(body)")
        }
        wired.stream.feed(try Message.notifyPacket(route: "a.b.c", code: nil, body: Bytes("{}".utf8)))
        #expect(wired.stream.taken().isEmpty)
        #expect(wired.host.messages.isEmpty && wired.host.ends.isEmpty)
        #expect(wired.port.statistics.badSignatures == wrong.count + 1)
        #expect(wired.port.statistics.droppedMessages == wrong.count + 1)
    }

    @Test(arguments: [
        nil, "{}", "null", "{\"rsa_n\":\"\",\"rsa_e\":65537}", "{\"rsa_n\":\"c5\",\"rsa_e\":65537}",
        "{\"rsa_n\":\"\(vector.modulus)\"}", "{\"rsa_n\":\"\(vector.modulus)\",\"rsa_e\":\"10001\"}",
        "{\"rsa_n\":\"\(vector.modulus)\",\"rsa_e\":-1}", "{\"rsa_n\":\"\(vector.modulus)\",\"rsa_e\":4294967299}",
        "{\"rsa_n\":\"x\(vector.modulus)\",\"rsa_e\":3}",
    ])
    @Loop func whoShowsNoKeyIsRefused(_ rsa: String?) throws {
        let wired = try Wired(Self.options)
        wired.stream.feed(try Self.handshake(rsa))
        #expect(wired.stream.written == Sample.refused500 && wired.fault(.handshakeRefused) == 1)
    }

    /// Each look costs a part of the turn, so that a flood of them holds nobody up.
    @Test @Loop func aFloodOfWrongSignaturesWaitsForItsTurns() throws {
        let wired = try wired(Self.vector)
        let wrong = try Self.request("{\"name\":\"eve\",\"__crypto__\":\"\(Self.vector.signature)\"}")
        wired.stream.feed((0..<200).flatMap { _ in wrong })
        #expect(wired.port.statistics.badSignatures <= TurnShares.ofOne / ClientKey.cost + 1)
        #expect(!wired.stream.reading)
    }

    @Test func theFileSaysIt() throws {
        #expect(try HybridOptions(OptionReader(["useCrypto": true], file: "connector.json")).useCrypto)
        #expect(!HybridOptions().useCrypto)
    }
}
