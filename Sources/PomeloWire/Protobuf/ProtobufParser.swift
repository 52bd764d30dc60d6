// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON

/// Reads the source of a schema.
///
/// - Source: pomelo-protobuf 0.4.0, lib/parser.js. There a type that is not known writes nothing but its key, which no
///   client can read, and a tag may be anything; both are refused here.
struct ProtobufParser {
    struct Field {
        let name: String
        let option: ProtobufField.Option
        let type: String
        let tag: UInt32
    }

    struct Message {
        let name: String
        var fields: [Field] = []
        var nested: [(name: String, place: Int)] = []
        var tags: [(tag: UInt32, field: Int)] = []
        fileprivate var taken: Set<UInt32> = []
        fileprivate var named: [Text: Int] = [:]
    }

    /// Tags whose key still is a whole number of 31 bits, as JavaScript's shifts want it.
    private static let tags = 0..<Int64(1) << 28
    /// What a field cannot be called: these are keys of the parsed form, or what every JavaScript object has.
    private static let reserved: [Text] = ["__messages", "__tags", "__proto__", ""]

    private var drafts: [Message] = []
    private(set) var roots: [(name: String, place: Int)] = []
    /// What the source says and does not count.
    private(set) var notes: [String] = []

    init(_ source: JSON) throws(WireError) {
        guard let object = source.object else { throw .malformed("it must hold an object") }
        for (name, definition) in object {
            roots.append((name, try message(definition, name.forLog, depth: 1)))
        }
        roots = ScriptOrder.sorted(roots) { $0.name }
    }

    private mutating func message(_ source: JSON, _ name: String, depth: Int) throws(WireError) -> Int {
        guard let object = source.object else { throw .malformed("\(name): a message must be an object") }
        guard depth <= ProtobufSchema.maxDepth else {
            throw .malformed("\(name): messages are defined inside each other over \(ProtobufSchema.maxDepth) deep")
        }
        var draft = Message(name: name)
        for (key, value) in object {
            let words = key.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
                .map { String(decoding: $0, as: UTF8.self) }
            if words.count == 2, words[0] == "message" {
                draft.nested.append((words[1], try message(value, "\(name).\(words[1].forLog)", depth: depth + 1)))
            } else if words.count == 3, let option = ProtobufField.Option(rawValue: words[0]) {
                try add(words[2], option, words[1], value, to: &draft)
            } else {
                notes.append("\(name): the key \"\(key.forLog)\" means nothing")
            }
        }
        drafts.append(draft)
        return drafts.count - 1
    }

    private mutating func add(
        _ name: String, _ option: ProtobufField.Option, _ type: String, _ value: JSON, to message: inout Message
    ) throws(WireError) {
        let place = "\(message.name): the field \(name.forLog)"
        guard !Self.reserved.contains(Text(name)) else { throw .malformed("\(place) cannot be called so") }
        guard let number = value.int, Self.tags.contains(number) else {
            throw .malformed("\(place) needs a tag that is a whole number from 0 to \(Self.tags.upperBound - 1)")
        }
        let field = Field(name: name, option: option, type: type, tag: UInt32(number))
        guard message.taken.insert(field.tag).inserted else {
            return notes.append("\(place) is left out: another one has its tag \(field.tag)")
        }
        // A name that comes again keeps its place, and both of its tags.
        if let twin = message.named[Text(name)] {
            notes.append("\(place) is defined twice: the last definition counts")
            message.tags.append((field.tag, twin))
            message.fields[twin] = field
        } else {
            message.named[Text(name)] = message.fields.count
            message.tags.append((field.tag, message.fields.count))
            message.fields.append(field)
        }
    }

    /// The messages, once every type is known.
    ///
    /// A type is looked for among the messages defined inside the field's own one, then among those of the root; not
    /// in between.
    func messages() throws(WireError) -> [ProtobufMessage] {
        var rooted: [Text: Int] = [:]
        for (name, place) in roots { rooted[Text(name)] = place }
        var messages: [ProtobufMessage] = []
        for draft in drafts {
            var nested: [Text: Int] = [:]
            for (name, place) in draft.nested { nested[Text(name)] = place }
            var fields: [ProtobufField] = []
            for field in draft.fields {
                let found = nested[Text(field.type)] ?? rooted[Text("message \(field.type)")]
                guard let kind = ProtobufKind(field.type) ?? found.map({ .message($0) }) else {
                    throw .malformed(
                        "\(draft.name): the field \(field.name.forLog) has the unknown type \(field.type.forLog)")
                }
                fields.append(ProtobufField(field, kind))
            }
            messages.append(ProtobufMessage(draft, fields))
        }
        return messages
    }
}
