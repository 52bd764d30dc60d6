// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON

/// What a field holds.
enum ProtobufKind: Equatable, Sendable {
    case uInt32
    /// `int32` and `sInt32` travel alike: zigzag, which Google's `int32` does not.
    case sInt32
    case float, double, string
    /// Pinus' own; pomelo knows no more than the above.
    case uInt64, sInt64, bool
    /// A message, by its place in the schema.
    case message(Int)

    /// - Source: pomelo-protobuf 0.4.0, lib/constant.js; pinus-protobuf, lib/constant.ts.
    init?(_ name: String) {
        switch name {
        case "uInt32": self = .uInt32
        case "int32", "sInt32": self = .sInt32
        case "float": self = .float
        case "double": self = .double
        case "string": self = .string
        case "uInt64": self = .uInt64
        case "sInt64": self = .sInt64
        case "bool": self = .bool
        default: return nil
        }
    }

    var wireType: UInt32 {
        switch self {
        case .uInt32, .sInt32, .uInt64, .sInt64, .bool: 0
        case .double: 1
        case .string, .message: 2
        case .float: 5
        }
    }

    /// Whether a list of them is one key, the number of elements and bare elements; others have a key each.
    var isCounted: Bool { wireType != 2 }

    /// The least that one takes, in bytes.
    var leastBytes: Int {
        switch self {
        case .double: 8
        case .float: 4
        default: 1
        }
    }
}

/// One field of a message.
struct ProtobufField: Sendable {
    enum Option: String, Sendable {
        case required, optional, repeated
    }

    let name: String
    let option: Option
    /// The type as the source names it.
    let type: String
    let tag: UInt32
    let kind: ProtobufKind
    /// What stands before a value on the wire: `tag << 3 | wire type`, as a varint.
    let key: Bytes
    /// What stands before it in JSON: the quoted name and a colon.
    let label: Bytes

    init(_ draft: ProtobufParser.Field, _ kind: ProtobufKind) {
        name = draft.name
        option = draft.option
        type = draft.type
        tag = draft.tag
        self.kind = kind
        var key: Bytes = []
        key.putVarint(UInt64(draft.tag << 3 | kind.wireType))
        self.key = key
        var label: Bytes = []
        JSONWriter.write(draft.name, into: &label)
        label.append(UInt8(ascii: ":"))
        self.label = label
    }
}

/// One message of a schema.
final class ProtobufMessage: Sendable {
    /// For errors: the route, and the way down to a nested one.
    let name: String
    /// In the order in which JavaScript walks them.
    let fields: [ProtobufField]
    /// The messages defined inside, in the same order, by their places in the schema.
    let nested: [(name: String, place: Int)]
    /// Every tag of the source, ascending, with the field it means.
    let tags: [(tag: UInt32, field: Int)]
    private let fieldOfTag: [UInt32: Int]

    init(_ draft: ProtobufParser.Message, _ fields: [ProtobufField]) {
        name = draft.name
        let order = ScriptOrder.sorted(Array(fields.indices)) { fields[$0].name }
        self.fields = order.map { fields[$0] }
        nested = ScriptOrder.sorted(draft.nested) { $0.name }
        var places = order
        for (place, index) in order.enumerated() { places[index] = place }
        tags = draft.tags.map { ($0.tag, places[$0.field]) }.sorted { $0.0 < $1.0 }
        fieldOfTag = Dictionary(uniqueKeysWithValues: tags.map { ($0.tag, $0.field) })
    }

    /// The place of the field that a tag means.
    func field(of tag: UInt32) -> Int? { fieldOfTag[tag] }
}

extension Bytes {
    /// Base 128, least significant group first, the high bit set on all but the last.
    mutating func putVarint(_ value: UInt64) {
        var rest = value
        while rest > 0x7F {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }
}
