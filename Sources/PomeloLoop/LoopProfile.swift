// SPDX-License-Identifier: MIT
import CLibuv
import PomeloLibc

/// Where the loop's thread was, looked at many times by a thread of its own.
///
/// What is found waiting is looked at too: the time a loop has nothing to do stands under its poll.
public struct LoopProfile: Sendable {
    private static let pauseMicroseconds: UInt32 = 1_000_000 / 99

    /// How often the thread was looked at.
    public private(set) var samples = 0
    /// A stack and how often it was found, the most frequent first: functions from the outermost to the innermost, `;`
    /// between them, then a space and the number.
    ///
    /// - Source: the folded form of Brendan Gregg's FlameGraph, which draws it.
    public private(set) var stacks: [String] = []

    /// Looks 99 times a second; suspends until it has, and the names are found.
    ///
    /// No round number: what happens each hundredth of a second would be found always, or never.
    public static func take(for time: Duration) async throws -> LoopProfile {
        let thread = WorkerThread()
        defer { withExtendedLifetime(thread) {} }
        return try await thread.run { LoopProfile(sampling: time) }
    }

    private init(sampling time: Duration) {
        var found: [[UInt]: Int] = [:]
        let end = uv_hrtime() &+ UInt64(clamping: Int64(time / .nanoseconds(1)))
        while uv_hrtime() < end {
            found[LoopStack.addresses, default: 0] += 1
            samples += 1
            usleep(Self.pauseMicroseconds)
        }
        stacks = Self.named(found)
    }

    /// Several addresses are in one function: what is the same by name is one.
    private static func named(_ found: [[UInt]: Int]) -> [String] {
        var names: [UInt: String] = [:]
        for address in Set(found.keys.joined()) { names[address] = function(at: address) }
        var stacks: [String: Int] = [:]
        for (addresses, count) in found {
            let stack = addresses.reversed().map { names[$0] ?? "" }.joined(separator: ";")
            stacks[stack, default: 0] += count
        }
        return stacks.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.key) \($0.value)" }
    }

    /// Without how far behind its beginning, and without what separates functions.
    private static func function(at address: UInt) -> String {
        let name = LoopStack.name(of: address).replacing(";", with: ",")
        guard let plus = name.lastIndex(of: "+"), name[..<plus].hasSuffix(" ") else { return name }
        return String(name[..<plus].dropLast())
    }
}
