// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON

/// From values to messages.
///
/// - Source: pomelo-protobuf 0.4.0, lib/encoder.js and lib/codec.js. There fields have the order of the value's keys,
///   and a value that does not fit throws, or is cut where the buffer ends.
struct ProtobufEncoder {
    let messages: [ProtobufMessage]

    func write(_ value: JSON, as place: Int, depth: Int, into bytes: inout Bytes) throws(WireError) {
        let message = messages[place]
        guard let object = value.object else { throw .malformed("\(message.name) must be an object") }
        guard depth <= ProtobufSchema.maxDepth else {
            throw .malformed("\(message.name): messages are inside each other over \(ProtobufSchema.maxDepth) deep")
        }
        let table = Table(object)
        for index in message.fields.indices {
            guard let value = table[message.fields[index].name], !value.isNull else {
                guard message.fields[index].option != .required else {
                    throw .malformed("\(message.name): the required field \(message.fields[index].name) is missing")
                }
                continue
            }
            try write(value, of: message, index, depth, into: &bytes)
        }
    }

    /// Finds the values of an object; those of large ones by a table, so that none costs more than its length.
    private struct Table {
        private let object: JSONObject
        private var places: [Text: Int] = [:]

        init(_ object: JSONObject) {
            self.object = object
            guard object.count > 16 else { return }
            places.reserveCapacity(object.count)
            for (place, key) in object.keys.enumerated() { places[Text(key)] = place }
        }

        subscript(name: String) -> JSON? {
            places.isEmpty ? object[name] : places[Text(name)].map { object.values[$0] }
        }
    }

    private func write(
        _ value: JSON, of message: ProtobufMessage, _ index: Int, _ depth: Int, into bytes: inout Bytes
    ) throws(WireError) {
        let field = message.fields[index]
        guard field.option == .repeated else {
            bytes.append(contentsOf: field.key)
            return try element(value, field, message, depth, into: &bytes)
        }
        guard let elements = value.array else { throw misfit(field, message, "a list") }
        guard !elements.isEmpty else { return }
        if field.kind.isCounted {
            bytes.append(contentsOf: field.key)
            bytes.putVarint(UInt64(elements.count))
        }
        for value in elements {
            if !field.kind.isCounted { bytes.append(contentsOf: field.key) }
            try element(value, field, message, depth, into: &bytes)
        }
    }

    private func element(
        _ value: JSON, _ field: ProtobufField, _ message: ProtobufMessage, _ depth: Int, into bytes: inout Bytes
    ) throws(WireError) {
        switch field.kind {
        case .uInt32, .sInt32, .uInt64, .sInt64:
            guard let number = ProtobufWhole(value)?.bits(of: field.kind) else {
                throw misfit(field, message, "a whole number in the range of \(field.type)")
            }
            bytes.putVarint(number)
        case .bool:
            switch value {
            case .bool, .int, .uint, .double: bytes.append(value.isTruthy ? 1 : 0)
            default: throw misfit(field, message, "true or false")
            }
        case .float:
            guard let number = value.double else { throw misfit(field, message, "a number") }
            putLittleEndian(Float(number).bitPattern, into: &bytes)
        case .double:
            guard let number = value.double else { throw misfit(field, message, "a number") }
            putLittleEndian(number.bitPattern, into: &bytes)
        case .string:
            guard let text = value.string else { throw misfit(field, message, "a text") }
            bytes.putVarint(UInt64(text.utf8.count))
            bytes.append(contentsOf: text.utf8)
        case .message(let place):
            var inner: Bytes = []
            try write(value, as: place, depth: depth + 1, into: &inner)
            bytes.putVarint(UInt64(inner.count))
            bytes.append(contentsOf: inner)
        }
    }

    private func putLittleEndian<Value: FixedWidthInteger>(_ value: Value, into bytes: inout Bytes) {
        for shift in stride(from: 0, to: Value.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> Value(shift)))
        }
    }

    private func misfit(_ field: ProtobufField, _ message: ProtobufMessage, _ wanted: String) -> WireError {
        .malformed("\(message.name): the field \(field.name) must be \(wanted)")
    }
}

/// A whole number, as JavaScript's `parseInt` finds it in a value; a fraction is cut off.
///
/// What `parseInt` makes of the text of very small and large numbers, 1 of 1e21 for instance, is none.
struct ProtobufWhole {
    private var magnitude: UInt64
    private var isNegative: Bool

    /// Nil when there is none within 64 bits.
    init?(_ value: JSON) {
        switch value {
        case .int(let number): self.init(magnitude: number.magnitude, isNegative: number < 0)
        case .uint(let number): self.init(magnitude: number, isNegative: false)
        case .double(let number):
            guard number.magnitude < 0x1p64 else { return nil }
            self.init(magnitude: UInt64(number.magnitude), isNegative: number < 0)
        case .string(let text): self.init(beginning: text)
        default: return nil
        }
    }

    private init(magnitude: UInt64, isNegative: Bool) {
        self.magnitude = magnitude
        self.isNegative = isNegative
    }

    /// White space, a sign, `0x`, then as many digits as there are.
    ///
    /// - Source: ECMAScript, `parseInt`; of white space only that of ASCII.
    private init?(beginning text: String) {
        var rest = text.utf8.drop { $0 == 0x20 || (0x09...0x0D).contains($0) }
        self.init(magnitude: 0, isNegative: rest.first == UInt8(ascii: "-"))
        if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { rest = rest.dropFirst() }
        let isHexadecimal = rest.starts(with: "0x".utf8) || rest.starts(with: "0X".utf8)
        if isHexadecimal { rest = rest.dropFirst(2) }
        let digits = rest.prefix { Self.digit($0, isHexadecimal) != nil }
        guard !digits.isEmpty else { return nil }
        for byte in digits {
            let (scaled, isOver) = magnitude.multipliedReportingOverflow(by: isHexadecimal ? 16 : 10)
            let (sum, isOverToo) = scaled.addingReportingOverflow(Self.digit(byte, isHexadecimal) ?? 0)
            if isOver || isOverToo { return nil }
            magnitude = sum
        }
    }

    private static func digit(_ byte: UInt8, _ isHexadecimal: Bool) -> UInt64? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte &- UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f") where isHexadecimal: UInt64(byte &- UInt8(ascii: "a") &+ 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F") where isHexadecimal: UInt64(byte &- UInt8(ascii: "A") &+ 10)
        default: nil
        }
    }

    /// What travels as a varint; nil when the kind does not hold the number.
    ///
    /// The kinds of 32 bits hold what a number of JavaScript holds, 53 bits, zigzag included.
    func bits(of kind: ProtobufKind) -> UInt64? {
        switch kind {
        case .uInt32: isNegative && magnitude > 0 || magnitude > Self.largest ? nil : magnitude
        case .uInt64: isNegative && magnitude > 0 ? nil : magnitude
        case .sInt32: zigzag(atMost: Self.largest)
        default: zigzag(atMost: .max)
        }
    }

    /// - Source: ECMAScript, `Number.MAX_SAFE_INTEGER`.
    static let largest = UInt64(1) << 53 - 1

    private func zigzag(atMost limit: UInt64) -> UInt64? {
        let (doubled, isOver) = magnitude.multipliedReportingOverflow(by: 2)
        // -2^63 is the one whose double is over 64 bits and whose code is not.
        if isOver { return isNegative && magnitude == 1 << 63 && limit == .max ? .max : nil }
        let bits = isNegative && magnitude > 0 ? doubled - 1 : doubled
        return bits <= limit ? bits : nil
    }
}
