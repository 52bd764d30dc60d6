// SPDX-License-Identifier: MIT

/// `1`, `1.0`, `v1.2.3`: up to three numbers, of which the first two are compared.
///
/// - Source: tKeel, pkg/util/version.go: three parts at most, a missing one is 0, the third one never counts.
public struct PluginVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Changes when a former user breaks.
    public let major: Int
    /// Grows with what is added.
    public let minor: Int
    /// As it was written.
    public let description: String

    /// Nil for what is no version.
    public init?(_ text: String) {
        var digits = Substring(text)
        if digits.utf8.first == UInt8(ascii: "v") { digits.removeFirst() }
        let parts = digits.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard (1...3).contains(parts.count) else { return nil }
        var numbers: [Int] = []
        for part in parts {
            guard (1...9).contains(part.count), part.allSatisfy({ (0x30...0x39).contains($0) }),
                let number = Int(Substring(part))
            else { return nil }
            numbers.append(number)
        }
        major = numbers[0]
        minor = numbers.count > 1 ? numbers[1] : 0
        description = text
    }

    init(_ major: Int, _ minor: Int) {
        self.major = major
        self.minor = minor
        description = "\(major).\(minor)"
    }

    /// By the first two numbers.
    public static func < (a: PluginVersion, b: PluginVersion) -> Bool { (a.major, a.minor) < (b.major, b.minor) }
    /// By the first two numbers.
    public static func == (a: PluginVersion, b: PluginVersion) -> Bool { (a.major, a.minor) == (b.major, b.minor) }
    /// Hashes what is compared.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(major)
        hasher.combine(minor)
    }

    /// Whether one that was made for that version works with this one: the same major, and no less of it.
    public func serves(_ declared: PluginVersion) -> Bool { major == declared.major && minor >= declared.minor }
}
