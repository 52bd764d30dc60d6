// SPDX-License-Identifier: MIT
import Foundation
import Testing

/// `rowTable` against the article "From pomelo to Swift", and both tables against the tests that there are.
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

    @Test func everyRowOfTheArticleHasItsTests() throws {
        let article = try String(
            contentsOfFile: Self.root + "/Sources/Pomelo/Pomelo.docc/From-pomelo-to-Swift.md", encoding: .utf8)
        let rows = article.split(separator: "\n").filter { $0.hasPrefix("| ") && !$0.hasPrefix("| pomelo |") }
            .map { $0.dropFirst(2).prefix { $0 != "|" }.filter { $0 != "`" }.trimmingCharacters(in: .whitespaces) }
        #expect(rows == Self.entries(rowTable).map(\.name))
    }

    @Test(arguments: ["rows", "defects"]) func everyTestThatIsNamedIsThere(_ table: String) throws {
        let entries = Self.entries(table == "rows" ? rowTable : defectTable)
        let files = try Self.testFiles()
        #expect(entries.count > 50 && Set(entries.map(\.name)).count == entries.count)
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
