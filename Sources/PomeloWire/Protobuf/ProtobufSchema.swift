// SPDX-License-Identifier: MIT
public import PomeloBytes
public import PomeloJSON

/// The messages of one direction, as a file of pomelo-protobuf defines them.
///
/// ```
/// {
///     "onMove": {"required uInt32 entityId": 1, "repeated Path path": 2, "message Path": {"required double x": 1}},
///     "message Seat": {"optional string who": 1}
/// }
///
/// field on the wire    key = varint(tag << 3 | wire type), then the value
/// uInt32 uInt64 bool   0   varint                 int32 sInt32 sInt64   0   zigzag varint
/// float                5   4 bytes, little-endian double                1   8 bytes, little-endian
/// string, a message    2   varint(length) bytes
/// repeated             of strings and messages each with its key; else key, varint(count), bare elements
/// ```
///
/// That looks like Google's format, and is another one: `int32` is zigzag, and lists of numbers have a count.
/// `uInt64`, `sInt64` and `bool` are pinus'; a type that is not known is refused.
///
/// - Source: pomelo-protobuf 0.4.0, lib/parser.js, lib/encoder.js, lib/decoder.js, lib/constant.js.
public final class ProtobufSchema: Sendable {
    /// How deep messages may be inside each other.
    public static let maxDepth = 64

    let messages: [ProtobufMessage]
    private let roots: [(name: String, place: Int)]
    private let places: [Text: Int]
    /// What the source says that does not count, for its author: keys that mean nothing, tags that are taken.
    public let notes: [String]

    /// Reads the source.
    ///
    /// - Throws: ``WireError/malformed(_:)`` naming route and field: a type that is not known, a tag that is no number.
    public init(_ source: JSON) throws(WireError) {
        let parser = try ProtobufParser(source)
        roots = parser.roots
        notes = parser.notes
        messages = try parser.messages()
        var places: [Text: Int] = [:]
        for (name, place) in roots { places[Text(name)] = place }
        self.places = places
    }

    /// The routes that have a message here, in the order of a JavaScript object.
    public var routes: [String] { roots.map(\.name).filter { !$0.utf8.starts(with: "message ".utf8) } }

    /// What writes and reads the messages of a route; nil when they are JSON.
    public func codec(for route: String) -> ProtobufCodec? {
        places[Text(route)].map { ProtobufCodec(schema: self, message: $0) }
    }

    /// The parsed form as clients get it, whose keys have the original's order.
    ///
    /// A field is `"name":{"option":…,"type":…,"tag":…}`; behind a message's fields come `"__messages"` and `"__tags"`.
    public var parsedForm: Bytes { parsedForm(escapeAstral: true) }

    /// The same text as the original's version is made of: MD5 in Base64 of the client's, then the server's.
    public var versionSource: Bytes { parsedForm(escapeAstral: false) }

    private func parsedForm(escapeAstral: Bool) -> Bytes {
        var writer = ProtobufFormWriter(escapeAstral: escapeAstral)
        writer.list(roots.map { ($0.name, messages[$0.place]) }, among: messages)
        return writer.bytes
    }
}

/// Writes and reads the messages of one route.
public struct ProtobufCodec: Sendable {
    let schema: ProtobufSchema
    let message: Int

    /// Returns the message that a body of JSON stands for, its fields in the order of the schema; nothing for `{}`.
    ///
    /// Keys that the schema lacks are left out, and so is null. Numbers are cut to whole ones where the schema wants
    /// these, texts that begin with digits count as these, as in JavaScript.
    ///
    /// - Throws: ``WireError/malformed(_:)`` naming the field: a required one is missing, or a value has no such form.
    public func encode(_ body: Bytes) throws(WireError) -> Bytes { try encode(try JSON.parse(body)) }

    /// Returns the message that a value stands for; see ``encode(_:)-(Bytes)``.
    ///
    /// - Throws: ``WireError/malformed(_:)`` naming the field.
    public func encode(_ value: JSON) throws(WireError) -> Bytes {
        var bytes: Bytes = []
        try ProtobufEncoder(messages: schema.messages).write(value, as: message, depth: 1, into: &bytes)
        return bytes
    }

    /// Returns a message as compact JSON of at most `maxBytes`, its fields in the order in which they came.
    ///
    /// Texts are read as `JSON.parse` reads them, numbers that JSON has no form for become null. Fields that the schema
    /// lacks are skipped where their length is told.
    ///
    /// - Throws: ``WireError/malformed(_:)`` naming the message, for bytes that are missing, a field that cannot be
    ///   skipped, and nesting over ``ProtobufSchema/maxDepth``; ``WireError/tooLarge(limit:)``.
    public func decode(_ bytes: Span<UInt8>, maxBytes: Int) throws(WireError) -> Bytes {
        var json: Bytes = []
        var decoder = ProtobufDecoder(messages: schema.messages, limit: maxBytes)
        try decoder.object(bytes, until: bytes.count, as: message, depth: 1, into: &json)
        return json
    }
}

/// Writes the parsed form of a schema.
private struct ProtobufFormWriter {
    let escapeAstral: Bool
    var bytes: Bytes = []

    init(escapeAstral: Bool) { self.escapeAstral = escapeAstral }

    mutating func list(_ entries: [(name: String, message: ProtobufMessage)], among messages: [ProtobufMessage]) {
        bytes.append(UInt8(ascii: "{"))
        for (index, entry) in entries.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            text(entry.name)
            bytes.append(UInt8(ascii: ":"))
            object(entry.message, among: messages)
        }
        bytes.append(UInt8(ascii: "}"))
    }

    private mutating func object(_ message: ProtobufMessage, among messages: [ProtobufMessage]) {
        bytes.append(UInt8(ascii: "{"))
        for field in message.fields {
            text(field.name)
            bytes.append(contentsOf: ":{\"option\":\"\(field.option.rawValue)\",\"type\":".utf8)
            text(field.type)
            bytes.append(contentsOf: ",\"tag\":\(field.tag)},".utf8)
        }
        bytes.append(contentsOf: "\"__messages\":".utf8)
        list(message.nested.map { ($0.name, messages[$0.place]) }, among: messages)
        bytes.append(contentsOf: ",\"__tags\":{".utf8)
        for (index, entry) in message.tags.enumerated() {
            bytes.append(contentsOf: "\(index > 0 ? "," : "")\"\(entry.tag)\":".utf8)
            text(message.fields[entry.field].name)
        }
        bytes.append(contentsOf: "}}".utf8)
    }

    private mutating func text(_ text: String) { JSONWriter.write(text, into: &bytes, escapeAstral: escapeAstral) }
}
