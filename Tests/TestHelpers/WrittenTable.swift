// SPDX-License-Identifier: MIT
import Foundation

/// The tables of `Tests/Differences.md`, which tests compare with those that they use.
package enum WrittenTable {
    /// The rows under a heading, without the head of the table.
    package static func rows(under heading: String) throws -> [String] {
        let tests = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let text = try String(contentsOf: tests.appending(path: "Differences.md"), encoding: .utf8)
        let lines = text.split(separator: "\n").drop { $0 != "## \(heading)" }.dropFirst().prefix {
            !$0.hasPrefix("## ")
        }
        return lines.filter { $0.hasPrefix("|") }.dropFirst(2).map(String.init)
    }

    /// A row; an upright stroke would end its cell.
    package static func row(_ recordings: [String], _ cells: String...) -> String {
        let names = recordings.map { "`\($0)`" }.joined(separator: " ")
        return (["| \(names.isEmpty ? "all" : names)"] + cells.map { $0.replacing("|", with: "\\|") })
            .joined(separator: " | ") + " |"
    }
}
