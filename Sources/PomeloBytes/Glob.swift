// SPDX-License-Identifier: MIT

/// A pattern as Redis has them: `*`, `?`, `[abc]`, `[^a-z]`, and `\` before a byte that stands for itself.
package struct Glob: Sendable {
    private static let star = UInt8(ascii: "*")
    private let pattern: Bytes

    package init(_ pattern: Bytes) { self.pattern = pattern }

    /// Whether the whole name is of this pattern, in time of at most the product of both lengths.
    package func matches(_ name: Bytes) -> Bool {
        var rest = pattern[...]
        var index = 0
        // Behind the last star so far, and where what it stands for ends: only that one may have to take more.
        var retry: (rest: ArraySlice<UInt8>, index: Int)?
        while index < name.count {
            if rest.first == Self.star {
                rest.removeFirst()
                retry = (rest, index)
            } else if !rest.isEmpty, Self.step(&rest, name[index]) {
                index += 1
            } else if let last = retry {
                (rest, index) = (last.rest, last.index + 1)
                retry = (rest, index)
            } else {
                return false
            }
        }
        return rest.allSatisfy { $0 == Self.star }
    }

    /// Takes the part of the pattern that stands for one byte.
    private static func step(_ pattern: inout ArraySlice<UInt8>, _ byte: UInt8) -> Bool {
        let first = pattern.removeFirst()
        switch first {
        case UInt8(ascii: "?"): return true
        case UInt8(ascii: "["): return stepClass(&pattern, byte)
        case UInt8(ascii: "\\"): return (pattern.popFirst() ?? first) == byte
        default: return first == byte
        }
    }

    /// Takes the rest of a class; one without its end goes to the end of the pattern.
    private static func stepClass(_ pattern: inout ArraySlice<UInt8>, _ byte: UInt8) -> Bool {
        let isNegated = pattern.first == UInt8(ascii: "^")
        if isNegated { pattern.removeFirst() }
        var isFound = false
        while let first = pattern.popFirst() {
            if first == UInt8(ascii: "\\"), let literal = pattern.popFirst() {
                isFound = isFound || literal == byte
            } else if first == UInt8(ascii: "]") {
                break
            } else if pattern.count >= 2, pattern.first == UInt8(ascii: "-") {
                let last = pattern[pattern.startIndex + 1]
                pattern.removeFirst(2)
                isFound = isFound || (min(first, last)...max(first, last)).contains(byte)
            } else {
                isFound = isFound || first == byte
            }
        }
        return isFound != isNegated
    }
}
