// SPDX-License-Identifier: MIT
import Foundation
import Testing

/// Code and names in documents: code is an excerpt of a file that is built, so it compiles as long as that does, and
/// files that are named are there.
@Suite struct ExcerptTests {
    private static let catalogue = "Sources/Pomelo/Pomelo.docc"
    static let documents =
        ["README.md", "README.zh.md", "CONTRIBUTING.md", "SECURITY.md", "ARCHITECTURE.md"]
        + [catalogue, "Sources/PomeloRedis/PomeloRedis.docc"].flatMap { Project.files(in: $0, ["md"]).map(\.path) }

    /// Everything that is built, and the configuration that is read.
    private static let built: [[String]] = [
        ("Sources", "swift"), ("Tests", "swift"), ("ChatPage", "swift"), ("Template", "swift"),
        ("Sources", "lua"), ("config", "json"), ("Template", "json"),
    ].flatMap { folder, ending in Project.files(in: folder, [ending]) }.map { plain($0.lines) }

    /// Where each line stands, so that an excerpt is looked for where its first line is.
    private static let places: [String: [(file: Int, line: Int)]] = {
        var places: [String: [(file: Int, line: Int)]] = [:]
        for (file, lines) in built.enumerated() {
            for (line, text) in lines.enumerated() { places[text, default: []].append((file, line)) }
        }
        return places
    }()

    private static func isBuilt(_ excerpt: [String]) -> Bool {
        (places[excerpt[0]] ?? []).contains { place in
            built[place.file][place.line...].starts(with: excerpt)
        }
    }

    /// What counts of lines: neither indentation nor comments.
    private static func plain(_ lines: [String], _ marks: [String] = ["//", "--"]) -> [String] {
        lines.map { line in
            var code = line.trimmingCharacters(in: .whitespaces)
            for mark in marks {
                if code.hasPrefix(mark) { return "" }
                if let comment = code.range(of: " \(mark) ") { code = String(code[..<comment.lowerBound]) }
            }
            return code.trimmingCharacters(in: .whitespaces)
        }.filter { !$0.isEmpty }
    }

    struct Block { let language: String, line: Int, text: [String] }

    /// What stands between fences, with the word behind the first.
    private static func blocks(_ document: String) throws -> [Block] {
        var blocks: [Block] = []
        var open: (language: String, line: Int)?
        var text: [String] = []
        for (index, line) in try Project.text(document).components(separatedBy: "\n").enumerated() {
            let fence = line.trimmingCharacters(in: .whitespaces)
            if !fence.hasPrefix("```") {
                if open != nil { text.append(line) }
            } else if let block = open {
                blocks.append(Block(language: block.language, line: block.line, text: text))
                (open, text) = (nil, [])
            } else {
                open = (String(fence.dropFirst(3)), index + 1)
            }
        }
        #expect(open == nil, "\(document): a block of code does not end")
        return blocks
    }

    /// A line `…` stands for what is left out.
    @Test(arguments: documents) func whatIsShownIsBuilt(_ document: String) throws {
        for block in try Self.blocks(document) where ["swift", "json", "lua"].contains(block.language) {
            for excerpt in Self.plain(block.text).split(separator: "…").map(Array.init) {
                #expect(
                    Self.isBuilt(excerpt),
                    "\(document):\(block.line): these lines stand in no file: \(excerpt.joined(separator: " ⏎ "))")
            }
        }
    }

    /// But for their comments.
    @Test func bothReadmesShowTheSameCode() throws {
        func code(_ readme: String) throws -> [[String]] {
            try Self.blocks(readme).map { [$0.language] + Self.plain($0.text, ["//", "#"]) }
        }
        #expect(try code("README.md") == code("README.zh.md"))
    }

    /// "Your own package" is the template, file by file.
    @Test func theTemplateStandsInItsArticle() throws {
        let blocks = try Self.blocks("\(Self.catalogue)/Your-own-package.md").map { $0.text.joined(separator: "\n") }
        let files = Project.files(in: "Template", ["swift", "json"])
        #expect(files.count >= 5)
        for file in files {
            let text = file.lines.joined(separator: "\n").trimmingCharacters(in: .newlines)
            #expect(blocks.contains(text), "\(file.path) and the article differ")
        }
    }

    /// Names in code font that begin with a folder of the project, or of the template; `*`, `…` and `<` stand for more
    /// than one.
    @Test(arguments: documents) func whatIsNamedIsThere(_ document: String) throws {
        let name = /`((?:Sources|Tests|Template|ChatPage|Benchmarks|config)\/[^`*…< ]+)`/
        let folders = [Project.root, Project.root.appendingPathComponent("Template")]
        for match in try Project.text(document).matches(of: name) {
            let paths = folders.map { $0.appendingPathComponent(String(match.1)).path }
            let isThere = paths.contains { FileManager.default.fileExists(atPath: $0) }
            #expect(isThere, "\(document): there is no \(match.1)")
        }
    }
}
