// SPDX-License-Identifier: MIT
import PomeloContract

/// The values one field of a cron text stands for.
///
/// ```
/// field  item , item , …        item  *   */n   a   a-b   a-b/n   a/n (from a to the greatest)
/// ```
struct CronField: Sendable, Equatable {
    /// What a place in a cron text means.
    struct Kind: Sendable {
        let name: String
        let range: ClosedRange<Int>
        /// Names of the values, from the first of the range on.
        var names: [String] = []
        /// What to write in the place of a value that is often written and is none.
        var hints: [Int: String] = [:]
    }

    static let second = Kind(name: "second", range: 0...59)
    static let minute = Kind(name: "minute", range: 0...59)
    static let hour = Kind(name: "hour", range: 0...23, hints: [24: "midnight is 0"])
    static let dayOfMonth = Kind(name: "day of month", range: 1...31)
    static let month = Kind(
        name: "month", range: 0...11,
        names: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
        hints: [12: "January is 0, December 11, or use names"])
    static let dayOfWeek = Kind(
        name: "day of week", range: 0...6, names: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
        hints: [7: "Sunday is 0"])

    /// One bit a value.
    private(set) var bits: UInt64 = 0

    func contains(_ value: Int) -> Bool { bits & (1 << UInt64(value)) != 0 }

    /// The smallest value from `first` on, or nil.
    func next(from first: Int) -> Int? {
        guard first < 64 else { return nil }
        let rest = (bits >> UInt64(first)) << UInt64(first)
        return rest == 0 ? nil : rest.trailingZeroBitCount
    }

    /// - Throws: `PomeloError` `.configuration` naming the field and what is wrong with it.
    init(_ text: Substring, _ kind: Kind) throws(PomeloError) {
        for item in text.split(separator: ",", omittingEmptySubsequences: false) {
            let parts = item.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            var values = try Self.range(parts[0], kind, isStepped: parts.count == 2)
            var step = 1
            if parts.count == 2 {
                guard let number = Self.number(parts[1]), number > 0 else {
                    throw Self.wrong(kind, item, "the step must be a positive whole number")
                }
                step = number
            }
            while let value = values.first {
                bits |= 1 << UInt64(value)
                values = values.dropFirst(step)
            }
        }
    }

    private static func range(
        _ text: Substring, _ kind: Kind, isStepped: Bool
    ) throws(PomeloError) -> ArraySlice<Int> {
        if text == "*" { return Array(kind.range)[...] }
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let first = try value(ends[0], kind)
        let last = ends.count == 2 ? try value(ends[1], kind) : isStepped ? kind.range.upperBound : first
        guard first <= last else { throw wrong(kind, text, "the range runs backwards") }
        return Array(first...last)[...]
    }

    private static func value(_ text: Substring, _ kind: Kind) throws(PomeloError) -> Int {
        if let position = kind.names.firstIndex(of: text.lowercased()) { return position + kind.range.lowerBound }
        let expected = "it must be \(kind.range.lowerBound) to \(kind.range.upperBound)"
        guard let number = number(text) else {
            throw wrong(kind, text, kind.names.isEmpty ? expected : expected + " or a name as \(kind.names[0])")
        }
        guard kind.range.contains(number) else { throw wrong(kind, text, kind.hints[number] ?? expected) }
        return number
    }

    /// Digits alone: neither signs nor spaces.
    private static func number(_ text: Substring) -> Int? {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(text) : nil
    }

    private static func wrong(_ kind: Kind, _ text: Substring, _ reason: String) -> PomeloError {
        PomeloError(.configuration, "\(kind.name) \"\(text)\": \(reason)")
    }
}
