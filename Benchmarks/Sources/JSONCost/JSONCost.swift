// SPDX-License-Identifier: MIT
//
// JSONCost: reading and writing JSON beside Foundation's coders, on the same bodies, interleaved. Not a part of
// `./dev bench`: run `swift run -c release JSONCost` in this folder. Reading order: JSONCost, Bodies.
import Foundation
import Glibc
import Pomelo

/// Prints the CPU of each case for ours and for Foundation, and how many times longer the latter takes.
@main struct JSONCost {
    private static let rounds = 7
    /// CPU of one round of one contestant.
    private static let roundNanoseconds = 20_000_000.0

    static func main() throws {
        for body in Bodies.all {
            let text = try body.text()
            let data = Data(text)
            print("\(body.name), \(text.count) bytes")
            compare(
                "read as values", { _ = try JSON.parse(text) },
                { _ = try JSONSerialization.jsonObject(with: data) })
            let values = (try JSON.parse(text), try JSONSerialization.jsonObject(with: data))
            compare(
                "write from values", { _ = values.0.encoded() },
                { _ = try JSONSerialization.data(withJSONObject: values.1) })
            try body.typed(text, compare)
        }
    }

    /// The least of several rounds, since everything else on the machine only adds.
    private static func compare(_ what: String, _ ours: () throws -> Void, _ theirs: () throws -> Void) {
        do {
            let counts = (try count(ours), try count(theirs))
            var least = (Double.infinity, Double.infinity)
            for _ in 0..<rounds {
                least.0 = min(least.0, try cost(counts.0, ours))
                least.1 = min(least.1, try cost(counts.1, theirs))
            }
            let ratio = (least.1 / least.0 * 10).rounded() / 10
            let columns = "\(Int(least.0)) ns".padded(14) + "\(Int(least.1)) ns".padded(14)
            print("  " + what.padded(22) + columns + "\(ratio) x")
        } catch {
            print("  " + what.padded(22) + "refused: \(error)".prefix(60))
        }
    }

    /// How often a round repeats the work.
    private static func count(_ work: () throws -> Void) throws -> Int {
        try work()
        return max(1, Int(roundNanoseconds / max(1, try cost(3, work))))
    }

    private static func cost(_ count: Int, _ work: () throws -> Void) throws -> Double {
        let start = clock()
        for _ in 0..<count { try work() }
        return Double(clock() - start) * 1000 / Double(count)
    }
}

extension String {
    fileprivate func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(1, width - count)) }
}
