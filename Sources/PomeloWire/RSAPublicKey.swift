// SPDX-License-Identifier: MIT
public import PomeloBytes

/// The public half of an RSA key, and whether a signature was made with the other.
///
/// Nothing here is secret, so nothing takes care of how long it takes. Clients make keys of 1024 bits, of which every
/// third has 1023: libraries that insist on 1024 refuse those.
///
/// - Complexity: about 17 multiplications of the modulus' length for the exponent 65537; 4096 bits are the most.
/// - Source: RFC 8017, sections 5.2.2 and 8.2.2; P. L. Montgomery, "Modular multiplication without trial division".
public struct RSAPublicKey: Sendable {
    /// The shortest and the longest modulus that is taken, in bits.
    public static let bits = 1020...4096
    /// The largest exponent that is taken; larger ones cost who verifies, and gain nothing.
    public static let maxExponent: UInt32 = 65_537

    /// Least significant first.
    private let modulus: [UInt64]
    private let exponent: UInt32
    /// Of the modulus and of signatures, in bytes.
    public let byteCount: Int
    /// −n⁻¹ modulo 2⁶⁴, and the square of 2^(64 · limbs) modulo n.
    private let inverse: UInt64
    private let square: [UInt64]

    /// Takes a modulus, most significant byte first, and an exponent; nil when they cannot be a key, or are beyond the
    /// limits.
    public init?(modulus bytes: Bytes, exponent: UInt32) {
        let bytes = bytes.drop { $0 == 0 }
        guard let first = bytes.first, let last = bytes.last, last & 1 == 1 else { return nil }
        guard exponent & 1 == 1, exponent >= 3, exponent <= Self.maxExponent else { return nil }
        let bits = bytes.count &* 8 &- first.leadingZeroBitCount
        guard Self.bits.contains(bits) else { return nil }
        byteCount = bytes.count
        self.exponent = exponent
        let limbs = Self.limbs(bytes, count: (bytes.count &+ 7) / 8)
        modulus = limbs
        // Each step of Newton's doubles the bits that are right, of which five are at first.
        var inverse = limbs[0] &* 3 ^ 2
        for _ in 0..<4 { inverse = inverse &* (2 &- limbs[0] &* inverse) }
        inverse = 0 &- inverse
        self.inverse = inverse
        square = Self.square(limbs, bits, inverse)
    }

    /// 2^(128 · limbs) modulo n: 2^(64 · limbs) by doubling, and the other half of the exponent by squaring.
    private static func square(_ modulus: [UInt64], _ bits: Int, _ inverse: UInt64) -> [UInt64] {
        let width = 64 &* modulus.count
        var number = [UInt64](repeating: 0, count: modulus.count)
        number[(bits &- 1) / 64] = 1 << UInt64((bits &- 1) % 64)
        for _ in 0...(width &- bits) { double(&number, modulus) }
        for bit in (0..<(Int.bitWidth &- width.leadingZeroBitCount)).reversed() {
            number = product(number, number, modulus, inverse)
            if width >> bit & 1 == 1 { double(&number, modulus) }
        }
        return number
    }

    /// Whether a signature by PKCS #1 v1.5 with SHA-256 is of the text with that hash.
    public func verify(_ signature: Bytes, sha256 hash: Bytes) -> Bool {
        guard hash.count == 32, let number = power(of: signature) else { return false }
        // What it must be is compared as a whole: nothing in it is read, and nothing in it is free.
        return number == expected(hash)
    }

    private static let digestInfo: Bytes = [
        0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04,
        0x20,
    ]

    /// `00 01 FF … FF 00`, what hash it is, and the hash.
    private func expected(_ hash: Bytes) -> [UInt64] {
        let tail = [0] + Self.digestInfo + hash
        let padding = Bytes(repeating: 0xFF, count: byteCount &- 2 &- tail.count)
        return Self.limbs(([0, 1] + padding + tail)[...], count: modulus.count)
    }

