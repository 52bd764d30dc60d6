// SPDX-License-Identifier: MIT

/// Why values are in no journal, until a later one is, or their callers have heard.
struct Refusals<Name: Hashable> {
    private var reasons: [Name: (number: UInt64, reason: String)] = [:]

    func reason(_ name: Name) -> String? { reasons.isEmpty ? nil : reasons[name]?.reason }

    /// Of the value with a version's number.
    mutating func note(_ name: Name, _ number: UInt64, _ reason: String) { reasons[name] = (number, reason) }

    mutating func forget(_ name: Name, upTo number: UInt64) {
        if !reasons.isEmpty, let known = reasons[name], known.number <= number { reasons[name] = nil }
    }
}
