// SPDX-License-Identifier: MIT
import Foundation
import PomeloBytes
import PomeloJSON
import PomeloWire
import Testing

/// Random schemas, values and bytes beside a second implementation, that of `Vectors/generate.py`.
@Suite("Protobuf beside a second implementation")
struct ProtobufReferenceTests {
    private static let vectors: URL = {
        let given = ProcessInfo.processInfo.environment["POMELO_PROTOBUF_VECTORS"]
        let own = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Vectors/random.jsonl")
        return given.map { URL(filePath: $0) } ?? own
    }()

    @Test func agree() throws {
        var (written, read, refused) = (0, 0, 0)
        for line in try Data(contentsOf: Self.vectors).split(separator: UInt8(ascii: "\n")) {
            let item = try JSON.parse(Bytes(line))
            let schema = try ProtobufSchema(item["source"] ?? nil)
            #expect(text(schema.versionSource) == item["form"]?.string)
            for entry in item["encode"]?.array ?? [] {
                let (codec, value, bytes) = try parts(entry, schema)
                let made = attempt { () throws(WireError) in try codec.encode(value) }
                #expect(made == bytes.string.map(hex), "\(item["source"] ?? nil) \(value)")
                written += 1
                if made == nil { refused += 1 }
            }
            for entry in item["decode"]?.array ?? [] {
                let (codec, bytes, expected) = try parts(entry, schema)
                let input = hex(bytes.string ?? "")
                let made = attempt { () throws(WireError) in try codec.decode(input.span, maxBytes: 1 << 20) }
                // Numbers may be spelt otherwise; the keys have their order.
                let wanted = try expected.string.map { try JSON.parse(utf8($0)).encoded() }
                #expect(made == wanted, "\(item["source"] ?? nil) \(bytes)")
                read += 1
                if made == nil { refused += 1 }
            }
        }
        #expect(written > 500 && read > 1500 && refused > 300)
    }

    private func parts(_ entry: JSON, _ schema: ProtobufSchema) throws -> (ProtobufCodec, JSON, JSON) {
        let parts = try #require(entry.array)
        try #require(parts.count == 3)
        return (try #require(parts[0].string.flatMap { schema.codec(for: $0) }), parts[1], parts[2])
    }

    private func attempt(_ work: () throws(WireError) -> Bytes) -> Bytes? {
        do throws(WireError) {
            return try work()
        } catch {
            return nil
        }
    }
}
