// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloWire
import Testing

/// Headers of proxies, by HAProxy's description of them.
@Suite struct ProxyHeaderTests {
    static let signature: Bytes = [0x0D, 0x0A, 0x0D, 0x0A, 0, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    /// A header of version 2.
    static func binary(_ family: UInt8, _ rest: Bytes, command: UInt8 = 0x21) -> Bytes {
        let count = rest.count
        return signature + [command, family, UInt8(count >> 8), UInt8(count & 255)] + rest
    }

    static let v4Addresses: Bytes = [192, 0, 2, 7, 198, 51, 100, 1, 0xDC, 0x04, 0x01, 0xBB]
    static let v6Addresses = v6(7) + v6(1) + Bytes([0xDC, 0x04, 0x01, 0xBB])
    private static func v6(_ last: UInt8) -> Bytes {
        [0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
    }
    static let mapped = Bytes(repeating: 0, count: 10) + Bytes([255, 255, 192, 0, 2, 7])
    /// Of PP2_TYPE_ALPN, and a checksum that is not looked at.
    static let tlvs: Bytes = [0x01, 0, 2, 0x68, 0x32, 0x03, 0, 4, 1, 2, 3, 4]

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let bytes: Bytes
        /// As `address port`, or `-`.
        let source: String

        init(_ name: String, _ bytes: Bytes, _ source: String) {
            (testDescription, self.bytes, self.source) = (name, bytes, source)
        }
    }

    static let whole = [
        Case("TCP4", Bytes("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n".utf8), "192.0.2.7 56324"),
        Case(
            "TCP4, the longest", Bytes("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n".utf8),
            "255.255.255.255 65535"),
        Case("TCP6", Bytes("PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n".utf8), "2001:db8::7 56324"),
        Case(
            "TCP6, the longest",
            Bytes(
                ("PROXY TCP6 ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n").replacing(
                    "f...f", with: "ffff:ffff:ffff:ffff:ffff:ffff"
                ).utf8),
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535"),
        Case("UNKNOWN", Bytes("PROXY UNKNOWN\r\n".utf8), "-"),
        Case(
            "UNKNOWN, the longest",
            Bytes(("PROXY UNKNOWN " + String(repeating: "f", count: 91) + "\r\n").utf8), "-"),
        Case("port 0", Bytes("PROXY TCP4 192.0.2.7 198.51.100.1 0 0\r\n".utf8), "192.0.2.7 0"),
        Case("2, IPv4", binary(0x11, v4Addresses), "192.0.2.7 56324"),
        Case("2, IPv6", binary(0x21, v6Addresses), "2001:db8::7 56324"),
        Case("2, with TLVs", binary(0x11, v4Addresses + tlvs), "192.0.2.7 56324"),
        Case("2, IPv6 with TLVs", binary(0x21, v6Addresses + tlvs), "2001:db8::7 56324"),
        Case("2, local", binary(0x00, [], command: 0x20), "-"),
        Case("2, local with addresses", binary(0x11, v4Addresses, command: 0x20), "-"),
        Case("2, local of an unknown family", binary(0x77, tlvs, command: 0x20), "-"),
        Case("2, unspecified", binary(0x00, tlvs), "-"),
        Case("2, of a Unix-domain socket", binary(0x31, Bytes(repeating: 1, count: 216)), "-"),
        Case(
            "2, mapped",
            binary(0x21, mapped + v6Addresses[16...]),
            "192.0.2.7 56324"),
        Case("2, the longest", binary(0x11, v4Addresses + Bytes(repeating: 9, count: 65_535 - 12)), "192.0.2.7 56324"),
    ]

    /// What a decoder makes of pieces: the source and what is left, or what went wrong.
    private static func read(_ pieces: [Bytes]) -> String {
        var decoder = ProxyDecoder()
        for (index, piece) in pieces.enumerated() {
            do {
                switch try decoder.decode(piece.span) {
                case .needMore:
                    #expect(decoder.heldBytes <= 256)
                case .header(let header, let consumed):
                    let rest = Bytes(piece[consumed...]) + pieces[(index + 1)...].flatMap { $0 }
                    let source = header.source.map { "\($0.text) \(header.port)" } ?? "-"
                    return "\(source) | \(String(decoding: rest, as: UTF8.self))"
                case .other(let taken):
                    return "other | \(String(decoding: taken + pieces[index...].flatMap { $0 }, as: UTF8.self))"
                }
            } catch { return "\(error)" }
        }
        return "more"
    }

    @Test(arguments: whole) func aHeaderIsTheSameAtEverySplit(_ sample: Case) {
        let bytes = sample.bytes + Bytes("rest".utf8)
        for split in Set(0...min(bytes.count, 300)).union([bytes.count - 5, bytes.count - 4, bytes.count]) {
            let pieces = [Bytes(bytes[..<split]), Bytes(bytes[split...])]
            #expect(Self.read(pieces) == "\(sample.source) | rest", "split at \(split)")
        }
        #expect(Self.read(bytes.map { [$0] }) == "\(sample.source) | rest")
        #expect(Self.read([Bytes(sample.bytes.dropLast())]) == "more")
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\n", "POST /", "PUT /", "P", "PROX", "\u{1}\0\0\0", "\r\n\r\n\0\r\nQUIX", "\r\n", "",
        "PRI * HTTP/2.0",
        "\u{16}\u{3}\u{1}",
    ])
    func somethingElseIsLeftAsItIs(_ text: String) {
        let bytes = Bytes(text.utf8)
        let isBegun = Bytes("PROXY".utf8).starts(with: bytes) || Self.signature.starts(with: bytes)
        let expected = isBegun ? "more" : "other | \(text)"
        #expect(Self.read([bytes]) == expected)
        #expect(Self.read(bytes.map { [$0] }) == expected)
    }

    static let wrong: [Bytes] =
        [
            "PROXY\r\n", "PROXYTCP4 1.1.1.1 2.2.2.2 1 2\r\n", "PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n", "PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n",
            "PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n", "PROXY TCP4 1.1.1.1 x 1 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n", "PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n",
            "PROXY TCP4 1.1.1.1 2.2.2.2 1 -2\r\n",
            "PROXY tcp4 1.1.1.1 2.2.2.2 1 2\r\n", "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
            "PROXY UNKNOWN " + String(repeating: "f", count: 92) + "\r\n",
        ].map { Bytes($0.utf8) } + [
            binary(0x11, v4Addresses, command: 0x11), binary(0x11, v4Addresses, command: 0x31),
            binary(0x11, v4Addresses, command: 0x22),
            binary(0x11, Bytes(v4Addresses.dropLast())), binary(0x21, Bytes(v6Addresses.dropLast())),
            binary(0x41, v4Addresses), binary(0x13, v4Addresses),
        ]

    @Test(arguments: wrong) func aWrongHeaderIsAnError(_ bytes: Bytes) {
        #expect(Self.read([bytes]).hasPrefix("malformed"))
        #expect(Self.read(bytes.map { [$0] }).hasPrefix("malformed"))
    }

    @Test func fourBytesShowAHeader() {
        #expect(ProxyDecoder.begins(Bytes("PROX".utf8)) && ProxyDecoder.begins(Self.signature))
        #expect(!ProxyDecoder.begins(Bytes("PRO".utf8)) && !ProxyDecoder.begins(Bytes("POST".utf8)))
        #expect(!ProxyDecoder.begins([0x0D, 0x0A, 0x0D, 0x0B]))
    }
}
