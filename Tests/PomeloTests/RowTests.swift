// SPDX-License-Identifier: MIT
import Foundation
import Testing

/// `rowTable` against the article "From pomelo to Swift", `guaranteeTable` and `boundTable` against ARCHITECTURE.md,
/// and all tables against the tests that there are.
@Suite struct RowTests {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path

    /// Lines without an indent, each with the indented ones below it.
    private static func entries(_ table: String) -> [(name: String, tests: [String])] {
        var entries: [(name: String, tests: [String])] = []
        for line in table.split(separator: "\n") {
            if line.hasPrefix(" ") {
                entries[entries.count - 1].tests.append(line.trimmingCharacters(in: .whitespaces))
            } else {
                entries.append((String(line), []))
            }
        }
        return entries
    }

    /// The first cells of the tables in a text.
    private static func firstCells(_ text: String) -> [String] {
        text.split(separator: "\n").filter { $0.hasPrefix("| ") && !$0.hasPrefix("| |") }
            .map { $0.dropFirst(2).prefix { $0 != "|" }.filter { $0 != "`" }.trimmingCharacters(in: .whitespaces) }
    }

    private static func text(_ path: String) throws -> String {
        try String(contentsOfFile: root + "/" + path, encoding: .utf8)
    }

    @Test func everyRowOfTheArticleHasItsTests() throws {
        let rows = Self.firstCells(try Self.text("Sources/Pomelo/Pomelo.docc/From-pomelo-to-Swift.md"))
        #expect(rows.filter { $0 != "pomelo" && $0 != "tKeel, dapr" } == Self.entries(rowTable).map(\.name))
    }

    @Test func everyGuaranteeAndEveryBoundHasItsTests() throws {
        let sections = try Self.text("ARCHITECTURE.md").components(separatedBy: "\n## ")
        let tables = sections.filter { $0.hasPrefix("What is guaranteed") || $0.hasPrefix("Bounds") }
        #expect(tables.count == 2)
        let rows = Set(tables.flatMap(Self.firstCells)).subtracting(["queue"])
        let named = Set(Self.entries(guaranteeTable + "\n" + boundTable).map(\.name))
        #expect(rows.subtracting(named) == [], "rows of ARCHITECTURE.md without a test in guaranteeTable or boundTable")
        #expect(named.subtracting(rows) == [], "entries of either without a row in ARCHITECTURE.md")
    }

    private static let tables = [
        "rows": rowTable, "defects": defectTable, "guarantees": guaranteeTable, "bounds": boundTable,
    ]

    @Test(arguments: tables.keys.sorted()) func everyTestThatIsNamedIsThere(_ table: String) throws {
        let entries = Self.entries(Self.tables[table] ?? "")
        let files = try Self.testFiles()
        #expect(entries.count >= 20 && Set(entries.map(\.name)).count == entries.count)
        for (name, tests) in entries {
            #expect(!tests.isEmpty, "no test for \(name)")
            for test in tests {
                let parts = test.split(separator: ".", maxSplits: 1).map(String.init)
                // Two targets may have a file of one name.
                let texts = files[parts[0]] ?? []
                let isThere = texts.contains { $0.contains("func \(parts[1])(") || $0.contains("\n    \(parts[1])\n") }
                #expect(isThere, "there is no \(test), of \(name)")
            }
        }
    }

    /// The texts of the files below Tests, by their names without ending.
    private static func testFiles() throws -> [String: [String]] {
        let folder = root + "/Tests"
        var files: [String: [String]] = [:]
        let names = try #require(FileManager.default.enumerator(atPath: folder))
        for case let path as String in names where path.hasSuffix(".swift") {
            let url = URL(fileURLWithPath: folder + "/" + path)
            files[url.deletingPathExtension().lastPathComponent, default: []].append(
                try String(contentsOf: url, encoding: .utf8))
        }
        return files
    }
}
