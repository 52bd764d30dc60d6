// SPDX-License-Identifier: MIT
#if canImport(PomeloWire)
    import PomeloWire
#endif

/// Spends the bytes of an input one after the other.
private struct Chance {
    private var rest: ArraySlice<UInt8>
    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }
    mutating func below(_ bound: Int) -> Int { Int(rest.popFirst() ?? 0) % bound }
}

private let types = ["uInt32", "sInt32", "int32", "float", "double", "string", "uInt64", "sInt64", "bool", "A", "B"]

/// A message of what the input says; a type that is nowhere may come out.
private func message(_ chance: inout Chance, depth: Int) -> JSON {
    var fields: JSONObject = [:]
    if depth < 3, chance.below(3) == 0 { fields["message A"] = message(&chance, depth: depth + 1) }
    for _ in 0..<chance.below(6) {
        let option = ["required", "optional", "optional", "repeated"][chance.below(4)]
        let type = types[chance.below(types.count)]
        fields["\(option) \(type) \(["a", "b", "7", "😀", "c"][chance.below(5)])"] = .int(Int64(1 + chance.below(18)))
    }
    return .object(fields)
}

private func schema(_ bytes: ArraySlice<UInt8>) -> ProtobufSchema? {
    var chance = Chance(bytes)
    let source: JSON = [
        "r": message(&chance, depth: 0), "message A": message(&chance, depth: 1),
        "message B": message(&chance, depth: 1),
    ]
    return try? ProtobufSchema(source)
}

/// What is read of any bytes is JSON, no longer than it may be, and what can be written of it reads as the same.
///
/// Any JSON is the source of a schema or not. The first byte says how many of the others make the schema.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzProtobuf(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let bytes = Bytes(UnsafeBufferPointer(start: start, count: count))
    if let source = try? JSON.parse(bytes), let schema = try? ProtobufSchema(source) {
        let form = try? JSON.parse(schema.parsedForm)
        precondition(form?.object?.count == source.object?.count, "the parsed form lacks messages")
        for route in schema.routes { _ = try? schema.codec(for: route)?.decode(bytes.span, maxBytes: 4096) }
    }
    let length = min(bytes.count, 1 + Int(bytes.first ?? 0) % 64)
    guard let codec = schema(bytes[min(1, length)..<length])?.codec(for: "r") else { return 0 }
    let input = Bytes(bytes[length...])
    if let value = try? JSON.parse(input), let written = try? codec.encode(value) {
        precondition((try? codec.decode(written.span, maxBytes: 1 << 20)) != nil, "what was written cannot be read")
    }
    guard let read = try? codec.decode(input.span, maxBytes: 16_384) else { return 0 }
    precondition(read.count <= 16_384, "more was read than may be")
    guard let value = try? JSON.parse(read) else { preconditionFailure("what was read is no JSON") }
    // A required field may be missing, and NaN is null.
    guard let written = try? codec.encode(value) else { return 0 }
    guard let again = try? codec.decode(written.span, maxBytes: 1 << 20), let same = try? JSON.parse(again) else {
        preconditionFailure("what was written cannot be read")
    }
    guard let last = try? codec.encode(same) else { preconditionFailure("what was read cannot be written again") }
    precondition(last == written, "is written differently again")
    return 0
}
