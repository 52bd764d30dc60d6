// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON

/// From messages to JSON; the span is handed to every step.
///
/// - Source: pomelo-protobuf 0.4.0, lib/decoder.js and lib/codec.js. There a length beyond the end reads on, a count
///   makes as many elements as it says, and an unknown field throws. As there, the wire type of a known field does not
///   count.
struct ProtobufDecoder {
    private let messages: [ProtobufMessage]
    private let limit: Int
    private var offset = 0
    /// JSON that was written, in bytes.
    private var written = 0

    init(messages: [ProtobufMessage], limit: Int) {
        self.messages = messages
        self.limit = limit
    }

    /// The fields seen so far, in the order in which they came first.
    private struct Seen {
        private(set) var fields: [Int] = []
        /// The value of each; of a list its elements, without the brackets.
        var texts: [Bytes] = []
        /// Once they are many.
        private var places: [Int: Int] = [:]

        mutating func place(of field: Int) -> (place: Int, isNew: Bool) {
            if fields.count > 16 {
                if let place = places[field] { return (place, false) }
            } else if let place = fields.firstIndex(of: field) {
                return (place, false)
            }
            fields.append(field)
            texts.append([])
            if fields.count == 17 {
                for (place, field) in fields.enumerated() { places[field] = place }
            } else if fields.count > 17 {
                places[field] = fields.count - 1
            }
            return (fields.count - 1, true)
        }
    }

    mutating func object(
        _ bytes: Span<UInt8>, until end: Int, as place: Int, depth: Int, into json: inout Bytes
    ) throws(WireError) {
        let message = messages[place]
        guard depth <= ProtobufSchema.maxDepth else {
            throw .malformed("\(message.name): messages are inside each other over \(ProtobufSchema.maxDepth) deep")
        }
        try count(2)
        var seen = Seen()
        while offset < end {
            let key = try varint(bytes, end, atMost: UInt64(Int32.max), message)
            guard let index = message.field(of: UInt32(key >> 3)) else {
                try skip(key, bytes, end, message)
                continue
            }
            let (place, isNew) = seen.place(of: index)
            let field = message.fields[index]
            if isNew { try count(field.label.count + (field.option == .repeated ? 3 : 1)) }
            guard field.option == .repeated else {
                // The last one counts.
                seen.texts[place].removeAll(keepingCapacity: true)
                try value(field.kind, bytes, end, message, depth, into: &seen.texts[place])
                continue
            }
            try elements(field.kind, bytes, end, message, depth, into: &seen.texts[place])
        }
        write(seen, of: message, into: &json)
    }

    private func write(_ seen: Seen, of message: ProtobufMessage, into json: inout Bytes) {
        json.append(UInt8(ascii: "{"))
        for place in seen.fields.indices {
            let field = message.fields[seen.fields[place]]
            if place > 0 { json.append(UInt8(ascii: ",")) }
            json.append(contentsOf: field.label)
            if field.option == .repeated { json.append(UInt8(ascii: "[")) }
            json.append(contentsOf: seen.texts[place])
            if field.option == .repeated { json.append(UInt8(ascii: "]")) }
        }
        json.append(UInt8(ascii: "}"))
    }

    private mutating func elements(
        _ kind: ProtobufKind, _ bytes: Span<UInt8>, _ end: Int, _ message: ProtobufMessage, _ depth: Int,
        into json: inout Bytes
    ) throws(WireError) {
        var left: UInt64 = 1
        if kind.isCounted {
            left = try varint(bytes, end, atMost: .max, message)
            guard left <= UInt64((end &- offset) / kind.leastBytes) else {
                throw .malformed("\(message.name): a list has more elements than there are bytes")
            }
        }
        while left > 0 {
            if !json.isEmpty {
                try count(1)
                json.append(UInt8(ascii: ","))
            }
            try value(kind, bytes, end, message, depth, into: &json)
            left &-= 1
        }
    }

    private mutating func value(
        _ kind: ProtobufKind, _ bytes: Span<UInt8>, _ end: Int, _ message: ProtobufMessage, _ depth: Int,
        into json: inout Bytes
    ) throws(WireError) {
        let before = json.count
        switch kind {
        case .uInt32: JSONWriter.write(magnitude: try varint(bytes, end, atMost: Self.largest, message), into: &json)
        case .uInt64: JSONWriter.write(magnitude: try varint(bytes, end, atMost: .max, message), into: &json)
        case .sInt32, .sInt64:
            let bits = try varint(bytes, end, atMost: kind == .sInt32 ? Self.largest : .max, message)
            JSONWriter.write(Int64(bitPattern: bits >> 1) ^ (0 &- Int64(bitPattern: bits & 1)), into: &json)
        case .bool: json.append(contentsOf: (try varint(bytes, end, atMost: .max, message) > 0 ? "true" : "false").utf8)
        case .float:
            let bits = try littleEndian(UInt32.self, bytes, end, message)
            JSONWriter.write(Double(Float(bitPattern: bits)), into: &json)
        case .double:
            let bits = try littleEndian(UInt64.self, bytes, end, message)
            JSONWriter.write(Double(bitPattern: bits), into: &json)
        case .string:
            let stop = try length(bytes, end, message)
            JSONWriter.write(mending: bytes.extracting(offset..<stop), into: &json)
            offset = stop
        case .message(let place):
            let stop = try length(bytes, end, message)
            // It counts what it writes.
            return try object(bytes, until: stop, as: place, depth: depth + 1, into: &json)
        }
        try count(json.count &- before)
    }

    private static let largest = ProtobufWhole.largest

    private mutating func count(_ bytes: Int) throws(WireError) {
        written &+= bytes
        guard written <= limit else { throw .tooLarge(limit: limit) }
    }

    /// Only what has its length may be skipped: a number may be one, or the count of a list.
    private mutating func skip(
        _ key: UInt64, _ bytes: Span<UInt8>, _ end: Int, _ message: ProtobufMessage
    ) throws(WireError) {
        guard key & 7 == 2 else { throw .malformed("\(message.name): there is no field with the tag \(key >> 3)") }
        offset = try length(bytes, end, message)
    }

    /// Where what comes now ends.
    private mutating func length(
        _ bytes: Span<UInt8>, _ end: Int, _ message: ProtobufMessage
    ) throws(WireError) -> Int {
        let length = try varint(bytes, end, atMost: .max, message)
        guard length <= UInt64(end &- offset) else { throw .malformed("\(message.name) is cut short") }
        return offset &+ Int(length)
    }

    private mutating func varint(
        _ bytes: Span<UInt8>, _ end: Int, atMost limit: UInt64, _ message: ProtobufMessage
    ) throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard offset < end else { throw .malformed("\(message.name) is cut short") }
            let byte = bytes[offset]
            offset &+= 1
            guard shift < 63 || shift == 63 && byte & 0x7E == 0 else { break }
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 {
                guard value <= limit else { break }
                return value
            }
            shift &+= 7
        }
        throw .malformed("\(message.name): a number is too large")
    }

    private mutating func littleEndian<Value: FixedWidthInteger>(
        _ type: Value.Type, _ bytes: Span<UInt8>, _ end: Int, _ message: ProtobufMessage
    ) throws(WireError) -> Value {
        let size = Value.bitWidth / 8
        guard end &- offset >= size else { throw .malformed("\(message.name) is cut short") }
        var value: Value = 0
        for place in 0..<size { value |= Value(truncatingIfNeeded: bytes[offset &+ place]) << Value(8 &* place) }
        offset &+= size
        return value
    }
}
