// SPDX-License-Identifier: MIT

/// A pattern of MATCH: `*`, `?`, `[abc]`, `[^a-z]`, and `\` before a byte that stands for itself.
struct FakeRedisPattern: Sendable {
    private let pattern: [UInt8]

    init(_ pattern: [UInt8]) { self.pattern = pattern }

    /// Whether the whole name is of this pattern.
    func matches(_ name: [UInt8]) -> Bool { matches(pattern[...], name[...]) }

    private func matches(_ pattern: ArraySlice<UInt8>, _ name: ArraySlice<UInt8>) -> Bool {
        var pattern = pattern
        var name = name
        while let first = pattern.first, let byte = name.first {
            if first == UInt8(ascii: "*") {
                let rest = pattern.drop { $0 == first }
                return rest.isEmpty || name.indices.contains { matches(rest, name[$0...]) }
                    || matches(rest, name[name.endIndex...])
            }
            guard step(&pattern, byte) else { return false }
            name.removeFirst()
        }
        return name.isEmpty && pattern.allSatisfy { $0 == UInt8(ascii: "*") }
    }

    /// Takes the part of the pattern that stands for one byte.
    private func step(_ pattern: inout ArraySlice<UInt8>, _ byte: UInt8) -> Bool {
        let first = pattern.removeFirst()
        switch first {
        case UInt8(ascii: "?"): return true
        case UInt8(ascii: "["): return stepClass(&pattern, byte)
        case UInt8(ascii: "\\"): return (pattern.popFirst() ?? first) == byte
        default: return first == byte
        }
    }

    /// Takes the rest of a class; one without its end goes to the end of the pattern.
    private func stepClass(_ pattern: inout ArraySlice<UInt8>, _ byte: UInt8) -> Bool {
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