    /// The signature to the power of the exponent; nil when it is no number below the modulus.
    private func power(of signature: Bytes) -> [UInt64]? {
        let bytes = signature.drop { $0 == 0 }
        guard bytes.count <= byteCount else { return nil }
        let number = Self.limbs(bytes, count: modulus.count)
        guard Self.isLess(number, modulus) else { return nil }
        let base = Self.product(number, square, modulus, inverse)
        var result = base
        for bit in (0..<(31 &- exponent.leadingZeroBitCount)).reversed() {
            result = Self.product(result, result, modulus, inverse)
            if exponent >> UInt32(bit) & 1 == 1 { result = Self.product(result, base, modulus, inverse) }
        }
        var one = [UInt64](repeating: 0, count: modulus.count)
        one[0] = 1
        return Self.product(result, one, modulus, inverse)
    }

    // MARK: numbers

    private static func limbs(_ bytes: ArraySlice<UInt8>, count: Int) -> [UInt64] {
        var limbs = [UInt64](repeating: 0, count: count)
        for (place, byte) in bytes.reversed().enumerated() {
            limbs[place / 8] |= UInt64(byte) << UInt64(place % 8 &* 8)
        }
        return limbs
    }

    private static func isLess(_ one: [UInt64], _ other: [UInt64]) -> Bool {
        for index in one.indices.reversed() where one[index] != other[index] { return one[index] < other[index] }
        return false
    }

    /// Subtracts the modulus from a number that is at least as large; a borrow at the end is the carry's.
    private static func subtract(_ modulus: [UInt64], from number: inout [UInt64]) {
        var borrow = false
        for index in modulus.indices {
            let (half, first) = number[index].subtractingReportingOverflow(modulus[index])
            let (whole, second) = half.subtractingReportingOverflow(borrow ? 1 : 0)
            number[index] = whole
            borrow = first || second
        }
    }

    private static func double(_ number: inout [UInt64], _ modulus: [UInt64]) {
        var carry: UInt64 = 0
        for index in number.indices {
            let next = number[index] >> 63
            number[index] = number[index] << 1 | carry
            carry = next
        }
        if carry == 1 || !isLess(number, modulus) { subtract(modulus, from: &number) }
    }

    /// The sum of a product and two numbers, as two words: it always fits.
    private static func add(_ one: UInt64, times other: UInt64, to sum: UInt64, _ carry: UInt64) -> (UInt64, UInt64) {
        var (high, low) = one.multipliedFullWidth(by: other)
        let (first, isOver) = low.addingReportingOverflow(sum)
        let (second, isOverAgain) = first.addingReportingOverflow(carry)
        low = second
        high &+= (isOver ? 1 : 0) &+ (isOverAgain ? 1 : 0)
        return (high, low)
    }

    /// The product of two numbers, divided by 2^(64 · limbs), modulo n.
    private static func product(
        _ one: [UInt64], _ other: [UInt64], _ modulus: [UInt64], _ inverse: UInt64
    ) -> [UInt64] {
        let count = modulus.count
        var sum = [UInt64](repeating: 0, count: count &+ 2)
        for digit in other {
            var carry: UInt64 = 0
            for index in 0..<count {
                (carry, sum[index]) = add(one[index], times: digit, to: sum[index], carry)
            }
            sum.put(carry, at: count)
            let factor = sum[0] &* inverse
            (carry, _) = add(factor, times: modulus[0], to: sum[0], 0)
            for index in 1..<count {
                (carry, sum[index &- 1]) = add(factor, times: modulus[index], to: sum[index], carry)
            }
            let (low, overflow) = sum[count].addingReportingOverflow(carry)
            sum[count &- 1] = low
            sum[count] = sum[count &+ 1] &+ (overflow ? 1 : 0)
            sum[count &+ 1] = 0
        }
        var result = Array(sum[..<count])
        if sum[count] != 0 || !isLess(result, modulus) { subtract(modulus, from: &result) }
        return result
    }
}

extension [UInt64] {
    /// Adds a word, with its carry.
    fileprivate mutating func put(_ word: UInt64, at index: Int) {
        let (sum, overflow) = self[index].addingReportingOverflow(word)
        self[index] = sum
        if overflow { self[index + 1] &+= 1 }
    }
}
