// SPDX-License-Identifier: MIT
import PomeloBytes

extension JSONReader {
    /// Reads a number: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
    mutating func number(_ text: Span<UInt8>) throws(WireError) -> JSONNode {
        let start = offset
        let negative = try peek(text) == UInt8(ascii: "-")
        if negative { offset &+= 1 }
        var mantissa = JSONMantissa()
        let first = try peek(text)
        digits(text, &mantissa)
        guard mantissa.digits > 0 else { throw .malformed("JSON: expected a value") }
        if first == UInt8(ascii: "0"), mantissa.digits > 1 { throw .malformed("JSON: leading zero") }
        var exponent = 0
        var isWhole = true
        if offset < text.count, text[offset] == UInt8(ascii: ".") {
            isWhole = false
            offset &+= 1
            let before = mantissa.digits
            digits(text, &mantissa)
            exponent = before &- mantissa.digits
            guard exponent < 0 else { throw .malformed("JSON: no digit after the point") }
        }
        if offset < text.count, text[offset] | 0x20 == UInt8(ascii: "e") {
            isWhole = false
            exponent &+= try writtenExponent(text)
        }
        if isWhole, let whole = mantissa.whole(negative: negative) { return whole }
        let digits = text.extracting(start..<offset)
        let fast = mantissa.exact(negative: negative, exponent: exponent)
        let number = if let fast { fast } else { try slowNumber(digits) }
        return number == number.rounded() ? Self.whole(number, digits, exponent) : .double(number)
    }

    /// A double without a fraction may stand for a whole number that is not the one in the text.
    private static func whole(_ number: Double, _ digits: Span<UInt8>, _ exponent: Int) -> JSONNode {
        let exact = JSONMantissa.whole(digits, exponent: exponent)
        if number.magnitude < JSON.firstUnsafe { return exact == nil ? .rounded(number) : .double(number) }
        return exact ?? .double(number)
    }

    @inline(__always)
    private mutating func digits(_ text: Span<UInt8>, _ mantissa: inout JSONMantissa) {
        while offset < text.count {
            let digit = text[offset] &- UInt8(ascii: "0")
            guard digit <= 9 else { return }
            mantissa.append(digit)
            offset &+= 1
        }
    }

    private mutating func writtenExponent(_ text: Span<UInt8>) throws(WireError) -> Int {
        offset &+= 1
        let sign = try peek(text)
        if sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { offset &+= 1 }
        var value = 0
        let start = offset
        while offset < text.count {
            let digit = text[offset] &- UInt8(ascii: "0")
            guard digit <= 9 else { break }
            // More than any text has digits; the cap only keeps the sum from overflowing.
            value = min(value &* 10 &+ Int(digit), 1 << 40)
            offset &+= 1
        }
        guard offset > start else { throw .malformed("JSON: no digit in the exponent") }
        return sign == UInt8(ascii: "-") ? -value : value
    }

    private func slowNumber(_ digits: Span<UInt8>) throws(WireError) -> Double {
        guard let text = digits.text(), let number = Double(text), number.isFinite else {
            throw .malformed("JSON: number out of range")
        }
        return number
    }
}

/// The digits of a number as one integer, as long as they fit.
private struct JSONMantissa {
    var value: UInt64 = 0
    var digits = 0
    var overflowed = false

    @inline(__always)
    mutating func append(_ digit: UInt8) {
        digits &+= 1
        // 18 digits always fit; from there on each step is checked.
        if digits <= 18 {
            value = value &* 10 &+ UInt64(digit)
            return
        }
        let (product, overflow) = value.multipliedReportingOverflow(by: 10)
        let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
        value = sum
        overflowed = overflowed || overflow || carry
    }

    /// The integer, except beyond 64 bits and for -0, which only a double can hold.
    @inline(__always)
    func whole(negative: Bool) -> JSONNode? {
        overflowed || negative && value == 0 ? nil : JSONNode(magnitude: value, negative: negative)
    }

    /// The double, when one correctly rounded operation on exact operands gives it (Clinger's fast path).
    func exact(negative: Bool, exponent: Int) -> Double? {
        guard !overflowed, value <= 1 << 53, (-22...22).contains(exponent) else { return nil }
        let scale = Self.powers[exponent < 0 ? 0 &- exponent : exponent]
        let magnitude = exponent < 0 ? Double(value) / scale : Double(value) * scale
        return negative ? -magnitude : magnitude
    }

    private static let powers: [Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
        1e18,
        1e19, 1e20, 1e21, 1e22,
    ]

    /// The integer that a number in any spelling is exactly; the exponent is that of its last digit.
    static func whole(_ number: Span<UInt8>, exponent: Int) -> JSONNode? {
        var value: UInt64 = 0
        // Zeros count once a digit follows them: at the end they only make up for a negative exponent.
        var zeros = 0
        for index in number.indices {
            let byte = number[index]
            if byte | 0x20 == UInt8(ascii: "e") { break }
            let digit = byte &- UInt8(ascii: "0")
            guard digit <= 9 else { continue }
            zeros &+= 1
            if digit == 0 { continue }
            guard let scaled = scaled(value, by: zeros) else { return nil }
            let (sum, overflow) = scaled.addingReportingOverflow(UInt64(digit))
            if overflow { return nil }
            (value, zeros) = (sum, 0)
        }
        guard value == 0 || exponent &+ zeros >= 0, let magnitude = scaled(value, by: exponent &+ zeros) else {
            return nil
        }
        return JSONNode(magnitude: magnitude, negative: number[0] == UInt8(ascii: "-"))
    }

    private static func scaled(_ value: UInt64, by zeros: Int) -> UInt64? {
        if value == 0 { return 0 }
        var value = value
        for _ in 0..<zeros {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            value = product
        }
        return value
    }
}

extension JSONNode {
    /// The integer, when 64 bits hold it.
    @inline(__always)
    fileprivate init?(magnitude: UInt64, negative: Bool) {
        if !negative {
            self = magnitude > UInt64(Int64.max) ? .uint(magnitude) : .int(Int64(magnitude))
        } else if magnitude <= UInt64(Int64.max) &+ 1 {
            self = .int(Int64(truncatingIfNeeded: 0 &- magnitude))
        } else {
            return nil
        }
    }
}
